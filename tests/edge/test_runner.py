"""The runner between real machines and a real spool."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.broker import Broker
from contract.loss import Entry
from contract.model import Asset
from contract.mqtt import Session
from contract.topics import Node
from edge.drivers import load
from edge.entry import Context, Place
from edge.ledger import SIGNALS, EdgeLedger
from edge.runner import Runner
from edge.uplink import Uplink
from shopfloor.chaos.proxy import Link
from simulators.faces._mtconnect.observer import Condition
from spool import Spool

PLACE = Place("demo", "here", "machining", "line1")


class Workshop:
    """Runners of one line on one uplink."""

    def __init__(self, spool: Spool, uplink: Uplink, context: Context) -> None:
        self.spool = spool
        self.uplink = uplink
        self.context = context
        self.ledger = EdgeLedger(spool, uplink.node.put, "line1")
        self.ledger.open(0)
        self.owners: dict[str, str] = {}
        self.clock_offset_s = 0
        self.raw_days = 0
        self.tasks: list[asyncio.Task[None]] = []

    def run(self, name: str, settings: dict[str, Any]) -> Runner:
        module = load(settings["driver"])
        entry = module.Entry.model_validate(settings)
        driver = module.Driver(name, entry, self.context)
        runner = Runner(
            name,
            entry,
            lambda: driver,
            place=PLACE,
            outlet=self.uplink.node,
            ledger=self.ledger,
            owners=self.owners,
            raw_days=self.raw_days,
            clock_ns=lambda: time.time_ns() + self.clock_offset_s * 1_000_000_000,
        )
        self.tasks.append(asyncio.create_task(runner.run()))
        return runner

    async def kill(self, runner: Runner, *, at_once: bool = False) -> None:
        """End all runners without a word; what the ledger knows of `runner` is on the disk, unless it was `at_once`."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        if not at_once:
            self.ledger.tick(0, 0, {runner.name: runner.heard_until_ns})
        self.ledger.open(0)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(self.uplink.stop)
        self.spool.close()


@pytest.fixture
async def workshop(tmp_path: Path, context: Context) -> AsyncIterator[Callable[..., Workshop]]:
    started: list[Workshop] = []

    def start(broker: Any, *, max_bytes: int = 1 << 24) -> Workshop:
        spool = Spool.open(tmp_path / "spool", max_bytes=max_bytes, linger_s=0.0)
        account = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
        asset = Asset("demo", "here", "machining", "line1", "line1", "node", signals=SIGNALS)
        uplink = Uplink(Node.of("demo", "here", "machining", "line1"), spool, account)
        uplink.node.describe(asset, node=True)
        uplink.start()
        started.append(Workshop(spool, uplink, context))
        return started[-1]

    yield start
    for each in started:
        await each.stop()


def opcua(server: Any, **signals: Any) -> dict[str, Any]:
    nodes = {name: {"node": f"nsu=urn:test:machine;s=Machine/{name.title()}"} | more for name, more in signals.items()}
    return {
        "driver": "opcua",
        "address": server.url,
        "security": "none",
        "publish_s": 0.02,
        "keep_alive_s": 0.2,
        "signals": nodes,
    }


def mtconnect(url: str, **signals: Any) -> dict[str, Any]:
    return {"driver": "mtconnect", "address": url, "interval_s": 0.01, "heartbeat_s": 0.5, "signals": signals}


def mqtt(broker: Any, context: Context, **options: Any) -> dict[str, Any]:
    (context.folder / "password").write_bytes(broker.password_file.read_bytes())
    return {
        "driver": "mqtt",
        "kind": "robot",
        "address": broker.url,
        "user": broker.user,
        "password_file": "password",
        "topic": "factory/{asset}/telemetry",
        "signals": {"temperature": {"path": "t"}, "mode": {"path": "mode"}},
    } | options


async def test_a_machine_goes_away_and_comes_back(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any, free_port: int, until: Any
) -> None:
    host = await hosts(nats_broker)
    server = await serve(free_port)
    plant = workshop(nats_broker)
    runner = plant.run("cnc-01", opcua(server, speed={}, state={}, running={}))
    await host.wait_for_value("cnc-01", 1000.0)
    birth = host.of("DBIRTH", device="cnc-01")[-1]
    assert [birth.metric(name).datatype for name in ("speed", "state", "running")] == [10, 12, 11]

    deaths = len(host.of("DDEATH", device="cnc-01"))
    await server.server.stop()
    await host.wait_for("DDEATH", device="cnc-01", count=deaths + 1)
    assert (runner.health.connected, runner.health.losses) == (False, 1)
    heard = len(host.of("DDATA", device="cnc-01"))
    await serve(free_port, namespaces_before=2)
    await host.wait_for("DDATA", device="cnc-01", count=heard + 1)
    assert host.of("DDATA", device="cnc-01")[heard].payload.metrics[0].value == 1000.0
    await until(lambda: runner.health.connected and not runner.health.trouble)
    await until(lambda: entries(host) != [])
    [gap] = entries(host)
    assert (gap.source, gap.reason, gap.outcome) == ("cnc-01", "offline", "lost")
    assert 0 < gap.start_ns < gap.end_ns <= runner.health.alive_ns
    assert "127.0.0.1" in gap.detail


