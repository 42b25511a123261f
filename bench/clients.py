"""Bare clients of the simulators, a small one for each face: what they hear, and how late."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import logging
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
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
from simulators import factory as factories

PERIOD_S = 0.1
POLL_S = PERIOD_S / 2
"""Whoever polls asks twice as often as values change, so as to see each of them."""
MQTT = {"mqtt_json": "factory/+/telemetry", "sparkplug": "spBv1.0/+/DDATA/#"}


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
def mqtt(process: Process, url: str, heard: Faces) -> Iterator[None]:
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
