"""The Sparkplug host application without its network: which messages count, which nodes live, who must be reborn.

Rules of Sparkplug 3.0, chapters 4 to 6. Nothing here reads a clock: every `now` is a monotonic time in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import orjson

from contract.topics import MessageType, Node

SEQUENCE: Final = 256
TWICE: Final = 32  # so far behind, a number that was seen is a repeat; farther, it is a gap of more than half a circle
MOST_OWN: Final = 1000
MOST_GAPS: Final = 10_000  # between two ticks
ASK_AGAIN_S: Final = 600.0  # a birth that could not be read when it came again is hardly another one before


class Counter(Protocol):
    """Where a count per edge node goes; see gateway.ledger."""

    def count(self, node: Node, what: str, n: int = 1) -> None:
        """Add `n` to the counter `what` of `node`."""


class Presence:
    """The STATE of the host: its will and its birth carry one time, so that an edge node can tell an old will."""

    def __init__(self) -> None:
        self.time_ms = 0
        self.online = False
        self._first_ms = 0
        self._own: deque[int] = deque(maxlen=MOST_OWN)  # times of all that this one has said

    def will(self, now_ms: int) -> bytes:
        """Return the will for a CONNECT at `now_ms` (UTC); the birth that follows will repeat this time."""
        self.time_ms = max(now_ms, self.time_ms + 1)
        self._first_ms = self._first_ms or self.time_ms
        self._own.append(self.time_ms)
        self.online = False
        return self._payload(online=False)

    def birth(self) -> bytes:
        """Return the payload that says the host is online, with the time of the last will."""
        self.online = True
        return self._payload(online=True)

    def death(self, now_ms: int) -> bytes:
        """Return the payload of leaving on purpose, with the present time as chapter 4 asks."""
        self.time_ms = max(now_ms, self.time_ms)
        self._own.append(self.time_ms)
        self.online = False
        return self._payload(online=False)

    def contradicted_by(self, payload: bytes) -> bool:
        """Whether a STATE that was received says offline while the host is online: a will that came late."""
        try:
            said = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return self.online
        return self.online and not (isinstance(said, dict) and said.get("online") is True)

    def is_of_another(self, payload: bytes) -> bool:
        """Whether another host of this name has said it since this one began."""
        said = _said(payload)
        time_ms = said.get("timestamp")
        return isinstance(time_ms, int) and time_ms > self._first_ms and time_ms not in self._own

    def take_over(self, payload: bytes) -> None:
        """Know a STATE of another, so that it is no news, and say all that follows with a later time."""
        time_ms = _said(payload).get("timestamp")
        if isinstance(time_ms, int):
            self._own.append(time_ms)
            self.time_ms = max(self.time_ms, time_ms)

    def is_online_elsewhere(self, payload: bytes) -> bool:
        """Whether another host of this name has said that it is online."""
        return self.is_of_another(payload) and _said(payload).get("online") is True

    def _payload(self, *, online: bool) -> bytes:
        return orjson.dumps({"online": online, "timestamp": self.time_ms})


def _said(payload: bytes) -> dict[str, object]:
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


@dataclass(slots=True)
class NodeSession:
    """What the host knows of one edge node. `born` are the devices of the present session, `known` those of any.

    `unread` are devices whose last birth could not be read, each with the time from which on it is asked for again.
    """

    online: bool = False
    bdseq: int | None = None
    acknowledges: bool = False
    next_seq: int = 0
    missing: set[int] = field(default_factory=set)
    missing_since: float = 0.0
    missing_first: int = 0
    born: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    unread: dict[str, float] = field(default_factory=dict)
    last_message: float = 0.0
    rebirth_wanted: bool = False
    rebirth_not_before: float = 0.0
    rebirth_pause_s: float = 0.0
    prove_by: float | None = None
    doubt: str = ""  # why it has to prove that it lives, or does not count as living any more


class Gap(NamedTuple):
    """Messages of a node without acknowledgements that never came: `first` to `last` by `seq`, noticed at `since`."""

    node: Node
    first: int
    last: int
    messages: int
    since: float


class Due(NamedTuple):
    """What `Host.tick` found: nodes to ask for a rebirth, nodes that did not prove to be alive, and what is lost."""

    rebirth: list[Node]
    lost: list[Node]
    gaps: list[Gap]


class Host:
    """The sessions of all edge nodes.

    A sequence gap is given `reorder_s` to close; then the node is asked for a rebirth, at first at once, then at most
    every `rebirth_pause_s`, doubling up to `rebirth_pause_max_s` until a birth comes, be it kept or not. After a
    (re)connect to the broker every node has `prove_s` to send anything of its present session; then it counts as lost.
    So has one whose NDEATH does not fit its NBIRTH: it may be a will of long ago, or one that counts otherwise.
    """

    def __init__(
        self,
        counter: Counter,
        *,
        reorder_s: float = 2.0,
        rebirth_pause_s: float = 5.0,
        rebirth_pause_max_s: float = 60.0,
        prove_s: float = 20.0,
    ) -> None:
        self.sessions: dict[Node, NodeSession] = {}
        self._gaps: list[Gap] = []
        self._counter = counter
        self._reorder_s = reorder_s
        self._rebirth_pause_s = rebirth_pause_s
        self._rebirth_pause_max_s = rebirth_pause_max_s
        self._prove_s = prove_s

    def remember(self, node: Node, *, acknowledges: bool, devices: Iterable[str]) -> None:
        """Take over what an earlier run knew of a node; whether it lives is not known yet."""
        self.sessions[node] = NodeSession(acknowledges=acknowledges, known=set(devices))

    def connected(self, now: float) -> None:
        """Note a new connection to the broker: deaths may have been missed, so every node has to prove itself."""
        for session in self.sessions.values():
            session.prove_by = now + self._prove_s
            session.doubt = "nothing came since the gateway connected to the broker"
            session.rebirth_wanted = True
            # those that watch our STATE come by themselves, and what lived may still do: ask them after a moment
            if session.acknowledges or session.online:
                session.rebirth_not_before = max(session.rebirth_not_before, now + self._prove_s / 4)

    def node_birth(self, node: Node, *, seq: int | None, bdseq: int | None, acknowledges: bool, now: float) -> None:
        """Begin a session of `node`, or renew it (a rebirth keeps the bdSeq)."""
        session = self.sessions.setdefault(node, NodeSession())
        session.online = True
        session.bdseq = bdseq
        session.acknowledges = acknowledges
        # chapter 4 demands 0, chapters 5 and 6 allow any: begin where the node does
        session.next_seq = ((0 if seq is None else seq) + 1) % SEQUENCE
        self._give_up(node, session)
        session.born.clear()
        session.last_message = now
        session.rebirth_wanted = False
        self._answered(session, now)
        session.prove_by, session.doubt = None, ""
        self._counter.count(node, "births")

    def device_birth(self, node: Node, device: str, *, seq: int | None, now: float) -> bool:
        """Take the birth of a device; False when the node itself was not born in this session."""
        session = self._living(node, now)
        if session is None:
            self._counter.count(node, "before_birth")
            return False
        self._sequence(node, session, seq, now)
        session.born.add(device)
        session.known.add(device)
        session.unread.pop(device, None)
        return True

    def data(self, node: Node, device: str | None, *, seq: int | None, named: bool, now: float) -> bool:
        """Return whether data can be understood, and so be stored and acknowledged.

        Data by alias needs the birth of the present session. Data with names (`named`) needs, from a node that waits
        for acknowledgements, only that the device was ever seen: its kind is all that must be known.
        """
        session = self._living(node, now)
        if session is not None:
            self._sequence(node, session, seq, now)
            if device is None or device in session.born:
                return True
        session = self.sessions[node]
        self._want_birth_of(session, device, now)
        if named and session.acknowledges and (device is None or device in session.known):
            return True
        self._counter.count(node, "before_birth")
        return False

    def device_death(self, node: Node, device: str, *, seq: int | None, now: float) -> bool:
        """Take the death of a device; False when it was not alive."""
        session = self._living(node, now)
        if session is None:
            return False
        self._sequence(node, session, seq, now)
        if device not in session.born:
            return False
        session.born.discard(device)
        return True

    def node_death(self, node: Node, bdseq: int | None, now: float) -> bool:
        """End the session of a node; False for what seems the will of an older session, with another bdSeq.

        That one is ignored while the node goes on to send.
        """
        session = self.sessions.get(node)
        if session is None or not session.online:
            return False
        if bdseq is not None and session.bdseq is not None and bdseq != session.bdseq:
            self._counter.count(node, "stale_deaths")
            if session.prove_by is None:
                session.prove_by = now + self._prove_s
                session.doubt = (
                    f"its NDEATH has bdSeq {bdseq}, its NBIRTH had {session.bdseq}, and nothing came after it"
                )
                session.rebirth_not_before = max(session.rebirth_not_before, now + self._prove_s / 4)
                session.rebirth_wanted = True
            return False
        self._counter.count(node, "deaths")
        self._end(node, session)
        return True

    def unreadable(self, node: Node, type_: MessageType, device: str | None, now: float) -> None:
        """Take a message of a known node that nobody can read: it did arrive, so it stands for the next number.

        A session whose birth cannot be read is over. That a device died needs no more than the topic.
        """
        session = self.sessions[node]
        if type_ == "NBIRTH":
            self._end(node, session)
        if type_ in ("NBIRTH", "NDEATH") or self._living(node, now) is None:
            return
        session.next_seq = (session.next_seq + 1) % SEQUENCE
        if type_ == "DBIRTH":
            session.born.discard(str(device))
            session.unread.setdefault(str(device), now)
        elif type_ == "DDEATH":
            session.born.discard(str(device))

    def misunderstood(self, node: Node, now: float) -> None:
        """Ask for the births again: data had metrics that the birth did not name."""
        self._want_rebirth(self.sessions[node], now)

    def forget(self, node: Node, now: float) -> None:
        """End the session of a node whose birth could not be kept; its next message asks for a rebirth."""
        session = self.sessions.get(node)
        if session is not None:
            self._answered(session, now)
            self._end(node, session)

    def tick(self, now: float) -> Due:
        """Return what is due at `now`: gaps that did not close, nodes that did not prove themselves, rebirths."""
        due = Due([], [], [])
        for node, session in list(self.sessions.items()):
            if session.missing and now >= session.missing_since + self._reorder_s:
                self._give_up(node, session)
                self._want_rebirth(session, now)
            if session.prove_by is not None and now >= session.prove_by:
                self._end(node, session)
                due.lost.append(node)
            if session.rebirth_wanted and now >= session.rebirth_not_before:
                pause = max(self._rebirth_pause_s, 2 * session.rebirth_pause_s)
                session.rebirth_pause_s = min(pause, self._rebirth_pause_max_s)
                session.rebirth_not_before = now + session.rebirth_pause_s
                self._counter.count(node, "rebirth_requests")
                due.rebirth.append(node)
        gaps, self._gaps = self._gaps, []
        due.gaps.extend(gaps)
        return due

    def online(self) -> Iterator[tuple[Node, NodeSession]]:
        """Iterate over the nodes that live."""
        return ((node, session) for node, session in list(self.sessions.items()) if session.online)

    def _living(self, node: Node, now: float) -> NodeSession | None:
        """Return the session of a node that was born, else want its birth."""
        session = self.sessions.get(node)
        if session is None:
            session = self.sessions[node] = NodeSession()
        session.last_message = now
        if session.online:
            if session.prove_by is not None:
                session.prove_by, session.doubt = None, ""
                session.rebirth_wanted = False
            return session
        self._want_rebirth(session, now)
        return None

    def _want_birth_of(self, session: NodeSession, device: str | None, now: float) -> None:
        """Want a rebirth for a device, but only now and then where it would bring what cannot be read."""
        not_before = session.unread.get(device or "")
        if not_before is not None and session.online:
            if now < not_before:
                return
            session.unread[device or ""] = now + ASK_AGAIN_S
        self._want_rebirth(session, now)

    def _want_rebirth(self, session: NodeSession, now: float) -> None:
        if not session.rebirth_wanted:
            session.rebirth_wanted = True
            session.rebirth_not_before = max(session.rebirth_not_before, now)

    def _answered(self, session: NodeSession, now: float) -> None:
        """Begin the pauses anew: the node does answer."""
        session.rebirth_pause_s = 0.0
        session.rebirth_not_before = min(session.rebirth_not_before, now + self._rebirth_pause_s)

    def _sequence(self, node: Node, session: NodeSession, seq: int | None, now: float) -> None:
        """Follow the sequence number; a jump opens a gap, which late messages may still close."""
        if seq is None or not 0 <= seq < SEQUENCE:
            self._counter.count(node, "bad_sequence")
            return
        if seq == session.next_seq:
            session.next_seq = (seq + 1) % SEQUENCE
            return
        if seq in session.missing:
            session.missing.discard(seq)
            return
        jump = (seq - session.next_seq) % SEQUENCE
        if jump >= SEQUENCE - TWICE:
            # just behind us and not missed: the broker delivered it twice
            self._counter.count(node, "bad_sequence")
            return
        if not session.missing:
            session.missing_since = now
            session.missing_first = session.next_seq
        session.missing.update((session.next_seq + n) % SEQUENCE for n in range(jump))
        session.next_seq = (seq + 1) % SEQUENCE

    def _give_up(self, node: Node, session: NodeSession) -> None:
        """Count what is missing as late, or as lost when the node does not send it again."""
        if not session.missing:
            return
        self._counter.count(node, "gaps")
        # of an acknowledging node nothing is lost: it sends again what was not acknowledged
        self._counter.count(node, "late" if session.acknowledges else "lost", len(session.missing))
        if not session.acknowledges and len(self._gaps) < MOST_GAPS:
            in_order = sorted(session.missing, key=lambda seq: (seq - session.missing_first) % SEQUENCE)
            self._gaps.append(Gap(node, in_order[0], in_order[-1], len(in_order), session.missing_since))
        session.missing.clear()

    def _end(self, node: Node, session: NodeSession) -> None:
        session.online = False
        session.born.clear()
        self._give_up(node, session)
        session.rebirth_wanted = False
        session.prove_by = None
