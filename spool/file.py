"""The SQLite file of a spool: its tables, how it is opened and checked, and what one transaction does.

One connection, write-ahead log, `synchronous=FULL`, exclusive lock: SQLite before 3.51.3 can damage a file when two
connections write or checkpoint at once, and a second process must not open it. Not thread-safe: Spool holds a lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from spool.header import APPLICATION_ID, PAGE_BYTES, VERSION
from spool.intervals import Intervals
from spool.records import RECORD_OVERHEAD, Dropped, Origin, Record, SpoolError, SpoolFull, checksum

_MOST_EPOCHS: Final = 32  # of one node: an older one is forgotten, its repeats would then be kept twice
_MOST_GAPS: Final = 10_000  # of one epoch
_MOST_DROPPED: Final = 1_000  # rows; the oldest two are merged beyond it
_DROPS_MERGE_NS: Final = 600 * 1_000_000_000

_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE IF NOT EXISTS records(
    n INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS state(key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS notes(key TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS received(
    node TEXT NOT NULL, epoch TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, crc INTEGER NOT NULL,
    UNIQUE(node, epoch, first));
CREATE TABLE IF NOT EXISTS dropped(
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    reason TEXT NOT NULL);
"""
_SIZE: Final = f"length(CAST(topic AS BLOB)) + length(body) + {RECORD_OVERHEAD}"

Row = tuple[int, int, str, bytes, int]


class Damaged(Exception):
    """The file does not hold together."""


