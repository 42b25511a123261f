"""No message is larger than a broker takes: values, births, and what an older spool holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.broker import Broker
from contract.model import MAX_TEXT_BYTES, Asset, Datatype, Quality, Sample, Signal
from contract.mqtt import MAX_MESSAGE_BYTES
from contract.sparkplug import Code, code_of, encode_samples, to_historical
from contract.sparkplug_fast import Decoder
from contract.sparkplug_split import split
from contract.topics import Node
from edge.aliases import Aliases
from edge.birth import least_birth_bytes
from edge.filter import Filter
from edge.suspects import Suspects
from edge.uplink import Uplink
from shopfloor.chaos.proxy import Link
from spool import Spool

NODE = Node("demo:here:machining", "line1")
SIGNALS = (Signal("speed"), Signal("state", Datatype.STRING), Signal("program", Datatype.STRING))
CNC = Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", {}, SIGNALS)
ROBOT = replace(CNC, id="robot-01", kind="robot")
LARGE = Asset(
    "demo",
    "here",
    "machining",
    "line1",
    "press-01",
    "press",
    {},
    tuple(
        Signal(f"Hall3.Line2.Press17.Cylinder.Sensor_{n:05}", unit="mm/s", low=0.0, high=1e3, description="where " * 20)
        for n in range(7000)
    ),
)


class Line:
    """An uplink on a spool."""

    def __init__(self, spool: Spool, broker: Any, *assets: Asset) -> None:
        self.spool = spool
        self.uplink = Uplink(NODE, spool, Broker(url=broker.url, user=broker.user, password_file=broker.password_file))
        for asset in assets:
            self.uplink.node.describe(asset)
        self.uplink.start()

    def put(self, *samples: Sample) -> None:
        for future in self.uplink.node.put(samples[0].asset, samples):
            future.result(5)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool.open(tmp_path / "line1.spool", linger_s=0.0)
    yield spool
    spool.close()


@pytest.fixture
def lines(spool: Spool) -> Iterator[Callable[..., Line]]:
    """Start uplinks that end with the test: `lines(broker, asset, …)`."""
    started: list[Line] = []

    def start(broker: Any, *assets: Asset) -> Line:
        started.append(Line(spool, broker, *assets))
        return started[-1]

    yield start
    for line in started:
        line.uplink.stop()


def text(asset: str, signal: str, value: str, time_ns: int = 10**18) -> Sample:
    return Sample(asset, signal, time_ns, value)


def test_a7_a_text_that_no_message_can_hold_is_left_out_and_told() -> None:
    state = Filter(SIGNALS)
    longest, longer = "x" * MAX_TEXT_BYTES, "字" * (MAX_TEXT_BYTES // 3 + 1)
    given = [
        text("cnc-01", "state", longest),
        text("cnc-01", "program", longer),
        Sample("cnc-01", "speed", 10**18, 1.0),
    ]
    passed = state.update(given, 10**18).live
    assert [(s.signal, s.value, s.quality) for s in passed] == [
        ("state", longest, Quality.GOOD),
        ("program", None, Quality.BAD),
        ("speed", 1.0, Quality.GOOD),
    ]
    assert state.too_large == [("program", len(longer.encode()))]
    [short] = state.update([text("cnc-01", "program", "O0001", 2 * 10**18)], 2 * 10**18).live
    assert (short.value, short.quality, state.too_large) == ("O0001", Quality.GOOD, [])


def test_half_a_character_is_replaced() -> None:
    [passed] = Filter(SIGNALS).update([text("cnc-01", "state", "M\ud83dtor")], 10**18).live
    assert passed.value == "M?tor"
    assert b"M?tor" in encode_samples([passed], {"state": 1}, {"state": 12})


@pytest.mark.parametrize("length", [40, 128])
def test_the_largest_message_with_names_in_place_of_aliases_fits(spool: Spool, length: int) -> None:
    signals = tuple(Signal(f"{n:0{length}}", Datatype.STRING) for n in range(500))
    aliases = Aliases(spool)
    alias_of = aliases.assign("cnc-01", signals)
    codes = {signal.name: int(code_of(signal.datatype)) for signal in signals}
    samples = [Sample("cnc-01", signal.name, 10**18 + 1, "字" * 168) for signal in signals]
    body = encode_samples(samples, alias_of, codes)
    assert len(body) > 250_000
    assert len(to_historical(body, aliases.name_of, aliases.code_of)) < MAX_MESSAGE_BYTES / 2


def test_a7_a_payload_is_split_and_what_cannot_be_is_told() -> None:
    codes = {"speed": 10, "state": 12, "program": 12}
    samples = [Sample("cnc-01", "speed", 10**18 + n, float(n)) for n in range(100)]
    samples[50:50] = [
        text("cnc-01", "program", "y" * 1000, 10**18 + 7),
        text("cnc-01", "state", "z" * 5000, 10**18 + 8),
    ]
    body = encode_samples(samples, {"speed": 1, "state": 2, "program": 3}, codes)
    plain = to_historical(body, {1: "speed", 2: "state", 3: "program"}, {1: 10, 2: 12, 3: 12})
    parts, refused = split(plain, 4000)
    assert (refused, max(map(len, parts)) <= 4000, len(parts) > 1) == (1, True, True)
    read = [batch for part in parts for batch in [Decoder().read(part)]]
    assert [v for b in read for v in b.values] == [None if s.signal == "state" else s.value for s in samples]
    assert [t for b in read for t in b.times_ns] == [s.time_ns for s in samples]
    assert [n for b in read for n in b.names] == [s.signal for s in samples]
    assert all(b.historical for b in read)


async def test_a7_a_message_in_an_older_spool_that_no_broker_takes_is_set_aside(
    broker: Any, hosts: Any, lines: Any, spool: Spool, until: Any
) -> None:
    aliases = Aliases(spool)
    alias_of = aliases.assign("cnc-01", SIGNALS)
    codes = {signal.name: int(code_of(signal.datatype)) for signal in SIGNALS}
    topic, now_ns = NODE.topic("DDATA", "cnc-01"), time.time_ns()
    for n, state in enumerate(("idle", "x" * 1_500_000, "cutting")):
        time_ns = now_ns + n
        samples = [text("cnc-01", "state", state, time_ns), Sample("cnc-01", "speed", time_ns, float(n))]
        spool.put(topic, encode_samples(samples, alias_of, codes)).result(5)
    host = await hosts(broker)
    line = lines(broker, CNC, ROBOT)
    line.put(Sample("robot-01", "speed", time.time_ns(), 5.0))
    await host.wait_for_value("robot-01", 5.0)
    await host.wait_for_value("cnc-01", 1.0)
    await host.wait_for_value("cnc-01", "cutting")
    await until(lambda: spool.stats.records == 0)
    told = {m.value: m for h in host.of("DDATA", device="cnc-01") for m in h.payload.metrics}
    assert told.keys() == {"idle", "cutting", 0.0, 1.0, 2.0, None}
    assert told[None].properties["Quality"].value == Quality.BAD
    [dropped] = spool.stats.dropped_ranges
    assert (dropped.first, dropped.last, dropped.records) == (2, 2, 1)
    assert "set aside: message 2 of 1500" in dropped.reason
    assert "1 values are lost, 1 messages with the rest are sent in its place" in dropped.reason
    [kept] = spool.path.with_name(f"{spool.path.name}.aside").iterdir()
    assert b"x" * 1_500_000 in kept.read_bytes()
    assert line.uplink.session.is_connected
    assert len(host.of("NBIRTH")) == 1  # the line was never cut


async def test_a8_a_birth_of_seven_thousand_signals_tells_less_and_fits(
    broker: Any, hosts: Any, lines: Any, until: Any
) -> None:
    host = await hosts(broker)
    line = lines(broker, LARGE, CNC)
    now_ns = time.time_ns()
    line.put(*(Sample("press-01", signal.name, now_ns, 1.5) for signal in LARGE.signals))
    line.put(Sample("cnc-01", "speed", now_ns, 5.0))
    await host.wait_for_value("cnc-01", 5.0)
    await host.wait_for("DBIRTH", device="press-01")
    host.ask_for_rebirth(NODE)
    births = await host.wait_for("DBIRTH", device="press-01", count=len(host.of("DBIRTH", device="press-01")) + 1)
    metrics = [metric for metric in births[-1].payload.metrics if metric.alias is not None]
    assert [metric.name for metric in metrics] == [signal.name for signal in LARGE.signals]
    assert {metric.value for metric in metrics} == {1.5}
    assert len({metric.alias for metric in metrics}) == 7000
    assert {metric.datatype for metric in metrics} == {Code.DOUBLE}
    await until(lambda: line.spool.stats.records == 0)
    assert least_birth_bytes(LARGE) < MAX_MESSAGE_BYTES


async def test_a8_a_birth_with_long_texts_leaves_them_out(nats_broker: Any, hosts: Any, lines: Any) -> None:
    host = await hosts(nats_broker)
    programs = replace(CNC, signals=tuple(Signal(f"program-{n}", Datatype.STRING) for n in range(8)))
    line = lines(nats_broker, programs)
    for signal in programs.signals:
        line.put(text("cnc-01", signal.name, signal.name[-1] * MAX_TEXT_BYTES, time.time_ns()))
    await host.wait_for_value("cnc-01", "7" * MAX_TEXT_BYTES)
    count = len(host.of("DBIRTH"))
    host.ask_for_rebirth(NODE)
    birth = (await host.wait_for("DBIRTH", count=count + 1))[-1]
    [seen] = {(m.value, m.properties["Quality"].value) for m in birth.payload.metrics if m.alias is not None}
    assert seen == (None, Quality.STALE)


class Strict(Link):
    """A line to a broker that ends the connection for anything with the word `poison` in it."""

    cuts = 0

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tail = b""
        while chunk := await reader.read(1 << 16):
            if b"poison" in tail + chunk:
                self.cuts += 1
                return
            tail = chunk[-6:]
            writer.write(chunk)
            await writer.drain()


async def test_a7_a_message_for_which_the_broker_ends_the_connection_is_set_aside(
    nats_broker: Any, hosts: Any, lines: Any, spool: Spool, until: Any, free_port: int
) -> None:
    host = await hosts(nats_broker)
    strict = Strict(free_port, nats_broker.port)
    await strict.start()
    try:
        line = lines(replace(nats_broker, port=free_port), CNC, ROBOT)
        line.uplink.node.suspects = Suspects(patience_s=1.0)
        line.put(Sample("robot-01", "speed", time.time_ns(), 1.0))
        await host.wait_for_value("robot-01", 1.0)
        now_ns = time.time_ns()
        line.put(text("cnc-01", "state", "poison" * 50, now_ns), Sample("cnc-01", "speed", now_ns, 2.0))
        line.put(Sample("robot-01", "speed", time.time_ns(), 3.0))
        await until(lambda: 3.0 in host.values("robot-01"), 30)
        await until(lambda: spool.stats.dropped == 1, 60)
        await until(lambda: spool.stats.records == 0, 30)
    finally:
        await strict.stop()
    values = host.values("cnc-01")
    assert {2.0, None} <= set(values)
    assert strict.cuts >= 6
    [dropped] = spool.stats.dropped_ranges
    assert "for which the broker ended the connection again and again; 1 values are lost, 1 messages" in dropped.reason
