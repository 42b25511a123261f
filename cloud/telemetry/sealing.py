"""Sealing: what makes sorted, immutable segments of rows that came in the order of arrival."""

# ruff: noqa: S608  (nothing but numbers and names of our own is put into SQL)

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import duckdb
import structlog

from cloud.telemetry.catalog import newest_of
from cloud.telemetry.segments import COLUMNS, FORMAT, Segment, source
from cloud.telemetry.store import StoreUnavailable

if TYPE_CHECKING:
    from cloud.telemetry.duckdb_store import DuckDbStore

MERGE: Final = 8
"""So many small segments become one, so that a query opens few files."""
RETRY_S: Final = 30.0
STOP_S: Final = 2.0
log = structlog.get_logger(__name__)


class Sealer:
    """Seals in a thread when the store wants it; a failure is logged once and tried again."""

    def __init__(self, store: DuckDbStore, *, retry_s: float = RETRY_S) -> None:
        self._store = store
        self._retry_s = retry_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._failing = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a segment that is being written is given up, its rows stay where they are. Safe twice."""
        self._stopping.set()
        self._store.seal_wanted.set()
        deadline = time.monotonic() + STOP_S
        # one interrupt may fall between two statements, and the next one take long
        while self._thread.is_alive() and time.monotonic() < deadline:
            cursor = self._cursor
            if cursor is not None:
                with suppress(duckdb.Error):  # it has been closed meanwhile
                    cursor.interrupt()
            self._thread.join(0.02)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._store.seal_wanted.wait()
            self._store.seal_wanted.clear()
            if self._stopping.is_set():
                return
            try:
                self._store.swap(self._store.seal_rows)
                self.seal()
                while not self._stopping.is_set() and self.merge():
                    pass
            except StoreUnavailable as error:
                self._failed(error)
                self._stopping.wait(self._retry_s)
                self._store.seal_wanted.set()
            else:
                self._failing = False

    def _failed(self, error: StoreUnavailable) -> None:
        if not self._failing and not self._stopping.is_set():
            log.error("samples are not sealed for now; they stay where they are", reason=str(error), todo=error.todo)
        self._failing = True

    def seal(self) -> None:
        """Seal the rows of the hot table that does not grow; raise StoreUnavailable, with nothing changed."""
        catalog = self._store.catalog
        if not catalog.sealing_rows:
            return
        table = catalog.sealing
        replaced = [s for s in catalog.segments if catalog.overlapping_sealing and self._repeats(s)]
        new = [self._write(f"SELECT {COLUMNS} FROM {table}")]
        for segment in replaced:
            new.append(
                self._write(f"SELECT {COLUMNS} FROM {self._source(segment)} ANTI JOIN {table} USING (series, time)")
            )
        with self._reading() as cursor:
            rows = f"SELECT *, 0 AS age FROM newest UNION ALL SELECT *, 1 FROM {table}"
            newest = cursor.sql(newest_of(rows)).to_arrow_table()
        self._store.replace(replaced, [segment for segment in new if segment.rows], newest)
        # lets the sealed rows go from file and write-ahead log; when a write is under way the next commit does it
        with suppress(StoreUnavailable), self._reading() as cursor:
            cursor.execute("CHECKPOINT")

    def merge(self) -> bool:
        """Make one segment of MERGE small ones; return whether there were so many. Raise StoreUnavailable."""
        small = [s for s in self._store.catalog.segments if s.rows < MERGE * self._store.seal_rows // 2]
        if len(small) < MERGE:
            return False
        chosen = small[:MERGE]
        self._store.replace(chosen, [self._write(f"SELECT {COLUMNS} FROM {self._source(*chosen)}")])
        return True

    def _source(self, *segments: Segment) -> str:
        return source(self._store.folder.path(segment.name) for segment in segments)

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._cursor = self._store.cursor()
        try:
            yield cursor
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailable(f"cannot seal samples: {error}", "is the disk full or damaged?") from error
        finally:
            self._cursor = None
            cursor.close()

    def _repeats(self, segment: Segment) -> bool:
        """Tell whether the table being sealed has a sample of a segment again."""
        catalog = self._store.catalog
        late = (
            f"SELECT series, time FROM {catalog.sealing} "
            f"WHERE series IN ({', '.join(map(str, catalog.overlapping_sealing))}) "
            f"AND time BETWEEN {segment.min_time} AND {segment.max_time}"
        )
        with self._reading() as cursor:
            repeats = f"SELECT 1 FROM {self._source(segment)} SEMI JOIN ({late}) USING (series, time) LIMIT 1"
            return cursor.execute(repeats).fetchone() is not None

    def _write(self, rows: str) -> Segment:
        """Write rows into a new file, in order, and make it durable."""
        folder, name = self._store.folder, self._store.segment_name()
        draft = str(folder.draft(name)).replace("'", "''")
        try:
            with self._reading() as cursor:
                cursor.execute(f"COPY ({rows} ORDER BY series, time) TO '{draft}' ({FORMAT})")
                found = cursor.execute(f"SELECT count(*), min(time), max(time) FROM read_parquet('{draft}')").fetchone()
                assert found is not None
                if found[0]:
                    folder.seal(name)
                else:  # all rows of a replaced segment came again
                    folder.discard(name)
        except StoreUnavailable:
            folder.discard(name)
            raise
        return Segment(name, found[0], found[1] or 0, found[2] or 0)
