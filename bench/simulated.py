"""The simulators: what a step and a factory cost, and whether fifty machines keep up while clients read them."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import logging
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from asyncua import Client as OpcUaClient
from asyncua import Node, ua
from asyncua.crypto import cert_gen, security_policies
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient
from snap7.client import Client as S7Client

from contract import sparkplug
from shopfloor.usage import usage
from simulators import factory as factories

PERIOD_S = 0.1
POLL_S = PERIOD_S / 2
"""Whoever polls asks twice as often as values change, so as to see each of them."""
FACES = {
    "opcua-1": {"opcua": 12},
    "opcua-2": {"opcua": 12},
    "mqtt": {"mqtt_json": 8, "sparkplug": 6},
    "others": {"modbus": 4, "s7": 4, "mtconnect": 2, "shdr": 2},
}
"""Processes of the fifty machines, and how many machines each has on which face."""
MQTT = {"mqtt_json": "factory/+/telemetry", "sparkplug": "spBv1.0/+/DDATA/#"}
HEAD = "enterprise: bench\nsite: bench\nareas: {a: {lines: {l: {machines: {\n"


def step_us(name: str, steps: int = 1000) -> tuple[int, float]:
    """Return the machines of a factory, and the CPU time in µs that a step takes for each of them; the best of five."""
    factory = factories.load(Path(name))
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(steps // 5):
            factory.step()
        best = min(best, (time.process_time() - began) / (steps // 5))
    return len(factory.stands), best / len(factory.stands) * 1e6


@dataclass
class Process:
    """Simulators that run: their number, ports by face, the truth's port, and what they are called."""

    name: str
    pid: int
    folder: Path
    ports: dict[str, int]

    machines: dict[str, str] = field(default_factory=dict)
    """The face of each machine."""

    def ask(self, what: str) -> dict[str, Any]:
        """Return what the truth says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['truth']}/{what}") as answer:
            return dict(json.load(answer))

    def on(self, face: str) -> list[str]:
        """Return the machines on a face."""
        return [machine for machine, its in self.machines.items() if its == face]


@dataclass
class Heard:
    """What a bare client of a face has heard: values, ages of the newest ones (s), and polled sequence numbers."""

    values: int = 0
    ages_s: list[float] = field(default_factory=list)
    polled: list[tuple[str, int, int]] = field(default_factory=list)
    """(machine, sequence, ns when it was seen first) where the protocol carries no time."""

    def clear(self) -> None:
        """Begin anew."""
        self.values = 0
        self.ages_s.clear()
        self.polled.clear()


Faces = dict[str, Heard]


@dataclass
class Result:
    """What a process did in a second: simulated seconds, share of a core, and that of its clients."""

    name: str
    pace: float
    cores: float
    clients: float
    faces: list[FaceResult]


@dataclass
class FaceResult:
    """What went over a face: values that changed at the source per second, what its client heard, and how late."""

    face: str
    machines: int
    offered: float
    heard: float
    ages_s: list[float]

    def row(self) -> tuple[str, ...]:
        """Return it as texts: face, machines, offered, heard, share, median and longest age in ms."""
        ages = [statistics.median(self.ages_s), max(self.ages_s)] if self.ages_s else []
        rates = (f"{self.machines}", f"{self.offered:,.0f}", f"{self.heard:,.0f}", f"{self.heard / self.offered:.1%}")
        return (self.face, *rates, *(f"{age * 1000:,.0f}" for age in ages))


@contextmanager
def simulating(name: str, folder: Path, broker: str, text: str | None, *options: str) -> Iterator[Process]:
    """Run a factory (the default one for None) until the end of the block."""
    ports = dict(zip(("opcua", "modbus", "s7", "mtconnect", "truth", "shdr"), free_ports(16), strict=False))
    command = [sys.executable, "-m", "simulators", *(f"--{face}-port={port}" for face, port in ports.items()), *options]
    if text is not None:
        (folder / f"{name}.yaml").write_text(text)
        command.append(str(folder / f"{name}.yaml"))
    environ = {**os.environ, "SHOPFLOOR_HOME": str(folder / name), "SHOPFLOOR_MQTT_URL": broker}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            while "the factory runs" not in (line := process.stderr.readline()):
                if not line:
                    sys.exit(f"bench: {name} has ended")
            factory = factories.load(None if text is None else folder / f"{name}.yaml")
            faces = {stand.machine.id: stand.face for stand in factory.stands}
            yield Process(name, process.pid, folder / name, ports, faces)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Run a NATS server that speaks MQTT, without passwords, on loopback."""
    (port,) = free_ports(1)
    (folder / "nats.conf").write_text(
        f'server_name: bench\nlisten: "127.0.0.1:-1"\njetstream: {{ store_dir: "{folder}/nats" }}\n'
        f'mqtt: {{ listen: "127.0.0.1:{port}" }}\n'
    )
    command = [str(Path(sys.executable).with_name("nats-server")), "-c", str(folder / "nats.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"mqtt://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def fifty() -> dict[str, str]:
    """Return the factory files of the fifty milling centers (48 signals each) by the name of their process."""
    number = 0
    texts = {}
    for process, faces in FACES.items():
        rows = []
        for face, count in faces.items():
            for _ in range(count):
                number += 1
                rows.append(f"cnc-{number:02}: {{kind: cnc, face: {face}}}")
        texts[process] = HEAD + ",\n".join(rows) + "\n}}}}}\n"
    return texts


def measure_default(seconds: float) -> list[Result]:
    """Return what the default factory does, with a bare client on each of its faces."""
    return _simulate({"default": None}, seconds)


def measure_fifty(seconds: float) -> list[Result]:
    """Return what fifty machines at 10 Hz do in real time, and what bare clients hear of it."""
    return _simulate(fifty(), seconds, f"--period={PERIOD_S}")


def _simulate(texts: Mapping[str, str | None], seconds: float, *options: str) -> list[Result]:
    """Run factories, each in a process of its own, and its clients in another."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as url, contextlib.ExitStack() as stack:
        folder = Path(name)
        processes = [stack.enter_context(simulating(name, folder, url, text, *options)) for name, text in texts.items()]
        with ProcessPoolExecutor(len(processes), get_context("spawn")) as pool:
            return list(pool.map(_measured, processes, repeat(url), repeat(seconds)))


def _measured(process: Process, url: str, seconds: float) -> Result:
    return asyncio.run(_measure(process, url, seconds))


@dataclass
class _State:
    at: float
    simulated_s: float
    cpu_s: float
    emitted: dict[str, Any]

    def samples(self, machine: str) -> int:
        return sum(self.emitted[machine]["samples"].values())


async def _measure(process: Process, url: str, seconds: float) -> Result:
    heard = {face: Heard() for face in process.machines.values()}
    async with contextlib.AsyncExitStack() as stack:
        for face in heard.keys() & CLIENTS.keys():
            await stack.enter_async_context(CLIENTS[face](process, heard[face]))
        stack.enter_context(_mqtt(process, url, heard))
        await asyncio.sleep(3)
        was, began = await asyncio.to_thread(_state, process), time.process_time()
        for each in heard.values():
            each.clear()
        await asyncio.sleep(seconds)
        values = {face: each.values for face, each in heard.items()}
        now, ended = await asyncio.to_thread(_state, process), time.process_time()
    passed = now.at - was.at
    faces = []
    for face, each in heard.items():
        machines = process.on(face)
        offered = sum(now.samples(machine) - was.samples(machine) for machine in machines)
        each.ages_s += [_age_s(now.emitted[machine], *seen) for machine, *seen in each.polled]
        faces.append(FaceResult(face, len(machines), offered / passed, values[face] / seconds, each.ages_s))
    pace, cores = (now.simulated_s - was.simulated_s) / passed, (now.cpu_s - was.cpu_s) / passed
    return Result(process.name, pace, cores, (ended - began) / passed, faces)


def _state(process: Process) -> _State:
    emitted = process.ask("emitted")
    return _State(time.monotonic(), process.ask("balance")["time_s"], usage(process.pid).cpu_s, emitted)


def _age_s(newest: dict[str, Any], sequence: int, seen_ns: int) -> float:
    """Return how old message `sequence` was when it was seen, reckoned back from the newest one."""
    age = (seen_ns - newest["time_ns"]) / 1e9 + (newest["sequence"] - sequence) * PERIOD_S
    return float(age)


@asynccontextmanager
async def _opcua(process: Process, heard: Heard) -> AsyncIterator[None]:
    """Subscribe to every variable of every machine."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    client = OpcUaClient(f"opc.tcp://127.0.0.1:{process.ports['opcua']}", timeout=60, watchdog_intervall=60)
    client.application_uri = "urn:bench:client"
    own = cert_gen.generate_private_key()
    uri = x509.UniformResourceIdentifier(client.application_uri)
    made = cert_gen.generate_self_signed_app_certificate(own, "bench", {}, [uri], [ExtendedKeyUsageOID.CLIENT_AUTH])
    (process.folder / "client.der").write_bytes(made.public_bytes(Encoding.DER))
    (process.folder / "client.pem").write_bytes(cert_gen.dump_private_key_as_pem(own))
    await client.set_security(
        security_policies.SecurityPolicyBasic256Sha256,
        str(process.folder / "client.der"),
        str(process.folder / "client.pem"),
        server_certificate=str(process.folder / "simulators" / "opcua.der"),
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )

    class Handler:
        def datachange_notification(self, _node: Node, _value: Any, change: Any) -> None:
            heard.values += 1
            if change.subscription_data.node in numbers:
                stamp = change.monitored_item.Value.SourceTimestamp
                heard.ages_s.append(time.time() - stamp.timestamp())

        def status_change_notification(self, *_: Any) -> None:
            pass

    async with client:
        space = await client.get_namespace_index("urn:shopfloor:simulators")
        signals = factories.load().machines["cnc-01"].signals
        nodes = [
            client.get_node(ua.NodeId(f"{machine}/{each.place}", space))
            for machine in process.on("opcua")
            for each in signals
        ]
        (number,) = (each.place for each in signals if each.name == "sequence")
        numbers = {client.get_node(ua.NodeId(f"{machine}/{number}", space)) for machine in process.on("opcua")}
        subscription = await client.create_subscription(100, Handler())
        await subscription.subscribe_data_change(nodes, sampling_interval=0)
        yield


@contextmanager
def _mqtt(process: Process, url: str, heard: Faces) -> Iterator[None]:
    """Read every message of its machines, if they speak MQTT."""
    topics = [topic for face, topic in MQTT.items() if process.on(face)]
    if not topics:
        yield
        return
    client = paho.Client(CallbackAPIVersion.VERSION2)

    def json_message(_client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        body = json.loads(message.payload)
        heard["mqtt_json"].values += _leaves(body) - 2  # its time and its number
        heard["mqtt_json"].ages_s.append(time.time() - body["ts"] / 1e3)

    def sparkplug_message(_client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        payload = sparkplug.decode(bytes(message.payload))
        heard["sparkplug"].values += len(payload.metrics)
        heard["sparkplug"].ages_s.append(time.time() - (payload.time_ms or 0) / 1e3)

    client.message_callback_add(MQTT["mqtt_json"], json_message)
    client.message_callback_add(MQTT["sparkplug"], sparkplug_message)
    client.on_connect = lambda *_: [client.subscribe(topic) for topic in topics]
    client.connect("127.0.0.1", int(url.rpartition(":")[2]))
    client.loop_start()
    yield
    client.disconnect()
    client.loop_stop()


def _leaves(tree: Any) -> int:
    """Return how many values a JSON document has."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    return sum(map(_leaves, tree)) if isinstance(tree, list) else 1


class _Poll:
    """What a machine's memory had at the last poll, by signal, and what has changed since."""

    def __init__(self, machine: str, heard: Heard) -> None:
        self.machine = machine
        self.heard = heard
        self._last: dict[str, bytes] = {}

    def take(self, cells: dict[str, bytes]) -> None:
        """Count what a poll has changed; its `sequence` is a number of four bytes."""
        self.heard.values += sum(self._last.get(name) != each for name, each in cells.items())
        if self._last.get("sequence") != cells["sequence"]:
            self.heard.polled.append((self.machine, int.from_bytes(cells["sequence"], "big"), time.time_ns()))
        self._last = cells


@asynccontextmanager
async def _modbus(process: Process, heard: Heard) -> AsyncIterator[None]:
    """Read every input register of every unit."""
    with (process.folder / "simulators" / "modbus.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == "input"]
    units = {int(row["unit_id"]): _Poll(row["machine"], heard) for row in rows}
    places = {row["signal"]: (2 * int(row["address"]), 2 * int(row["registers"])) for row in rows}
    size = max(at + length for at, length in places.values()) // 2
    client = AsyncModbusTcpClient("127.0.0.1", port=process.ports["modbus"])
    await client.connect()

    async def poll() -> None:
        for unit, last in units.items():
            body = b""
            for at in range(0, size, 120):
                answer = await client.read_input_registers(at, count=min(120, size - at), device_id=unit)
                body += b"".join(word.to_bytes(2, "big") for word in answer.registers)
            last.take({name: body[at : at + length] for name, (at, length) in places.items()})

    async with _again_and_again(poll):
        yield
    client.close()


@asynccontextmanager
async def _s7(process: Process, heard: Heard) -> AsyncIterator[None]:
    """Read every data block."""
    with (process.folder / "simulators" / "s7.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["access"] != "write"]
    blocks = {int(row["db"]): _Poll(row["machine"], heard) for row in rows}
    places = {row["signal"]: (int(row["byte"]), int(row["bytes"]), row["bit"]) for row in rows}
    size = max(at + length for at, length, _ in places.values())
    client = S7Client()
    await asyncio.to_thread(client.connect, "127.0.0.1", 0, 1, process.ports["s7"])

    def cells(body: bytes) -> Iterator[tuple[str, bytes]]:
        for name, (at, length, bit) in places.items():
            yield name, bytes([body[at] >> int(bit) & 1]) if bit else body[at : at + length]

    async def poll() -> None:
        for block, last in blocks.items():
            body = await asyncio.to_thread(client.db_read, block, 0, size)
            last.take(dict(cells(bytes(body))))

    async with _again_and_again(poll):
        yield
    await asyncio.to_thread(client.disconnect)


@asynccontextmanager
async def _again_and_again(poll: Callable[[], Any]) -> AsyncIterator[None]:
    async def go_on() -> None:
        due = time.monotonic()
        while True:
            await poll()
            due = max(due + POLL_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    task = asyncio.create_task(go_on())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def _mtconnect(process: Process, heard: Heard) -> AsyncIterator[None]:
    """Stream all observations of the agent."""
    request = "GET /sample?interval=100&heartbeat=1000&count=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    observation = re.compile(rb'dataItemId="[^>]*timestamp="([^"]+)"')
    async with _stream(process.ports["mtconnect"], request, b">", observation, heard):
        yield


@asynccontextmanager
async def _shdr(process: Process, heard: Heard) -> AsyncIterator[None]:
    """Listen to every adapter."""
    line = re.compile(rb"^([^|*]+)\|", re.MULTILINE)
    async with contextlib.AsyncExitStack() as stack:
        for number in range(len(process.on("shdr"))):
            await stack.enter_async_context(_stream(process.ports["shdr"] + number, "", b"\n", line, heard))
        yield


@asynccontextmanager
async def _stream(port: int, request: str, end: bytes, value: re.Pattern[bytes], heard: Heard) -> AsyncIterator[None]:
    """Listen to what a server sends; `end` ends a piece of it, `value` finds the times of its values."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(request.encode())

    async def listen() -> None:
        rest = b""
        while block := await reader.read(1 << 20):
            whole, ended, rest = (rest + block).rpartition(end)
            if stamps := value.findall(whole + ended):
                heard.values += len(stamps)
                newest = datetime.fromisoformat(max(stamps).decode())
                heard.ages_s.append(time.time() - newest.timestamp())

    task = asyncio.create_task(listen())
    yield
    task.cancel()
    writer.close()


CLIENTS: dict[str, Callable[[Process, Heard], contextlib.AbstractAsyncContextManager[None]]] = {
    "opcua": _opcua, "modbus": _modbus, "s7": _s7, "mtconnect": _mtconnect, "shdr": _shdr,
}  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free in a row."""
    for port in range(33000, 60000, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for each in range(port, port + count):
                stack.enter_context(socket.create_server(("127.0.0.1", each)))
            return list(range(port, port + count))
    raise RuntimeError(f"no {count} free ports in a row on 127.0.0.1")
