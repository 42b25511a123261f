"""What the records of the spool mean: the forwarder's side of the births.

The births seen before the spool's cursor are kept as notes of the spool, in the transaction that moves the cursor, so
that what lies behind it can be decoded after a restart. So are the ids of names that come up only here.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import orjson
import structlog

from contract.birth import PLANT_FILE_TROUBLE
from contract.identity import Ids
from contract.loss import BALANCE, ENTRY
from contract.sparkplug import Batch, Odd, SparkplugError
from contract.topics import Node, SparkplugTopic, parse_sparkplug
from gateway.birth import NO_DEFINITIONS, Birth, valued
from gateway.ledger import Aside, Ledger
from gateway.ledger.account import read_balance, read_entry
from gateway.runs import Runs
from gateway.sinks import may_be_for_cloud
from spool import Record

RUN: Final = "run:"  # begins notes of the newest millisecond of an asset, by the topic of its birth
INDEX: Final = "births"  # the note that lists the topics of all births that are notes
MOST_TOLD: Final = 10_000  # odd metrics that are told once, each with the payload; all are counted
MOST_NAMED: Final = 5  # of them in one reason

log = structlog.get_logger()

parse = lru_cache(maxsize=4096)(parse_sparkplug)


class Notes(Protocol):
    """The spool's notes."""

    def note(self, key: str) -> bytes | None:
        """Return a note."""

    def set_notes(self, notes: Mapping[str, bytes]) -> None:
        """Keep notes; durable on return. Raises SpoolError."""


class Decoded:
    """Payloads that were decoded on arrival, by the number of their record, so that none is decoded twice.

    What the forwarder will come to first is kept; what arrives when there is no room will be decoded again.
    """

    def __init__(self, most_samples: int = 500_000) -> None:
        self._most_samples = most_samples
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, Birth, Batch]] = deque()
        self._samples = 0

    def put(self, n: int, birth: Birth, batch: Batch) -> None:
        """Keep the payload of record `n`; the numbers rise."""
        with self._lock:
            if self._samples < self._most_samples:
                self._kept.append((n, birth, batch))
                self._samples += len(batch.values)

    def take(self, n: int) -> tuple[Birth, Batch] | None:
        """Return the payload of record `n`, and forget it and all before it."""
        with self._lock:
            while self._kept and self._kept[0][0] <= n:
                number, birth, batch = self._kept.popleft()
                self._samples -= len(batch.values)
                if number == n:
                    return birth, batch
        return None


class Lines(NamedTuple):
    """The lines of one record and how many samples they hold.

    `aside`: the record as a whole cannot be stored. `for_cloud`: it may hold what the cloud wants, too.
    """

    topic: SparkplugTopic
    lines: list[str]
    samples: int
    aside: bool = False
    for_cloud: bool = False