async def test_a_gap_is_filled_by_the_history_of_the_machine(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    await server.server.historize_node_data_change([server.nodes["Speed"]], period=None, count=5000)
    plant = workshop(nats_broker)
    runner = plant.run("cnc-01", opcua(server, speed={}))
    await host.wait_for_value("cnc-01", 1000.0)
    await server.write("Speed", 1.0, time=datetime.now(UTC))
    await host.wait_for_value("cnc-01", 1.0)
    await plant.kill(runner)
    for n in range(2500):
        await server.write("Speed", 2.0 + n, time=datetime.now(UTC))
    again = plant.run("cnc-01", opcua(server, speed={}))
    await until(lambda: entries(host) != [])
    [gap] = entries(host)
    assert (gap.reason, gap.outcome, gap.count) == ("edge_down", "filled", 2500), gap
    assert again.health.times_replaced == 0
    times = [m.time_ns for heard in host.of("DDATA", device="cnc-01") for m in heard.payload.metrics]
    assert set(host.values("cnc-01")) == {1000.0, *(1.0 + n for n in range(2501))}
    assert len(set(times)) == len(times) - 1  # what held at the return came twice, under one time
    past = {m.value for heard in host.of("DDATA") for m in heard.payload.metrics if m.is_historical}
    assert past >= {1.0 + n for n in range(1, 2500)}


async def test_history_is_read_for_what_was_under_way_when_the_line_dropped(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any, free_port: int
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    nodes = [server.nodes["Speed"], server.nodes["State"]]
    await server.server.historize_node_data_change(nodes, period=None, count=100)
    line = Link(free_port, server.port)
    await line.start()
    try:
        plant = workshop(nats_broker)
        plant.run("cnc-01", opcua(server, speed={}, state={}) | {"address": f"opc.tcp://127.0.0.1:{free_port}"})
        await host.wait_for_value("cnc-01", "idle")
        said = datetime.now(UTC)
        await server.write("Speed", 1.0, time=datetime.now(UTC))
        await host.wait_for_value("cnc-01", 1.0)
        line.stall()
        await server.write("State", "cutting", time=said)
        await server.write("State", "idle", time=said + timedelta(milliseconds=1))
        await line.stop()
        line.heal()
        await line.start()
        await host.wait_for_value("cnc-01", "cutting")
        [cutting] = [m for h in host.of("DDATA") for m in h.payload.metrics if m.value == "cutting"]
        assert (cutting.is_historical, cutting.time_ns // 10**6) == (True, round(said.timestamp() * 1000 - 0.5))
    finally:
        await line.stop()


@pytest.mark.parametrize("right_again", [True, False], ids=["clock right again", "clock still wrong"])
@pytest.mark.parametrize("offset_s", [-3600, 3600])
@pytest.mark.parametrize("how", ["edge killed", "line lost"])
async def test_each_value_is_sent_once_though_the_clock_of_the_edge_is_wrong(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any, free_port: int, how: str, offset_s: int, right_again: bool
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    await server.server.historize_node_data_change([server.nodes["Speed"]], period=None, count=100)
    said: dict[float, int] = {}
    line = Link(free_port, server.port)
    await line.start()
    try:
        plant = workshop(nats_broker)
        settings = opcua(server, speed={}) | {"address": f"opc.tcp://127.0.0.1:{free_port}"}
        runner = plant.run("cnc-01", settings)
        await host.wait_for_value("cnc-01", 1000.0)
        await say(server, said, 1.0, 2.0)
        await host.wait_for_value("cnc-01", 2.0)
        plant.clock_offset_s = offset_s
        await say(server, said, 3.0, 4.0)
        await host.wait_for_value("cnc-01", 4.0)
        await (plant.kill(runner) if how == "edge killed" else line.stop())
        await say(server, said, 5.0, 6.0, 7.0)
        plant.clock_offset_s = 0 if right_again else offset_s
        if how == "edge killed":
            plant.run("cnc-01", settings)
        else:
            await line.start()
        await host.wait_for_value("cnc-01", 6.0)
        await say(server, said, 8.0)
        await host.wait_for_value("cnc-01", 8.0)
    finally:
        await line.stop()
    metrics = [m for heard in host.of("DDATA", device="cnc-01") for m in heard.payload.metrics if m.value != 1000.0]
    counts = Counter(m.value for m in metrics)
    # the value that held at the return is told then, and as what the machine recorded: under one time, its own
    assert counts == {value: 2 if value == 7.0 else 1 for value in said}
    past = {m.value: m.time_ns for m in metrics if m.is_historical}
    assert past == {value: said[value] for value in (5.0, 6.0, 7.0)}
    live = [m.time_ns for m in metrics if not m.is_historical]
    if offset_s < 0:  # behind one that was an hour ahead times begin anew
        assert live == sorted(set(live))


async def test_an_edge_that_is_killed_in_its_first_second_knows_what_it_has_heard(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    await server.server.historize_node_data_change([server.nodes["Speed"]], period=None, count=100)
    said: dict[float, int] = {}
    plant = workshop(nats_broker)
    settings = opcua(server, speed={})
    runner = plant.run("cnc-01", settings)
    await host.wait_for_value("cnc-01", 1000.0)
    await say(server, said, 1.0)
    await host.wait_for_value("cnc-01", 1.0)
    await plant.kill(runner, at_once=True)
    await say(server, said, 2.0, 3.0, 4.0)
    plant.run("cnc-01", settings)
    await host.wait_for_value("cnc-01", 3.0)
    metrics = [m for heard in host.of("DDATA", device="cnc-01") for m in heard.payload.metrics]
    past = {m.value: m.time_ns for m in metrics if m.is_historical}
    assert past.items() >= {value: said[value] for value in (2.0, 3.0)}.items()


async def test_an_edge_that_is_killed_while_a_gap_is_open_begins_with_the_same_gap(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    await server.server.historize_node_data_change([server.nodes["Speed"]], period=None, count=100)
    said: dict[float, int] = {}
    plant = workshop(nats_broker)
    settings = opcua(server, speed={}, nowhere={})  # it waits for the value of a node that is not there
    runner = plant.run("cnc-01", settings)
    await host.wait_for_value("cnc-01", 1000.0)
    await say(server, said, 1.0)
    await host.wait_for_value("cnc-01", 1.0)
    await plant.kill(runner)
    await say(server, said, 2.0, 3.0)
    plant.clock_offset_s = 3600
    runner = plant.run("cnc-01", settings)
    await host.wait_for_value("cnc-01", 3.0)
    await say(server, said, 4.0, 5.0)
    await host.wait_for_value("cnc-01", 5.0)
    assert runner.heard_until_ns < said[2.0]
    await plant.kill(runner)
    await say(server, said, 6.0, 7.0)
    plant.clock_offset_s = 0
    plant.run("cnc-01", settings)
    await host.wait_for_value("cnc-01", 6.0)
    metrics = [m for heard in host.of("DDATA", device="cnc-01") for m in heard.payload.metrics if m.value is not None]
    counts = Counter(m.value for m in metrics if m.value != 1000.0)
    assert counts == {value: 2 if value in (3.0, 7.0) else 1 for value in said}


@pytest.mark.parametrize("how", ["edge killed", "line lost", "line stalled"])
async def test_what_an_agent_says_in_a_gap_is_sent_once(
    nats_broker: Any, hosts: Any, observe: Any, workshop: Any, free_port: int, until: Any, how: str
) -> None:
    """Its buffer is read again by sequence number: whatever happened in between, each value is sent, and once."""
    host = await hosts(nats_broker)
    agent = await observe()
    long_ago_ns = time.time_ns() // 1000 * 1000 - 60_000_000_000
    await agent.say("spindle_speed", *([-1.0] * 4096), time_ns=long_ago_ns)  # a full buffer that reaches back
    line = Link(free_port, agent.face.port)
    await line.start()
    plant = workshop(nats_broker)
    await host.wait_for("NBIRTH")  # what is read before is history, too
    settings = mtconnect(f"http://127.0.0.1:{free_port}", speed={"data_item": "spindle_speed"}, alarm={})
    # a line counts as lost after twice as much silence: more than this process, which is both ends, has to wait
    settings["heartbeat_s"] = 2.0 if how == "line stalled" else 10.0
    try:
        runner = plant.run("cnc-01", settings)
        await host.wait_for_value("cnc-01", -1.0)
        [before_ns, *_] = await agent.say("spindle_speed", *(float(n) for n in range(10)))
        await host.wait_for_value("cnc-01", 9.0)
        if how == "edge killed":
            await plant.kill(runner)
        elif how == "line lost":
            await line.stop()
        else:
            line.stall()
        said = await agent.say("spindle_speed", *(float(n) for n in range(10, 1510)))
        [alarm_ns] = await agent.say("alarm", Condition("Fault", "5012"))
        if how == "edge killed":
            plant.run("cnc-01", settings)
        elif how == "line lost":
            await until(lambda: not runner.health.connected)
            await line.start()
        else:
            await until(lambda: not runner.health.connected)
            line.heal()
        await until(lambda: entries(host) != [], 30.0)  # not how fast, but that all is sent once
        await agent.say("spindle_speed", 2000.0)
        await host.wait_for_value("cnc-01", 2000.0)
    finally:
        await line.stop()
    [gap] = entries(host)
    assert (gap.outcome, gap.count) == ("filled", 1501), gap
    metrics = [m for heard in host.of("DDATA", device="cnc-01") for m in heard.payload.metrics]
    counts = Counter(m.value for m in metrics if isinstance(m.value, float) and m.value >= 0)
    # the value that held at the return is told then, and as what the agent had observed: under one time, its own
    assert counts == {float(n): 2 if n == 1509 else 1 for n in (*range(1510), 2000)}
    past = {m.value: m.time_ns for m in metrics if m.is_historical}
    assert past == dict(zip(map(float, range(10, 1510)), said, strict=True)) | {"Fault 5012": alarm_ns}
    assert before_ns < said[0]


async def test_a_buffer_that_was_too_small_stands_in_the_ledger(
    nats_broker: Any, hosts: Any, observe: Any, workshop: Any, free_port: int, until: Any
) -> None:
    """What the agent has thrown away nobody brings back: the ledger tells of the gap, why, and what was filled."""
    host = await hosts(nats_broker)
    agent = await observe(buffer_size=128)
    line = Link(free_port, agent.face.port)
    await line.start()
    plant = workshop(nats_broker)
    try:
        plant.run("cnc-01", mtconnect(f"http://127.0.0.1:{free_port}", speed={"data_item": "spindle_speed"}))
        await agent.say("spindle_speed", -1.0)
        await host.wait_for_value("cnc-01", -1.0)
        await line.stop()
        await agent.say("spindle_speed", *(float(n) for n in range(1000)))
        await line.start()
        await until(lambda: len(entries(host)) == 2)
    finally:
        await line.stop()
    lost, filled = sorted(entries(host), key=lambda entry: entry.outcome, reverse=True)
    assert (lost.reason, lost.outcome, filled.outcome, filled.count) == ("offline", "lost", "filled", 128)
    assert "the agent's buffer" in lost.detail


async def say(server: Any, said: dict[float, int], *values: float) -> None:
    """Let the machine take values, one after the other; note when, by its clock."""
    for value in values:
        now = datetime.now(UTC)
        said[value] = (now - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000
        await server.write("Speed", value, time=now)


def entries(host: Any) -> list[Entry]:
    """What the edge told of the ledger."""
    said = [m.value for heard in host.of("NDATA") for m in heard.payload.metrics]
    return [Entry.model_validate_json(text) for text in said if isinstance(text, str) and '"reason"' in text]


async def test_deadband_and_period_on_the_way(nats_broker: Any, hosts: Any, serve: Any, workshop: Any) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    plant = workshop(nats_broker)
    plant.run("cnc-01", opcua(server, speed={"deadband": 10}))
    await host.wait_for_value("cnc-01", 1000.0)
    for value in (1001.0, 1010.0, 1011.0, 1002.0, 1000.0, 2000.0):
        await server.write("Speed", value)
    await host.wait_for_value("cnc-01", 2000.0)
    values = host.values("cnc-01")
    assert [value for value, _ in itertools.groupby(values)] == [1000.0, 1011.0, 1000.0, 2000.0]


async def test_values_are_converted_on_the_way_and_back(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    plant = workshop(nats_broker)
    speed = {"scale": 0.1, "offset": -50, "unit": "rpm", "writable": True, "low": 0, "high": 300, "deadband": 10}
    settings = opcua(server, speed=speed, running={"values": {"0": "off", "1": "on"}})
    runner = plant.run("cnc-01", settings | {"computed": {"double": "speed * 2 if running == 'on' else 0"}})
    await host.wait_for_value("cnc-01", 50.0)
    await host.wait_for_value("cnc-01", "off")
    await server.write("Running", True)
    await host.wait_for_value("cnc-01", "on")
    await host.wait_for_value("cnc-01", 100.0)
    written = await runner.write("cnc-01", "speed", 70.3)
    assert (written.outcome, written.value) == ("done", 70.3)
    assert await server.nodes["Speed"].read_value() == 1203.0
    await host.wait_for_value("cnc-01", 70.3)
    await server.write("Speed", 1298.0)  # 9.5 more, in its unit
    await server.write("Speed", 1400.0)
    await host.wait_for_value("cnc-01", 90.0)
    assert 79.8 not in host.values("cnc-01")


async def test_assets_appear_with_their_messages_and_fall_silent(
    nats_broker: Any, hosts: Any, workshop: Any, context: Context, until: Any
) -> None:
    host = await hosts(nats_broker)
    plant = workshop(nats_broker)
    plant.owners["robot-09"] = "another"
    runner = plant.run("robots", mqtt(nats_broker, context, offline_after_s=0.4))
    await until(lambda: runner.health.connected)
    assert runner.health.code == "overdue"
    for name in ("robot-01", "robot-02", "robot-09"):
        host.session.publish(f"factory/{name}/telemetry", json.dumps({"t": 20, "mode": "auto"}).encode(), qos=1)
    host.session.publish("factory/robot-01/telemetry", b"not json", qos=1)
    await host.wait_for("DBIRTH", device="robot-01")
    await host.wait_for("DBIRTH", device="robot-02")
    birth = host.of("DBIRTH", device="robot-01")[-1]
    assert birth.metric("Properties/Kind").value == "robot"
    await host.wait_for_value("robot-01", 20.0)
    await host.wait_for_value("robot-01", "auto")
    await host.wait_for("DDEATH", device="robot-02")
    assert host.of("DBIRTH", device="robot-09") == []
    await until(lambda: runner.health.refused == 2)


async def test_a_device_that_sends_nonsense_is_told_and_gives_no_sign_of_life(
    nats_broker: Any, hosts: Any, workshop: Any, context: Context, until: Any
) -> None:
    host = await hosts(nats_broker)
    runner = workshop(nats_broker).run("robots", mqtt(nats_broker, context))
    await until(lambda: runner.health.connected)
    assert runner.health.alive_ns == 0  # that the broker answers says nothing of the device
    host.session.publish("factory/robot-01/telemetry", b"not json", qos=1)
    await until(lambda: runner.health.code == "unreadable")
    health = runner.health
    assert health.trouble.endswith(health.todo)
    assert (health.connected, health.last_data_ns, health.alive_ns) == (True, 0, 0)
    host.session.publish("factory/robot-01/telemetry", b'{"t": 20}', qos=1)
    await until(lambda: health.alive_ns > 0)
    assert (health.code, health.trouble, health.todo) == ("", "", "")


def timed(host: Any, asset: str, signal: str) -> list[tuple[Any, int, int, bool]]:
    """Each value of a signal with its time, its quality and whether it is historical, as they came."""
    births = [m for heard in host.of("DBIRTH", device=asset) for m in heard.payload.metrics]
    alias = {metric.alias for metric in births if metric.name == signal}
    found = []
    for heard in host.of("DDATA", device=asset):
        for m in heard.payload.metrics:
            if m.name == signal or (m.name is None and m.alias in alias):
                quality = m.properties["Quality"].value if "Quality" in m.properties else 192
                found.append((m.value, m.time_ns, quality, m.is_historical))
    return found


async def test_c1_a_backlog_on_mqtt_keeps_its_times(
    nats_broker: Any, hosts: Any, workshop: Any, context: Context, until: Any
) -> None:
    """An hour old, newest first, behind a live value, and sent twice."""
    host = await hosts(nats_broker)
    plant = workshop(nats_broker)
    runner = plant.run("robots", mqtt(nats_broker, context, time={"path": "ts"}))
    await until(lambda: runner.health.connected)
    now_ms = time.time_ns() // 10**6
    backlog = [(now_ms - 3_600_000 - n * 1000, float(n)) for n in range(20)]
    for ts, value in [(now_ms, 100.0), *backlog, *backlog, (now_ms + 1000, 101.0)]:
        host.session.publish("factory/robot-01/telemetry", json.dumps({"ts": ts, "t": value}).encode(), qos=1)
    await host.wait_for_value("robot-01", 101.0)
    await until(lambda: len(timed(host, "robot-01", "temperature")) == 22)
    said = timed(host, "robot-01", "temperature")
    assert [(v, t) for v, t, _, is_past in said if is_past] == [(v, ts * 10**6) for ts, v in backlog]
    assert [(v, t) for v, t, _, is_past in said if not is_past] == [
        (100.0, now_ms * 10**6),
        (101.0, (now_ms + 1000) * 10**6),
    ]
    assert {quality for _, _, quality, _ in said} == {192}
    assert runner.health.times_replaced == 0


async def test_c1_a_device_that_sends_its_backlog_in_one_message_keeps_its_times(
    broker: Any, hosts: Any, workshop: Any, context: Context, until: Any
) -> None:
    """A list, newest first, hours old, sent at QoS 1 while the edge is away, and once more when it is back."""
    host = await hosts(broker)
    plant = workshop(broker)
    options = {"items": "log", "time": {"path": "at", "unit": "s"}}
    runner = plant.run("robots", mqtt(broker, context, **options))
    await until(lambda: runner.health.connected)
    await plant.kill(runner)
    now_s = time.time_ns() // 10**9
    backlog = [(now_s - 7200 - 10 * n + 0.25, float(n)) for n in range(30)]
    body = json.dumps({"log": [{"at": at, "t": value} for at, value in backlog]}).encode()
    host.session.publish("factory/robot-01/telemetry", body, qos=1)
    await until(lambda: host.session.in_flight == 0)
    runner = plant.run("robots", mqtt(broker, context, **options))
    await host.wait_for_value("robot-01", 29.0)
    host.session.publish("factory/robot-01/telemetry", body, qos=1)
    host.session.publish("factory/robot-01/telemetry", json.dumps({"log": [{"at": now_s, "t": 99}]}).encode(), qos=1)
    await host.wait_for_value("robot-01", 99.0)
    said = timed(host, "robot-01", "temperature")
    wanted = [(value, round(at * 4) * 10**9 // 4, 192) for at, value in backlog]
    assert [(v, t, q) for v, t, q, _ in said] == [*wanted, (99.0, now_s * 10**9, 192)]
    assert runner.health.times_replaced == 0


async def test_e5_d6_c4_odd_values_and_times_on_mqtt_cost_themselves_and_are_told(
    nats_broker: Any, hosts: Any, workshop: Any, context: Context, until: Any
) -> None:
    host = await hosts(nats_broker)
    plant = workshop(nats_broker)
    settings = mqtt(nats_broker, context, time={"path": "at", "unit": "iso", "zone": "Asia/Shanghai"})
    signals = {"t": {"path": "t"}, "mode": {"path": "mode"}, "load": {"path": "ceil(to_number(load))"}}
    runner = plant.run("robots", settings | {"signals": signals})
    await until(lambda: runner.health.connected)
    stamp = "2026-01-01T20:00:0"
    for body in (
        b'{"at":"%b1","t":1.5,"mode":"auto","load":"7"}',
        b'\xef\xbb\xbf{"at":"%b2","t":NaN,"mode":"M\xf6tor","load":"inf"}\0',
        b'{"at":"%b3","t":null,"mode":"auto","load":"8"}',
        b'{"at":"yesterday","t":2.5,"mode":"end","load":"8"}',
    ):
        message = body.replace(b"%b", stamp.encode())
        host.session.publish("factory/robot-01/telemetry", message, qos=1)
    await host.wait_for_value("robot-01", "end")
    noon = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
    said = timed(host, "robot-01", "t")
    assert [(v, q) for v, _, q, _ in said] == [(1.5, 192), (None, 0), (None, 0), (2.5, 192 + 512)]
    assert [t // 10**9 - noon for _, t, _, _ in said[:3]] == [1, 2, 3]
    assert time.time_ns() - said[3][1] < 60 * 10**9
    assert [(v, q) for v, _, q, _ in timed(host, "robot-01", "mode")] == [
        ("auto", 192),
        ("M\ufffdtor", 64),
        ("auto", 192),
        ("end", 704),
    ]
    assert [v for v, _, _, _ in timed(host, "robot-01", "load")] == [7.0, 8.0, 8.0]
    assert runner.health.times_replaced == 3
    assert runner._driver.counters.rejected == 2  # NaN, and inf


async def test_e10_what_the_broker_has_kept_is_no_loss_in_the_ledger(
    broker: Any, hosts: Any, workshop: Any, context: Context, until: Any
) -> None:
    host = await hosts(broker)
    plant = workshop(broker)
    settings = mqtt(broker, context)
    runner = plant.run("robots", settings)
    await until(lambda: runner.health.connected)
    host.session.publish("factory/robot-01/telemetry", b'{"t":1}', qos=1)
    await host.wait_for_value("robot-01", 1.0)
    heard_ns = time.time_ns()
    await plant.kill(runner)
    host.session.publish("factory/robot-01/telemetry", b'{"t":2}', qos=1)
    runner = plant.run("robots", settings)
    await host.wait_for_value("robot-01", 2.0)
    await until(lambda: entries(host) != [])
    [kept] = entries(host)
    assert (kept.source, kept.reason, kept.outcome) == ("robots", "edge_down", "noted"), kept
    assert "QoS 1" in kept.detail
    assert kept.start_ns >= heard_ns, "the edge ran on after the last message"

    await plant.kill(runner)
    await forget(broker, context, until)
    plant.run("robots", settings)
    await until(lambda: len(entries(host)) == 2)
    assert (entries(host)[1].reason, entries(host)[1].outcome) == ("edge_down", "lost")


@pytest.mark.parametrize("forgets", [True, False])
async def test_e10_a_broker_that_was_away_is_asked_whether_it_has_kept_the_session(
    mosquitto_broker: Any, hosts: Any, workshop: Any, context: Context, until: Any, forgets: bool
) -> None:
    host = await hosts(mosquitto_broker)
    plant = workshop(mosquitto_broker)
    runner = plant.run("robots", mqtt(mosquitto_broker, context))
    await until(lambda: runner.health.connected)
    mosquitto_broker.stop()
    await until(lambda: not runner.health.connected)
    if forgets:
        for path in mosquitto_broker.folder.glob("**/mosquitto.db"):
            path.unlink()
    mosquitto_broker.start()
    await until(lambda: host.session.is_connected)
    host.say(online=True)
    await until(lambda: entries(host) != [])
    assert (entries(host)[0].reason, entries(host)[0].outcome) == ("offline", "lost" if forgets else "noted")


async def forget(broker: Any, context: Context, until: Any) -> None:
    """Let the broker forget what it keeps for the driver: another of its name wants a clean session."""
    client_id = json.loads((context.home / "edge" / "mqtt" / "robots.json").read_bytes())["client_id"]
    account = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
    other = Session(account, client_id)
    other.start()
    await until(lambda: other.is_connected)
    await asyncio.to_thread(other.stop)


async def test_c3_a_retained_message_is_stored_once_over_starts_of_the_edge(
    nats_broker: Any, hosts: Any, workshop: Any, context: Context, until: Any
) -> None:
    host = await hosts(nats_broker)
    host.session.publish("factory/robot-01/telemetry", b'{"t":5}', qos=1, retain=True)
    await until(lambda: host.session.in_flight == 0)
    plant = workshop(nats_broker)
    for start in range(3):
        runner = plant.run("robots", mqtt(nats_broker, context))
        # killed any sooner it may not have been durable, and it is not said again for that start
        await until(lambda start=start: len(timed(host, "robot-01", "temperature")) > start)
        await plant.kill(runner)
    said = timed(host, "robot-01", "temperature")
    assert len(set(said)) == 1
    assert runner.health.last_data_ns == said[0][1], "what is retained is no new data"
    assert said[0][2] == 64 + 512


async def test_c2_times_on_opcua_that_stand_still_or_are_none_are_replaced_and_told(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any, until: Any, capsys: Any
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    plant = workshop(nats_broker)
    runner = plant.run("cnc-01", opcua(server, speed={}))
    await host.wait_for_value("cnc-01", 1000.0)
    stuck = datetime.now(UTC)
    await server.write("Speed", 1.0, time=stuck)
    await host.wait_for_value("cnc-01", 1.0)
    await asyncio.sleep(1.1)  # what the case is about: a second later, the time still stands
    before_ns = time.time_ns()
    await server.write("Speed", 2.0, time=stuck)
    await host.wait_for_value("cnc-01", 2.0)
    await server.write("Speed", 3.0, time=datetime(2200, 1, 1, tzinfo=UTC))
    await host.wait_for_value("cnc-01", 3.0)
    await server.write("Speed", 4.0, time=datetime.now(UTC))
    await host.wait_for_value("cnc-01", 4.0)
    said = {value: (time_ns, quality) for value, time_ns, quality, _ in timed(host, "cnc-01", "speed")}
    assert [quality for _, quality in said.values()] == [192, 192, 704, 704, 192]
    assert said[1.0][0] // 1000 == round(stuck.timestamp() * 10**6)
    assert before_ns <= said[2.0][0] <= said[3.0][0] <= time.time_ns()
    assert runner.health.times_replaced == 2
    await until(lambda: len(entries(host)) == 2)
    assert {(e.source, e.reason, e.outcome, e.count) for e in entries(host)} == {("cnc-01", "source_time", "noted", 1)}
    assert any("stands still" in entry.detail for entry in entries(host))
    assert capsys.readouterr().out.count("a time that stands still while the value moves") == 1


async def test_f6_a_machine_that_answers_and_says_nothing_new_is_told_from_one_that_does(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any, until: Any
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    plant = workshop(nats_broker)
    runner = plant.run("cnc-01", opcua(server, speed={}) | {"mode": "poll", "poll_s": 0.05})
    await host.wait_for_value("cnc-01", 1000.0)
    first_ns, samples = runner.health.last_data_ns, runner.health.samples
    await until(lambda: runner.health.samples > samples + 5)
    assert runner.health.last_data_ns == first_ns < runner.health.alive_ns
    await server.write("Speed", 1.0, time=datetime.now(UTC))
    await host.wait_for_value("cnc-01", 1.0)
    assert runner.health.last_data_ns > first_ns


async def test_c1_what_is_older_than_samples_are_kept_is_told(
    nats_broker: Any, hosts: Any, workshop: Any, context: Context, until: Any
) -> None:
    host = await hosts(nats_broker)
    plant = workshop(nats_broker)
    plant.raw_days = 30
    runner = plant.run("robots", mqtt(nats_broker, context, time={"path": "ts"}))
    await until(lambda: runner.health.connected)
    old_ms = time.time_ns() // 10**6 - 40 * 86_400_000
    for n in range(3):
        message = json.dumps({"ts": old_ms + n, "t": float(n)}).encode()
        host.session.publish("factory/robot-01/telemetry", message, qos=1)
    await host.wait_for_value("robot-01", 2.0)
    assert [t for _, t, _, _ in timed(host, "robot-01", "temperature")] == [(old_ms + n) * 10**6 for n in range(3)]
    await until(lambda: entries(host) != [])
    assert "SHOPFLOOR_RAW_DAYS" in entries(host)[0].detail
    assert (entries(host)[0].reason, entries(host)[0].outcome) == ("source_time", "noted")


async def test_d5_the_datatype_of_a_first_value_is_remembered_and_what_does_not_fit_is_told(
    nats_broker: Any, hosts: Any, workshop: Any, context: Context, until: Any, capsys: Any
) -> None:
    host = await hosts(nats_broker)
    plant = workshop(nats_broker)
    settings = mqtt(nats_broker, context)
    runner = plant.run("robots", settings)
    await until(lambda: runner.health.connected)

    def say(mode: object) -> None:
        host.session.publish("factory/robot-01/telemetry", json.dumps({"mode": mode}).encode(), qos=1)

    say(4711)
    await host.wait_for_value("robot-01", 4711.0)
    say("O0001")
    await until(lambda: runner.health.misfits == 1)
    assert "robot-01/mode: 'O0001' is no double" in capsys.readouterr().out
    await until(lambda: any(e.reason == "not_understood" and e.count == 1 for e in entries(host)))
    await plant.kill(runner)

    births = len(host.of("DBIRTH", device="robot-01"))
    again = plant.run("robots", settings)
    await until(lambda: again.health.connected)
    say("O0002")
    await host.wait_for("DBIRTH", device="robot-01", count=births + 1)
    say(4712)
    await host.wait_for_value("robot-01", 4712.0)
    assert host.of("DBIRTH", device="robot-01")[-1].metric("mode").datatype == 10
    values = [(value, quality) for value, _, quality, _ in timed(host, "robot-01", "mode")]
    assert values == [(4711.0, 192), (None, 0), (None, 0), (4712.0, 192)]


async def test_a_full_spool_stops_the_reading_and_nothing_is_lost(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any, until: Any
) -> None:
    host = await hosts(nats_broker, online=False)
    server = await serve()
    plant = workshop(nats_broker, max_bytes=3_000)
    runner = plant.run("cnc-01", opcua(server, speed={}) | {"queue": 5_000})
    await until(lambda: runner.health.samples > 0)
    for value in range(200):
        await server.write("Speed", float(value))
        if value % 5 == 0:
            await asyncio.sleep(0.025)
    await until(lambda: "full" in runner.health.trouble or "max_bytes" in runner.health.trouble)
    assert runner.health.connected
    host.say(online=True)
    await host.wait_for_value("cnc-01", 199.0)
    await until(lambda: set(host.values("cnc-01")) >= {float(value) for value in range(200)})
    await until(lambda: not runner.health.trouble)


async def test_a_line_that_is_lost_while_the_spool_is_full_costs_nothing_of_the_record(
    nats_broker: Any, hosts: Any, observe: Any, workshop: Any, free_port: int, until: Any
) -> None:
    host = await hosts(nats_broker)
    agent = await observe()
    line = Link(free_port, agent.face.port)
    await line.start()
    plant = workshop(nats_broker, max_bytes=30_000)
    try:
        runner = plant.run("cnc-01", mtconnect(f"http://127.0.0.1:{free_port}", speed={"data_item": "spindle_speed"}))
        await agent.say("spindle_speed", -1.0)
        await host.wait_for_value("cnc-01", -1.0)
        host.say(online=False)
        await until(lambda: not plant.uplink.node.host.online)
        await line.stop()
        await until(lambda: not runner.health.connected)
        await agent.say("spindle_speed", *(float(n) for n in range(2000)))
        await line.start()
        await until(lambda: "full" in runner.health.trouble or "max_bytes" in runner.health.trouble)
        await line.stop()
        await until(lambda: not runner.health.connected)
        host.say(online=True)
        await line.start()
        await until(lambda: set(host.values("cnc-01")) >= {float(n) for n in range(2000)})
        await until(lambda: any(entry.outcome == "filled" for entry in entries(host)))
    finally:
        await line.stop()
    [gap] = [entry for entry in entries(host) if entry.outcome == "filled"]
    assert gap.count == 2000
    counts = Counter(value for value in host.values("cnc-01") if value >= 0)
    assert {value for value, count in counts.items() if count > 1} <= {1999.0}  # what held at the returns


async def test_two_machines_do_not_hurt_each_other(
    nats_broker: Any, hosts: Any, serve: Any, workshop: Any, free_port: int
) -> None:
    host = await hosts(nats_broker)
    server = await serve()
    plant = workshop(nats_broker)
    gone = opcua(server, speed={}) | {"address": f"opc.tcp://127.0.0.1:{free_port}"}
    bad = plant.run("cnc-01", gone)
    plant.run("cnc-02", opcua(server, speed={}))
    await host.wait_for_value("cnc-02", 1000.0)
    await host.wait_for("DDEATH", device="cnc-01")
    assert "nothing listens there" in bad.health.trouble
