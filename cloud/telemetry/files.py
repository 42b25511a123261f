"""The files of the embedded store: what is open, what is known of them, and how that changes, all at once or not."""

# ruff: noqa: S608  (nothing but numbers and names of our own is put into SQL)

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from cloud.telemetry import catalog as catalogs
from cloud.telemetry.catalog import Catalog
from cloud.telemetry.rollup import DAY_NS, horizon
from cloud.telemetry.segments import ENDING, Kind, Segment, SegmentFolder
from cloud.telemetry.store import StoreUnavailable
from cloud.telemetry.tail import Tails
from cloud.telemetry.view import View

AHEAD_NS: Final = 300 * 10**9
"""A sample this far in the future comes from a wrong clock."""
SEAL_ROWS: Final = 250_000
"""Rows of the growing table, which is in memory: some 7 MB until they are sealed."""


class Files:
    """The DuckDB file with the rows that are not sealed, the folder of segments, and the catalog of both.

    Samples are kept for `raw_days`, minutes for `minute_days`; 0: for ever.
    """

    def __init__(
        self,
        folder: Path,
        *,
        raw_days: int = 0,
        minute_days: int = 0,
        seal_rows: int = SEAL_ROWS,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.seal_rows = seal_rows
        self.maintaining = threading.Lock()
        """Held by who seals, merges or rolls up."""
        self.seal_wanted = threading.Event()
        self.folder = SegmentFolder(folder / "segments")
        self._raw_days, self._minute_days = raw_days, minute_days
        self._closed_before_ns = 0
        self._path = folder / "samples.duckdb"
        self._now_ns = now_ns
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._closed = False
        self.catalog = Catalog()
        self._tails = Tails()
        # one write at a time; and, inside of it, the short moments in which a view must not be taken
        self._writing = threading.Lock()
        self._changing = threading.RLock()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        # also after an error that DuckDB cannot go on from: what is durable is read again
        if self._closed:
            raise StoreUnavailable("the store is closed", "start the cloud again")
        if self._connection is None:
            self._connection = catalogs.connect(self._path)
            self.catalog = catalogs.load(self._connection, self.folder, self._now_ns() + AHEAD_NS)
            self._tails = Tails()
            self._closed_before_ns = max(self._closed_before_ns, self.catalog.raw_since, self.horizons()[0])
            if self.catalog.sealing_rows or self.expiry_s() is not None:
                self.seal_wanted.set()
        return self._connection

    def close(self) -> None:
        """Release the files; safe twice."""
        with self._writing, self._changing:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of one's own to the open file; raise StoreUnavailable."""
        with self._changing:
            return self._connected().cursor()

    @contextlib.contextmanager
    def change(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Run a transaction; raise StoreUnavailable, with nothing changed, when it cannot be made durable."""
        cursor = self.cursor()
        try:
            cursor.begin()
            yield cursor
            cursor.commit()
        except duckdb.Error as error:
            self._give_up(error)
            raise StoreUnavailable(
                f"the store cannot write: {error}".splitlines()[0],
                f"is the disk of {self._path.parent} full or damaged? nothing of this request was stored",
            ) from error
        finally:
            cursor.close()

    def _give_up(self, error: duckdb.Error) -> None:
        # after a failed commit DuckDB may refuse everything until the file is opened again
        if isinstance(error, duckdb.FatalException | duckdb.InternalException | duckdb.IOException):
            with self._changing, contextlib.suppress(duckdb.Error):
                connection, self._connection = self._connection, None
                if connection is not None:
                    connection.close()

    @contextlib.contextmanager
    def view(self) -> Iterator[View]:
        """Hold a view; raise StoreUnavailable."""
        with self._changing:
            cursor = self._connected().cursor()
            catalog = self.catalog
            cursor.begin()
            cursor.execute("FROM meta").fetchall()  # a snapshot begins with the first look, not with BEGIN
            tables = (catalog.sealing, catalog.growing)
            segments, minutes = (
                {self.folder.path(s.name): s for s in files} for files in (catalog.segments, catalog.minutes)
            )
            late = frozenset(catalog.overlapping | catalog.overlapping_sealing)
            names = [s.name for s in [*catalog.segments, *catalog.minutes]]
            self.folder.hold(names)
        try:
            yield View(cursor, tables, segments, minutes, catalog.raw_since, late)
        finally:
            cursor.close()
            self.folder.release(names)

    def raw_since(self) -> int:
        """See Store."""
        return self.catalog.raw_since

    def horizons(self) -> tuple[int, int]:
        """Return before which times samples and minutes are not kept."""
        now_ns = self._now_ns()
        return horizon(now_ns, self._raw_days), horizon(now_ns, self._minute_days)

    def expiry_s(self) -> float | None:
        """Return how long it takes until something expires again; None: nothing ever does."""
        return (DAY_NS - self._now_ns() % DAY_NS) / 1e9 if self._raw_days or self._minute_days else None

    def close_before(self, until_ns: int) -> None:
        """Take no samples before a time any more; when this returns, those that were taken are committed."""
        with self._writing:
            self._closed_before_ns = max(self._closed_before_ns, until_ns)

    def keep_since(self, raw_since: int, minutes: Segment | None = None) -> None:
        """Let minutes stand for all samples before `raw_since`, at once."""
        with self._writing, self._changing:
            catalog = self.catalog
            new = [minutes] if minutes is not None and minutes.rows else []
            with self.change() as cursor:
                for segment in new:
                    cursor.execute("INSERT INTO minutes VALUES (?, ?, ?, ?)", list(segment))
                cursor.execute("DELETE FROM kept")
                cursor.execute("INSERT INTO kept VALUES (?)", [raw_since])
            catalog.minutes = sorted([*catalog.minutes, *new])
            catalog.raw_since = raw_since

    def swap(self, least: int = 1) -> None:
        """Let the empty hot table take over from the growing one, which is to be sealed; not below `least` rows."""
        with self._writing, self._changing:
            catalog = self.catalog
            if catalog.sealing_rows or catalog.hot_rows < least:
                return
            with self.change() as cursor:
                # neither UPDATE nor CREATE OR REPLACE: after them DuckDB 2.0 never checkpoints again
                cursor.execute("DELETE FROM meta")
                cursor.execute("INSERT INTO meta VALUES (?, ?)", [catalogs.FORMAT, 1 - catalog.active])
            catalog.active = 1 - catalog.active
            catalog.hot_rows, catalog.sealing_rows = 0, catalog.hot_rows
            catalog.overlapping_sealing, catalog.overlapping = catalog.overlapping, set()
            for series in catalog.all_series():
                series.sealed_ns = series.newest_ns

    def segment_name(self) -> str:
        """Return a name that no segment has."""
        with self._changing:
            number = self.catalog.next_segment
            self.catalog.next_segment = number + 1
        return f"{number:08d}{ENDING}"

    def replace(
        self,
        old: Sequence[Segment],
        new: Sequence[Segment],
        newest: pa.Table | None = None,
        *,
        kind: Kind = "segments",
    ) -> None:
        """Let new segments stand for old ones, all at once.

        With `newest`, the newest sealed rows of all series, they stand for the table being sealed, too.
        """
        with self._writing, self._changing:
            catalog = self.catalog
            with self.change() as cursor:
                for segment in old:
                    cursor.execute(f"DELETE FROM {kind} WHERE name = ?", [segment.name])
                for segment in new:
                    cursor.execute(f"INSERT INTO {kind} VALUES (?, ?, ?, ?)", list(segment))
                if newest is not None:
                    cursor.register("newest_rows", newest)
                    cursor.execute("DELETE FROM newest")
                    cursor.execute("INSERT INTO newest FROM newest_rows")
                    cursor.execute(f"DELETE FROM {catalog.sealing}")
            setattr(catalog, kind, sorted([*(s for s in catalog.files(kind) if s not in old), *new]))
            if newest is not None:
                catalog.sealing_rows = 0
                catalog.overlapping_sealing = set()
        self.folder.retire(segment.name for segment in old)

    def drop(self, asset: str, files: Mapping[Kind, tuple[Sequence[Segment], Sequence[Segment]]]) -> None:
        """Let go of the series of an asset, at once; `files` are the old ones with rows of it, and new ones without."""
        with self._writing, self._changing:
            catalog = self.catalog
            ids = {series.id for series in catalog.series.get(asset, {}).values()}
            where = f"WHERE series IN ({', '.join(map(str, ids))})"
            with self.change() as cursor:
                for kind, (old, new) in files.items():
                    for segment in old:
                        cursor.execute(f"DELETE FROM {kind} WHERE name = ?", [segment.name])
                    for segment in new:
                        cursor.execute(f"INSERT INTO {kind} VALUES (?, ?, ?, ?)", list(segment))
                for table in ("newest", *catalogs.HOT):
                    cursor.execute(f"DELETE FROM {table} {where}")
                cursor.execute("DELETE FROM series WHERE asset = ?", [asset])
                ((catalog.hot_rows,),) = cursor.execute(f"SELECT count(*) FROM {catalog.growing}").fetchall()
                ((catalog.sealing_rows,),) = cursor.execute(f"SELECT count(*) FROM {catalog.sealing}").fetchall()
            for kind, (old, new) in files.items():
                setattr(catalog, kind, sorted([*(s for s in catalog.files(kind) if s not in old), *new]))
            catalog.overlapping -= ids
            catalog.overlapping_sealing -= ids
            catalog.series.pop(asset, None)
            catalog.writes += 1
            self._tails.drop(ids)
        for old, _ in files.values():
            self.folder.retire(segment.name for segment in old)
