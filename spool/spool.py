"""The durable queue: many threads put, one thread writes, a put is done when its transaction is on the disk.

Group commit: a transaction takes what was put within `linger_s` (20 ms) or `batch` messages (500), whatever comes
first. Numbers count up from 1 in an epoch that was made with the file; a number is never given out twice.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self

from spool.file import Damaged, SpoolFile, Transaction, explain
from spool.mark import MarkFile
from spool.pending import Change, Done, Put, settle
from spool.records import Origin, Record, Salvage, SpoolError, SpoolFull, Stats, size_of
from spool.reserve import Reserve
from spool.salvage import new_epoch, open_file

_NO_NOTES: Final[Mapping[str, bytes]] = MappingProxyType({})
_LAST_N: Final = 2**63 - 1
_BUFFER_BYTES: Final = 16 << 20
_READ_BYTES: Final = 8 << 20
_COMMIT_BYTES: Final = 2 << 20  # of messages in a transaction, when it takes more than one
_RESERVE_BYTES: Final = 8 << 20  # SQLite's log is brought into the file from 4 MiB on, after a transaction
_SHRINK_PAGES: Final = 512  # moved at once: 2 MiB of log
_CLOSE_TIMEOUT_S: Final = 3.0


class Spool:
    """A durable, bounded queue of messages in one file. All methods may be called from any thread."""

    def __init__(
        self,
        path: Path,
        file: SpoolFile,
        mark: MarkFile,
        *,
        salvage: Salvage | None,
        max_bytes: int,
        on_full: Literal["refuse", "drop_oldest"],
        batch: int,
        linger_s: float,
        clock_ns: Callable[[], int],
    ) -> None:
        self.path = path
        self.salvage = salvage
        self.epoch = file.epoch
        self._file, self._mark = file, mark
        self._reserve = Reserve(path.with_name(f"{path.name}.reserve"), _RESERVE_BYTES)
        self._max_bytes, self._on_full = max_bytes, on_full
        self._batch, self._linger_s = batch, linger_s
        self._clock_ns = clock_ns
        self._file_lock = threading.Lock()
        self._buffer: deque[Put] = deque()
        self._buffered_bytes = 0
        self._changes: list[Change] = []
        self._taken: tuple[list[Put], list[Change]] = [], []  # in the transaction under way
        self._closing = False
        self._ended = False
        self._wake = threading.Condition()  # guards what is above it and the counters
        self._repeated = self._refused = self._put = self._commits = 0
        self._newest_n = file.newest_n()
        self._arrived = threading.Condition()  # guards _newest_n
        self._writer = threading.Thread(target=self._write, name=f"spool {path.name}", daemon=True)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        max_bytes: int = 1 << 30,
        on_full: Literal["refuse", "drop_oldest"] = "refuse",
        batch: int = 500,
        linger_s: float = 0.02,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> Self:
        """Open the spool at `path`; make it when there is none, salvage it when it is damaged (see `salvage`).

        Raises SpoolError when the file is in use, is not a spool, or cannot be opened.
        """
        path = Path(path)
        file, mark, salvage = open_file(path)
        spool = cls(
            path,
            file,
            mark,
            salvage=salvage,
            max_bytes=max_bytes,
            on_full=on_full,
            batch=batch,
            linger_s=linger_s,
            clock_ns=clock_ns,
        )
        mark.write(file.epoch, file.last_n)
        spool._reserve.keep()
        spool._writer.start()
        return spool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what was put and close the file; safe twice. Raises SpoolError when the disk does not end in 3 s."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._writer.join(_CLOSE_TIMEOUT_S)
        if self._writer.is_alive():
            raise SpoolError(f"{self.path}: the disk has not taken the last records after {_CLOSE_TIMEOUT_S:.0f} s")

    def put(
        self,
        topic: str,
        body: bytes,
        origin: Origin | None = None,
        *,
        notes: Mapping[str, bytes] = _NO_NOTES,
        timeout_s: float = 5.0,
    ) -> Future[int | None]:
        """Queue a message; the future gives its number once it is durable, None when `origin` had arrived before.

        `notes` are written in the transaction of the message. Waits up to `timeout_s` while the buffer is full. Raises
        SpoolFull when there is no room, SpoolError when the spool is closed, ValueError for an origin that cannot be;
        the future raises SpoolFull or SpoolError when the disk does not take the message.
        """
        future = Future[int | None]()
        future.set_running_or_notify_cancel()  # cannot be canceled: it may be on the disk already
        self.hand(topic, body, origin, partial(settle, future), notes=notes, timeout_s=timeout_s)
        return future

    def hand(
        self,
        topic: str,
        body: bytes,
        origin: Origin | None,
        done: Done,
        *,
        notes: Mapping[str, bytes] = _NO_NOTES,
        timeout_s: float = 5.0,
    ) -> None:
        """Queue a message as `put` does, at less cost: `done` is called in the spool's thread."""
        if origin is not None and not 0 < origin.n <= _LAST_N:
            raise ValueError(f"the number of a message goes from 1 to 2^63-1, not {origin.n}")
        size = size_of(topic, body)
        with self._wake:
            if not self._wake.wait_for(self._has_room_or_ends, timeout_s):
                self._refused += 1
                raise SpoolFull(
                    f"{self.path}: the disk has taken nothing for {timeout_s:g} s; {len(self._buffer)} wait"
                )
            if self._closing:
                raise SpoolError(f"{self.path}: closed")
            self._refuse_if_full(size)
            self._buffer.append(Put(topic, bytes(body), origin, self._clock_ns(), size, done, notes))
            self._buffered_bytes += size
            if len(self._buffer) in (1, self._batch):
                self._wake.notify_all()

    def read(self, after: int = 0, limit: int = 500) -> list[Record]:
        """Return durable records with a number above `after`, in order, at most `limit` and about 8 MiB."""
        with self._file_lock:
            try:
                return self._open_file().read(after, limit, _READ_BYTES)
            except Damaged as error:
                raise SpoolError(f"{self.path}: {error}; restart the process, it keeps what can be read") from error
            except sqlite3.Error as error:
                raise explain(error, self.path) from error

    def containing(self, words: Sequence[bytes], after: int = 0) -> list[tuple[int, str, int]]:
        """Return number, topic and size of the durable records above `after` with any of these words, in order.

        It looks into all of them: to be asked at a start. Raises SpoolError.
        """
        with self._file_lock:
            try:
                return self._open_file().containing(words, after)
            except sqlite3.Error as error:
                raise explain(error, self.path) from error

    def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until there is a durable record with a number above `after`; False after `timeout_s` or when closed."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._newest_n > after or self._ended, timeout_s)
            return self._newest_n > after and not self._ended

    def remove(self, intervals: Iterable[tuple[int, int]], notes: Mapping[str, bytes] | None = None) -> None:
        """Delete the records numbered in closed intervals and write notes, in one transaction; return when durable.

        Raises SpoolError. A number that is not there is as if deleted.
        """
        bounded = [(max(first, 0), min(last, _LAST_N)) for first, last in intervals]
        self._change(Change(bounded, dict(notes or {})))

    def drop(self, n: int, reason: str) -> None:
        """Delete a record that cannot be sent and account for it (see `Stats.dropped_ranges`); return when durable.

        Raises SpoolError. A number that is not there is as if deleted.
        """
        self._change(Change([(n, n)], {}, reason))

    def _change(self, change: Change) -> None:
        with self._wake:
            if self._closing:
                raise SpoolError(f"{self.path}: closed")
            self._changes.append(change)
            self._wake.notify_all()
        change.future.result()

    def renew(self) -> None:
        """Begin a new epoch, to which the records belong that are here, too; return when durable. Raises SpoolError.

        For a file that is not the one whose numbers were sent last: a copy from before was put in its place.
        """
        self._change(Change([], {}, epoch=new_epoch()))

    def set_notes(self, notes: Mapping[str, bytes]) -> None:
        """Write notes (an empty one takes the note away); return when durable. Raises SpoolError."""
        self.remove([], notes)

    def give_reserve(self) -> None:
        """Give the reserve to a full disk, for what must be written before records may be removed.

        Nothing is taken until there is room for it again.
        """
        with self._file_lock:
            self._reserve.give()

    def note(self, key: str) -> bytes | None:
        """Return a note, None when there is none."""
        with self._file_lock:
            try:
                return self._open_file().note(key)
            except sqlite3.Error as error:
                raise explain(error, self.path) from error

    def notes(self, prefix: str) -> dict[str, bytes]:
        """Return the notes whose keys begin so."""
        with self._file_lock:
            try:
                return self._open_file().notes(prefix)
            except sqlite3.Error as error:
                raise explain(error, self.path) from error

    def received(self, node: str, epoch: str) -> list[tuple[int, int]]:
        """Return what of an epoch of a node is durable here: closed intervals, ascending."""
        with self._file_lock:
            return self._open_file().received(node, epoch)

    @property
    def stats(self) -> Stats:
        """State and counters now."""
        with self._file_lock:
            file = self._open_file()
            oldest_ns, dropped_ranges = file.oldest_ns(), file.dropped_ranges()
            records, size, last_n, dropped = file.records, file.bytes, file.last_n, file.dropped
        with self._wake:
            return Stats(
                records=records,
                bytes=size,
                max_bytes=self._max_bytes,
                oldest_ns=oldest_ns,
                last_n=last_n,
                put=self._put,
                repeated=self._repeated,
                refused=self._refused,
                dropped=dropped,
                dropped_ranges=dropped_ranges,
                buffered=len(self._buffer),
                commits=self._commits,
            )

    def _open_file(self) -> SpoolFile:
        if self._ended:
            raise SpoolError(f"{self.path}: closed")
        return self._file

    def _has_room_or_ends(self) -> bool:
        has_room = len(self._buffer) < 4 * self._batch and self._buffered_bytes < _BUFFER_BYTES
        return has_room or self._closing

    def _refuse_if_full(self, size: int) -> None:
        most = self._max_bytes
        if size <= most and (self._on_full == "drop_oldest" or self._file.bytes + self._buffered_bytes + size <= most):
            return
        self._refused += 1
        raise SpoolFull(
            f"{self.path}: full ({self._file.bytes} of {most} bytes); it empties when what reads it is back, "
            "or raise its limit"
        )

    def _write(self) -> None:
        try:
            while work := self._take():
                self._taken = work
                self._commit(*work)
                self._taken = [], []
        finally:
            self._end()

    def _take(self) -> tuple[list[Put], list[Change]] | None:
        """Wait for what one transaction writes; None at the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._buffer or self._changes or self._closing)
            if not self._changes and not self._closing:
                self._wake.wait_for(
                    lambda: len(self._buffer) >= self._batch or self._changes or self._closing, self._linger_s
                )
            puts = self._take_puts()
            changes, self._changes = self._changes, []
            if not puts and not changes:
                return None
            self._wake.notify_all()
            return puts, changes

    def _take_puts(self) -> list[Put]:
        puts, size = list[Put](), 0
        while self._buffer and len(puts) < self._batch and (not puts or size + self._buffer[0].size <= _COMMIT_BYTES):
            puts.append(self._buffer.popleft())
            size += puts[-1].size
        return puts

    def _commit(self, puts: list[Put], changes: list[Change]) -> None:
        failure: SpoolError | None = None
        numbers: list[int | None] = []
        with self._file_lock:
            if puts and not self._keeps_reserve():
                failure = SpoolFull(f"{self.path}: the disk is full; free some space, the spool goes on by itself")
            else:
                try:
                    numbers = self._transact(puts, changes)
                except sqlite3.Error as error:
                    failure = explain(error, self.path)
            change_failure = self._make_room(changes) if isinstance(failure, SpoolFull) else failure
            newest_n = self._file.newest_n()
        self._count(puts, numbers, failed=failure is not None)
        for change in changes:
            settle(change.future, None, change_failure)
        for index, put in enumerate(puts):
            put.tell(None if failure else numbers[index], failure)
        with self._arrived:
            self._newest_n = newest_n
            self._arrived.notify_all()

    def _transact(self, puts: list[Put], changes: list[Change]) -> list[int | None]:
        """Write puts and changes in one transaction; return the number of each put, None for a repeat."""
        file = self._file
        numbers: list[int | None] = []
        with Transaction(file):
            for change in changes:
                if change.reason:
                    file.drop(change.intervals, change.reason, self._clock_ns())
                else:
                    file.remove(change.intervals)
                file.set_notes(change.notes)
                if change.epoch:
                    file.begin_epoch(change.epoch)
            file.set_notes({key: value for put in puts for key, value in put.notes.items()})
            is_new = [put.origin is None or file.receive(put.origin) for put in puts]
            if any(is_new):
                written = iter(
                    file.append(
                        [(put.time_ns, put.topic, put.body) for put, new in zip(puts, is_new, strict=True) if new]
                    )
                )
                numbers = [next(written) if new else None for new in is_new]
                file.write_received({(put.origin.node, put.origin.epoch) for put in puts if put.origin is not None})
                if self._on_full == "drop_oldest":
                    file.drop_oldest(self._max_bytes, self._clock_ns())
            else:
                numbers = [None] * len(puts)
        self._mark.write(file.epoch, file.last_n)
        self.epoch = file.epoch
        return numbers

    def _keeps_reserve(self) -> bool:
        """Whether the reserve is there, if need be in the room that removed records had."""
        return self._reserve.keep() or (self._make_room([]) is None and self._reserve.keep())

    def _make_room(self, changes: list[Change]) -> SpoolError | None:
        """Write only the changes after the disk was full: removing makes room, with the reserve as its start."""
        try:
            if changes or self._file.free_pages:
                self._reserve.give()
            if changes:
                self._transact([], changes)
            self._file.shrink(_SHRINK_PAGES)
        except sqlite3.Error as error:
            return explain(error, self.path)
        return None

    def _count(self, puts: list[Put], numbers: list[int | None], *, failed: bool) -> None:
        with self._wake:
            self._buffered_bytes -= sum(put.size for put in puts)
            self._commits += 1
            if failed:
                self._refused += len(puts)
            else:
                repeated = numbers.count(None)
                self._repeated += repeated
                self._put += len(numbers) - repeated
            self._wake.notify_all()

    def _end(self) -> None:
        with self._wake:
            self._closing = True
            puts, changes = [*self._taken[0], *self._buffer], [*self._taken[1], *self._changes]
            self._buffer.clear()
            self._changes = []
            self._wake.notify_all()
        with self._file_lock:
            self._ended = True
            self._file.connection.close()
            self._mark.close()
        closed = SpoolError(f"{self.path}: closed")
        for put in puts:
            put.tell(None, closed)
        for change in changes:
            settle(change.future, None, closed)
        with self._arrived:
            self._arrived.notify_all()
