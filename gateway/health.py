"""Whether the gateway does its work: `/health` (200 only while data flows) and `/metrics` (Prometheus).

The same port has `/quarantine` (gateway.quarantine).
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contract.topics import Node
from gateway.forward import Progress
from gateway.quarantine import Quarantine
from spool import Stats

_log = structlog.get_logger(__name__)

GRACE_S: Final = 5.0  # a store that restarts is no alarm
FULL: Final = 0.9
REQUEST_S: Final = 5.0
MOST_CONNECTIONS: Final = 64
FORGOTTEN_S: Final = 7 * 86400.0  # after that long a node that is offline is no alarm any more


@dataclass(frozen=True, slots=True)
class NodeView:
    """An edge node as health sees it: seconds since its last message, and after how many it should have spoken.

    `age_s` is None where nobody knows. `waits`: while it cannot get through, what it reads waits there. `doubt` says
    why it does not count as online, or has to prove that it is.
    """

    node: Node
    online: bool
    age_s: float | None
    silent_s: float
    waits: bool = False
    doubt: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether it should be online; one that is gone for good is not missed for ever."""
        return self.waits and not self.online and self.age_s is not None and self.silent_s < self.age_s < FORGOTTEN_S

    def __str__(self) -> str:
        age = "" if self.age_s is None else f" ({self.age_s:.0f} s)"
        return f"{'/'.join(self.node)}{age}{f': {self.doubt}' if self.doubt else ''}"


@dataclass(frozen=True, slots=True)
class View:
    """All that health and metrics are made of, at one moment (`now`: monotonic seconds, `now_ns`: UTC)."""

    now: float
    now_ns: int
    connected: bool
    trouble: str  # the broker's: why it is not connected, or does not stay so
    network_alive: bool
    state_online: bool
    forwarding: bool
    progress: Progress
    spool: Stats
    ledger_trouble: str = ""
    mirror_trouble: str = ""  # of the broker that the mirror goes to
    nodes: list[NodeView] = field(default_factory=list)
    counters: dict[tuple[Node, str], int] = field(default_factory=dict)
    stuck_s: float = 30.0

    @property
    def oldest_s(self) -> float:
        """Age of the oldest record in the spool, in seconds."""
        return 0.0 if self.spool.oldest_ns is None else max(0.0, (self.now_ns - self.spool.oldest_ns) / 1e9)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; `detail` says, when not ok, what is wrong and what to do."""

    name: str
    ok: bool
    detail: str


def checks(view: View) -> list[Check]:
    """Judge a view."""
    return [_broker(view), _state(view), _mirror(view), _spool(view), _forward(view), _ledger(view), _nodes(view)]


def report(view: View) -> tuple[bool, bytes]:
    """Return whether all is well, and the report as JSON."""
    judged = checks(view)
    ok = all(check.ok for check in judged)
    content: dict[str, Any] = {
        "status": "ok" if ok else "failing",
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in judged],
        "nodes": [
            {
                "node": "/".join(seen.node),
                "online": seen.online,
                "last_message_age_s": None if seen.age_s is None else round(seen.age_s, 1),
                "detail": seen.doubt,
            }
            for seen in view.nodes
        ],
        "spool": {
            "records": view.spool.records,
            "bytes": view.spool.bytes,
            "max_bytes": view.spool.max_bytes,
            "oldest_age_s": round(view.oldest_s, 1),
        },
    }
    return ok, orjson.dumps(content)


def _broker(view: View) -> Check:
    if not view.network_alive:
        return Check("broker", False, "the network thread has ended; restart the gateway and report this")
    if not view.connected:
        return Check(
            "broker", False, f"not connected: {view.trouble or 'connecting'}; start the MQTT broker or correct"
        )
    if view.trouble:
        return Check("broker", False, view.trouble)
    return Check("broker", True, "connected")


def _state(view: View) -> Check:
    if not view.state_online:
        return Check("state", False, "STATE is not published: edge nodes hold their data back until it is")
    return Check("state", True, "online")


def _mirror(view: View) -> Check:
    if view.mirror_trouble:
        text = "who opens a live view now sees what was kept before: start the broker, free its disk and start it anew"
        detail = f"{view.mirror_trouble}; {text}"
        return Check("mirror", False, detail)
    return Check("mirror", True, "connected")


def _spool(view: View) -> Check:
    share = view.spool.bytes / view.spool.max_bytes
    if share >= FULL:
        detail = f"{share:.0%} full; bring the store back, or raise SHOPFLOOR_GATEWAY_SPOOL_BYTES"
        return Check("spool", False, detail)
    return Check("spool", True, f"{view.spool.records} records")


def _forward(view: View) -> Check:
    progress = view.progress
    if not view.forwarding:
        return Check("forward", False, "the forwarding thread has ended; restart the gateway and report this")
    if progress.failing_since is not None and view.now - progress.failing_since >= GRACE_S:
        for_s = view.now - progress.failing_since
        return Check("forward", False, f"for {for_s:.0f} s: {progress.trouble}")
    still_s = view.now - progress.moved
    if view.spool.records and still_s >= view.stuck_s:
        return Check("forward", False, f"no answer of the store for {still_s:.0f} s; is it overloaded?")
    return Check("forward", True, f"oldest record {view.oldest_s:.1f} s")


def _ledger(view: View) -> Check:
    return Check("ledger", not view.ledger_trouble, view.ledger_trouble or "written")


def _nodes(view: View) -> Check:
    online = [seen for seen in view.nodes if seen.online]
    if not online:
        return Check("nodes", False, "no edge node is online; start one (python -m edge plant.yaml)")
    silent = [seen for seen in online if seen.age_s is not None and seen.age_s > seen.silent_s]
    if silent:
        names = ", ".join(map(str, silent))
        return Check("nodes", False, f"online but silent: {names}; look at its log and its network")
    missed = [seen for seen in view.nodes if seen.is_missed]
    if missed:
        names = ", ".join(map(str, missed))
        return Check("nodes", False, f"offline: {names}; what it reads waits there: start it, or look at its network")
    return Check("nodes", True, f"{len(online)} online")


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
        ("spool_oldest_age_seconds", "Age of the oldest message in the spool", view.oldest_s),
    )
    for name, text, value in values:
        yield GaugeMetricFamily(f"shopfloor_gateway_{name}", text, value=float(value))
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
    ledger = CounterMetricFamily(
        "shopfloor_gateway_ledger", "What became of messages, by edge node", labels=["group", "edge_node", "what"]
    )
    for (node, what), n in view.counters.items():
        ledger.add_metric([*node, what], n)
    yield from (posts, ledger)


class _Server(ThreadingHTTPServer):
    """Serves at most MOST_CONNECTIONS at once; further ones are closed."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, if there is a place."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system gives no thread
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log an error of ours in one line, where the library prints its traceback; a client that goes is none."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            _log.error("a request has failed", exc_info=error)