class Reader:
    """Decodes records in the order of the spool. `births` goes by topic, `ids` is what the receiver has, too."""

    def __init__(self, notes: Notes, ledger: Ledger, decoded: Decoded, ids: Ids | None = None) -> None:
        self.births: dict[str, Birth] = {}
        self.plant_troubles: dict[Node, str] = {}
        """Why edge nodes do not apply the plant file on their disk; empty or missing: they do."""
        self._notes = notes
        self._ledger = ledger
        self._decoded = decoded
        self._ids = Ids() if ids is None else ids
        self._new: dict[str, bytes] = {}
        self._index: set[str] = set()
        self._told: set[tuple[str, str, str]] = set()
        self._runs = Runs()
        self._waiting: set[Node] = set()  # nodes that wait for acknowledgements: they have nanoseconds

    def load(self) -> None:
        """Read the births that earlier runs noted."""
        topics = orjson.loads(self._notes.note(INDEX) or b"[]")
        for topic in sorted(topics, key=lambda topic: parse(topic).device or ""):  # those of nodes first
            body = self._notes.note(topic)
            parsed = parse(topic)
            try:
                if body is not None:
                    self._know(topic, parsed, self._birth(parsed, body))
                    self._index.add(topic)
                    self._runs.load(topic, self._notes.note(RUN + topic))
            except SparkplugError as error:
                log.warning("a noted birth cannot be read; a new one is asked for", topic=topic, reason=str(error))

    def read(self, record: Record) -> Lines:
        """Return what a record says; what cannot be read is set aside in the ledger."""
        topic = parse(record.topic)
        try:
            if topic.type in ("NBIRTH", "DBIRTH"):
                return self._read_birth(record, topic)
            return self._read_data(record, topic)
        except SparkplugError as error:
            self._set_aside(record, topic, str(error))
            return Lines(topic, [], 0, aside=True, for_cloud=may_be_for_cloud(record.topic, record.body))

    def keep_ids(self) -> None:
        """Make durable which ids were given by reading, before any line with them goes; raise SpoolError."""
        if notes := self._ids.notes():
            self._notes.set_notes(notes)
            self._ids.noted(notes)

    def notes(self) -> dict[str, bytes]:
        """Return the notes to be made when the cursor passes what was read; then call `noted`."""
        runs = {RUN + topic: note for topic, note in self._runs.notes().items()}
        if not self._new:
            return runs
        return {**runs, **self._new, INDEX: orjson.dumps(sorted(self._index | self._new.keys()))}

    def noted(self, notes: dict[str, bytes]) -> None:
        """Say that these notes are durable."""
        self._index |= {topic for topic in notes if topic != INDEX and not topic.startswith(RUN)}
        self._new = {topic: body for topic, body in self._new.items() if notes.get(topic) != body}

    def _read_birth(self, record: Record, topic: SparkplugTopic) -> Lines:
        birth = self._birth(topic, record.body, record.time_ns)
        self._know(record.topic, topic, birth)
        self._new[record.topic] = record.body
        self._tell(record, topic, birth.odd)
        if topic.node in self._waiting:
            return Lines(topic, [], 0)  # its samples come as data, each acknowledged
        batch = self._runs.apart_in_birth(record.topic, valued(birth.first))
        return Lines(topic, birth.lines(batch), len(batch.values))

    def _know(self, text: str, topic: SparkplugTopic, birth: Birth) -> None:
        self.births[text] = birth
        if topic.device is None and birth.acknowledges:
            self._waiting.add(topic.node)
        elif topic.device is None:
            self._waiting.discard(topic.node)

    def _birth(self, topic: SparkplugTopic, body: bytes, received_ns: int = 0) -> Birth:
        node_birth = self.births.get(topic.node.topic("NBIRTH"))
        definitions = NO_DEFINITIONS if node_birth is None else node_birth.definitions
        return Birth(topic.node, topic.device, body, self._ids, definitions=definitions, received_ns=received_ns)

    def _tell(self, record: Record, topic: SparkplugTopic, odd: Sequence[Odd]) -> None:
        """Count what was not taken as it came, and set the payload aside for what of it is news."""
        for what, n in Counter(note.what for note in odd).items():
            self._ledger.count(topic.node, what, n)
        source = "/".join((*topic.node, topic.device or ""))
        news = {(source, note.metric, note.what): note for note in odd}
        for key in news.keys() & self._told:
            del news[key]
        if not news or len(self._told) >= MOST_TOLD:
            return
        self._told.update(news)
        reasons = [f"{note.metric}: {note.reason}".removeprefix(": ") for note in news.values()]
        more = f"; and {len(reasons) - MOST_NAMED} more" if len(reasons) > MOST_NAMED else ""
        self._set_aside(record, topic, "; ".join(reasons[:MOST_NAMED]) + more + "; told once, all else is stored")

    def _read_data(self, record: Record, topic: SparkplugTopic) -> Lines:
        found = self._decoded.take(record.n)
        if found is None:
            birth = self.births.get(_birth_topic(topic))
            if birth is None:
                self._set_aside(record, topic, "the birth of this asset is not known")
                return Lines(topic, [], 0, aside=True, for_cloud=may_be_for_cloud(record.topic, record.body))
            found = birth, birth.read(record.body, record.time_ns)
        birth, batch = found
        if batch.odd:
            self._tell(record, topic, batch.odd)
        if topic.node not in self._waiting:
            batch = self._runs.apart(_birth_topic(topic), batch, record.body)
        if topic.device is None:
            self._enter(topic.node, batch)
        return Lines(topic, birth.lines(batch), len(batch.values), for_cloud=batch.beside)

    def _enter(self, node: Node, batch: Batch) -> None:
        """Take over what an edge node tells of itself; what is of the ledger is durable before the record goes."""
        for name, value in zip(batch.names, batch.values, strict=True):
            if name == ENTRY and (entry := read_entry(str(value))) is not None:
                self._ledger.account.enter(node, entry)
            elif name == BALANCE and (balance := read_balance(str(value))) is not None:
                self._ledger.account.balanced(node, balance)
            elif name == PLANT_FILE_TROUBLE:
                self.plant_troubles[node] = str(value or "")
            elif name in (ENTRY, BALANCE):
                self._ledger.count(node, "bad_ledger")

    def _set_aside(self, record: Record, topic: SparkplugTopic, reason: str) -> None:
        self._ledger.set_aside(Aside(record.time_ns, topic.node, record.topic, reason, record.body))


def _birth_topic(topic: SparkplugTopic) -> str:
    return topic.node.topic("NBIRTH" if topic.device is None else "DBIRTH", topic.device)
