"""Sealing: what makes sorted, immutable segments of rows that came in the order of arrival, and minutes of old ones.

A day of samples that is not kept any more is rolled up into a file of minutes, whole, and late samples with it: first
nothing older is taken, then the minutes are made, then one commit lets them stand for the samples (`raw_since`), then
the samples go. So a crash anywhere leaves one of both. A file of which most has expired is written anew without that.
"""

# ruff: noqa: S608  (nothing but numbers and names of our own is put into SQL)

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from cloud.telemetry.catalog import newest_of
from cloud.telemetry.files import Files
from cloud.telemetry.rollup import DAY_NS, roll_up
from cloud.telemetry.segments import COLUMNS, FORMAT, MINUTE_COLUMNS, Kind, Segment, source
from cloud.telemetry.store import StoreUnavailable

MERGE: Final = 8
"""So many small segments become one, so that a query opens few files."""
LARGE: Final = 16
"""A segment of so many sealed tables is small no more."""
RETRY_S: Final = 30.0
STOP_S: Final = 2.0
log = structlog.get_logger(__name__)


class Sealer:
    """Seals in a thread when the files want it; a failure is logged once and tried again."""

    def __init__(self, files: Files, *, retry_s: float = RETRY_S) -> None:
        self._files = files
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
        self._files.seal_wanted.set()
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
            self._files.seal_wanted.wait(self._files.expiry_s())
            self._files.seal_wanted.clear()
            if self._stopping.is_set():
                return
            try:
                with self._files.maintaining:
                    self._files.swap(self._files.seal_rows)
                    self.seal()
                    while not self._stopping.is_set() and self.merge():
                        pass
                    self.expire()
            except StoreUnavailable as error:
                self._failed(error)
                self._stopping.wait(self._retry_s)
                self._files.seal_wanted.set()
            else:
                self._failing = False

    def _failed(self, error: StoreUnavailable) -> None:
        if not self._failing and not self._stopping.is_set():
            log.error("samples are not sealed for now; they stay where they are", reason=str(error), todo=error.todo)
        self._failing = True

    def seal(self) -> None:
        """Seal the rows of the hot table that does not grow; raise StoreUnavailable, with nothing changed."""
        catalog = self._files.catalog
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
        self._files.replace(replaced, [segment for segment in new if segment.rows], newest)
        # lets the sealed rows go from file and write-ahead log; when a write is under way the next commit does it
        with suppress(StoreUnavailable), self._reading() as cursor:
            cursor.execute("CHECKPOINT")

    def merge(self) -> bool:
        """Make one file of MERGE small ones; return whether there were so many. Raise StoreUnavailable."""
        catalog = self._files.catalog
        kinds: tuple[Kind, ...] = ("segments", "minutes")
        for kind in kinds:
            small = [s for s in catalog.files(kind) if s.rows < LARGE * self._files.seal_rows]
            if len(small) >= MERGE:
                self._replace(kind, small[:MERGE], catalog.raw_since if kind == "segments" else 0)
                return True
        return False

    def forget(self, asset: str, ids: Sequence[int]) -> None:
        """Write the files anew that have rows of the series of an asset, without these, and let go of the series.

        Raise StoreUnavailable, with nothing changed, also while files are missing: they may come back with such rows.
        """
        if self._files.catalog.missing:
            raise StoreUnavailable("files of samples are missing", "restore them from the backup first")
        series = f"series IN ({', '.join(map(str, ids))})"
        kinds: dict[Kind, str] = {"segments": COLUMNS, "minutes": MINUTE_COLUMNS}
        files: dict[Kind, tuple[list[Segment], list[Segment]]] = {}
        for kind, columns in kinds.items():
            old, new = files[kind] = [], []
            for segment in self._files.catalog.files(kind):
                rows = self._source(segment, kind=kind)
                with self._reading() as cursor:
                    found = cursor.execute(f"SELECT 1 FROM {rows} WHERE {series} LIMIT 1").fetchone()
                if found is not None:
                    old.append(segment)
                    new.append(self._write(f"SELECT {columns} FROM {rows} WHERE NOT {series}"))
            new[:] = [segment for segment in new if segment.rows]
        self._files.drop(asset, files)

    def expire(self, until_ns: int = 0) -> None:
        """Roll up the samples before `until_ns`, or those not kept any more, and let them go, and old minutes.

        Raise StoreUnavailable; what was done until then is done.
        """
        files = self._files
        if files.catalog.missing:  # they may come back from a backup
            return
        raw_until_ns, minutes_until_ns = files.horizons()
        until_ns = max(until_ns, raw_until_ns)
        if until_ns > files.catalog.raw_since:
            files.close_before(until_ns)
            self._roll_up(until_ns)
        self._let_go("segments", files.catalog.raw_since)
        self._let_go("minutes", minutes_until_ns)

    def _roll_up(self, until_ns: int) -> None:
        files = self._files
        while self._is_hot(until_ns):  # twice, when the other table waits for being sealed
            files.swap()
            self.seal()
        while (oldest_ns := self._oldest(until_ns)) is not None:
            since_ns = min((oldest_ns // DAY_NS + 1) * DAY_NS, until_ns)
            files.keep_since(since_ns, self._write(roll_up(self._rows(files.catalog.raw_since, since_ns))))
        files.keep_since(until_ns)

    def take(self, given: pa.Table) -> None:
        """Make a file of MINUTE_ROWS from elsewhere; they replace those of the same (series, minute)."""
        same = "m.series = given.series AND m.time = given.time AND (m.text IS NULL) = (given.text IS NULL)"
        new = [self._write("FROM given", given)]
        old = []
        series = ", ".join(map(str, pc.unique(given["series"]).to_pylist()))
        for segment in self._files.catalog.minutes:
            with self._reading() as cursor:
                cursor.register("given", given)
                rows = f"(FROM {self._source(segment, kind='minutes')} WHERE series IN ({series})) AS m"
                if cursor.execute(f"SELECT 1 FROM {rows} SEMI JOIN given ON {same} LIMIT 1").fetchone():
                    old.append(segment)
        for segment in old:
            others = f"SELECT m.* FROM {self._source(segment, kind='minutes')} AS m ANTI JOIN given ON {same}"
            new.append(self._write(others, given))
        self._files.replace(old, [segment for segment in new if segment.rows], kind="minutes")
        while self.merge():
            pass

    def _is_hot(self, until_ns: int) -> bool:
        catalog = self._files.catalog
        with self._reading() as cursor:
            tables = f"(FROM {catalog.sealing} UNION ALL FROM {catalog.growing})"
            return cursor.execute(f"SELECT 1 FROM {tables} WHERE time < {until_ns} LIMIT 1").fetchone() is not None

    def _rows(self, start_ns: int, end_ns: int) -> str:
        segments = [s for s in self._files.catalog.segments if s.overlaps(start_ns, end_ns)]
        return f"SELECT {COLUMNS} FROM {self._source(*segments)} WHERE time >= {start_ns} AND time < {end_ns}"

    def _oldest(self, until_ns: int) -> int | None:
        """Return the time of the oldest sample before `until_ns`; all are sealed."""
        since_ns = self._files.catalog.raw_since
        if not any(s.overlaps(since_ns, until_ns) for s in self._files.catalog.segments):
            return None
        with self._reading() as cursor:
            oldest = cursor.execute(f"SELECT min(time) FROM ({self._rows(since_ns, until_ns)})").fetchone()
        return None if oldest is None else oldest[0]

    def _let_go(self, kind: Kind, since_ns: int) -> None:
        """Delete the files of which all has expired, and write those anew of which most has."""
        expired = [s for s in self._files.catalog.files(kind) if s.max_time < since_ns]
        if expired:
            self._files.replace(expired, [], kind=kind)
        for segment in [s for s in self._files.catalog.files(kind) if s.min_time < since_ns]:
            with self._reading() as cursor:
                live = f"SELECT count(*) FROM {self._source(segment, kind=kind)} WHERE time >= {since_ns}"
                (rows,) = cursor.execute(live).fetchone() or (0,)
            if 2 * rows < segment.rows:
                self._replace(kind, [segment], since_ns)

    def _replace(self, kind: Kind, old: list[Segment], since_ns: int) -> None:
        columns = COLUMNS if kind == "segments" else MINUTE_COLUMNS
        new = self._write(f"SELECT {columns} FROM {self._source(*old, kind=kind)} WHERE time >= {since_ns}")
        self._files.replace(old, [new] if new.rows else [], kind=kind)

    def _source(self, *segments: Segment, kind: Kind = "segments") -> str:
        return source((self._files.folder.path(segment.name) for segment in segments), kind)

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._cursor = self._files.cursor()
        try:
            yield cursor
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailable(f"cannot seal samples: {error}", "is the disk full or damaged?") from error
        finally:
            self._cursor = None
            cursor.close()

    def _repeats(self, segment: Segment) -> bool:
        """Tell whether the table being sealed has a sample of a segment again."""
        catalog = self._files.catalog
        late = (
            f"SELECT series, time FROM {catalog.sealing} "
            f"WHERE series IN ({', '.join(map(str, catalog.overlapping_sealing))}) "
            f"AND time BETWEEN {segment.min_time} AND {segment.max_time}"
        )
        with self._reading() as cursor:
            repeats = f"SELECT 1 FROM {self._source(segment)} SEMI JOIN ({late}) USING (series, time) LIMIT 1"
            return cursor.execute(repeats).fetchone() is not None

    def _write(self, rows: str, given: pa.Table | None = None) -> Segment:
        """Write rows, of files or `given`, into a new file, in order, and make it durable."""
        folder, name = self._files.folder, self._files.segment_name()
        draft = str(folder.draft(name)).replace("'", "''")
        try:
            with self._reading() as cursor:
                if given is not None:
                    cursor.register("given", given)
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
