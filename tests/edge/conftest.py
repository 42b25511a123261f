"""Machines to talk to (OPC UA servers, MTConnect agents on loopback) and a Sparkplug host to be heard by."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from asyncua import Server, ua
from asyncua.server.internal_server import InternalServer

from contract.ack import SPOOL_ACK, format_ack, parse_uuid
from contract.birth import BD_SEQ, REBIRTH
from contract.broker import Broker
from contract.mqtt import Session
from contract.sparkplug import Code, Metric, Payload, decode, encode
from contract.topics import Node, SparkplugTopic, parse_sparkplug, state_topic
from edge.entry import Context
from simulators import factory as factories
from simulators.face import Setting
from simulators.faces._mtconnect.agent import Agent
from simulators.faces._mtconnect.observer import Observed
from simulators.faces.mtconnect import MtConnect
from simulators.factory import Factory
from simulators.fault import LinkFault

pytest.register_assert_rewrite("tests.edge.drivers.conformance")
URI = "urn:test:machine"


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class MachineServer:
    """An OPC UA server with a few variables under Objects/Machine."""

    server: Server
    port: int
    nodes: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    async def write(self, name: str, value: Any, *, status: int = 0, time: Any = None) -> None:
        node = self.nodes[name]
        data = ua.DataValue(ua.Variant(value, VARIABLES[name].VariantType), ua.StatusCode(status), SourceTimestamp=time)
        await self.server.write_attribute_value(node.nodeid, data)


class QuickServer(InternalServer):
    """Takes the standard address space (2 s to build) from the first server; what a server changes is its own."""

    _standard: ClassVar[dict[Any, Any]] = {}

    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        if not self._standard:
            await super().load_standard_address_space(shelf_file)
            self._standard.update(self.aspace._nodes)
        changed = (ua.ObjectIds.RootFolder, ua.ObjectIds.ObjectsFolder, *range(ua.ObjectIds.Server, 2300))
        own = {ua.NodeId(number): self._standard.get(ua.NodeId(number)) for number in changed}
        self.aspace._nodes = self._standard | {node: copy.deepcopy(data) for node, data in own.items() if data}


VARIABLES = {
    "Speed": ua.Variant(1000.0, ua.VariantType.Double),
    "Load": ua.Variant(10.0, ua.VariantType.Float),
    "Count": ua.Variant(7, ua.VariantType.Int32),
    "State": ua.Variant("idle", ua.VariantType.String),
    "Running": ua.Variant(False, ua.VariantType.Boolean),
    "Axes": ua.Variant([1.0, 2.0, 3.0], ua.VariantType.Double),
}


@asynccontextmanager
async def machine_server(
    port: int,
    *,
    policies: list[ua.SecurityPolicyType] | None = None,
    pki: Path | None = None,
    users: Any = None,
    namespaces_before: int = 0,
) -> AsyncIterator[MachineServer]:
    server = Server(iserver=QuickServer(user_manager=users))
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    await server.set_application_uri("urn:test:server")
    server.set_security_policy(policies or [ua.SecurityPolicyType.NoSecurity])
    if users is not None:
        server.set_identity_tokens([ua.UserNameIdentityToken])
    if pki is not None:
        await server.load_certificate(pki / "server.der")
        await server.load_private_key(pki / "server.pem")
    for number in range(namespaces_before):
        await server.register_namespace(f"urn:other:{number}")
    index = await server.register_namespace(URI)
    machine = await server.nodes.objects.add_object(ua.NodeId("Machine", index), ua.QualifiedName("Machine", index))
    result = MachineServer(server, port)
    for name, variant in VARIABLES.items():
        node = await machine.add_variable(ua.NodeId(f"Machine/{name}", index), ua.QualifiedName(name, index), variant)
        await node.set_writable()
        result.nodes[name] = node
    await server.start()
    try:
        yield result
    finally:
        if (clock := server.iserver.time_task) is not None:
            # it looks only once a second whether it shall stop, and asyncua waits for it
            clock.cancel()
            server.iserver.time_task = None
        await server.stop()


ServerMaker = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[ServerMaker]:
    """Start machine servers that end with the test: `await serve(port=…, policies=…)`."""
    async with AsyncExitStack() as stack:

        async def start(port: int | None = None, **options: Any) -> MachineServer:
            return await stack.enter_async_context(machine_server(port or unused_port(), **options))

        yield start


ONE_MACHINE = """
enterprise: demo
site: test
areas: {hall: {lines: {line1: {machines: {cnc-01: {kind: cnc, face: mtconnect}}}}}}
"""


@dataclass
class MachineAgent:
    """An MTConnect agent with a milling center, moved by hand: by `tick`, or by what a test lets it say."""

    factory: Factory
    face: MtConnect
    now_ns: int = field(default_factory=time.time_ns)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.face.port}"

    @property
    def agent(self) -> Agent:
        assert self.face.agent is not None
        return self.face.agent

    async def tick(self, times: int = 1) -> None:
        """Let the machine live for some steps of 0.2 s."""
        for _ in range(times):
            self.now_ns += 200_000_000
            self.factory.step(0.2)
            await self.face.emit(self.now_ns)

    async def say(self, name: str, *values: Observed, time_ns: int = 0) -> list[int]:
        """Observe these values of a data item, a microsecond apart; return when (now, when no time is stated)."""
        machine = self.face.shown[0].machine
        if not machine.link_faults:
            machine.link_faults.append(LinkFault("silent", 0.0))  # it says nothing of its own
        start_ns = time_ns or time.time_ns() // 1000 * 1000
        times_ns = [start_ns + 1000 * index for index in range(len(values))]
        for value, stamp_ns in zip(values, times_ns, strict=True):
            self.agent.buffer.add(stamp_ns, self.agent.devices[0].observer.items[name], value)
        await self.face.emit(self.now_ns)
        return times_ns


@asynccontextmanager
async def machine_agent(port: int = 0, *, buffer_size: int = 1 << 12, run: int = 0) -> AsyncIterator[MachineAgent]:
    factory = factories.parse(ONE_MACHINE, seed=3)
    face = MtConnect(Setting(Path("unused"), mtconnect_port=port), buffer_size)
    face.show(factory.stands[0].machine, factory.stands[0].place)
    await face.start()
    machine = MachineAgent(factory, face)
    machine.agent.writer.instance += run  # an agent counts its runs in seconds: too slow for a test
    try:
        yield machine
    finally:
        await face.stop()


@pytest.fixture
async def observe() -> AsyncIterator[Callable[..., Any]]:
    """Start MTConnect agents that end with the test: `await observe(port=…, buffer_size=…)`."""
    async with AsyncExitStack() as stack:

        async def start(port: int = 0, **options: Any) -> MachineAgent:
            return await stack.enter_async_context(machine_agent(port, **options))

        yield start


@pytest.fixture
def context(tmp_path: Path) -> Context:
    home = tmp_path / "home"
    home.mkdir()
    return Context(home, tmp_path)


async def until(check: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait until `check()` holds; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


@pytest.fixture(name="until")
def _until() -> Any:
    """`await until(lambda: …)`: wait for something, at most ten seconds."""
    return until


@dataclass
class Heard:
    """A message that the host has received, in order of arrival."""

    topic: SparkplugTopic
    payload: Payload

    @property
    def kind(self) -> str:
        return self.topic.type

    @property
    def device(self) -> str | None:
        return self.topic.device

    def metric(self, name: str) -> Metric:
        return next(metric for metric in self.payload.metrics if metric.name == name)

    @property
    def historical(self) -> bool:
        return any(metric.is_historical for metric in self.payload.metrics)


class SparkplugHost:
    """A host application that keeps what it hears and acknowledges while `acknowledges` is set."""

    def __init__(self, broker: Any, name: str = "shopfloor") -> None:
        self.name = name
        self.heard: list[Heard] = []
        self.acknowledges = True
        self.lock = threading.Lock()
        self.time_ms = time.time_ns() // 1_000_000
        self.session = Session(
            Broker(url=broker.url, user=broker.user, password_file=broker.password_file),
            f"host-{time.monotonic_ns()}",
            subscriptions=[("spBv1.0/+/NBIRTH/+", 1), ("spBv1.0/+/NDEATH/+", 1), ("spBv1.0/+/NDATA/+", 1)]
            + [(f"spBv1.0/+/{kind}/+/+", 1) for kind in ("DBIRTH", "DDEATH", "DDATA")],
            on_message=self._received,
        )
        self.session.start()

    def _received(self, topic: str, body: bytes, _retained: bool) -> None:
        heard = Heard(parse_sparkplug(topic), decode(body))
        with self.lock:
            self.heard.append(heard)
        if self.acknowledges and heard.payload.uuid is not None:
            epoch, n = parse_uuid(heard.payload.uuid)
            self.command(heard.topic.node, Metric(SPOOL_ACK, None, Code.STRING, format_ack(epoch, [(n, n)])))

    def say(self, *, online: bool, time_ms: int | None = None) -> None:
        body = json.dumps({"online": online, "timestamp": time_ms or self.time_ms}).encode()
        assert self.session.publish(state_topic(self.name), body, qos=1, retain=True)

    def command(self, node: Node, *metrics: Metric) -> None:
        self.session.publish(node.topic("NCMD"), encode(Payload(list(metrics))))

    def ask_for_rebirth(self, node: Node) -> None:
        self.command(node, Metric(REBIRTH, None, Code.BOOLEAN, True))

    def of(self, *kinds: str, device: str | None = None) -> list[Heard]:
        with self.lock:
            return [h for h in self.heard if h.kind in kinds and (device is None or h.device == device)]

    async def wait_for(self, *kinds: str, count: int = 1, device: str | None = None) -> list[Heard]:
        """Wait until so many messages of these kinds were heard, and return all of them."""
        await until(lambda: len(self.of(*kinds, device=device)) >= count)
        return self.of(*kinds, device=device)

    async def wait_for_value(self, device: str, value: Any) -> None:
        await until(lambda: value in self.values(device))

    def values(self, device: str) -> list[Any]:
        """All values of a device's DATA, in order of arrival."""
        return [m.value for h in self.of("DDATA", device=device) for m in h.payload.metrics]

    def bd_seqs(self, kind: str) -> list[Any]:
        return [h.metric(BD_SEQ).value for h in self.of(kind)]


@pytest.fixture
def hosts() -> Iterator[Callable[..., Any]]:
    """Start Sparkplug hosts that end with the test: `await hosts(broker)`."""
    started: list[SparkplugHost] = []

    async def start(broker: Any, *, online: bool = True) -> SparkplugHost:
        host = SparkplugHost(broker)
        started.append(host)
        await until(lambda: host.session.is_connected)
        if online:
            host.say(online=True)
        return host

    yield start
    for host in started:
        host.session.stop()
