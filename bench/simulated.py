"""The simulators: what a step and a factory cost, and whether fifty machines keep up while clients read them."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from asyncua import Client as OpcUaClient
from asyncua import ua
from asyncua.crypto import cert_gen, security_policies
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient
from snap7.client import Client as S7Client

from shopfloor.usage import usage
from simulators import factory as factories

PERIOD_S = 0.1
FACES = {
    "opcua-1": {"opcua": 12},
    "opcua-2": {"opcua": 12},
    "mqtt": {"mqtt_json": 8, "sparkplug": 6},
    "others": {"modbus": 4, "s7": 4, "mtconnect": 2, "shdr": 2},
}
"""Processes of the fifty machines, and how many machines each has on which face."""
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

    def simulated_s(self) -> float:
        """Return the time of the simulated clock."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['truth']}/truth") as answer:
            return float(json.load(answer)["time_s"])


@dataclass
class Heard:
    """How many values, or messages of a machine, bare clients have read."""

    values: Counter[str] = field(default_factory=Counter)


@dataclass
class Result:
    """What a process did in a second: simulated seconds, and share of a core."""

    name: str
    pace: float
    cores: float


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
            yield Process(name, process.pid, folder / name, ports)
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
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as url:
        folder = Path(name)
        with simulating("default", folder, url, None) as process:
            return asyncio.run(_measure([process], url, seconds, Heard()))


def measure_fifty(seconds: float) -> tuple[list[Result], Counter[str], float]:
    """Return what fifty machines at 10 Hz do in real time, what the clients read per second, and the clients' cores."""
    heard = Heard()
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as url, contextlib.ExitStack() as stack:
        folder = Path(name)
        processes = [
            stack.enter_context(simulating(process, folder, url, text, f"--period={PERIOD_S}"))
            for process, text in fifty().items()
        ]
        before, began = usage(os.getpid()).cpu_s, time.monotonic()
        results = asyncio.run(_measure(processes, url, seconds, heard))
        cores = (usage(os.getpid()).cpu_s - before) / (time.monotonic() - began)
    return results, Counter({face: round(count / seconds) for face, count in heard.values.items()}), cores


async def _measure(processes: list[Process], url: str, seconds: float, heard: Heard) -> list[Result]:
    async with contextlib.AsyncExitStack() as stack:
        for process in processes:
            faces = FACES.get(process.name, {"opcua": 2})
            for face in faces.keys() & CLIENTS.keys():
                await stack.enter_async_context(CLIENTS[face](process, heard))
        stack.enter_context(_mqtt(url, heard))
        await asyncio.sleep(3)
        heard.values.clear()
        before = {process.name: (await asyncio.to_thread(_state, process)) for process in processes}
        await asyncio.sleep(seconds)
        results = []
        for process in processes:
            wall, simulated, cpu = await asyncio.to_thread(_state, process)
            was_wall, was_simulated, was_cpu = before[process.name]
            passed = wall - was_wall
            results.append(Result(process.name, (simulated - was_simulated) / passed, (cpu - was_cpu) / passed))
        return results


def _state(process: Process) -> tuple[float, float, float]:
    return time.monotonic(), process.simulated_s(), usage(process.pid).cpu_s


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
        def datachange_notification(self, *_: Any) -> None:
            heard.values["opcua"] += 1

        def status_change_notification(self, *_: Any) -> None:
            pass

    async with client:
        space = await client.get_namespace_index("urn:shopfloor:simulators")
        machines = ["cnc-01", "cnc-02"] if process.name == "default" else _machines(process.folder.parent, process.name)
        signals = factories.load().machines["cnc-01"].signals
        nodes = [
            client.get_node(ua.NodeId(f"{machine}/{each.place}", space)) for machine in machines for each in signals
        ]
        subscription = await client.create_subscription(100, Handler())
        await subscription.subscribe_data_change(nodes, sampling_interval=0)
        yield


def _machines(folder: Path, process: str) -> list[str]:
    return [stand.machine.id for stand in factories.load(folder / f"{process}.yaml").stands]


@contextmanager
def _mqtt(url: str, heard: Heard) -> Iterator[None]:
    """Count messages, each with the values of a machine."""
    client = paho.Client(CallbackAPIVersion.VERSION2)

    def count(_client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        heard.values["mqtt_json messages" if message.topic.startswith("factory/") else "sparkplug messages"] += 1

    client.on_connect = lambda *_: [client.subscribe(topic) for topic in ("factory/+/telemetry", "spBv1.0/#")]
    client.on_message = count
    client.connect("127.0.0.1", int(url.rpartition(":")[2]))
    client.loop_start()
    yield
    client.disconnect()
    client.loop_stop()


@asynccontextmanager
async def _modbus(process: Process, heard: Heard) -> AsyncIterator[None]:
    """Read every input register of every unit ten times a second."""
    with (process.folder / "simulators" / "modbus.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == "input"]
    units = {int(row["unit_id"]) for row in rows}
    size = max(int(row["address"]) + int(row["registers"]) for row in rows)
    client = AsyncModbusTcpClient("127.0.0.1", port=process.ports["modbus"])
    await client.connect()

    async def poll() -> None:
        for unit in units:
            for at in range(0, size, 120):
                await client.read_input_registers(at, count=min(120, size - at), device_id=unit)
            heard.values["modbus"] += len(rows) // len(units)

    async with _every_tenth(poll):
        yield
    client.close()


@asynccontextmanager
async def _s7(process: Process, heard: Heard) -> AsyncIterator[None]:
    """Read every data block ten times a second."""
    with (process.folder / "simulators" / "s7.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    blocks = {int(row["db"]) for row in rows}
    size = max(int(row["byte"]) + int(row["bytes"]) for row in rows)
    client = S7Client()
    await asyncio.to_thread(client.connect, "127.0.0.1", 0, 1, process.ports["s7"])

    async def poll() -> None:
        for block in blocks:
            await asyncio.to_thread(client.db_read, block, 0, size)
            heard.values["s7"] += len(rows) // len(blocks)

    async with _every_tenth(poll):
        yield
    await asyncio.to_thread(client.disconnect)


@asynccontextmanager
async def _every_tenth(poll: Callable[[], Any]) -> AsyncIterator[None]:
    async def go_on() -> None:
        while True:
            began = time.monotonic()
            await poll()
            await asyncio.sleep(max(0.0, began + PERIOD_S - time.monotonic()))

    task = asyncio.create_task(go_on())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def _mtconnect(process: Process, heard: Heard) -> AsyncIterator[None]:
    request = "GET /sample?interval=100&heartbeat=1000&count=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with _stream("mtconnect bytes", process.ports["mtconnect"], request, heard):
        yield


@asynccontextmanager
async def _shdr(process: Process, heard: Heard) -> AsyncIterator[None]:
    async with (
        _stream("shdr bytes", process.ports["shdr"], "", heard),
        _stream("shdr bytes", process.ports["shdr"] + 1, "", heard),
    ):
        yield


@asynccontextmanager
async def _stream(what: str, port: int, request: str, heard: Heard) -> AsyncIterator[None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())

    async def listen() -> None:
        while block := await reader.read(65536):
            heard.values[what] += len(block)

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
