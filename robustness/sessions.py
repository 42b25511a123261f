"""Each driver in a session with a real server over a line that damages bytes, beside a sound neighbor."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import orjson
from asyncua import Server, ua

from contract.block import Block
from contract.broker import Broker
from contract.command import Reply
from contract.event import Event
from contract.loss import Reason
from contract.model import Asset, Datatype, Sample
from contract.mqtt import Session
from edge.drivers import load
from edge.entry import Context, Place
from edge.ledger import EdgeLedger
from edge.read import Read
from edge.runner import Runner
from robustness.mangle import Mangler
from simulators import factory as factories
from simulators.face import Setting
from simulators.faces.mtconnect import MtConnect

DAMAGE_S: Final = 3.0
RECOVERY_S: Final = 60.0
"""So long may a driver take to deliver again on a sound line: MQTT notices a dead one by two keep-alives."""
_TICK_S: Final = 0.02
_STOOD_S: Final = 0.5
_PLACE: Final = Place("demo", "fuzz", "hall", "line1")
_URI: Final = "urn:fuzz"


@dataclass
class Outcome:
    """What a session came to: `findings` left the machine, `failures` were contained.

    `stood`: so often this process had no time of the computer's for longer than a line may be silent.
    """

    damaged: int = 0
    losses: int = 0
    failures: int = 0
    samples: int = 0
    stood: int = 0
    findings: list[str] = field(default_factory=list)


class _Sink:
    """Takes samples as the uplink does, and the words of the ledger; counts."""

    def __init__(self) -> None:
        self.samples: Counter[str] = Counter()
        self.told: Counter[str] = Counter()

    def describe(self, asset: Asset) -> None: ...

    def offline(self, asset: str) -> None: ...

    def put(
        self,
        asset: str,
        samples: Sequence[Sample],
        *,
        past: bool = False,
        read: Mapping[str, Read] | None = None,
        datatypes: Mapping[str, Datatype] | None = None,
    ) -> list[Future[int | None]]:
        self.samples[asset] += sum(sample.value is not None for sample in samples)
        return []

    def put_event(self, event: Event) -> Future[int | None]:
        return self._kept()

    def put_block(self, block: Block) -> Future[int | None]:
        return self._kept()

    def reply(self, reply: Reply) -> Future[int | None]:
        return self._kept()

    def _kept(self) -> Future[int | None]:
        future: Future[int | None] = Future()
        future.set_result(1)
        return future

    def conditions_before(self, asset: str) -> dict[str, Event]:
        return {}

    def read_before(self, asset: str) -> dict[str, Read]:
        return {}

    def datatypes_before(self, asset: str) -> dict[str, Datatype]:
        return {}

    def heard_until(self, machine: str) -> int:
        return 0

    def enter(self, source: str, reason: Reason, start_ns: int, end_ns: int, **_: Any) -> None:
        self.told[reason] += 1

    def lose(self, source: str, reason: Reason, count: int, now_ns: int, **_: Any) -> None:
        self.told[reason] += 1


@dataclass
class _Peer:
    """A server: its port, the entry of a plant file by name of the machine and port, and how it is moved on."""

    port: int
    entry: Callable[[str, int], dict[str, Any]]
    tick: Callable[[int], Awaitable[None]]


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _opcua(_folder: Path) -> AsyncIterator[_Peer]:
    server, port = Server(), free_port()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(_URI)
    kinds: dict[str, Any] = {"speed": 1.0, "state": "idle", "count": 1, "running": True}
    nodes = {
        name: await server.nodes.objects.add_variable(ua.NodeId(name, index), name, value)
        for name, value in kinds.items()
    }

    async def tick(n: int) -> None:
        values = {"speed": n / 3, "state": f"state {n % 7} über", "count": n, "running": n % 2 == 0}
        for name, node in nodes.items():
            await node.write_value(values[name])

    def entry(_name: str, port: int) -> dict[str, Any]:
        signals = {name: {"node": f"nsu={_URI};s={name}"} for name in kinds}
        options = {"security": "none", "publish_s": 0.05, "keep_alive_s": 0.5, "timeout_s": 3}
        return {"driver": "opcua", "address": f"opc.tcp://127.0.0.1:{port}", "signals": signals} | options

    async with server:
        yield _Peer(port, entry, tick)


_FACTORY: Final = """
enterprise: demo
site: fuzz
areas: {hall: {lines: {line1: {machines: {cnc-01: {kind: cnc, face: mtconnect}}}}}}
"""


@asynccontextmanager
async def _mtconnect(folder: Path) -> AsyncIterator[_Peer]:
    factory = factories.parse(_FACTORY, seed=3)
    face = MtConnect(Setting(folder, mtconnect_port=0))
    [stand] = factory.stands
    face.show(stand.machine, stand.place)
    await face.start()
    described = face.entry(face.shown[0])

    async def tick(_n: int) -> None:
        factory.step(0.2)
        await face.emit(time.time_ns())

    def entry(_name: str, port: int) -> dict[str, Any]:
        options = {"address": f"http://127.0.0.1:{port}", "interval_s": 0.02, "heartbeat_s": 1, "timeout_s": 3}
        return described | options

    try:
        yield _Peer(face.port, entry, tick)
    finally:
        await face.stop()


@asynccontextmanager
async def _mqtt(folder: Path) -> AsyncIterator[_Peer]:
    port = free_port()
    (folder / "nats.conf").write_text(
        f'listen: "127.0.0.1:-1"\nserver_name: fuzz\njetstream: {{ store_dir: "{folder / "js"}" }}\n'
        f'mqtt: {{ listen: "127.0.0.1:{port}" }}\n'
    )
    program = str(Path(sys.executable).with_name("nats-server"))
    quiet = subprocess.DEVNULL
    with subprocess.Popen([program, "-c", str(folder / "nats.conf")], stdout=quiet, stderr=quiet) as broker:  # noqa: ASYNC220 - our own dependency
        session = Session(Broker(url=f"mqtt://127.0.0.1:{port}"), "fuzz-machine")
        session.start()

        async def tick(n: int) -> None:
            body = {"speed": n / 3, "state": f"state {n % 7} über", "count": n, "list": [{"x": n}], "text": str(n)}
            session.publish("machines/m/telemetry", orjson.dumps(body))

        def entry(_name: str, port: int) -> dict[str, Any]:
            paths = {"speed": "speed", "state": "state", "count": "ceil(to_number(text))", "x": "list[0].x"}
            signals = {name: {"path": path} for name, path in paths.items()}
            topic = {"topic": "machines/m/telemetry", "qos": 1}
            return {"driver": "mqtt", "address": f"mqtt://127.0.0.1:{port}", "signals": signals} | topic

        try:
            yield _Peer(port, entry, tick)
        finally:
            await asyncio.to_thread(session.stop)
            broker.terminate()


PEERS: Final[Mapping[str, Callable[[Path], AbstractAsyncContextManager[_Peer]]]] = {
    "mqtt": _mqtt,
    "mtconnect": _mtconnect,
    "opcua": _opcua,
}


async def session(driver: str, seconds: float, dice: random.Random) -> Outcome:
    """Let a driver read over a line that is damaged for three seconds, then sound until it delivers, and so on."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of tasks of a library that end by an error
    with tempfile.TemporaryDirectory(prefix="shopfloor-fuzz-", ignore_cleanup_errors=True) as folder:
        async with PEERS[driver](Path(folder)) as peer:
            mangler = Mangler(free_port(), peer.port, dice)
            await mangler.start()
            try:
                return await _Session(peer, mangler, Path(folder)).run(seconds)
            finally:
                await mangler.stop()


