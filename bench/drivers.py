"""Drivers beside their bare libraries at the same requests, and what dead devices cost their neighbours."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import random
import socket
import statistics
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import rig
import yaml
from pymodbus.client import AsyncModbusTcpClient
from snap7 import Area
from snap7.async_client import AsyncClient
from snap7.server import Server
from snap7.type import SrvArea
from snap7.util import get_real

from edge.drivers import modbus, s7
from edge.entry import Context

POLL_S = 0.05
DEVICES, DEAD = 20, 5
WINDOW_S, SETTLE_S = 8.0, 4.0
WAYS = ("unplugged", "silent", "hangs up", "noise", "half open")
PLANT = {"enterprise": "bench", "site": "here", "areas": {"hall": {"lines": {"line1": {"machines": {}}}}}}


class Cost(NamedTuple):
    """What a read of all signals costs (ms of CPU of this process, median of the rounds): driver and bare library."""

    name: str
    signals: int
    driver_ms: float
    bare_ms: float


class Pair(NamedTuple):
    """How late (ms, p99) the healthy devices were asked while their neighbours lived, and while these were dead."""

    alive_ms: float
    dead_ms: float


class Device:
    """A Modbus device that answers with zeros, or is dead in one of five ways; it keeps when it was asked."""

    def __init__(self) -> None:
        self.way = ""
        self.changes = False
        self.asked_s: list[float] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; on the port of before, if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self, way: str) -> None:
        """Be dead from now on, in a way; "": live."""
        before, self.way = self.way, way
        if way in ("unplugged", "hangs up", "noise"):
            for writer in self._writers:
                writer.transport.abort()
        if way == "unplugged" and self._server is not None:
            self._server.close()
        if before == "unplugged":
            await self.start()
        if before in ("silent", "half open"):
            for writer in self._writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while self.way != "hangs up":
                head = await reader.readexactly(7)
                request = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
                if self.way in ("silent", "half open"):
                    continue
                if self.way == "noise":
                    writer.write(b"\xff" * 40)
                    continue
                self.asked_s.append(time.monotonic())
                size = 2 * int.from_bytes(request[3:5], "big")
                head = head[:4] + struct.pack(">HBBB", 3 + size, head[6], request[0], size)
                writer.write(head + (_numbers(size) if self.changes else bytes(size)))
        self._writers.discard(writer)
        writer.close()


def dead_neighbours(pairs: int = 10) -> list[Pair]:
    """Let one edge ask 20 devices; five of them are alive and dead in turns."""
    with rig.running() as stand:
        stand.start_broker()
        stand.start_store()
        stand.start_gateway()
        return asyncio.run(_dead_neighbours(stand, pairs))


async def _dead_neighbours(stand: rig.Rig, pairs: int) -> list[Pair]:
    devices = [Device() for _ in range(DEVICES)]
    for device in devices:
        await device.start()
    plant: Any = PLANT
    plant["areas"]["hall"]["lines"]["line1"]["machines"] = {
        f"m-{number}": {
            "driver": "modbus",
            "address": f"modbus://127.0.0.1:{device.port}",
            "poll_s": POLL_S,
            "timeout_s": 1,
            "signals": {f"s{at}": {"register": f"holding/{at}", "deadband": 1} for at in range(20)},
        }
        for number, device in enumerate(devices)
    }
    path = stand.folder / "plant.yaml"
    path.write_text(yaml.safe_dump(plant))
    home = {"SHOPFLOOR_HOME": str(stand.folder), "SHOPFLOOR_MQTT_URL": stand.broker.url}
    stand.start([sys.executable, "-m", "edge", str(path)], **home)
    begun_s = time.monotonic()
    while not all(device.asked_s for device in devices):
        if time.monotonic() - begun_s > rig.READY_S:
            sys.exit("bench: the edge does not ask all devices")
        await asyncio.sleep(rig.POLL_S)
    found = []
    for number in range(pairs):
        order = ("", "dead") if number % 2 else ("dead", "")
        late = {}
        for state in order:
            for device, way in zip(devices[:DEAD], WAYS, strict=True):
                await device.die(way if state else "")
            await asyncio.sleep(SETTLE_S)
            for device in devices:
                device.asked_s.clear()
            await asyncio.sleep(WINDOW_S)
            late[state] = _p99_ms(devices[DEAD:])
        found.append(Pair(late[""], late["dead"]))
    return found


def _p99_ms(devices: list[Device]) -> float:
    cycles = [b - a for each in devices for a, b in zip(each.asked_s, each.asked_s[1:], strict=False)]
    return statistics.quantiles(cycles, n=100)[98] * 1000


def costs(rounds: int = 300) -> list[Cost]:
    """Measure each driver whose library is a client of memory, while all values change and while none does."""
    return [measure(rounds, changes) for measure in (_modbus_cost, _s7_cost) for changes in (True, False)]


def _modbus_cost(rounds: int, changes: bool) -> Cost:
    signals = {f"s{at}": {"register": f"holding/{at}", "type": "float32"} for at in range(0, 480, 2)}
    with _served(_serve_modbus, changes) as port:
        entry = modbus.Entry.model_validate(
            {"address": f"modbus://127.0.0.1:{port}", "poll_s": 1e-6, "signals": signals}
        )

        async def bare() -> Callable[[], Awaitable[object]]:
            client = AsyncModbusTcpClient("127.0.0.1", port=port)
            await client.connect()

            async def read() -> None:
                for at in range(0, 480, 124):
                    said = await client.read_holding_registers(at, count=min(124, 480 - at))
                    client.convert_from_registers(said.registers, client.DATATYPE.FLOAT32)

            return read

        return asyncio.run(
            _compare(f"modbus, {_said(changes)}", modbus.Driver("m", entry, _context()), bare, len(signals), rounds)
        )


def _s7_cost(rounds: int, changes: bool) -> Cost:
    signals = {f"s{at}": {"address": f"DB1.DBD{at}:REAL"} for at in range(0, 960, 4)}
    with _served(_serve_s7, changes) as port:
        entry = s7.Entry.model_validate({"address": f"s7://127.0.0.1:{port}", "poll_s": 1e-6, "signals": signals})

        async def bare() -> Callable[[], Awaitable[object]]:
            client = AsyncClient()
            await client.connect("127.0.0.1", 0, 1, port)
            most = client.pdu_length - 18 - (client.pdu_length - 18) % 4

            async def read() -> None:
                for at in range(0, 960, most):
                    data = await client.read_area(Area.DB, 1, at, min(most, 960 - at))
                    [get_real(data, place) for place in range(0, len(data), 4)]

            return read

        return asyncio.run(
            _compare(f"s7, {_said(changes)}", s7.Driver("m", entry, _context()), bare, len(signals), rounds)
        )


async def _compare(
    name: str, driver: Any, bare: Callable[[], Awaitable[Callable[[], Awaitable[object]]]], signals: int, rounds: int
) -> Cost:
    await driver.connect()
    calls = (driver.read, await bare())
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, into in zip(calls, spent, strict=True):
            begun_s = time.process_time()
            await call()
            into.append(time.process_time() - begun_s)
    await driver.close()
    return Cost(name, signals, *(statistics.median(each) * 1000 for each in spent))


@contextlib.contextmanager
def _served(serve: Callable[[int, bool], None], changes: bool) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, changes), daemon=True)
    process.start()
    rig.until(lambda: _answers(port))
    yield port
    process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _said(changes: bool) -> str:
    return "all values change" if changes else "none changes"


def _numbers(size: int) -> bytes:
    """Return 32-bit floats as sensors give them: three digits behind the point."""
    return struct.pack(f">{size // 4}f", *(round(random.uniform(0, 5000), 3) for _ in range(size // 4)))


def _serve_modbus(port: int, changes: bool) -> None:
    async def run() -> None:
        device = Device()
        device.port, device.changes = port, changes
        await device.start()
        await asyncio.Event().wait()

    asyncio.run(run())


def _serve_s7(port: int, changes: bool) -> None:
    block = bytearray(1024)
    server = Server(log=False)
    server.register_area(SrvArea.DB, 1, block)
    server.start_to("127.0.0.1", port)
    while True:
        time.sleep(0.001)
        if changes:
            block[:] = _numbers(1024)


def _context() -> Context:
    return Context(home=Path.cwd(), folder=Path.cwd())
