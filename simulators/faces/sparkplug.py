"""Sparkplug B 3.0: each line of the factory is an edge node, each machine a device.

Its own small encoder, so that a mistake in the platform's codec cannot hide behind the same mistake here. It speaks
plain Sparkplug as a third party's edge node does: births, deaths, rebirth on request, aliases, commands.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.face import Face, Place, Setting, Shown
from simulators.faces._mqtt import Client
from simulators.machine import Signal, Value

_CODES: Final = {"int64": 4, "double": 10, "boolean": 11, "string": 12}
_VALUE_FIELDS: Final = {4: 11, 10: 13, 11: 14, 12: 15}
_PROPERTY_FIELDS: Final = {4: 4, 10: 6, 11: 7, 12: 8}
_MAX_VARINT: Final = 10
REBIRTH: Final = "Node Control/Rebirth"
HOST_STATE: Final = "spBv1.0/STATE/shopfloor"


def varint(number: int) -> bytes:
    """Return an unsigned number, or a negative one as 64-bit two's complement, as protobuf's varint."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field_: int, number: int) -> bytes:
    return varint(field_ << 3) + varint(number)


def _bytes(field_: int, body: bytes) -> bytes:
    return varint(field_ << 3 | 2) + varint(len(body)) + body


def _scalar(field_: int, code: int, value: Value) -> bytes:
    if code == 10:
        return varint(field_ << 3 | 1) + struct.pack("<d", value)
    if code == 12:
        return _bytes(field_, str(value).encode())
    return _number(field_, int(value))


def metric(
    name: str | None,
    code: int,
    value: Value | None,
    time_ms: int,
    *,
    alias: int | None = None,
    properties: bytes = b"",
) -> bytes:
    """Return one metric: with a name as a birth has it (alias, datatype), without as data has it (alias alone)."""
    out = b"" if name is None else _bytes(1, name.encode())
    if alias is not None:
        out += _number(2, alias)
    out += _number(3, time_ms)
    if name is not None:
        out += _number(4, code)
    out += _number(7, 1) if value is None else _scalar(_VALUE_FIELDS[code], code, value)
    return out if not properties else out + _bytes(9, properties)


def property_set(properties: Iterable[tuple[str, int, Value]]) -> bytes:
    """Return a PropertySet of (key, datatype code, value)."""
    pairs = list(properties)
    keys = b"".join(_bytes(1, key.encode()) for key, _, _ in pairs)
    values = (_number(1, code) + _scalar(_PROPERTY_FIELDS[code], code, value) for _, code, value in pairs)
    return keys + b"".join(_bytes(2, value) for value in values)


def payload(time_ms: int, metrics: Iterable[bytes], seq: int | None) -> bytes:
    """Return a payload; NDEATH has no `seq`."""
    out = _number(1, time_ms) + b"".join(_bytes(2, body) for body in metrics)
    return out if seq is None else out + _number(3, seq)


def fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a protobuf message; raise ValueError for what is none."""
    at = 0
    while at < len(body):
        tag, at = _read_varint(body, at)
        kind = tag & 7
        if kind == 0:
            number, at = _read_varint(body, at)
            yield tag >> 3, number
            continue
        if kind == 2:
            size, at = _read_varint(body, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(body):
            raise ValueError(f"a field of {size} bytes ends after the message")
        yield tag >> 3, body[at : at + size]
        at += size


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(_MAX_VARINT):
        if at >= len(body):
            raise ValueError("a number ends after the message")
        number |= (body[at] & 0x7F) << 7 * shift
        at += 1
        if body[at - 1] < 0x80:
            return number, at
    raise ValueError("a number of more than 10 bytes")


def orders(body: bytes) -> Iterator[tuple[str, int | None, Value]]:
    """Yield (name, alias, value) of each metric of a command; raise ValueError for a broken one."""
    for number, inner in fields(body):
        if number != 2 or not isinstance(inner, bytes):
            continue
        name = ""
        alias: int | None = None
        value: Value | None = None
        for field_, content in fields(inner):
            if field_ == 1 and isinstance(content, bytes):
                name = content.decode()
            elif field_ == 2 and isinstance(content, int):
                alias = content
            elif field_ in (10, 11, 14) and isinstance(content, int):
                value = bool(content) if field_ == 14 else content
            elif field_ in (12, 13) and isinstance(content, bytes):
                value = struct.unpack("<f" if field_ == 12 else "<d", content)[0]
            elif field_ == 15 and isinstance(content, bytes):
                value = content.decode()
        if value is not None:
            yield name, alias, value


@dataclass(slots=True)
class _Node:
    """One edge node: its own MQTT session."""

    group: str
    name: str
    client: Client
    shown: list[Shown] = field(default_factory=list)
    bd_seq: int = -1
    seq: int = 0
    born: bool = False
    has_host: bool = False
    inbox: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=100))
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)
    last: dict[tuple[str, str], Value | None] = field(default_factory=dict)

    def topic(self, type_: str, device: str = "") -> str:
        return f"spBv1.0/{self.group}/{type_}/{self.name}" + (f"/{device}" if device else "")

    def will(self) -> tuple[str, bytes]:
        """A new CONNECT has a new bdSeq; the will carries it, and so will the birth that follows."""
        self.bd_seq = (self.bd_seq + 1) % 256
        return self.topic("NDEATH"), payload(0, [metric("bdSeq", 4, self.bd_seq, 0)], None)

    def unborn(self) -> None:
        self.born = False

    def hear(self, topic: str, body: bytes) -> None:
        """Note down what comes, in the thread of the client."""
        if topic == HOST_STATE:
            self.has_host = b'"online":true' in body.replace(b" ", b"")
        else:
            self.inbox.append((topic, body))

    def next_seq(self) -> int:
        seq, self.seq = self.seq, (self.seq + 1) % 256
        return seq

    def be_born(self, time_ns: int) -> None:
        """Publish NBIRTH and each DBIRTH."""
        time_ms, self.seq = time_ns // 1_000_000, 0
        node = [metric("bdSeq", 4, self.bd_seq, time_ms), metric(REBIRTH, 11, False, time_ms)]
        if not self.client.publish(self.topic("NBIRTH"), payload(time_ms, node, self.next_seq())):
            return
        for shown in self.shown:
            machine, reading = shown.machine, shown.machine.read()
            shown.note(time_ms * 1_000_000, {signal.name: reading[signal.name] for signal in machine.signals})
            metrics = [metric("Properties/Kind", 12, machine.kind, time_ms)]
            metrics.append(metric("Properties/Names", 12, json.dumps(machine.names, ensure_ascii=False), time_ms))
            for signal in machine.signals:
                value = reading[signal.name]
                self.last[machine.id, signal.name] = value
                alias = self.aliases.setdefault((machine.id, signal.name), len(self.aliases) + 1)
                code = _CODES[signal.datatype]
                metrics.append(
                    metric(signal.name, code, value, time_ms, alias=alias, properties=property_set(_properties(signal)))
                )
            self.client.publish(self.topic("DBIRTH", machine.id), payload(time_ms, metrics, self.next_seq()))
        self.born = True

    def send(self, time_ns: int) -> None:
        """Publish what changed by more than its deadband."""
        for shown in self.shown:
            for stamp_ns, reading in shown.messages(time_ns):
                time_ms = stamp_ns // 1_000_000
                changed = [
                    signal for signal in shown.machine.signals if self._changed(shown, signal, reading[signal.name])
                ]
                changed = [signal for signal in changed if shown.due(signal, stamp_ns)]
                metrics = []
                for signal in changed:
                    key, value = (shown.machine.id, signal.name), reading[signal.name]
                    self.last[key] = value
                    metrics.append(metric(None, _CODES[signal.datatype], value, time_ms, alias=self.aliases[key]))
                topic = self.topic("DDATA", shown.machine.id)
                shown.note(time_ms * 1_000_000, {signal.name: reading[signal.name] for signal in changed})
                if metrics and self.client.publish(topic, payload(time_ms, metrics, self.next_seq())):
                    shown.count([signal.name for signal in changed])

    def _changed(self, shown: Shown, signal: Signal, value: Value | None) -> bool:
        last = self.last.get((shown.machine.id, signal.name))
        if isinstance(value, float) and isinstance(last, float):
            return abs(value - last) > signal.deadband
        return value != last

    def obey(self, time_ns: int) -> None:
        """Act on the commands that have come."""
        while self.inbox:
            topic, body = self.inbox.popleft()
            try:
                wishes = list(orders(body))
            except (ValueError, struct.error):
                continue  # a broken command is no command; Sparkplug has no answer for it
            device = topic.split("/")[4] if topic.count("/") > 3 else ""
            for name, alias, value in wishes:
                if name == REBIRTH and value is True:
                    self.be_born(time_ns)
                elif device:
                    self._order(device, name, alias, value)

    def _order(self, device: str, name: str, alias: int | None, value: Value) -> None:
        if not name:
            name = next((signal for (_, signal), number in self.aliases.items() if number == alias), "")
        for shown in self.shown:
            if shown.machine.id == device:
                shown.command(name, value)
                self.last.pop((device, name), None)  # the next data shows what is so


def _properties(signal: Signal) -> Iterator[tuple[str, int, Value]]:
    yield "engUnit", 12, signal.unit
    if signal.low is not None:
        yield "engLow", 10, float(signal.low)
    if signal.high is not None:
        yield "engHigh", 10, float(signal.high)
    yield "deadband", 10, signal.deadband
    yield "period_s", 10, signal.period_s
    yield "writable", 11, signal.writable
    yield "description", 12, signal.description


class Sparkplug(Face):
    """Machines as devices of Sparkplug edge nodes, one node per line.

    In simulated time they wait for the host application, and send at QoS 1, which Sparkplug does not have for data: a
    real node is not so fast.
    """

    tells_backlog = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._nodes: dict[Place, _Node] = {}

    def show(self, machine: Any, place: Place) -> Shown:
        """Put a machine on the edge node of its line."""
        shown = super().show(machine, place)
        if place not in self._nodes:
            group = f"{place.enterprise}:{place.site}:{place.area}"
            client = Client(self.setting, f"simulators-{place.area}-{place.line}")
            self._nodes[place] = _Node(group, place.line, client)
        self._nodes[place].shown.append(shown)
        return shown

    async def start(self) -> None:
        """Connect each edge node in the background."""
        for node in self._nodes.values():
            client = node.client
            client.before_connect, client.connected = node.will, node.unborn
            client.subscriptions = [node.topic("NCMD"), node.topic("DCMD", "+")]
            if self.setting.from_ns is not None:
                client.subscriptions.append(HOST_STATE)
            client.message = node.hear
            client.start()

    async def emit(self, time_ns: int) -> None:
        """Publish births where one is due, then what changed."""
        for node in self._nodes.values():
            if not node.client.is_connected:
                continue
            if not node.born:
                node.be_born(time_ns)
            node.obey(time_ns)
            node.send(time_ns)

    def missing(self) -> str:
        """Say which broker or host is missing."""
        for node in self._nodes.values():
            if said := node.client.missing() or ("" if node.has_host else f"no host is online on {HOST_STATE}"):
                return said
        return ""

    def backlog(self) -> float:
        """Return how much the broker has not taken yet, 1 without a host."""
        return max(node.client.backlog() if node.has_host else 1.0 for node in self._nodes.values())

    async def stop(self) -> None:
        """Say goodbye (a clean disconnect suppresses the will) and disconnect."""
        for node in self._nodes.values():
            if node.born:
                topic, body = node.topic("NDEATH"), payload(0, [metric("bdSeq", 4, node.bd_seq, 0)], None)
                node.client.publish(topic, body, qos=1)
                node.born = False
            node.client.stop()

    def entry(self, shown: Shown) -> None:
        """Return None: the machine speaks Sparkplug itself, no edge is between."""


FACE = Sparkplug
