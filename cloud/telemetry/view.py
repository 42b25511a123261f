"""What one query of the embedded store sees."""

# ruff: noqa: S608  (nothing but numbers and names of our own is put into SQL)

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from cloud import patience
from cloud.telemetry.segments import COLUMNS, Segment, source
from cloud.telemetry.store import StoreUnavailable

QUERY_TIMEOUT_S: Final = 30.0
EXPORT_ROWS: Final = 50_000
_WATCH_S: Final = 1.0


class _Watch:
    """Interrupts queries that take longer than QUERY_TIMEOUT_S: one thread looks at all, since one for each is dear."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[duckdb.DuckDBPyConnection, float] = {}
        self._is_needed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Limit the time of the block, in which a cursor has a query."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="queries", daemon=True)
                self._thread.start()
            self._running[cursor] = time.monotonic() + QUERY_TIMEOUT_S
        self._is_needed.set()
        try:
            yield
        finally:
            with self._lock:
                del self._running[cursor]

    def _look(self) -> None:
        while self._is_needed.wait():
            time.sleep(_WATCH_S)
            with self._lock:
                now_s = time.monotonic()
                for cursor, until_s in self._running.items():
                    if now_s > until_s:
                        cursor.interrupt()
                if not self._running:
                    self._is_needed.clear()


_watch: Final = _Watch()


@dataclass(frozen=True, slots=True)
class View:
    """What one query sees: one state of tables and segments, whatever is written or sealed meanwhile."""

    cursor: duckdb.DuckDBPyConnection
    tables: Sequence[str]
    segments: dict[Path, Segment]
    minute_files: dict[Path, Segment]
    raw_since: int
    late: frozenset[int]

    def rows(self, ids: Sequence[int], start_ns: int, end_ns: int) -> str:
        """Return the SQL of all rows of some series in a time, each (series, time) once."""
        start_ns = max(start_ns, self.raw_since)
        where = _where(ids, start_ns, end_ns)
        paths = [path for path, segment in self.segments.items() if segment.overlaps(start_ns, end_ns)]
        sources = [*([source(paths)] if paths else []), *self.tables]
        rows = " UNION ALL ".join(f"SELECT {COLUMNS}, {age} AS age FROM {s} {where}" for age, s in enumerate(sources))
        if self.late.isdisjoint(ids):
            return rows
        return f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY series, time ORDER BY age DESC) = 1"

    def minutes(self, ids: Sequence[int], start_ns: int, end_ns: int) -> str | None:
        """Return the SQL of all minutes of some series in a time before the samples; None: there are none."""
        end_ns = min(end_ns, self.raw_since)
        paths = [path for path, segment in self.minute_files.items() if segment.overlaps(start_ns, end_ns)]
        return f"SELECT * FROM {source(paths, 'minutes')} {_where(ids, start_ns, end_ns)}" if paths else None

    def table(self, sql: str) -> pa.Table:
        """Return the result of a query; raise StoreUnavailable when it takes too long or too much memory."""
        waiting = patience.current.get(None)
        try:
            with _watch.limit(self.cursor), waiting.interrupting(self.cursor.interrupt) if waiting else nullcontext():
                if waiting is not None and waiting.ended:
                    raise StoreUnavailable("its client has gone", "ask again")
                return self.cursor.sql(sql).to_arrow_table()
        except (duckdb.InterruptException, duckdb.OutOfMemoryException) as error:
            raise StoreUnavailable("the query takes too long or too much memory", "ask for less at once") from error
        except duckdb.Error as error:
            raise StoreUnavailable(f"the store cannot read: {error}", "see the log of the cloud") from error

    def reader(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Give the result of a query piece by piece; raise StoreUnavailable."""
        try:
            yield from self.cursor.sql(sql).to_arrow_reader(EXPORT_ROWS)
        except (duckdb.Error, pa.ArrowException) as error:
            raise StoreUnavailable(f"the store cannot read: {error}", "see the log of the cloud") from error


def _where(ids: Sequence[int], start_ns: int, end_ns: int) -> str:
    return f"WHERE series IN ({', '.join(map(str, ids))}) AND time >= {start_ns} AND time < {end_ns}"
