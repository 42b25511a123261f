"""Reading a damaged spool file: from a copy of it, by its tables as far as they go and then page by page."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from spool import header
from spool.carve import carve
from spool.file import SpoolFile, Transaction, connect, is_sound
from spool.intervals import Intervals
from spool.mark import Mark
from spool.records import Dropped, checksum

_INSERT: Final = "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?)"
_LAST_N: Final = 2**63 - 1


class Recovered(NamedTuple):
    """What could be read: how many records, and the numbers that may be missing as closed intervals."""

    kept: int
    lost: list[tuple[int, int]]
    is_new_epoch: bool


class _Tables(NamedTuple):
    state: dict[str, str]
    unsound: list[int]
    is_whole: bool


def recover(source: Path, target: Path, mark: Mark | None, epoch: str) -> Recovered:
    """Make a new spool file at `target` of what can be read of `source`, which is left as it is.

    The epoch goes on where the mark confirms it, else it is `epoch`. Raises sqlite3.Error and OSError for `target`.
    """
    copy = _copy(source)
    connection = connect(target)
    try:
        file = SpoolFile(connection)
        file.create(epoch)
        with Transaction(file):
            tables = _copy_tables(copy, connection)
            carved = sum(connection.execute(_INSERT, row).rowcount for row in carve(copy) if 0 < row[0] < _LAST_N)
            is_epoch_known = mark is not None and mark.epoch == tables.state.get("epoch")
            if mark is not None and is_epoch_known:
                file.set_state("epoch", mark.epoch)
            said = tables.state.get("last_n", "0")
            last_n = max(int(said) if said.isdigit() else 0, file.newest_n(), mark.n if mark is not None else 0)
            file.set_state("last_n", str(last_n))
            file.last_n = last_n
            file.set_state("first_n", str(file.first_n()))
            lost = _missing(connection, tables, last_n, is_whole=tables.is_whole and carved == 0)
            for first, last in lost:
                file.note_dropped(Dropped(first, last, last - first + 1, time.time_ns(), "damaged"))
        (kept,) = connection.execute("SELECT count(*) FROM records").fetchone()
    finally:
        connection.close()
        unlink(copy)
    return Recovered(kept, lost, not is_epoch_known)


def unlink(path: Path) -> None:
    """Delete a SQLite file and what belongs to it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _copy(source: Path) -> Path:
    """Copy the damaged file with its log, to read it without changing it, and put the header of the copy right."""
    copy = source.with_name(f"{source.name}.copy")
    unlink(copy)
    for suffix in ("", "-wal"):
        part = source.with_name(source.name + suffix)
        if part.exists():
            shutil.copyfile(part, copy.with_name(copy.name + suffix))
    if not header.is_sound(copy):
        header.repair(copy)
    return copy


def _copy_tables(copy: Path, into: sqlite3.Connection) -> _Tables:
    """Copy what the tables show, and bring the log into the copy so that its pages can be carved."""
    unsound = []
    with closing(sqlite3.connect(copy, timeout=2.0, isolation_level=None)) as damaged:
        # writable_schema lets SQLite read a file that is shorter than its header says
        for pragma in ("locking_mode = EXCLUSIVE", "writable_schema = ON", "wal_checkpoint(TRUNCATE)"):
            list(_rows(damaged, f"PRAGMA {pragma}"))
        is_whole = list(_rows(damaged, "PRAGMA quick_check(1)")) == [("ok",)]
        for row in _rows(damaged, "SELECT n, time_ns, topic, body, crc FROM records ORDER BY n"):
            if is_sound(row):
                into.execute(_INSERT, row)
            else:
                unsound.append(int(row[0]))
        state = {row[0]: row[1] for row in _rows(damaged, "SELECT * FROM state") if row[2] == checksum(*row[:2])}
        for row in _rows(damaged, "SELECT * FROM notes"):
            if row[2] == checksum(*row[:2]):
                into.execute("INSERT OR IGNORE INTO notes VALUES (?, ?, ?)", row)
        for row in _rows(damaged, "SELECT * FROM received ORDER BY rowid"):
            if row[4] == checksum(*row[:4]):
                into.execute("INSERT OR IGNORE INTO received VALUES (?, ?, ?, ?, ?)", row)
        for row in _rows(damaged, "SELECT * FROM dropped ORDER BY rowid"):
            if all(isinstance(value, int) for value in row[:4]) and isinstance(row[4], str):
                into.execute("INSERT INTO dropped VALUES (?, ?, ?, ?, ?)", row)
    return _Tables(state, unsound, is_whole)


def _rows(damaged: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query as far as they can be read."""
    try:
        yield from damaged.execute(query)
    except (sqlite3.Error, UnicodeDecodeError):
        return


def _missing(connection: sqlite3.Connection, tables: _Tables, last_n: int, *, is_whole: bool) -> list[tuple[int, int]]:
    """Return which numbers may be lost: those found unsound, or, in a file with holes, all that are not there.

    Records before the first one that was left at the last removal count as removed, or where that cannot be read those
    before the oldest one that was found; among the later ones some may have been, too.
    """
    if is_whole:
        said = tables.state.get("last_n", "0")
        tail = [(int(said) + 1, last_n)] if said.isdigit() and int(said) < last_n else []
        return Intervals([*((n, n) for n in tables.unsound), *tail]).as_list()
    first = tables.state.get("first_n", "")
    lost, expected = [], int(first) if first.isdigit() else 0
    for (n,) in connection.execute("SELECT n FROM records WHERE n >= ? ORDER BY n", (expected,)):
        if expected and n > expected:
            lost.append((expected, n - 1))
        expected = n + 1
    if max(expected, 1) <= last_n:
        lost.append((max(expected, 1), last_n))
    return lost
