"""What the records of the spool mean: the forwarder's side of the births.

The births seen before the spool's cursor are kept as notes of the spool, in the transaction that moves the cursor, so
that what lies behind it can be decoded after a restart. So are the ids of names that come up only here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import orjson
import structlog

from contract.identity import Ids
from contract.loss import BALANCE, ENTRY
from contract.sparkplug import Batch, SparkplugError
from contract.topics import Node, SparkplugTopic, parse_sparkplug
from gateway.account import read_balance, read_entry
from gateway.birth import Birth, valued
from gateway.ledger import Aside, Ledger
from spool import Record

INDEX: Final = "births"  # the note that lists the topics of all births that are notes
SKIPPED_ASIDE: Final = 10  # payloads kept per birth for values that no signal can hold; all are counted

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
    """The lines of one record and how many samples they hold; `aside`: the record as a whole cannot be stored."""

    topic: SparkplugTopic
    lines: list[str]
    samples: int
    aside: bool = False


class Reader:
    """Decodes records in the order of the spool. `births` goes by topic, `ids` is what the receiver has, too."""

    def __init__(self, notes: Notes, ledger: Ledger, decoded: Decoded, ids: Ids | None = None) -> None:
        self.births: dict[str, Birth] = {}
        self._notes = notes
        self._ledger = ledger
        self._decoded = decoded
        self._ids = Ids() if ids is None else ids
        self._new: dict[str, bytes] = {}
        self._index: set[str] = set()
        self._skipped: dict[str, int] = {}

    def load(self) -> None:
        """Read the births that earlier runs noted."""
        for topic in orjson.loads(self._notes.note(INDEX) or b"[]"):
            body = self._notes.note(topic)
            parsed = parse(topic)
            try:
                if body is not None:
                    self.births[topic] = Birth(parsed.node, parsed.device, body, self._ids)
                    self._index.add(topic)
            except SparkplugError as error:
                log.warning("a noted birth cannot be read; a new one is asked for", topic=topic, why=str(error))

    def read(self, record: Record) -> Lines:
        """Return what a record says; what cannot be read is set aside in the ledger."""
        topic = parse(record.topic)
        try:
            if topic.type in ("NBIRTH", "DBIRTH"):
                return self._read_birth(record, topic)
            return self._read_data(record, topic)
        except SparkplugError as error:
            self._set_aside(record, topic, str(error))
            return Lines(topic, [], 0, aside=True)

    def keep_ids(self) -> None:
        """Make durable which ids were given by reading, before any line with them goes; raise SpoolError."""
        if notes := self._ids.notes():
            self._notes.set_notes(notes)
            self._ids.noted(notes)

    def notes(self) -> dict[str, bytes]:
        """Return the notes to be made when the cursor passes what was read; then call `noted`."""
        if not self._new:
            return {}
        return {**self._new, INDEX: orjson.dumps(sorted(self._index | self._new.keys()))}

    def noted(self, notes: dict[str, bytes]) -> None:
        """Say that these notes are durable."""
        self._index |= notes.keys() - {INDEX}
        self._new = {topic: body for topic, body in self._new.items() if notes.get(topic) != body}

    def _read_birth(self, record: Record, topic: SparkplugTopic) -> Lines:
        birth = Birth(topic.node, topic.device, record.body, self._ids)
        self.births[record.topic] = birth
        self._new[record.topic] = record.body
        self._skipped.pop(record.topic, None)
        node_birth = self.births.get(topic.node.topic("NBIRTH"))
        if node_birth is not None and node_birth.acknowledges:
            return Lines(topic, [], 0)  # its samples come as data, each acknowledged
        batch = valued(birth.read(record.body, record.time_ns))
        return Lines(topic, birth.lines(batch), len(batch.values))

    def _read_data(self, record: Record, topic: SparkplugTopic) -> Lines:
        found = self._decoded.take(record.n)
        if found is None:
            birth = self.births.get(topic.node.topic("NBIRTH" if topic.device is None else "DBIRTH", topic.device))
            if birth is None:
                self._set_aside(record, topic, "the birth of this asset is not known")
                return Lines(topic, [], 0, aside=True)
            found = birth, birth.read(record.body, record.time_ns)
        birth, batch = found
        if batch.unknown:
            self._ledger.count(topic.node, "unknown_metrics", batch.unknown)
        if batch.skipped:
            self._ledger.count(topic.node, "unsupported_values", batch.skipped)
        if batch.unknown or batch.skipped:
            seen = self._skipped[record.topic] = self._skipped.get(record.topic, 0) + 1
            if seen <= SKIPPED_ASIDE:
                self._set_aside(record, topic, f"{batch.unknown} metrics unknown, {batch.skipped} values not storable")
        if topic.device is None:
            self._enter(topic.node, batch)
        return Lines(topic, birth.lines(batch), len(batch.values))

    def _enter(self, node: Node, batch: Batch) -> None:
        """Take over what an edge node tells of the ledger; it is durable before the record goes."""
        for name, value in zip(batch.names, batch.values, strict=True):
            if name == ENTRY and (entry := read_entry(str(value))) is not None:
                self._ledger.account.enter(node, entry)
            elif name == BALANCE and (balance := read_balance(str(value))) is not None:
                self._ledger.account.balanced(node, balance)
            elif name in (ENTRY, BALANCE):
                self._ledger.count(node, "bad_ledger")

    def _set_aside(self, record: Record, topic: SparkplugTopic, reason: str) -> None:
        self._ledger.set_aside(Aside(record.time_ns, topic.node, record.topic, reason, record.body))
