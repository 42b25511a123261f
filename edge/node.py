"""A Sparkplug edge node: births, deaths, data and acknowledgements of one line, with the spool behind it.

Machines put samples from any thread; everything is sent by one thread that calls `step`. What the MQTT session reports
(`connected`, `disconnected`, `received`) is only noted and taken up by the next step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from contract.ack import SPOOL_ACK, AckError, format_given, format_uuid, parse_ack
from contract.birth import REBIRTH, device_birth, node_birth, node_death, signal_metrics
from contract.command import COMMAND
from contract.model import Asset, Sample
from contract.mqtt import MAX_MESSAGE_BYTES
from contract.sparkplug import (
    Metric,
    Payload,
    SparkplugError,
    decode,
    encode,
    stamp,
    to_historical,
)
from contract.topics import MessageType, Node, parse_sparkplug
from edge.aside import SetAside
from edge.birth import fitting_birth, is_long
from edge.budget import BlockBudget
from edge.confirmation import Confirmation
from edge.given import Given
from edge.host import PrimaryHost
from edge.inlet import Device, Inlet
from edge.suspects import Suspects
from edge.window import Window
from spool import Record, Spool, SpoolError

_MOST_REPORTS: Final = 10_000
_IDLE_S: Final = 1.0
_BUSY_S: Final = 0.05
_PATIENCE_S: Final = 2.0
_LONGEST_PATIENCE_S: Final = 60.0
_MOST_BARREN: Final = 3
_STAMP_BYTES: Final = 100  # for seq and uuid
_BD_SEQ_NOTE: Final = "bd_seq"
_NOBODY: Final = Asset("", "", "", "", "", "")  # stands for a node that says nothing of itself
_REBIRTH: Final = REBIRTH.encode()

_log = structlog.get_logger(__name__)

Publish = Callable[[str, bytes], bool]


@dataclass(slots=True)
class Sent:
    """What was sent since the start."""

    births: int = 0
    live: int = 0
    historical: int = 0
    refused: int = 0  # the session took no more; tried again later
    ignored: int = 0  # messages to us that were not understood
    aside: int = 0  # messages that no broker would take


class EdgeNode(Inlet):
    """The edge node of one line: what it takes from machines (see edge.inlet), it sends."""

    def __init__(
        self,
        node: Node,
        spool: Spool,
        host: str,
        publish: Publish,
        *,
        window: Window | None = None,
        blocks: BlockBudget | None = None,
    ) -> None:
        super().__init__(node, spool, blocks=blocks)
        self.sent = Sent()
        self.window = window or Window(spool)
        self.host = PrimaryHost(host)
        self._publish = publish
        self._aside = SetAside(spool)
        self.suspects = Suspects()
        self._barren = 0  # connections in a row that were cut before anything was acknowledged
        self._is_terse = False  # births leave out long texts: the broker may end the connection for one of them
        self._reports: deque[tuple[str, str, bytes]] = deque(maxlen=_MOST_REPORTS)
        self._given = Given(spool)
        self.confirmation = Confirmation(spool, host)
        self._bd_seq = int(spool.note(_BD_SEQ_NOTE) or b"-1")
        self._seq = 0
        self._connected = False
        self._born = False
        self._rebirth = False
        self._hurry = False
        self._connected_s = 0.0
        self._patience_s = _PATIENCE_S
        self.leave: Callable[[], None] = lambda: None  # asks for a new MQTT session
        self.commanded: Callable[[str], None] = lambda _text: None  # the value of `Spool/Command`
        self.renewed: Callable[[int, str], None] = lambda _now_ns, _detail: None  # the spool has a new epoch

    # from the MQTT session

    def will(self) -> tuple[str, bytes]:
        """Return topic and payload of the NDEATH for the connection that is about to be made: a new bdSeq."""
        with self._lock:
            self._bd_seq = (self._bd_seq + 1) % 256
            try:
                self._spool.set_notes({_BD_SEQ_NOTE: str(self._bd_seq).encode()})
            except SpoolError as error:  # a full disk must not keep us from telling what we have
                _log.warning("the number of the session could not be kept", reason=str(error))
            return self._death(self._bd_seq, 0)

    def _death(self, bd_seq: int, now_ns: int) -> tuple[str, bytes]:
        return self.node.topic("NDEATH"), encode(node_death(bd_seq, now_ns))

    def connected(self) -> None:
        """Note that the session is up and subscribed."""
        self._note("connected")

    def disconnected(self) -> None:
        """Note that the session is down."""
        self._note("disconnected")

    def received(self, topic: str, payload: bytes) -> None:
        """Note a message to this node, or about its host; a wish for a rebirth interrupts what is being sent."""
        self._note("message", topic, payload)
        self._hurry = self._hurry or _REBIRTH in payload

    def _note(self, report: str, topic: str = "", payload: bytes = b"") -> None:
        self._reports.append((report, topic, payload))
        self.wake()

    # the sending thread

    def step(self, now_s: float, now_ns: int) -> float:
        """Do all that is to be done now; return after how many seconds there may be more."""
        acknowledged = self._take_reports(now_s, now_ns)
        if acknowledged:
            self._barren = 0
            self.suspects.acknowledged(acknowledged)
            self.window.acknowledged(acknowledged, now_s)
            self._remove(acknowledged)
        if not self._connected or not self.host.online:
            self.confirmation.nothing_sent()
            self._look_for_host(now_s)
            return _IDLE_S
        self._patience_s = _PATIENCE_S
        self._settle(now_s)
        self.window.expire(now_s)
        turn = self.suspects.turn(now_s) if self._born else None
        if turn is not None:
            self._try_alone(turn)
            return _BUSY_S
        if (self._rebirth or not self._born) and not self._births(now_ns):
            return _BUSY_S
        if not self._changes(now_ns) or not self._live(now_s, now_ns) or not self._deaths(now_ns):
            return _BUSY_S
        self._drop_gone()
        return self._backlog(now_s)

    def _settle(self, now_s: float) -> None:
        """Let go of what a host that does not acknowledge has got."""
        if not self.window.in_flight:
            self.confirmation.nothing_sent()
        elif self.confirmation.is_silent(now_s) and (delivered := self.window.settle(now_s)):
            self.suspects.acknowledged(delivered)
            self._remove(delivered)

    def _remove(self, intervals: list[tuple[int, int]]) -> None:
        self._spool.remove(intervals)
        self._blocks.gone(intervals)

    def _look_for_host(self, now_s: float) -> None:
        """Ask for a new session when this one never brought a STATE.

        A broker that stores retained messages late (NATS) loses the one that is published while we subscribe.
        """
        if not self._connected or self.host.heard:
            self._connected_s = now_s
        elif now_s - self._connected_s > self._patience_s:
            self._patience_s = min(2 * self._patience_s, _LONGEST_PATIENCE_S)
            self._connected = False
            self.leave()

    def stop(self, now_ns: int) -> None:
        """Say goodbye: a clean end suppresses the will, so the NDEATH is published."""
        with self._lock:
            if self._born and self._connected:
                self._publish(*self._death(self._bd_seq, now_ns))
            self._born = False

    def _take_reports(self, now_s: float, now_ns: int) -> list[tuple[int, int]]:
        acknowledged: list[tuple[int, int]] = []
        epoch = self._spool.epoch
        self._hurry = False
        while self._reports:
            report, topic, payload = self._reports.popleft()
            if report == "message":
                acknowledged += self._message(topic, payload, now_ns)
            else:
                was_cut = self._connected and report == "disconnected"
                self._connected = report == "connected"
                self._born = False
                if report == "disconnected":
                    self.host.forget()
                if was_cut:
                    self._look_at_cut(now_s)
        return acknowledged if epoch == self._spool.epoch else []

    def _message(self, topic: str, payload: bytes, now_ns: int) -> list[tuple[int, int]]:
        if topic == self.host.topic:
            was, connections = self.host.online, self.host.connections
            if not self.host.update(payload):
                self.sent.ignored += 1
            if was and not self.host.online:
                self._host_lost(now_ns)
            elif self.host.connections > connections:
                self._born = False  # what went out before it listened, it has not heard
            return []
        try:
            if parse_sparkplug(topic) != (self.node, "NCMD", None):
                return []
            commands = decode(payload)
            return [pair for metric in commands.metrics for pair in self._command(metric, now_ns)]
        except (SparkplugError, AckError) as error:
            self.sent.ignored += 1
            _log.warning("a message to this edge node was not understood", topic=topic, reason=str(error))
            return []

    def _command(self, metric: Metric, now_ns: int) -> list[tuple[int, int]]:
        if metric.name == REBIRTH and metric.value:
            self._rebirth = True
        elif metric.name == COMMAND and isinstance(metric.value, str):
            self.commanded(metric.value)
        elif metric.name == SPOOL_ACK and isinstance(metric.value, str):
            ack = parse_ack(metric.value)
            self.confirmation.came()
            if ack.epoch == self._spool.epoch:
                highest = ack.intervals[-1][1] if ack.intervals else 0
                if not ack.renew and highest <= self._given.n:
                    return ack.intervals
                self._renew(highest, now_ns)
        return []

    def _renew(self, highest: int, now_ns: int) -> None:
        """Begin a new epoch: the gateway has received numbers that this spool never sent.

        It is a copy from before, or another sends in our name. What it reads now would count as repeated.
        """
        before, given = self._spool.epoch, self._given.n
        self._given.renew()
        self._born = False
        received = f"up to {highest}" if highest else "above that"
        detail = (
            f"the spool had sent numbers up to {given} of epoch {before}, the gateway has received some {received}: it "
            f"was put back to an earlier copy, or another sends in this name; it goes on as epoch {self._spool.epoch}. "
            "What the copy that was replaced had read and not sent is lost with it"
        )
        _log.error("the spool begins a new epoch", reason=detail)
        self.renewed(now_ns, detail)

    def _host_lost(self, now_ns: int) -> None:
        """The host has gone: say goodbye, and make a new session that waits for its return (Sparkplug 3.0, ch. 5)."""
        _log.warning("the gateway is offline; everything stays in the spool until it is back")
        self.stop(now_ns)
        self._connected = False
        self.leave()

    def _look_at_cut(self, now_s: float) -> None:
        """Set a message aside for which the broker ends the connection again and again, and tell less in births."""
        self._barren += 1
        if self._barren >= _MOST_BARREN and not self._is_terse:
            self._is_terse = True
            _log.warning("births leave out long texts: each connection is cut behind them", node=self.node.edge_node)
        guilty = self.suspects.cut(now_s)
        record = None if guilty is None else next(iter(self._spool.read(guilty - 1, 1)), None)
        if record is not None and record.n == guilty:
            self._set_aside(record, "for which the broker ended the connection again and again", len(record.body) // 2)

    def _try_alone(self, n: int) -> None:
        record = next(iter(self._spool.read(n - 1, 1)), None) if n else None
        if record is not None and record.n == n:
            self._given.send(n)
            self._send(record.topic, self._historical(record), format_uuid(self._spool.epoch, n))

    def _births(self, now_ns: int) -> bool:
        """Publish NBIRTH and all DBIRTHs; return whether all of it went out."""
        begin = not self._born
        with self._lock:
            metrics = node_birth(self._bd_seq, now_ns, format_given(self._spool.epoch, self._given.n))
            own = self._devices.get("") or Device(_NOBODY, {}, {}, frozenset())
            metrics += signal_metrics(own.asset.signals, own.alias_of, self._last(own), now_ns)
            self._seq, self._born, self._rebirth = 0, False, False
            if not self._send_birth("NBIRTH", None, own, metrics, now_ns):
                return False
            for device in self._devices.values():
                device.born, device.changed = False, True
            own.born, own.changed = True, False
            self._born = True
        if begin:
            self.window.begin(self._spool.stats.last_n)
        return True

    def _changes(self, now_ns: int) -> bool:
        """Publish the DBIRTH of each device that is new or changed (of one that is offline with its DDEATH behind)."""
        with self._lock:
            own = self._devices.get("")
            if own is not None and own.changed and not self._births(now_ns):
                return False
            for name, device in self._devices.items():
                if device.unborn or (not device.changed and (device.born or not device.online)):
                    continue
                last = self._last(device) if device.online else {}
                metrics = device_birth(device.asset, device.alias_of, last, now_ns, online=device.online)
                if not self._send_birth("DBIRTH", name, device, metrics, now_ns):
                    return False
                device.born, device.changed = not device.unborn, False
        return True

    def _last(self, device: Device) -> Mapping[str, Sample]:
        if not self._is_terse:
            return device.last
        return {name: sample for name, sample in device.last.items() if not is_long(sample.value)}

    def _send_birth(
        self, kind: MessageType, name: str | None, device: Device, metrics: list[Metric], now_ns: int
    ) -> bool:
        """Publish a birth; True also for one that no message can hold, then the device stays unborn."""
        found = fitting_birth(metrics, now_ns // 1_000_000, device.less)
        if found is None:
            reason = f"its birth with {len(metrics)} metrics has more than {MAX_MESSAGE_BYTES} bytes"
            _log.error("an asset cannot be announced", asset=device.asset.id, reason=reason)
            device.unborn = True
            return True
        body, less = found
        if less > device.less:
            device.less = less
            _log.warning("a birth tells less, to fit into a message", asset=device.asset.id, metrics=len(metrics))
        sent = self._send(self.node.topic(kind, name), body, None)
        self.sent.births += sent
        return sent

    def _deaths(self, now_ns: int) -> bool:
        with self._lock:
            for name, device in self._devices.items():
                if device.born and not device.online:
                    body = encode(Payload(time_ms=now_ns // 1_000_000))
                    if not self._send(self.node.topic("DDEATH", name), body, None):
                        return False
                    device.born = False
        return True

    def _drop_gone(self) -> None:
        """Announce no more what is no more, once the host has all of its data and has heard of its end."""
        with self._lock:
            gone = {name: n for name, each in self._devices.items() if (n := each.gone_n) is not None and not each.born}
            waiting = self._spool.read(0, 1) if gone else []
            for name, last_n in gone.items():
                if not waiting or waiting[0].n > last_n:
                    del self._devices[name]

    def _send(self, topic: str, body: bytes, uuid: str | None) -> bool:
        if not self._publish(topic, stamp(body, seq=self._seq, uuid=uuid)):
            self.sent.refused += 1
            return False
        self._seq = (self._seq + 1) % 256
        return True

    def _live(self, now_s: float, now_ns: int) -> bool:
        """Send what is new; return whether all of it went out."""
        while records := self.window.live(now_s, now_ns):
            if not self._send_records(records, historical=False):
                return False
            if self._reports:
                break
        return True

    def _backlog(self, now_s: float) -> float:
        records = self.window.backlog(now_s)
        if not records:
            return _IDLE_S
        return 0.0 if self._send_records(records, historical=True) else _BUSY_S

    def _send_records(self, records: Sequence[Record], *, historical: bool) -> bool:
        epoch = self._spool.epoch
        for index, record in enumerate(records):
            if self._hurry:
                self.window.unsent(records[index:], live=not historical)
                return False
            body, past = record.body, historical or not self._is_born(record.topic)
            if past:
                body = self._historical(record)
            if len(body) > MAX_MESSAGE_BYTES - _STAMP_BYTES:
                self._set_aside(record, f"more than the {MAX_MESSAGE_BYTES} of a message")
                continue
            if self.suspects.holds(record.n):
                continue
            self._given.send(record.n)
            if not self._send(record.topic, body, format_uuid(epoch, record.n)):
                self.window.unsent(records[index:], live=not historical)
                return False
            self.suspects.sent(record.n, len(body))
            if past:
                self.sent.historical += 1
            else:
                self.sent.live += 1
        return True

    def _set_aside(self, record: Record, why: str, most_bytes: int = MAX_MESSAGE_BYTES) -> None:
        with self._lock:
            named = to_historical(record.body, self._aliases.name_of, self._aliases.code_of)
        self._aside.put(record, named, why, most_bytes)
        self.window.gone(record.n)
        self._blocks.gone([(record.n, record.n)])
        self.sent.aside += 1

    def _is_born(self, topic: str) -> bool:
        device = self._devices.get(parse_sparkplug(topic).device or "")
        return device is not None and device.born

    def _historical(self, record: Record) -> bytes:
        """Return a record as history: by alias what the present birth has, by name what it has not."""
        with self._lock:
            device = self._devices.get(parse_sparkplug(record.topic).device or "")
            is_told = device is not None and device.born and not device.changed
            born = device.aliases if device is not None and is_told else frozenset()
            return to_historical(record.body, self._aliases.name_of, self._aliases.code_of, born)
