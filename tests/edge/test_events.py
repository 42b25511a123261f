"""Events on their way from a machine into a real spool."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.ack import SPOOL_ACK, format_ack, parse_uuid
from contract.broker import Broker
from contract.command import REPLY, Reply, read_reply
from contract.event import MAX_EVENT_BYTES, read_event
from contract.model import Sample
from contract.sparkplug import Code, Metric
from edge.driver import Refreshed
from edge.uplink import Uplink
from spool import Spool
from tests.edge.telling import NODE, Telling, describe, event


@pytest.fixture
async def telling(tmp_path: Path) -> AsyncIterator[Callable[..., Telling]]:
    started: list[Telling] = []

    def start(**entry: Any) -> Telling:
        started.append(Telling(tmp_path, entry))
        return started[-1]

    yield start
    for each in started:
        await each.kill()


@pytest.fixture
def uplinks(tmp_path: Path) -> Iterator[Callable[..., Uplink]]:
    started: list[tuple[Uplink, Spool]] = []

    def start(broker: Any) -> Uplink:
        spool = Spool.open(tmp_path / "spool", linger_s=0.0)
        uplink = Uplink(NODE, spool, Broker(url=broker.url, user=broker.user, password_file=broker.password_file))
        started.append((uplink, spool))
        uplink.start()
        return uplink

    yield start
    for uplink, spool in started:
        uplink.stop()
        spool.close()


async def test_an_event_is_durable_before_the_next_read_and_keeps_what_its_source_said(telling: Any) -> None:
    edge = telling()
    said = event("tool 7 worn", severity=300, texts={"en": "worn", "zh": "磨损"}, values={"tool": 7, "ratio": 0.5})
    now_ns = time.time_ns()
    await edge.say(Sample("cnc-01", "speed", now_ns, 5.0), said)
    assert edge.events == [said]
    assert edge.runner.health.events == 1
    assert edge.runner.health.last_data_ns >= now_ns


async def test_an_event_alone_tells_that_its_asset_is_there(telling: Any) -> None:
    edge = telling()
    await edge.say(event("door open"))
    assert edge.node._devices["cnc-01"].online


async def test_what_is_told_again_in_one_run_is_left_out_and_counted(telling: Any) -> None:
    edge = telling()
    said = event("door open")
    await edge.say(said, said)
    await edge.say(said, event("door closed"))
    assert [each.name for each in edge.events] == ["door open", "door closed"]
    assert edge.runner.health.events_repeated == 2


@pytest.mark.parametrize("time_ns", [0, 1, 4 * 10**18], ids=["none", "before 1970", "far ahead"])
async def test_a_time_that_cannot_be_the_sources_is_replaced_flagged_and_told(
    telling: Any, time_ns: int, until: Any
) -> None:
    edge = telling()
    before_ns = time.time_ns()
    said = event("door open").model_copy(update={"time_ns": time_ns})
    await edge.say(said)
    [kept] = edge.events
    assert before_ns <= kept.time_ns <= time.time_ns()
    assert kept == said.model_copy(update={"time_ns": kept.time_ns, "time_replaced": True})
    assert edge.runner.health.times_replaced == 1
    await until(lambda: [(e.reason, e.outcome, e.count) for e in edge.entries()] == [("source_time", "noted", 1)])


async def test_an_event_too_long_for_a_message_is_cut_and_says_so(telling: Any, until: Any) -> None:
    edge = telling()
    texts = {f"l{n}": "ü" * 2000 for n in range(20)}
    await edge.say(event("long", texts=texts, values={"log": "x" * 50_000, "tool": 7}))
    [kept] = edge.events
    assert kept.values["tool"] == 7
    assert str(kept.values["log"]).endswith("… (50000 characters)")
    assert all(text.startswith("ü") and text.endswith("… (2000 characters)") for text in kept.texts.values())
    await until(lambda: [(e.reason, e.outcome, e.count) for e in edge.entries()] == [("too_large", "noted", 1)])
    assert "long" in str(edge.runner._intake.notes)


async def test_an_event_that_never_fits_is_left_out_counted_and_in_the_ledger(telling: Any, until: Any) -> None:
    edge = telling()
    await edge.say(event("long", texts={"x" * MAX_EVENT_BYTES: "text"}), event("short"))
    assert [each.name for each in edge.events] == ["short"]
    assert edge.runner.health.too_large == 1
    await until(lambda: [(e.reason, e.outcome, e.count) for e in edge.entries()] == [("too_large", "lost", 1)])


async def test_numbers_that_json_cannot_say_are_words(telling: Any) -> None:
    edge = telling()
    await edge.say(event("odd", values={"a": float("nan"), "b": float("-inf"), "c": 1.5}))
    assert edge.events[0].values == {"a": "nan", "b": "-inf", "c": 1.5}


async def test_a_burst_of_a_thousand_events_in_one_batch_passes(telling: Any) -> None:
    edge = telling()
    said = [event(f"alarm {n}", "active", time_ns=time.time_ns() + n) for n in range(1000)]
    await edge.say(*said)
    assert edge.events == said
    assert len({record.n for record in edge.spool.read(limit=2000)}) == 1000


async def test_a_full_spool_stops_the_reading_and_each_event_is_kept_once(tmp_path: Path, until: Any) -> None:
    edge = Telling(tmp_path, {}, spool_bytes=20_000)
    said = [event(f"alarm {n}", time_ns=time.time_ns() + n) for n in range(150)]
    heard = []
    try:
        edge.machine.say(*said)
        await until(lambda: "max_bytes" in edge.runner.health.trouble or "full" in edge.runner.health.trouble)
        while not edge.machine.taken:
            heard += edge.events
            edge.spool.remove([(1, edge.spool.stats.last_n)])
            await asyncio.sleep(0.05)
        heard += edge.events
        assert heard == said
        assert edge.runner.health.trouble == ""
    finally:
        await edge.kill()


async def test_what_is_told_again_is_a_sign_of_life_and_no_news(telling: Any) -> None:
    edge = telling()
    said = event("door open")
    await edge.say(said)
    news_ns = edge.runner.health.last_data_ns
    await edge.say(said)
    assert edge.runner.health.last_data_ns == news_ns
    assert edge.runner.health.alive_ns > news_ns


async def test_events_of_an_asset_that_is_not_ours_are_counted(telling: Any) -> None:
    edge = telling()
    await edge.say(event("door open").model_copy(update={"asset": "NOT AN ID"}))
    assert (edge.events, edge.runner.health.refused) == ([], 1)


# conditions


async def test_a_condition_that_a_refresh_does_not_name_is_cleared_at_a_time_that_is_not_the_sources(
    telling: Any,
) -> None:
    edge = telling()
    hot, low = event("spindle hot", "active", severity=700), event("coolant low", "active")
    await edge.say(hot, low)
    now_ns = time.time_ns()
    await edge.say(Refreshed("cnc-01", frozenset({"coolant low"}), now_ns))
    cleared = edge.events[2]
    assert (cleared.condition, cleared.state, cleared.time_ns, cleared.time_replaced) == (
        "spindle hot",
        "cleared",
        now_ns,
        True,
    )
    assert (cleared.name, cleared.severity, cleared.asset) == ("spindle hot", 700, "cnc-01")
    assert len(edge.events) == 3


async def test_active_conditions_survive_a_kill_of_the_edge(telling: Any) -> None:
    edge = telling()
    hot, low = event("spindle hot", "active"), event("coolant: low", "active")
    await edge.say(hot, low, event("door", "active"), event("door", "cleared"))
    again = await edge.again()
    try:
        await again.say(low, Refreshed("cnc-01", frozenset({"coolant: low"}), time.time_ns()))
        assert again.runner.health.events_repeated == 1  # the active one, told by the refresh
        ends = [(each.condition, each.time_replaced) for each in again.events if each.state == "cleared"]
        assert ends == [("door", False), ("spindle hot", True)]
    finally:
        await again.kill()


async def test_the_end_that_a_refresh_makes_has_one_id_however_often(telling: Any) -> None:
    edge = telling()
    hot = event("spindle hot", "active")
    await edge.say(hot, Refreshed("cnc-01", frozenset(), hot.time_ns + 5))
    await edge.say(Refreshed("cnc-01", frozenset(), hot.time_ns + 9))
    assert [each.state for each in edge.events] == ["active", "cleared"]


async def test_a_refresh_says_nothing_of_another_asset_or_of_what_a_detector_found(telling: Any) -> None:
    edge = telling()
    found = event("limit", "active").model_copy(update={"source": "limit"})
    await edge.say(found, Refreshed("cnc-01", frozenset(), time.time_ns()))
    assert edge.events == [found]


async def test_an_acknowledged_condition_is_active_still(telling: Any) -> None:
    edge = telling()
    await edge.say(event("hot", "active"), event("hot", "acknowledged"))
    await edge.say(Refreshed("cnc-01", frozenset(), time.time_ns()))
    assert [each.state for each in edge.events] == ["active", "acknowledged", "cleared"]


# on the wire


async def test_events_arrive_by_name_are_acknowledged_and_leave_the_spool(
    nats_broker: Any, hosts: Any, tmp_path: Path, until: Any, uplinks: Any
) -> None:
    host = await hosts(nats_broker)
    uplink = uplinks(nats_broker)
    edge = Telling(tmp_path, {}, node=uplink.node)
    said = event("spindle hot", "active", values={"limit": 80.0})
    await edge.say(said)
    [heard] = await host.wait_for("DDATA", device="cnc-01")
    [metric] = heard.payload.metrics
    assert (metric.name, metric.alias) == ("Spool/Event", None)
    assert read_event(metric.value, "cnc-01") == said
    birth = host.of("DBIRTH", device="cnc-01")[-1]
    assert (birth.metric("Spool/Event").value, birth.metric("Spool/Block").value) == (None, None)
    assert host.of("NBIRTH")[-1].metric("Spool/Reply").value is None
    await until(lambda: not edge.metrics("Spool/Event"))
    await edge.stop()


async def test_an_event_of_before_a_restart_is_history_with_its_name(
    nats_broker: Any, hosts: Any, tmp_path: Path, uplinks: Any
) -> None:
    host = await hosts(nats_broker)
    edge = Telling(tmp_path, {})
    said = event("spindle hot", "active")
    await edge.say(said)
    await edge.kill()
    describe(uplinks(nats_broker).node)
    [heard] = await host.wait_for("DDATA", device="cnc-01")
    assert heard.historical
    assert json.loads(heard.metric("Spool/Event").value)["id"] == said.id


async def test_a_reply_goes_up_as_data_of_the_node_and_waits_in_the_spool_until_it_is_acknowledged(
    nats_broker: Any, hosts: Any, until: Any, uplinks: Any
) -> None:
    host = await hosts(nats_broker)
    host.acknowledges = False
    node = uplinks(nats_broker).node
    describe(node)
    reply = Reply(command_id="c0ffee00", outcome="done", value=5.0, time_ns=time.time_ns())
    await asyncio.wrap_future(node.reply(reply))
    heard = [each for each in await host.wait_for("NDATA") if each.payload.metrics[0].name == REPLY]
    assert [read_reply(str(each.metric(REPLY).value)) for each in heard] == [reply]
    assert [b"Spool/Reply" in record.body for record in node._spool.read()] == [True]
    epoch, n = parse_uuid(str(heard[0].payload.uuid))
    host.command(NODE, Metric(SPOOL_ACK, None, Code.STRING, format_ack(epoch, [(n, n)])))
    await until(lambda: node._spool.read() == [])
