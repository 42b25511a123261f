"""Sealed samples and minutes: immutable Parquet files sorted by (series, time), and how queries hold them.

A segment's name is a number; it exists when the table `segments` or `minutes` names it. A file that no row names is
left from a crash before the commit, and is deleted when the store opens. No (series, time) is in two of a table.
"""

# ruff: noqa: S608  (nothing but numbers and names of our own is put into SQL)

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, NamedTuple

ROW_GROUP: Final = 61_440
FORMAT: Final = f"FORMAT parquet, COMPRESSION lz4_raw, PARQUET_VERSION v2, ROW_GROUP_SIZE {ROW_GROUP}"
COLUMNS: Final = "series, time, value, text, quality, status"
ENDING: Final = ".3.parquet"
"""Of files of samples with a column `status`; older ones have none and end with `.parquet` alone."""
MINUTE_COLUMNS: Final = "series, time, min, sum, max, last, text, count"
Kind = Literal["segments", "minutes"]
"""Samples or minutes: the table with the names of the files."""


class Segment(NamedTuple):
    """A sealed file; times in ns since 1970, both included."""

    name: str
    rows: int
    min_time: int
    max_time: int

    @property
    def number(self) -> int:
        """The number in the name."""
        return int(self.name.partition(".")[0])

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether it can have samples with `start_ns` <= time < `end_ns`."""
        return self.min_time < end_ns and self.max_time >= start_ns


class SegmentFolder:
    """The files. One that is retired is deleted when the last query that could read it has ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._retired: set[str] = set()

    def path(self, name: str) -> Path:
        """Return where a segment is."""
        return self._folder / name

    def prepare(self, known: Iterable[str]) -> list[str]:
        """Make the folder, delete what a crash left in it, and return the known segments that are missing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        known = set(known)
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink()
        return sorted(name for name in known if not self.path(name).is_file())

    def draft(self, name: str) -> Path:
        """Return where to write a segment before it is sealed."""
        return self.path(f"{name}.draft")

    def seal(self, name: str) -> None:
        """Make a draft durable under its name."""
        draft = self.draft(name)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(self.path(name))
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self, name: str) -> None:
        """Delete a draft or a segment that was not committed; safe when there is none."""
        self.draft(name).unlink(missing_ok=True)
        self.path(name).unlink(missing_ok=True)

    def hold(self, names: Iterable[str]) -> None:
        """Keep files as long as `release` was not called."""
        with self._lock:
            self._held.update(names)

    def release(self, names: Iterable[str]) -> None:
        """End a hold, and delete what is retired and not held any more."""
        with self._lock:
            self._held.subtract(names)
            self._delete_unheld()

    def retire(self, names: Iterable[str]) -> None:
        """Delete files as soon as nobody holds them."""
        with self._lock:
            self._retired.update(names)
            self._delete_unheld()

    def _delete_unheld(self) -> None:
        free = {name for name in self._retired if self._held[name] <= 0}
        for name in free:
            self.path(name).unlink(missing_ok=True)
            del self._held[name]
        self._retired -= free


def source(paths: Iterable[Path], kind: Kind = "segments") -> str:
    """Return the SQL that reads segments."""
    paths = list(paths)
    old = [path for path in paths if kind == "segments" and not path.name.endswith(ENDING)]
    if not old:
        return _read(paths)
    read = f"SELECT *, NULL::UINTEGER AS status FROM {_read(old)}"
    new = [path for path in paths if path not in old]
    return f"({read} UNION ALL SELECT {COLUMNS} FROM {_read(new)})" if new else f"({read})"


def _read(paths: Iterable[Path]) -> str:
    names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{names}])"
