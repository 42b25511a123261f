"""From the spool to the store: whatever was committed is decoded, posted as line protocol, and only then forgotten.

The spool's cursor moves when the store has answered 204 for every line of a batch. What the store refuses is bisected
down to the bad line, which is set aside with its bytes; everything else waits, with a jittered back-off, for ever.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from contract.backoff import Backoff
from contract.topics import Node
from gateway.ledger import STORE, Aside, Ledger, LedgerError
from gateway.ledger.tally import Stored, Tally
from gateway.progress import Progress
from gateway.reader import Reader
from gateway.sinks import Cursors
from gateway.store import Answer, Store
from spool import Record, Spool, SpoolError

RECORDS: Final = 500
READ_AT_ONCE: Final = 100
BATCH_BYTES: Final = 1 << 20  # of records; their lines are of about the same size
IDLE_S: Final = 0.5
GATHER_S: Final = 0.15
"""After a small batch, so that a quiet plant costs few posts; a backlog is read without a pause."""

log = structlog.get_logger()


@dataclass(slots=True)
class Batch:
    """Lines on their way to the store, and what may be forgotten when all have arrived.

    `owners` has, for each record, the index of its first line and its node. `for_cloud` are the numbers of records that
    the cloud wants, too. `todo` are the slices of `lines` that the
    store has not answered for yet, the next one last.
    """

    lines: list[str] = field(default_factory=list)
    owners: list[tuple[int, Node]] = field(default_factory=list)
    intervals: list[tuple[int, int]] = field(default_factory=list)
    for_cloud: list[int] = field(default_factory=list)
    notes: dict[str, bytes] = field(default_factory=dict)
    counted: dict[Node, Stored] = field(default_factory=dict)
    tallied: dict[str, bytes] = field(default_factory=dict)  # the notes of `counted`, once it was added up
    records: int = 0
    samples: int = 0
    todo: list[slice] = field(default_factory=list)

    def owner(self, line: int) -> Node:
        """Return the node that sent the line with this index."""
        return self.owners[bisect_right(self.owners, line, key=lambda owner: owner[0]) - 1][1]

    def halve(self) -> None:
        """Put the two halves of the next piece in its place."""
        piece = self.todo.pop()
        middle = (piece.start + piece.stop) // 2
        self.todo += [slice(middle, piece.stop), slice(piece.start, middle)]


class Forwarder:
    """Moves the spool's records to the store, in a thread of its own (`start`, `stop`) or step by step (`step`)."""

    def __init__(
        self,
        spool: Spool,
        store: Store,
        reader: Reader,
        ledger: Ledger,
        tally: Tally,
        *,
        cursors: Cursors | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.progress = Progress(moved=clock())
        self._spool = spool
        self._store = store
        self._reader = reader
        self._ledger = ledger
        self._tally = tally
        self._cursors = Cursors(spool) if cursors is None else cursors
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._now_ns = now_ns
        self._batch: Batch | None = None
        self._after = self._cursors.store_n
        self._stop = threading.Event()
        # a daemon: a store that hangs must not keep the process; what it was told twice is harmless
        self._thread = threading.Thread(target=self._run, name="forward", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand; the spool may hold more."""
        return self._batch is None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.5) -> None:
        """End the thread; a post under way is abandoned after `timeout_s` and will be repeated at the next start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            pause_s = self.step()
            if pause_s > 0:
                self._stop.wait(pause_s)
            elif self._batch is None:
                self._spool.wait(self._after, IDLE_S)

    def step(self) -> float:
        """Read a batch, or post a piece of it, or forget it; return the seconds to wait before the next step."""
        try:
            if self._batch is None:
                self._batch = self._read()
                if self._batch is None:
                    self.progress.moved = self._clock()
                    return 0.0
            self._reader.keep_ids()
            if self._batch.todo:
                return self._post(self._batch)
            self._forget(self._batch)
        except (SpoolError, LedgerError) as error:
            return self._wait(str(error))
        small = self._batch.records < READ_AT_ONCE
        self._batch = None
        return GATHER_S if small else 0.0

    def _read(self) -> Batch | None:
        """Read and decode the next records; None when there are none."""
        batch = Batch()
        size = 0
        while batch.records < RECORDS and size < BATCH_BYTES:
            records = self._spool.read(self._after, READ_AT_ONCE)
            for record in records:
                self._take(record, batch)
                size += len(record.body)
            if len(records) < READ_AT_ONCE:
                break
        if not batch.records:
            return None
        batch.notes = self._reader.notes()
        if batch.lines:
            batch.todo.append(slice(0, len(batch.lines)))
        return batch

    def _take(self, record: Record, batch: Batch) -> None:
        topic, lines, samples, aside, for_cloud = self._reader.read(record)
        counted = batch.counted.get(topic.node)
        if counted is None:
            counted = batch.counted[topic.node] = Stored()
        counted.take(topic, samples, aside=aside)
        if lines:
            batch.owners.append((len(batch.lines), topic.node))
            batch.lines += lines
        batch.samples += samples
        batch.records += 1
        if for_cloud:
            batch.for_cloud.append(record.n)
        if batch.intervals and batch.intervals[-1][1] == record.n - 1:
            batch.intervals[-1] = (batch.intervals[-1][0], record.n)
        else:
            batch.intervals.append((record.n, record.n))
        self._after = record.n

    def _post(self, batch: Batch) -> float:
        piece = batch.todo[-1]
        answer = self._store.write("\n".join(batch.lines[piece]).encode())
        self.progress.answered(answer.outcome)
        if answer.outcome not in ("written", "rejected"):
            if answer.is_late and piece.stop - piece.start > 1:
                batch.halve()  # the same again would be as late, for ever
            return self._wait(answer.detail, answer.retry_after_s)
        if answer.outcome == "rejected":
            self._bisect(batch, piece, answer)
        else:
            batch.todo.pop()
        self._working()
        return 0.0

    def _bisect(self, batch: Batch, piece: slice, answer: Answer) -> None:
        """Put the two halves of a refused piece in its place; a single line is set aside."""
        first = piece.start
        if piece.stop - first > 1:
            batch.halve()
            return
        batch.todo.pop()
        node = batch.owner(first)
        line = batch.lines[first].encode()
        self._ledger.set_aside(Aside(self._now_ns(), node, STORE, answer.detail, line))
        log.warning(
            "the store refused a line; it is set aside", node="/".join(node), line=line[:200], reason=answer.detail
        )

    def _forget(self, batch: Batch) -> None:
        self._flush()
        if batch.counted:
            batch.tallied, batch.counted = self._tally.add(batch.counted), {}
        last_n = batch.intervals[-1][1]
        self._cursors.pass_store(last_n, batch.intervals, batch.for_cloud, batch.notes | batch.tallied)
        self._reader.noted(batch.notes)
        self.progress.records += batch.records
        self.progress.samples += batch.samples
        self._working()

    def _flush(self) -> None:
        """Make durable what was set aside or told before its record goes."""
        try:
            self._ledger.flush()
        except LedgerError:
            # the ledger's own reserve is gone when something else took the room that it had given
            self._spool.give_reserve()
            self._ledger.flush()

    def _wait(self, trouble: str, at_least_s: float = 0.0) -> float:
        if self.progress.fails(trouble, self._clock()):
            log.warning("forwarding waits", reason=trouble)
        return max(at_least_s, self._backoff.next_s())

    def _working(self) -> None:
        self._backoff.reset()
        if (failing_s := self.progress.moves(self._clock())) is not None:
            log.info("forwarding goes on", after_s=round(failing_s, 1))
