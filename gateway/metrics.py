"""The metrics of a gateway, in the words of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.view import View, checks


class GatewayCollector(Collector):
    """The metrics of a view, made at each scrape."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """Return all metrics."""
        view = self._view()
        yield from _gauges(view)
        yield from _counters(view)


def _gauges(view: View) -> Iterator[Metric]:
    values: Iterable[tuple[str, str, float]] = (
        ("connected", "Whether the gateway is connected to the broker", view.connected),
        ("state_online", "Whether the host's STATE is online", view.state_online),
        ("spool_records", "Messages in the spool", view.spool.records),
        ("spool_bytes", "Bytes in the spool", view.spool.bytes),
        ("spool_max_bytes", "Bytes that the spool may hold", view.spool.max_bytes),
        ("spool_waiting_records", "Messages that the store does not have yet", view.waiting),
        ("spool_oldest_age_seconds", "Age of the oldest message in the spool", view.oldest_s),
    )
    for name, text, value in values:
        yield GaugeMetricFamily(f"shopfloor_gateway_{name}", text, value=float(value))
    if view.cloud is not None:
        for name, text, amount in (
            ("records", "Messages that are held for the cloud", view.cloud.records),
            ("bytes", "Bytes that are held for the cloud", view.cloud.bytes),
            ("max_bytes", "Bytes that may be held for the cloud", view.cloud.max_bytes),
        ):
            yield GaugeMetricFamily(f"shopfloor_gateway_cloud_held_{name}", text, value=float(amount))
    labels = ["group", "edge_node"]
    online = GaugeMetricFamily("shopfloor_gateway_node_online", "Whether the edge node is online", labels=labels)
    age = GaugeMetricFamily(
        "shopfloor_gateway_node_last_message_age_seconds", "Time since the node's last message", labels=labels
    )
    check = GaugeMetricFamily("shopfloor_gateway_check", "Whether a check of /health is ok", labels=["check"])
    for seen in view.nodes:
        online.add_metric(list(seen.node), float(seen.online))
        if seen.age_s is not None:
            age.add_metric(list(seen.node), seen.age_s)
    for judged in checks(view):
        check.add_metric([judged.name], float(judged.ok))
    yield from (online, age, check)


def _counters(view: View) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "shopfloor_gateway_forwarded_records", "Messages that the store has", value=view.progress.records
    )
    yield CounterMetricFamily(
        "shopfloor_gateway_forwarded_samples", "Samples that the store has", value=view.progress.samples
    )
    posts = CounterMetricFamily("shopfloor_gateway_posts", "Posts to the store by outcome", labels=["outcome"])
    for outcome, n in list(view.progress.answers.items()):
        posts.add_metric([outcome], n)
    cloud = CounterMetricFamily("shopfloor_gateway_cloud_posts", "Posts to the cloud by outcome", labels=["outcome"])
    for outcome, n in list(view.cloud.progress.answers.items()) if view.cloud is not None else ():
        cloud.add_metric([outcome], n)
    yield CounterMetricFamily(
        "shopfloor_gateway_events_not_shown", "Events that the namespace was not shown", value=view.not_shown
    )
    ledger = CounterMetricFamily(
        "shopfloor_gateway_ledger", "What became of messages, by edge node", labels=["group", "edge_node", "what"]
    )
    for (node, what), n in view.counters.items():
        ledger.add_metric([*node, what], n)
    yield from (posts, cloud, ledger)
