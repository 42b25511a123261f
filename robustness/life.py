"""One life of a small chain: an edge node and a gateway in one process, on a network and a store that are not good.

It ends by SIGKILL at its n-th event, wherever that is. What the spool of the edge had said to be durable stands in
`accepted.jsonl` by then, what the store has taken in `store.lines`.
"""

from __future__ import annotations

import base64
import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Final

import orjson
from pydantic import AnyHttpUrl

from contract.broker import Broker
from contract.event import Event, event_id
from contract.model import Asset, Datatype, Sample, Signal
from contract.topics import Node, state_topic
from edge.node import EdgeNode
from edge.uplink import HOST
from edge.window import Window
from gateway.cloud import Receipt
from gateway.config import Settings
from gateway.gateway import Gateway
from gateway.store import Answer
from simulators.emitted import Emitted
from spool import Spool

NODE: Final = Node("demo:shanghai:machining", "line1")
SIGNALS: Final = (Signal("speed"), Signal("count"), Signal("state", Datatype.STRING))
ASSET: Final = Asset("demo", "shanghai", "machining", "line1", "cnc-01", "cnc", {}, SIGNALS)
STEP_S: Final = 0.25
ACK_TIMEOUT_S: Final = 1.0
DRAIN_S: Final = 30.0
LAST_STEPS: Final = 20
REPLAYED: Final = 50
MOST_SENDS: Final = 20
COMMIT_S: Final = 10.0
EVENTS: Final = 0.5  # of a step