class HealthServer:
    """Answers `/health`, `/metrics` and `/quarantine` at `host`:`port` (0: any free one) from threads of its own."""

    def __init__(self, host: str, port: int, view: Callable[[], View]) -> None:
        self.port = port
        self._host = host
        self._view = view
        self._server: _Server | None = None

    def start(self, quarantine: Quarantine) -> None:
        """Bind the port and start to answer; raise OSError when the port is taken."""
        self._server = _Server((self._host, self.port), _handler(self._view, quarantine))
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True).start()

    def stop(self) -> None:
        """Stop to answer and free the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _handler(view: Callable[[], View], quarantine: Quarantine) -> type[BaseHTTPRequestHandler]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GatewayCollector(view))

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_S

        def setup(self) -> None:
            """Begin; the whole head has to come within REQUEST_S, however its bytes are spread."""
            super().setup()
            self._deadline = threading.Timer(REQUEST_S, self._hang_up)
            self._deadline.daemon = True
            self._deadline.start()

        def parse_request(self) -> bool:
            try:
                return super().parse_request()
            finally:
                self._deadline.cancel()

        def finish(self) -> None:
            self._deadline.cancel()
            super().finish()

        def _hang_up(self) -> None:
            with contextlib.suppress(OSError):  # it has ended by itself
                self.connection.shutdown(socket.SHUT_RDWR)

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/health":
                ok, body = report(view())
                self._answer(200 if ok else 503, "application/json", body)
            elif path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path.startswith("/quarantine"):
                self._quarantine(path)
            else:
                self._answer(404, "text/plain; charset=utf-8", b"try /health, /metrics or /quarantine\n")

        def do_POST(self) -> None:
            self._quarantine(self.path)

        def do_DELETE(self) -> None:
            self._quarantine(self.path)

        def _quarantine(self, path: str) -> None:
            reply = quarantine.answer(self.command, path, self.headers.get("Authorization", ""))
            self._answer(reply.status, reply.content_type, reply.body)

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a scrape every few seconds is no news."""

    return Handler
