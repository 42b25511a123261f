"""The durable path: Mosquitto, gateway, store, with messages of 50 metrics; beside it a bare loop that does the same.

The bare loop receives with the same MQTT client, commits groups to SQLite, decodes, writes wide lines and posts them,
by hand and in one thread: no identity of messages, no ledger, no mirror, no quarantine. Both are measured by their own
CPU time, which another process on the machine changes less than it does the clock.
"""

from __future__ import annotations

import http.client
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import rig
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from stages import SIGNALS, WIDE, samples

from contract.ack import SPOOL_ACK, format_uuid, parse_ack
from contract.birth import device_birth, node_birth
from contract.model import Asset, Signal
from contract.mqtt import Session, Subscription
from contract.read_ahead import ReadAheadClient
from contract.sparkplug import Code, Decoder, Metric, Payload, decode, encode, encode_samples, stamp
from contract.topics import Node, state_topic

NODE = Node("bench:site:area", "line")
ASSET = Asset("bench", "site", "area", "line", "cnc-01", "cnc", {}, tuple(Signal(name) for name in SIGNALS))
ALIASES = {name: index + 1 for index, name in enumerate(SIGNALS)}
EPOCH = "bench"
STATE = state_topic("shopfloor")
WINDOW = 2000
"""Messages under way that nobody has acknowledged; as at the edge."""
GROUP, LINGER_S = 500, 0.02
"""As the spool's own."""
DRAIN_S = 300.0


class Cost(NamedTuple):
    """What a number of points has cost."""

    name: str
    points: int
    cpu_s: float
    wall_s: float

    @property
    def rate(self) -> float:
        """Points per second of its own CPU."""
        return self.points / self.cpu_s