class Fate:
    """Counts events and kills the process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self._left = kill_at

    def event(self) -> None:
        """Let something happen, for the last time perhaps."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class BadStore:
    """A store that appends lines to a file, and at times refuses, or takes them and does not say so."""

    def __init__(self, path: Path, dice: random.Random, fate: Fate) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._dice, self._fate = dice, fate
        self.is_good = False

    def write(self, lines: bytes) -> Answer:
        """Write lines."""
        chance = 1.0 if self.is_good else self._dice.random()
        self._fate.event()
        if chance < 0.08:
            return Answer("unavailable", "down")
        os.write(self._file, lines + b"\n")
        self._fate.event()
        return Answer("unavailable", "no answer") if chance < 0.12 else Answer("written")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class BadCloud:
    """A cloud that appends lines to a file, and at times refuses, or takes them and does not say so."""

    def __init__(self, path: Path, dice: random.Random, fate: Fate) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._dice, self._fate = dice, fate
        self.is_good = False

    def post(self, lines: Sequence[bytes]) -> Receipt:
        """Take lines."""
        chance = 1.0 if self.is_good else self._dice.random()
        self._fate.event()
        if chance < 0.2:
            return Receipt("unavailable", detail="down")
        os.write(self._file, b"\n".join(lines) + b"\n")
        self._fate.event()
        return Receipt("unavailable", detail="no answer") if chance < 0.3 else Receipt("taken")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class BadNetwork:
    """Stands where the gateway has its session: loses, doubles and delays what passes while it is not `is_good`."""

    is_alive = True
    is_connected = True
    reason = ""
    waits_s = 0.0

    def __init__(self, folder: Path, dice: random.Random, fate: Fate) -> None:
        self.is_good = False
        self.up = False
        self.to_edge: Callable[[str, bytes], None] = lambda _topic, _body: None
        self.to_gateway: Callable[[str, bytes], None] = lambda _topic, _body: None
        self._kept: deque[tuple[str, bytes]] = deque(maxlen=5)
        self._wire = (folder / "wire.jsonl").open("ab", buffering=0)
        self._dice, self._fate = dice, fate

    def from_edge(self, topic: str, body: bytes) -> bool:
        """Take a message of the edge node: it arrives once, twice, later or not at all."""
        if not self.up:
            return False
        self._fate.event()
        if "DATA" in topic:
            self._wire.write(orjson.dumps([topic, base64.b64encode(body).decode()]) + b"\n")
        chance = 1.0 if self.is_good else self._dice.random()
        if chance < 0.05:
            return True
        if chance < 0.10:
            self._kept.append((topic, body))
            return True
        self.to_gateway(topic, body)
        if chance < 0.15:
            self.to_gateway(topic, body)
        if chance < 0.25 and self._kept:
            self.to_gateway(*self._kept.popleft())
        return True

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Take a message of the gateway."""
        if self.up and "/NCMD/" in topic and (self.is_good or self._dice.random() > 0.1):
            self.to_edge(topic, payload)
            self._fate.event()
        return True

    def start(self) -> None:
        """Do nothing: it is up when the life says so."""

    def stop(self, _timeout_s: float = 0.0) -> None:
        """End."""
        self._wire.close()


class Life:
    """Edge, network, gateway and store, opened on the files that earlier lives have left."""

    def __init__(self, folder: Path, seed: int, kill_at: int) -> None:
        self._folder = folder
        self._dice = random.Random(seed)
        self._fate = Fate(kill_at)
        self._now = 0.0
        self._time_ns = 0
        self._count = 0
        self.network = BadNetwork(folder, self._dice, self._fate)
        self.store = BadStore(folder / "store.lines", self._dice, self._fate)
        self.cloud = BadCloud(folder / "cloud.lines", self._dice, self._fate)
        self._events = (folder / "events.jsonl").open("ab", buffering=0)
        self._offered = Emitted(folder / "offered.jsonl")
        self._accepted = Emitted(folder / "accepted.jsonl")
        home = folder / "home"
        self.edge_spool = Spool.open(home / "edge.spool")
        self.edge = EdgeNode(
            NODE,
            self.edge_spool,
            HOST,
            self.network.from_edge,
            window=Window(self.edge_spool, ack_timeout_s=ACK_TIMEOUT_S),
        )
        settings = Settings(home=home, gateway_port=0, store_url=AnyHttpUrl("http://127.0.0.1:1"))
        # its own parts, but for the three that touch the world
        self.gateway = Gateway(
            settings,
            Broker(url="mqtt://127.0.0.1:1"),
            make_session=lambda *_, **__: self.network,  # type: ignore[arg-type]  # it does what a gateway asks of one
            store=self.store,
            cloud=self.cloud,
        )
        self.network.to_edge = self.edge.received
        self.network.to_gateway = lambda topic, body: self.gateway._received(topic, body, False)
        self.gateway.start()
        # commits that take their time: what was said too early is not durable yet when the process dies
        self.gateway._spool._linger_s = 0.2
        self.edge.describe(ASSET)

    def live(self, steps: int) -> None:
        """Produce and send for some steps on a bad network."""
        for _ in range(steps):
            if not self.network.up:
                self._connect()
            elif self._dice.random() < 0.1:
                self._disconnect()
            self._produce()
            self._step()

    def drain(self) -> str:
        """Heal everything; return what is wrong after all had time to arrive, or an empty text."""
        self._connect()
        # what a connection loses must be sent again within it: a new one would begin with the whole backlog
        for _ in range(LAST_STEPS):
            self._produce()
            self._step()
        self.network.is_good = self.store.is_good = self.cloud.is_good = True
        deadline = time.monotonic() + DRAIN_S
        while self.edge_spool.stats.records or self.gateway._spool.stats.records:
            if time.monotonic() > deadline:
                return f"hang: {self.edge_spool.stats.records} records at the edge do not leave"
            self._step()
        return self._replay()

    def _replay(self) -> str:
        """Deliver again what was delivered long ago: nothing of it may be taken for new."""
        lines = (self._folder / "wire.jsonl").read_bytes().splitlines()
        messages = [orjson.loads(line) for line in lines if line.endswith(b"]")]
        before = self.gateway._spool.stats
        for topic, body in self._dice.sample(messages, min(REPLAYED, len(messages))):
            self.network.to_gateway(topic, base64.b64decode(body))
        # a put of ours behind them all: when it is durable, they were decided
        wait([self.gateway._spool.put("spBv1.0/x/STATE/x", b"")], COMMIT_S)
        after = self.gateway._spool.stats
        doubled = after.put - before.put - 1
        return f"doubled: {doubled} of {after.repeated - before.repeated + doubled} repeats" if doubled > 0 else ""

    def _connect(self) -> None:
        self.network.up = True
        self.edge.will()
        self.edge.connected()
        self.edge.received(state_topic(HOST), orjson.dumps({"online": True, "timestamp": time.time_ns() // 1_000_000}))

    def _disconnect(self) -> None:
        self.network.up = False
        self.edge.disconnected()

    def _produce(self) -> None:
        for _ in range(self._dice.randrange(1, 4)):
            self._count += 1
            self._time_ns = max(self._time_ns + 1, time.time_ns())
            values: dict[str, float | str] = {"speed": self._dice.random(), "count": float(self._count)}
            values["state"] = f"state {self._time_ns}"
            self._offered.write(ASSET.id, self._count, self._time_ns, values)
            samples = [Sample(ASSET.id, name, self._time_ns, value) for name, value in values.items()]
            for future in self.edge.put(ASSET.id, samples):
                future.result(COMMIT_S)
            self._accepted.write(ASSET.id, self._count, self._time_ns, values)
            self._fate.event()
        if self._dice.random() < EVENTS:
            self._happen()

    def _happen(self) -> None:
        """Let an event happen; what the spool has said to be durable stands in `events.jsonl`."""
        event = Event(id=event_id(self._time_ns), asset=ASSET.id, name="event", time_ns=self._time_ns)
        self.edge.put_event(event).result(COMMIT_S)
        self._events.write(event.model_dump_json().encode() + b"\n")
        self._fate.event()

    def _step(self) -> None:
        self._now += STEP_S
        now_ns = time.time_ns()
        for _ in range(MOST_SENDS):
            if self.edge.step(self._now, now_ns) > 0.0:
                break
        self.gateway.tick(self._now, now_ns)
        self._fate.event()
