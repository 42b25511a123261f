"""The SHDR adapters, read over TCP as an agent reads them, and as the recordings of real ones are read."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest

from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.catalogs.mtconnect import items_of
from simulators.face import Setting
from simulators.faces._mtconnect.observer import Condition
from simulators.faces.shdr import MOST_CLIENTS, Shdr, line
from simulators.factory import Factory
from simulators.fault import SensorFault

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "cnc_nist" / "raw"
NOW_NS = 1_700_000_000_000_000_000
LEVELS = {"Normal", "Warning", "Fault", "Unavailable"}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_SPLIT = re.compile(r"(?<!\\)\|")
TEXT = """enterprise: demo
site: test
areas:
  hall:
    lines:
      line1:
        machines:
          cnc-01: {kind: cnc, face: shdr}
          robot-01: {kind: robot, face: shdr}
"""


def parsed(text: str) -> tuple[str, str, tuple[str, ...]]:
    """Split a line into time, key and what follows: one value, or the five fields of a condition; raise ValueError."""
    time, key, *fields = _SPLIT.split(text)
    if not _STAMP.fullmatch(time) or not key or len(fields) not in (1, 5):
        raise ValueError(text)
    datetime.fromisoformat(time)
    if len(fields) == 5 and (fields[0] not in LEVELS or fields[3] not in ("", "HIGH", "LOW")):
        raise ValueError(text)
    return time, key, tuple(fields)


class Client:
    """A bare reader of one adapter that keeps the newest value of each key."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.state: dict[str, tuple[str, ...]] = {}

    async def until(self, *keys: str) -> None:
        """Read until each of these keys has come anew."""
        missing = set(keys)
        async with asyncio.timeout(10):
            while missing:
                _, key, fields = parsed((await self.reader.readline()).decode().rstrip("\n"))
                self.state[key] = fields
                missing.discard(key)

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Line:
    """Two machines with an adapter each, moved by hand."""

    def __init__(self, factory: Factory, face: Shdr) -> None:
        self.factory, self.face = factory, face
        self.now_ns = NOW_NS
        self.clients: list[Client] = []

    async def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.now_ns += 200_000_000
            self.factory.step(0.2)
            await self.face.emit(self.now_ns)

    async def client(self, machine: str) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.face.adapters[machine].port))
        self.clients.append(client)
        return client

    def keys(self, machine: str) -> Iterable[str]:
        return items_of(self.factory.machines[machine]).keys() - {"asset_changed", "asset_removed"}


@asynccontextmanager
async def running() -> AsyncIterator[Line]:
    factory = factories.parse(TEXT, seed=3)
    (face,) = build_faces(factory, Setting(Path("unused"), shdr_port=0))
    assert isinstance(face, Shdr)
    await face.start()
    line = Line(factory, face)
    try:
        yield line
    finally:
        for client in line.clients:
            await client.close()
        await face.stop()


async def test_a_new_client_is_told_everything_and_then_what_changes() -> None:
    async with running() as line:
        await line.tick(8)
        client, robot = await line.client("cnc-01"), await line.client("robot-01")
        await client.until(*line.keys("cnc-01"))
        await robot.until(*line.keys("robot-01"))
        assert client.state["execution"] == ("READY",)
        assert client.state["avail"] == ("AVAILABLE",)
        assert client.state["alarm"] == ("Normal", "", "", "", "")
        assert "joint6_current" in robot.state
        await line.tick()
        await client.until("sequence", "spindle_speed")
        machine = line.factory.machines["cnc-01"]
        assert float(client.state["spindle_speed"][0]) == pytest.approx(machine.read()["spindle_speed"], abs=1e-6)


async def test_values_are_native_ones() -> None:
    async with running() as line:
        await line.tick(8)
        client = await line.client("cnc-01")
        await client.until("power", "hydraulic_pressure")
        reading = line.factory.machines["cnc-01"].read()
        assert float(client.state["power"][0]) == pytest.approx(float(reading["power"] or 0.0), abs=1e-6)
        assert 40.0 < float(client.state["hydraulic_pressure"][0]) < 90.0


async def test_a_ping_is_answered() -> None:
    async with running() as line:
        client = await line.client("cnc-01")
        await client.until(*line.keys("cnc-01"))
        client.writer.write(b"* PING\n")
        async with asyncio.timeout(10):
            assert await client.reader.readline() == b"* PONG 10000\n"


async def test_silent_sensors_and_faults_are_told() -> None:
    async with running() as line:
        await line.tick(8)
        client = await line.client("cnc-01")
        await client.until(*line.keys("cnc-01"))
        machine = line.factory.machines["cnc-01"]
        machine.sensor_faults["coolant_level"] = SensorFault("coolant_level", "dropout", 0.0, rate_hz=1000.0)
        machine.inject("drawbar_force_loss", growth_s=0.0)
        await line.tick(6)
        await client.until("coolant_level", "coolant_level_cond", "drawbar_force_cond")
        assert client.state["coolant_level"] == ("UNAVAILABLE",)
        assert client.state["coolant_level_cond"][0] == "Unavailable"
        level, code, _, qualifier, text = client.state["drawbar_force_cond"]
        assert (level, code, qualifier) == ("Fault", "DRAWBAR_FORCE_LOW", "LOW")
        assert text == "drawbar_force is below 10 kN"


async def test_clients_are_bounded() -> None:
    async with running() as line:
        await line.tick()
        clients = [await line.client("cnc-01") for _ in range(MOST_CLIENTS)]
        for client in clients:
            await client.until("avail")
        late = await line.client("cnc-01")
        async with asyncio.timeout(10):
            assert await late.reader.read() == b""
        assert line.face.adapters["cnc-01"].dropped == 1
        await line.tick(6)
        for client in clients:
            await client.until("sequence")


async def test_a_client_that_does_not_read_is_sent_away_and_others_are_not() -> None:
    async with running() as line:
        adapter = line.face.adapters["cnc-01"]
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", adapter.port))
        keen = await line.client("cnc-01")
        await keen.until(*line.keys("cnc-01"))
        async with asyncio.timeout(20):
            while adapter.dropped == 0:
                await line.tick(5)
                await keen.until("sequence")
            while len(adapter.clients) > 1:
                await line.tick()
                await keen.until("sequence")
        plain.close()


async def test_endless_lines_end_the_connection() -> None:
    async with running() as line:
        client = await line.client("cnc-01")
        await client.until(*line.keys("cnc-01"))
        client.writer.write(b"x" * 100_000)
        with suppress(ConnectionError):
            async with asyncio.timeout(10):
                assert await client.reader.read() == b""


def test_separators_in_values_are_escaped() -> None:
    told = line(NOW_NS, "alarm", Condition("Fault", "A|B", "", "two\nlines | one"))
    assert told == "2023-11-14T22:13:20.000000Z|alarm|Fault|A\\|B|||two lines \\| one\n"
    assert len(parsed(told.rstrip("\n"))[2]) == 5


@pytest.mark.skipif(not RECORDED.exists(), reason="no recordings at ../shared/data/cnc_nist")
def test_recordings_of_real_adapters_parse_the_same_way() -> None:
    levels: set[str] = set()
    for file in sorted(RECORDED.glob("*.txt.gz"))[:2]:
        for text in gzip.decompress(file.read_bytes()).decode().splitlines():
            _, _, fields = parsed(text)
            if len(fields) == 5:
                levels.add(fields[0])
    assert levels <= LEVELS
    assert "Warning" in levels