class _Session:
    def __init__(self, peer: _Peer, mangler: Mangler, folder: Path) -> None:
        self._peer, self._mangler = peer, mangler
        self._sink, self._outcome = _Sink(), Outcome()
        self._has_stood = False  # since the last look
        self._neighbor_lost = 0
        context, owners = Context(folder, folder), dict[str, str]()
        ports = {"mangled": mangler.port, "neighbor": peer.port}
        self._runners = {name: self._runner(name, port, context, owners) for name, port in ports.items()}

    def _runner(self, name: str, port: int, context: Context, owners: dict[str, str]) -> Runner:
        said = self._peer.entry(name, port)
        module = load(said["driver"])
        entry = module.Entry.model_validate(said)
        return Runner(
            name,
            entry,
            lambda: module.Driver(name, entry, context),
            place=_PLACE,
            outlet=self._sink,
            ledger=cast(EdgeLedger, self._sink),  # as far as a runner needs one
            owners=owners,
        )

    async def run(self, seconds: float) -> Outcome:
        tasks = {name: asyncio.create_task(runner.run()) for name, runner in self._runners.items()}
        ticking = asyncio.create_task(self._tick())
        end_s = time.monotonic() + seconds
        try:
            await self._heard(list(self._runners))
            while time.monotonic() < end_s and not self._outcome.findings:
                self._mangler.is_on = True
                await asyncio.sleep(min(DAMAGE_S, max(0.1, end_s - time.monotonic())))
                self._mangler.is_on = False
                await self._heard(list(self._runners))
                self._look_at(tasks)
        finally:
            for task in (*tasks.values(), ticking):
                task.cancel()
            await asyncio.gather(*tasks.values(), ticking, return_exceptions=True)
        return self._counted()

    async def _tick(self) -> None:
        for n in itertools.count():
            with suppress(ConnectionError):
                await self._peer.tick(n)
            before_s = time.monotonic()
            await asyncio.sleep(_TICK_S)
            if time.monotonic() - before_s > _STOOD_S:
                self._outcome.stood += 1
                self._has_stood = True

    async def _heard(self, names: Sequence[str]) -> None:
        before = dict(self._sink.samples)
        deadline_s = time.monotonic() + RECOVERY_S
        while silent := [name for name in names if self._sink.samples[name] <= before.get(name, 0)]:
            if time.monotonic() > deadline_s:
                trouble = self._runners[silent[0]].health.trouble
                self._outcome.findings.append(f"{silent} not heard for {RECOVERY_S:.0f} s on a sound line: {trouble!r}")
                return
            await asyncio.sleep(_TICK_S)

    def _look_at(self, tasks: Mapping[str, asyncio.Task[None]]) -> None:
        for name, task in tasks.items():
            if task.done():
                self._outcome.findings.append(f"{name} has ended: {task.exception()!r}")
        health = self._runners["neighbor"].health
        lost, self._neighbor_lost = health.losses - self._neighbor_lost, health.losses
        # a machine that had no time for us makes every line silent
        if health.failures or (lost and not self._has_stood):
            self._outcome.findings.append(f"the neighbor was lost: {health.trouble}")
        self._has_stood = False

    def _counted(self) -> Outcome:
        health, outcome = self._runners["mangled"].health, self._outcome
        outcome.damaged, outcome.samples = self._mangler.damaged, self._sink.samples["mangled"]
        outcome.losses, outcome.failures = health.losses, health.failures
        return outcome