def connect(path: Path) -> sqlite3.Connection:
    """Return the one connection to a spool file; the pragmas that make its promise are set."""
    connection = sqlite3.connect(path, timeout=2.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def explain(error: sqlite3.Error, path: Path) -> SpoolError:
    """Return what an error of SQLite means for the owner of the spool."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return SpoolFull(f"{path}: the disk is full; free some space, the spool goes on by itself")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return SpoolError(f"{path}: in use by another process; stop it first, a spool has one owner")
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH):
        return SpoolError(f"{path}: cannot be opened for writing ({error}); check the folder and its permissions")
    if is_damage(error):
        return SpoolError(f"{path}: damaged ({error}); restart the process, it keeps what can be read")
    return SpoolError(f"{path}: {error} ({getattr(error, 'sqlite_errorname', type(error).__name__)}); check the disk")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file itself is broken (not that it is locked, missing or on a full disk)."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # not of SQLite: Python cannot decode a text
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)


class SpoolFile:
    """The tables of one spool, and counters over them that stay true to the last commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.epoch = ""
        self.last_n = 0
        self.records = 0
        self.bytes = 0
        self.dropped = 0
        self._received: dict[tuple[str, str], Intervals] = {}

    def create(self, epoch: str, last_n: int = 0) -> None:
        """Make the tables of an empty file."""
        self.connection.executescript(_SCHEMA)
        with Transaction(self):
            self.set_state("epoch", epoch)
            self.set_state("last_n", str(last_n))
            self.set_state("first_n", str(last_n + 1))
        # the header in the file itself is whole from here on, whatever becomes of the log
        self.empty_log()

    def check_and_load(self) -> None:
        """Verify the whole file and take up its state; raise Damaged or sqlite3.Error."""
        execute = self.connection.execute
        found = execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise Damaged(str(found))
        with closing(execute("SELECT n, time_ns, topic, body, crc FROM records ORDER BY n")) as rows:
            for row in rows:
                if not is_sound(row):
                    raise Damaged(f"record {row[0]} does not fit its checksum")
        self.load()

    def load(self) -> None:
        """Take up the state that the file holds; raise Damaged."""
        execute = self.connection.execute
        state = dict(self._sound_state())
        if "epoch" not in state or not state.get("last_n", "").isdigit():
            raise Damaged("its epoch or its last number cannot be read")
        self.epoch = state["epoch"]
        self.records, self.bytes, newest = execute(
            f"SELECT count(*), coalesce(sum({_SIZE}), 0), coalesce(max(n), 0) FROM records"  # noqa: S608 a constant
        ).fetchone()
        self.last_n = max(int(state["last_n"]), newest)
        self.dropped = execute("SELECT coalesce(sum(count), 0) FROM dropped").fetchone()[0]
        self.load_received()

    def load_received(self) -> None:
        """Take up which messages have arrived."""
        self._received = {}
        for node, epoch, first, last, crc in self.connection.execute("SELECT * FROM received ORDER BY rowid"):
            if crc == checksum(node, epoch, first, last):
                self._received.setdefault((node, epoch), Intervals()).add(first, last)
        for intervals in self._received.values():
            intervals.take_changes()

    def _sound_state(self) -> Iterator[tuple[str, str]]:
        for key, value, crc in self.connection.execute("SELECT key, value, crc FROM state"):
            if crc == checksum(key, value):
                yield key, value

    def empty_log(self) -> None:
        """Bring SQLite's log into the file, and give the room of the log back to the disk."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def free_pages(self) -> int:
        """How many pages of removed records the file has."""
        return int(self.connection.execute("PRAGMA freelist_count").fetchone()[0])

    def shrink(self, pages: int) -> None:
        """Give the room of removed records back to the disk, at most `pages` of it, and that of the log."""
        # a script, since it takes a step a page, of which `execute` does one
        self.connection.executescript(f"PRAGMA incremental_vacuum({pages})")
        self.empty_log()

    def set_state(self, key: str, value: str) -> None:
        """Write a line of the spool's own state, in the transaction under way."""
        self.connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (key, value, checksum(key, value)))

    def begin_epoch(self, epoch: str) -> None:
        """Let the numbers belong to another epoch; those of records and of what comes go on."""
        self.set_state("epoch", epoch)
        self.epoch = epoch

    def append(self, rows: Sequence[tuple[int, str, bytes]]) -> list[int]:
        """Insert records (time, topic, body) and return their numbers."""
        first = self.last_n + 1
        self.connection.executemany(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?)",
            [
                (n, time_ns, topic, body, checksum(n, time_ns, topic, body))
                for n, (time_ns, topic, body) in enumerate(rows, first)
            ],
        )
        self.last_n += len(rows)
        self.set_state("last_n", str(self.last_n))
        self.records += len(rows)
        self.bytes += sum(len(topic.encode()) + len(body) + RECORD_OVERHEAD for _, topic, body in rows)
        return list(range(first, self.last_n + 1))

    def receive(self, origin: Origin) -> bool:
        """Note that a message has arrived; False when it had before."""
        key = origin.node, origin.epoch
        intervals = self._received.get(key)
        if intervals is None:
            intervals = self._received[key] = Intervals()
            self._forget_epochs(origin.node)
        return intervals.add(origin.n)

    def write_received(self, keys: Iterable[tuple[str, str]]) -> None:
        """Write the changes of the intervals of these (node, epoch)."""
        execute = self.connection.execute
        for node, epoch in keys:
            intervals = self._received.get((node, epoch))
            if intervals is None:
                continue
            while len(intervals) > _MOST_GAPS:
                intervals.forget_lowest()
            gone, changed = intervals.take_changes()
            for first in gone:
                execute("DELETE FROM received WHERE node = ? AND epoch = ? AND first = ?", (node, epoch, first))
            for first, last in changed:
                execute(
                    "INSERT INTO received VALUES (?, ?, ?, ?, ?) ON CONFLICT(node, epoch, first) "
                    "DO UPDATE SET last = excluded.last, crc = excluded.crc",
                    (node, epoch, first, last, checksum(node, epoch, first, last)),
                )

    def received(self, node: str, epoch: str) -> list[tuple[int, int]]:
        """Return the intervals of what has arrived from an epoch of a node."""
        intervals = self._received.get((node, epoch))
        return [] if intervals is None else intervals.as_list()

    def _forget_epochs(self, node: str) -> None:
        epochs = [key for key in self._received if key[0] == node]
        for key in epochs[:-_MOST_EPOCHS]:
            del self._received[key]
            self.connection.execute("DELETE FROM received WHERE node = ? AND epoch = ?", key)

    def remove(self, intervals: Iterable[tuple[int, int]]) -> None:
        """Delete the records of closed intervals; note which is the first one that is left."""
        execute = self.connection.execute
        before = self.records
        for bounds in intervals:
            count, size = execute(
                f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM records WHERE n BETWEEN ? AND ?",  # noqa: S608 a constant
                bounds,
            ).fetchone()
            if count:
                execute("DELETE FROM records WHERE n BETWEEN ? AND ?", bounds)
                self.records -= count
                self.bytes -= size
        if self.records < before:
            self.set_state("first_n", str(self.first_n()))

    def drop_oldest(self, most_bytes: int, time_ns: int) -> int:
        """Delete the oldest records until at most `most_bytes` are left; note and return how many."""
        excess, count, first, last = self.bytes - most_bytes, 0, 0, 0
        if excess <= 0:
            return 0
        with closing(self.connection.execute(f"SELECT n, {_SIZE} FROM records ORDER BY n")) as rows:  # noqa: S608 a constant
            for n, size in rows:
                first, last, count, excess = first or n, n, count + 1, excess - size
                if excess <= 0:
                    break
        self.remove([(first, last)])
        self.note_dropped(Dropped(first, last, count, time_ns, "full"))
        return count

    def drop(self, intervals: Iterable[tuple[int, int]], reason: str, time_ns: int) -> None:
        """Delete the records of closed intervals; note those that were there as lost."""
        for first, last in intervals:
            before = self.records
            self.remove([(first, last)])
            if self.records < before:
                self.note_dropped(Dropped(first, last, before - self.records, time_ns, reason))

    def note_dropped(self, dropped: Dropped) -> None:
        """Keep an account of records that are lost."""
        execute = self.connection.execute
        newest = execute("SELECT rowid, * FROM dropped ORDER BY rowid DESC LIMIT 1").fetchone()
        if newest and newest[5] == dropped.reason and 0 <= dropped.time_ns - newest[4] < _DROPS_MERGE_NS:
            execute(
                "UPDATE dropped SET last = ?, count = count + ? WHERE rowid = ?",
                (dropped.last, dropped.records, newest[0]),
            )
        else:
            execute("INSERT INTO dropped VALUES (?, ?, ?, ?, ?)", dropped)
            self._merge_oldest_drops()
        self.dropped += dropped.records

    def _merge_oldest_drops(self) -> None:
        execute = self.connection.execute
        if execute("SELECT count(*) FROM dropped").fetchone()[0] <= _MOST_DROPPED:
            return
        (oldest, first, _, count, *_), (second, *_) = execute("SELECT rowid, * FROM dropped ORDER BY rowid LIMIT 2")
        execute("UPDATE dropped SET first = ?, count = count + ? WHERE rowid = ?", (first, count, second))
        execute("DELETE FROM dropped WHERE rowid = ?", (oldest,))

    def dropped_ranges(self) -> list[Dropped]:
        """Return the account of lost records, oldest first."""
        return [Dropped(*row) for row in self.connection.execute("SELECT * FROM dropped ORDER BY rowid")]

    def set_notes(self, notes: Mapping[str, bytes]) -> None:
        """Write notes; an empty one takes the note away."""
        self.connection.executemany(
            "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)",
            [(key, value, checksum(key, value)) for key, value in notes.items() if value],
        )
        gone = [(key,) for key, value in notes.items() if not value]
        if gone:
            self.connection.executemany("DELETE FROM notes WHERE key = ?", gone)

    def note(self, key: str) -> bytes | None:
        """Return a note, None when there is none or it is damaged."""
        row = self.connection.execute("SELECT value, crc FROM notes WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row is not None and row[1] == checksum(key, row[0]) else None

    def notes(self, prefix: str) -> dict[str, bytes]:
        """Return the notes whose keys begin so, without the damaged ones."""
        rows = self.connection.execute(
            "SELECT key, value, crc FROM notes WHERE key >= ? AND key < ?", (prefix, prefix + "\U0010ffff")
        )
        return {key: bytes(value) for key, value, crc in rows if crc == checksum(key, value)}

    def read(self, after: int, limit: int, most_bytes: int) -> list[Record]:
        """Return records with a number above `after`, at least one if there is one; raise Damaged."""
        records, size = [], 0
        query = "SELECT n, time_ns, topic, body, crc FROM records WHERE n > ? ORDER BY n LIMIT ?"
        with closing(self.connection.execute(query, (after, limit))) as rows:
            for row in rows:
                if not is_sound(row):
                    raise Damaged(f"record {row[0]} does not fit its checksum")
                records.append(Record(*row[:4]))
                size += len(row[3])
                if size >= most_bytes:
                    break
        return records

    def containing(self, words: Sequence[bytes], after: int) -> list[tuple[int, str, int]]:
        """Return number, topic and size of the records above `after` whose body has any of these words, in order."""
        found = " OR ".join(["instr(body, ?) > 0"] * len(words))
        query = f"SELECT n, topic, {_SIZE} FROM records WHERE n > ? AND ({found}) ORDER BY n"  # noqa: S608 constants
        return list(self.connection.execute(query, (after, *words)))

    def newest_n(self) -> int:
        """Return the highest number that is in the spool, 0 when it is empty."""
        return int(self.connection.execute("SELECT coalesce(max(n), 0) FROM records").fetchone()[0])

    def first_n(self) -> int:
        """Return the lowest number that is in the spool, the next one when it is empty."""
        query = "SELECT coalesce(min(n), ?) FROM records"
        return int(self.connection.execute(query, (self.last_n + 1,)).fetchone()[0])

    def oldest_ns(self) -> int | None:
        """Return when the oldest record was put."""
        row = self.connection.execute("SELECT time_ns FROM records ORDER BY n LIMIT 1").fetchone()
        return None if row is None else int(row[0])


class Transaction:
    """`with Transaction(file):` commits at the end; an error rolls back, the counters and the intervals too."""

    def __init__(self, file: SpoolFile) -> None:
        self._file = file
        self._before = file.epoch, file.last_n, file.records, file.bytes, file.dropped

    def __enter__(self) -> None:
        self._file.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        connection = self._file.connection
        if kind is None:
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        # SQLite has already rolled back by itself after some errors (disk full, I/O)
        if self._file.connection.in_transaction:
            self._file.connection.execute("ROLLBACK")
        file = self._file
        file.epoch, file.last_n, file.records, file.bytes, file.dropped = self._before
        self._file.load_received()


def is_sound(row: Row) -> bool:
    """Whether a row of the table of records fits its checksum."""
    n, time_ns, topic, body, crc = row
    return isinstance(topic, str) and isinstance(body, bytes) and crc == checksum(n, time_ns, topic, body)
