"""What arrives from the broker: checked, spooled as it came, shown in the mirror, acknowledged once durable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import structlog

from contract.ack import SPOOL_ACK, AckError, parse_given, parse_uuid
from contract.birth import ONLINE
from contract.identity import Ids
from contract.sparkplug import Batch, Decoder, SparkplugError, decode
from contract.sparkplug_times import FIRST_MS
from contract.topics import Node, SparkplugTopic, TopicError
from gateway.acks import Acks
from gateway.birth import NO_DEFINITIONS, Birth, bdseq_of
from gateway.events import EventMirror
from gateway.host import Host
from gateway.ledger import Aside, Ledger
from gateway.ledger.balance import NOBODY
from gateway.mirror import EDGE_DIED, Mirror
from gateway.reader import Decoded, parse
from gateway.seen import Seen
from spool import Origin, Spool, SpoolError, SpoolFull, size_of

MOST_NODES: Final = 10_000
MOST_BIRTHS: Final = 50_000
CALM: Final = 100  # messages in a row that the spool took, after which a refusal is news again
PUT_S: Final = 1.0  # longer than any healthy commit, shorter than the broker's patience
# what is earlier had no time, or one that cannot be read without that of its arrival: the spool's record has that
EARLIEST_NS: Final = FIRST_MS * 1_000_000
ASK_AGAIN_S: Final = 600.0  # how long an answer to "what is this metric?" counts, that did not say it
MOST_ASKED: Final = 10_000

Done = Callable[[int | None, SpoolError | None], None]
Hold = Callable[[int, int], None]
"""Called with number and size of each durable record that is for the cloud."""

log = structlog.get_logger()

_BLANK: Final = Decoder()


class Receiver:
    """Takes each message in the order of arrival, in one thread. `now` is monotonic seconds, `now_ns` UTC."""

    def __init__(
        self,
        host: Host,
        spool: Spool,
        *,
        acks: Acks,
        ledger: Ledger,
        mirror: Mirror,
        decoded: Decoded,
        ids: Ids | None = None,
        hold: Hold | None = None,
        events: EventMirror | None = None,
    ) -> None:
        self._host = host
        self._spool = spool
        self._acks = acks
        self._ledger = ledger
        self._mirror = mirror
        self._decoded = decoded
        self._ids = Ids() if ids is None else ids
        self._hold = hold
        self._events = EventMirror() if events is None else events
        self._announced: dict[Node, set[str]] = {}  # devices of the present session, dead ones too
        self._births: dict[tuple[Node, str | None], Birth] = {}
        self._asked: dict[tuple[Node, str | None, str], float] = {}
        self._seen = Seen()
        self._contradictions: set[Node] = set()
        self._over: dict[Node, str] = {}  # epochs of which nothing more is taken
        self._commits_to_calm = 0

    def remember(self, births: dict[str, Birth]) -> None:
        """Take over the births that earlier runs noted, by topic; whether their nodes live is not known."""
        devices: dict[Node, list[str]] = {}
        for birth in births.values():
            self._births[birth.node, birth.device] = birth
            self._mirror.born(birth, online=False)
            if birth.device is not None:
                devices.setdefault(birth.node, []).append(birth.device)
        for (node, device), birth in self._births.items():
            if device is None:
                if epoch := self._spool.note(_over_note(node)):
                    self._over[node] = epoch.decode()
                self._host.remember(node, acknowledges=birth.acknowledges, devices=devices.get(node, ()))

    def receive(self, topic: str, body: bytes, now: float, now_ns: int) -> None:
        """Take one message; what cannot be read is set aside and counted, and never raises."""
        node = NOBODY
        try:
            parsed = parse(topic)
        except TopicError as error:
            self._set_aside(node, topic, str(error), body, now_ns)
            return
        try:
            if parsed.node in self._host.sessions:
                node = parsed.node
                self._ledger.account.last_seen(node, now_ns)
            elif len(self._host.sessions) >= MOST_NODES or len(self._births) >= MOST_BIRTHS:
                self._ledger.count(NOBODY, "too_many")
                return
            match parsed.type:
                case "NDATA" | "DDATA":
                    self._data(topic, parsed, body, now, now_ns)
                case "NBIRTH":
                    self._node_birth(topic, parsed, body, now, now_ns)
                case "DBIRTH":
                    self._device_birth(topic, parsed, body, now, now_ns)
                case "NDEATH" | "DDEATH":
                    self._death(parsed, body, now, now_ns)
                case _:
                    return  # a command, ours or another host's
        except SparkplugError as error:
            self._set_aside(node, topic, str(error), body, now_ns)
            if node != NOBODY:
                self._unreadable(parsed, now, now_ns)
        except SpoolError as error:
            # not kept, so not acknowledged: the node keeps it, or its sequence shows the gap
            self._refused(parsed.node, error, now_ns)
            if parsed.type in ("NBIRTH", "DBIRTH"):
                self._host.forget(parsed.node, now)

    def _set_aside(self, node: Node, topic: str, reason: str, body: bytes, now_ns: int) -> None:
        self._ledger.count(node, "unreadable")
        self._ledger.set_aside(Aside(now_ns, node, topic, reason, body))

    def _unreadable(self, parsed: SparkplugTopic, now: float, now_ns: int) -> None:
        """Take what was set aside as arrived: it is not also missing, and no rebirth would bring it in another form."""
        was_born = parsed.device in self._host.sessions[parsed.node].born
        self._host.unreadable(parsed.node, parsed.type, parsed.device, now)
        if parsed.type in ("NDATA", "DDATA"):
            self._ledger.count(parsed.node, "unreadable_data")
        elif parsed.type == "DDEATH" and was_born:
            self._mirror.died(parsed.node, parsed.device, time_ms=now_ns // 1_000_000)

    def _node_birth(self, topic: str, parsed: SparkplugTopic, body: bytes, now: float, now_ns: int) -> None:
        self._announced[parsed.node] = set()
        birth = Birth(parsed.node, None, body, self._ids, self._is_live, received_ns=now_ns)
        self._look_at_given(parsed.node, birth, now_ns)
        self._hand(topic, body, None, partial(self._birth_done, parsed.node, now, now_ns))
        self._births[parsed.node, None] = birth
        self._host.node_birth(
            parsed.node, seq=birth.payload.seq, bdseq=birth.bdseq, acknowledges=birth.acknowledges, now=now
        )
        self._mirror.born(birth)

    def _look_at_given(self, node: Node, birth: Birth, now_ns: int) -> None:
        """Take nothing more of an epoch of which more was received than its node says it has ever sent.

        Its spool was put back to an earlier copy: what it sends next has numbers that other messages had. Raises
        SpoolError when that cannot be kept in mind.
        """
        given = parse_given(birth.metrics.get(SPOOL_ACK))
        if given is None:
            return
        epoch, last = given
        self._ledger.account.born(node, epoch, last)
        if self._over.get(node) == epoch:  # also when it has sent more by now: none of it was acknowledged
            self._acks.renew(node, epoch)
            return
        received = self._spool.received("/".join(node), epoch)
        if not received or received[-1][1] <= last:
            self._acks.greet(node, epoch)
            return
        self._over[node] = epoch
        self._acks.renew(node, epoch)
        if self._spool.note(_over_note(node)) == epoch.encode():
            return
        self._spool.set_notes({_over_note(node): epoch.encode()})
        highest = received[-1][1]
        detail = (
            f"the edge has sent numbers up to {last} of epoch {epoch}, up to {highest} were received: its spool was "
            "put back to an earlier copy, or another has sent in its name; it is asked to begin another epoch"
        )
        log.error("a spool was put back", node="/".join(node), reason=detail)
        self._ledger.account.tell(
            node, "edge_spool", now_ns, now_ns, outcome="noted", first=last + 1, last=highest, detail=detail
        )

    def _device_birth(self, topic: str, parsed: SparkplugTopic, body: bytes, now: float, now_ns: int) -> None:
        node_birth = self._births.get((parsed.node, None))
        definitions = NO_DEFINITIONS if node_birth is None else node_birth.definitions
        birth = Birth(
            parsed.node,
            parsed.device,
            body,
            self._ids,
            self._is_live,
            definitions=definitions,
            received_ns=now_ns,
        )
        if not self._host.device_birth(parsed.node, str(parsed.device), seq=birth.payload.seq, now=now):
            return
        self._announced.setdefault(parsed.node, set()).add(str(parsed.device))
        self._hand(topic, body, None, partial(self._birth_done, parsed.node, now, now_ns))
        self._births[parsed.node, parsed.device] = birth
        self._mirror.born(birth, online=birth.metrics.get(ONLINE) is not False)

    def _data(self, topic: str, parsed: SparkplugTopic, body: bytes, now: float, now_ns: int) -> None:
        node, device = parsed.node, parsed.device
        birth = self._births.get((node, device))
        batch = _BLANK.read(body) if birth is None else birth.read(body, 0)
        # a backlog with names: what it needs of a birth is the kind of its asset
        named = batch.named and not batch.unknown and birth is not None
        if not self._host.data(node, device, seq=batch.seq, named=named, now=now) or birth is None:
            return
        origin = self._origin(node, batch)
        if origin is not None and self._over.get(node) == origin.epoch:
            self._ledger.count(node, "renewal_awaited")  # it comes again, under another epoch
            self._acks.renew(node, origin.epoch)
            return
        if batch.unknown and (origin is not None or self._is_to_be_asked(node, device, batch, now)):
            self._host.misunderstood(node, now)
        if batch.unknown and origin is not None:
            return  # not acknowledged, so it comes again, with names
        timed = min(batch.times_ns, default=EARLIEST_NS) >= EARLIEST_NS
        if origin is None:
            self._ledger.account.heard(node, now_ns)
        elif not self._ledger.account.knows(node, origin.epoch):
            before = self._spool.received(origin.node, origin.epoch)
            self._ledger.account.begin(node, origin.epoch, sum(last - first + 1 for first, last in before), now_ns)
        done: Done = partial(self._data_done, node, origin, now_ns, decoded=(birth, batch) if timed else None)
        if batch.beside:
            done = partial(self._held_done, done, size_of(topic, body), birth=birth, body=body)
        if origin is not None and timed and self._seen.contradicts(origin, batch):
            self._contradicted(node, origin, now_ns)
            self._hand(topic, body, None, done)  # kept whatever its number
        else:
            self._hand(topic, body, origin, done)
        if batch.names:
            self._mirror.update(birth, batch if timed else birth.read(body, now_ns), now_ns)

    def _contradicted(self, node: Node, origin: Origin, now_ns: int) -> None:
        """Tell that two messages have one number: which of them is true nobody can know, so both are stored."""
        self._ledger.count(node, "contradicted")
        detail = (
            f"messages of epoch {origin.epoch} came under numbers that others had already: somebody else sends in the "
            "name of this node; all are stored. Give each node an identity and permissions of its own at the broker"
        )
        if node not in self._contradictions:
            self._contradictions.add(node)
            log.error("two messages have one number", node="/".join(node), n=origin.n, reason=detail)
        self._ledger.account.lose(node, "identity", 1, now_ns, detail, outcome="noted")

    def _hand(self, topic: str, body: bytes, origin: Origin | None, done: Done) -> None:
        """Give a message to the spool, with the ids that are new: they are durable before a line has them."""
        if notes := self._ids.notes():
            done = partial(self._ids_done, notes, done)
        self._spool.hand(topic, body, origin, done, notes=notes, timeout_s=PUT_S)

    def _ids_done(self, notes: Mapping[str, bytes], done: Done, number: int | None, error: SpoolError | None) -> None:
        if error is None:
            self._ids.noted(notes)
        done(number, error)

    def _is_live(self, path: str) -> bool:
        """Whether an asset is announced in a session that lives now, be it dead in it or not."""
        group, edge_node, *device = path.split("/")
        node = Node(group, edge_node)
        session = self._host.sessions.get(node)
        if session is None or not session.online:
            return False
        return not device or device[0] in self._announced.get(node, ())

    def _is_to_be_asked(self, node: Node, device: str | None, batch: Batch, now: float) -> bool:
        """Whether a birth may explain a metric: not if it was asked for that metric already and did not."""
        unknown = {(node, device, note.metric) for note in batch.odd if note.what == "unknown_metrics"}
        news = [key for key in unknown if now - self._asked.get(key, -ASK_AGAIN_S) >= ASK_AGAIN_S]
        if len(self._asked) + len(news) > MOST_ASKED:
            self._asked.clear()
        self._asked.update(dict.fromkeys(news, now))
        return bool(news)

    def _death(self, parsed: SparkplugTopic, body: bytes, now: float, now_ns: int) -> None:
        """Take a death. Of a device it happened when the message says; that of a node is often a will of long ago."""
        payload = decode(body)
        now_ms = now_ns // 1_000_000
        if parsed.device is None:
            if self._host.node_death(parsed.node, bdseq_of(payload), now):
                self._mirror.died(parsed.node, time_ms=now_ms, why=EDGE_DIED)
                self._ledger.account.died(parsed.node)
        elif self._host.device_death(parsed.node, parsed.device, seq=payload.seq, now=now):
            said_ms = now_ms if payload.time_ms is None else min(payload.time_ms, now_ms)
            self._mirror.died(parsed.node, parsed.device, time_ms=said_ms)

    def _origin(self, node: Node, batch: Batch) -> Origin | None:
        """Return where the message comes from, None when its node does not wait for acknowledgements."""
        if batch.uuid is None or not self._host.sessions[node].acknowledges:
            return None
        try:
            return Origin("/".join(node), *parse_uuid(batch.uuid))
        except AckError:
            return None

    def _data_done(
        self,
        node: Node,
        origin: Origin | None,
        now_ns: int,
        number: int | None,
        error: SpoolError | None,
        *,
        decoded: tuple[Birth, Batch] | None,
    ) -> None:
        """Count and acknowledge what is durable now; runs in the spool's thread."""
        if error is not None:
            self._refused(node, error, now_ns)
            return
        if self._commits_to_calm:
            self._commits_to_calm -= 1
        self._ledger.count(node, "received" if number is not None else "repeated")
        if decoded is not None and number is not None:
            self._decoded.put(number, *decoded)
        if origin is not None:
            self._acks.committed(node, origin.epoch, origin.n)

    def _held_done(
        self, done: Done, size: int, number: int | None, error: SpoolError | None, *, birth: Birth, body: bytes
    ) -> None:
        """Hold for the cloud what is durable now, and show its events; runs in the spool's thread."""
        done(number, error)
        if error is None and number is not None:
            if self._hold is None:
                self._ledger.count(birth.node, "no_cloud")
            else:
                self._hold(number, size)
            self._events.take(birth.asset, body)

    def _birth_done(self, node: Node, now: float, now_ns: int, _number: int | None, error: SpoolError | None) -> None:
        if error is not None:
            self._refused(node, error, now_ns)
            self._host.forget(node, now)

    def _refused(self, node: Node, error: SpoolError, now_ns: int) -> None:
        self._ledger.count(node, "refused")
        session = self._host.sessions.get(node)
        if session is None or not session.acknowledges:
            self._ledger.account.lose(node, "gateway_full", 1, now_ns, str(error)[:1000])
        if not self._commits_to_calm:
            kind = "is full" if isinstance(error, SpoolFull) else "failed"
            log.error(f"the spool {kind}: nothing is acknowledged until there is room", reason=str(error))
        # at its limit a spool refuses and accepts by turns: that is one story, to be told once
        self._commits_to_calm = CALM


def _over_note(node: Node) -> str:
    return f"over:{'/'.join(node)}"