class Sender:
    """An edge node that sends messages 1, 2, … as fast as they are acknowledged."""

    def __init__(self, bench: rig.Rig) -> None:
        self.is_heard = False
        self._acknowledged = 0
        self._changed = threading.Condition()
        self._session = Session(
            bench.broker,
            "bench",
            subscriptions=[Subscription(NODE.topic("NCMD"), 1), Subscription(STATE, 1)],
            on_message=self._received,
            max_in_flight=2 * WINDOW,
        )
        self._session.start()

    def born(self) -> None:
        """Send the births."""
        births = [("NBIRTH", None, node_birth(0, time.time_ns()))]
        births += [("DBIRTH", ASSET.id, device_birth(ASSET, ALIASES, {}, time.time_ns()))]
        for seq, (kind, device, metrics) in enumerate(births):
            body = encode(Payload(metrics, time_ms=time.time_ns() // 1_000_000, seq=seq))
            rig.until(lambda: self._session.publish(NODE.topic(kind, device), body))  # type: ignore[arg-type] # noqa: B023

    def send(self, first: int, bodies: list[bytes]) -> None:
        """Send messages from number `first` on; return when all are acknowledged."""
        topic = NODE.topic("DDATA", ASSET.id)
        for n, body in enumerate(bodies, first):
            with self._changed:
                while n - self._acknowledged > WINDOW:
                    if not self._changed.wait(DRAIN_S):
                        sys.exit("bench: nothing is acknowledged")
            stamped = stamp(body, seq=(n + 1) % 256, uuid=format_uuid(EPOCH, n))
            while not self._session.publish(topic, stamped):
                time.sleep(0.001)
        last = first + len(bodies) - 1
        rig.until(lambda: self._acknowledged >= last, DRAIN_S)

    def stop(self) -> None:
        """End the session."""
        self._session.stop()

    def _received(self, topic: str, payload: bytes, _retained: bool) -> None:
        if topic == STATE:
            self.is_heard = b"true" in payload
            return
        for metric in decode(payload).metrics:
            if metric.name == SPOOL_ACK:
                with self._changed:
                    self._acknowledged = max(last for _, last in parse_ack(str(metric.value)).intervals)
                    self._changed.notify_all()


def measure(messages: int) -> Iterator[Cost]:
    """Yield the cost of the gateway and of the bare loop for as many messages."""
    codes = dict.fromkeys(SIGNALS, int(Code.DOUBLE))
    bodies = [encode_samples(samples(n), ALIASES, codes) for n in range(messages + WINDOW)]
    for name in ("gateway", "bare loop"):
        with rig.running() as bench:
            bench.start_broker()
            bench.start_store()
            yield _measure(bench, name, bodies)


def _measure(bench: rig.Rig, name: str, bodies: list[bytes]) -> Cost:
    if name == "gateway":
        process = bench.start_gateway()
    else:
        arguments = [bench.broker.url.rpartition(":")[2], str(bench.store_port), str(bench.folder / "bare.db")]
        process = bench.start([sys.executable, __file__, *arguments])
    sender = Sender(bench)
    rig.until(lambda: sender.is_heard or _has_ended(bench, process))
    sender.born()
    # the first ones warm it up
    sender.send(1, bodies[:WINDOW])
    rig.until(lambda: bench.stored()["times"] == WINDOW, DRAIN_S)
    cpu, wall = rig.cpu_s(process), time.monotonic()
    sender.send(WINDOW + 1, bodies[WINDOW:])
    rig.until(lambda: bench.stored()["times"] == len(bodies), DRAIN_S)
    cost = Cost(name, WIDE * (len(bodies) - WINDOW), rig.cpu_s(process) - cpu, time.monotonic() - wall)
    sender.stop()
    return cost


def _has_ended(bench: rig.Rig, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        sys.exit(f"bench: {(bench.folder / 'log').read_text()[-2000:]}")
    return False


def bare_loop(broker: int, store: int, path: Path) -> None:
    """Receive, commit, decode, write and post for ever."""
    file = sqlite3.connect(path, isolation_level=None)
    file.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE records(n INTEGER PRIMARY KEY, topic TEXT, body BLOB, crc INTEGER);"
    )
    decoder = Decoder([Metric(name, alias, Code.DOUBLE) for name, alias in ALIASES.items()])
    store_line = http.client.HTTPConnection("127.0.0.1", store)
    group: list[tuple[str, bytes]] = []
    client = ReadAheadClient(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: _keep(group, message)
    client.connect("127.0.0.1", broker)
    client.subscribe(NODE.topic("DDATA", ASSET.id))
    client.on_subscribe = lambda *_: client.publish(STATE, b'{"online": true}', 1, retain=True)
    last = 0
    while True:
        due = time.monotonic() + LINGER_S
        while len(group) < GROUP and time.monotonic() < due:
            client.loop(LINGER_S)
        if group:
            last = _handle(file, last, group, decoder, store_line)
            ack = Metric(SPOOL_ACK, None, Code.STRING, f"{EPOCH}:1-{last}")
            client.publish(NODE.topic("NCMD"), encode(Payload([ack])))
            group.clear()


def _keep(group: list[tuple[str, bytes]], message: MQTTMessage) -> None:
    group.append((message.topic, bytes(message.payload)))


def _handle(
    file: sqlite3.Connection,
    last: int,
    group: list[tuple[str, bytes]],
    decoder: Decoder,
    store: http.client.HTTPConnection,
) -> int:
    file.execute("BEGIN")
    rows = [(n, topic, body, zlib.crc32(body)) for n, (topic, body) in enumerate(group, last + 1)]
    file.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
    file.execute("COMMIT")
    lines = []
    for _, body in group:
        batch = decoder.read(body)
        fields = ",".join([f"{name}={value!r}" for name, value in zip(batch.names, batch.values, strict=True)])
        lines.append(f"cnc,area=area,asset=cnc-01,line=line,site=site {fields} {batch.times_ns[0]}")
    store.request("POST", "/api/v2/write", zlib.compress("\n".join(lines).encode(), 1, 31))
    answer: Any = store.getresponse()
    answer.read()
    if answer.status != 204:
        raise RuntimeError(f"the store answered {answer.status}")
    file.execute("DELETE FROM records WHERE n <= ?", (last + len(group),))
    return last + len(group)


if __name__ == "__main__":
    bare_loop(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
