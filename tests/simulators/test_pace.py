"""Simulated time that is stamped: nothing is sent before someone reads, and no faster than it is read."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from simulators import factory as factories
from simulators import options
from simulators.__main__ import build_faces
from simulators.clock import Clock
from simulators.face import Setting
from simulators.journal import Journal
from simulators.machine import NS
from simulators.pace import Race, Span
from tests.simulators.faces.client import make_certificate, secured

FROM_NS = 1_700_000_000 * NS
MINUTE = 60
FACTORY = """
enterprise: demo
site: shanghai
areas: {machining: {lines: {line1: {machines: {pump-01: {kind: pump, face: opcua}}}}}}
"""


class Reader:
    """A subscription whose queue is shorter than what is sent."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, Any]] = []

    def datachange_notification(self, _node: Any, value: Any, data: Any) -> None:
        self.heard.append((data.monitored_item.Value.SourceTimestamp.timestamp(), value))


async def test_a_reader_with_a_short_queue_is_told_all_with_its_simulated_time(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    factory = factories.parse(FACTORY, seed=3, journal=Journal(from_ns=FROM_NS))
    factory.machines["pump-01"].inject("impeller_wear", 10.0, 0.0)
    (face,) = build_faces(factory, Setting(tmp_path, opcua_port=port, from_ns=FROM_NS))
    clock, stop, reader = Clock(FROM_NS), asyncio.Event(), Reader()

    async def tick() -> None:
        factory.step(1.0)
        clock.advance(1.0)
        await face.emit(clock.now_ns)

    await face.start()
    race = Race([face], clock, Span(FROM_NS, FROM_NS + MINUTE * NS), settle_s=0.5)
    running = asyncio.create_task(race.run(tick, 1.0, stop))
    try:
        make_certificate(tmp_path)
        async with asyncio.timeout(30), await secured(port, tmp_path) as client:
            assert (face.missing(), clock.elapsed_ns) == ("nobody subscribes pump-01 on OPC UA", 0)
            space = await client.get_namespace_index("urn:shopfloor:simulators")
            subscription = await client.create_subscription(100, reader)
            place = next(signal.place for signal in factory.machines["pump-01"].signals if signal.name == "sequence")
            node = client.get_node(ua.NodeId(f"pump-01/{place}", space))
            await subscription.subscribe_data_change(node, queuesize=20)
            await running
            while len(reader.heard) <= MINUTE:  # noqa: ASYNC110 what is sent may be on its way
                await asyncio.sleep(0.01)
            condition = client.get_node(ua.NodeId("pump-01/Alarms/controller/Time", space))
            alarm_s = (await condition.read_value()).replace(tzinfo=UTC).timestamp() - FROM_NS / NS
    finally:
        stop.set()
        await running
        await face.stop()
    assert [value for _, value in reader.heard] == list(range(MINUTE + 1))
    assert [round(stamp - FROM_NS / NS, 3) for stamp, _ in reader.heard] == list(range(MINUTE + 1))
    assert 10 < alarm_s < 20
    (told,) = (json.loads(line) for _, line in factory.journal.read() if '"alarm"' in line)
    assert told["time"] == f"2023-11-14T22:13:{20 + alarm_s - 1:.0f}.000+00:00"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--stamp", "simulated"], "needs --from"),
        (["--from", "2026-10-01T00:00Z"], "are for --stamp simulated"),
        (["--stamp", "simulated", "--from", "2026-10-01T00:00Z", "--speed", "60"], "--speed is for"),
        (["--stamp", "simulated", "--from", "2026-10-01T00:00Z", "--until", "2026-09-01T00:00Z"], "before --until"),
        (["--stamp", "simulated", "--from", "2999-10-01T00:00Z"], "before now"),
    ],
)
def test_what_cannot_be_stamped_is_refused(arguments: list[str], what: str) -> None:
    with pytest.raises(options.StampError, match=what):
        options.parse(arguments, None)


def test_a_span_ends_now_even_if_more_was_asked_for() -> None:
    chosen = options.parse(
        ["--stamp", "simulated", "--from", "2023-11-14T22:13:20Z", "--until", "2999-01-01T00:00Z"], None
    )
    assert chosen.span.from_ns == FROM_NS
    assert abs(chosen.span.end_ns - time.time_ns()) < 5 * NS
    assert options.parse(["--stamp", "simulated", "--from", "2023-11-15T00:00+08:00"], None).span.until_ns is None


def test_machines_of_which_nobody_knows_what_was_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "factory.yaml"
    file.write_text(FACTORY.replace("face: opcua", "face: modbus"))
    command = [sys.executable, "-m", "simulators", str(file), "--stamp", "simulated", "--from", "2026-10-01T00:00Z"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "is for machines on mqtt_json, opcua, sparkplug, not for pump-01" in ended.stderr
