"""What the embedded store knows in memory, and the DuckDB file that it is loaded from."""

# ruff: noqa: S608  (nothing but numbers and names of our own is put into SQL)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import duckdb

from cloud.telemetry.batch import Sample, Series
from cloud.telemetry.segments import COLUMNS, Kind, Segment, SegmentFolder, source
from cloud.telemetry.store import StoreUnavailable

FORMAT: Final = 3
MEMORY: Final = "256MB"
HOT: Final = ("hot_0", "hot_1")
_ROW: Final = "(series UINTEGER, time BIGINT, value DOUBLE, text VARCHAR, quality SMALLINT, status UINTEGER)"
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS meta (format INTEGER, active INTEGER);
INSERT INTO meta SELECT {FORMAT}, 0 WHERE NOT EXISTS (FROM meta);
CREATE TABLE IF NOT EXISTS series
    (id UINTEGER, asset VARCHAR, signal VARCHAR, kind VARCHAR, site VARCHAR, area VARCHAR, line VARCHAR);
CREATE TABLE IF NOT EXISTS segments (name VARCHAR, rows BIGINT, min_time BIGINT, max_time BIGINT);
CREATE TABLE IF NOT EXISTS minutes (name VARCHAR, rows BIGINT, min_time BIGINT, max_time BIGINT);
CREATE TABLE IF NOT EXISTS kept (raw_since BIGINT);
CREATE TABLE IF NOT EXISTS newest {_ROW};
CREATE TABLE IF NOT EXISTS hot_0 {_ROW};
CREATE TABLE IF NOT EXISTS hot_1 {_ROW};
"""
"""`newest` has the newest sealed sample of each series; it says what a series' sealed time is, too.

`raw_since`: rows before it do not count any more, wherever they are; their minutes do. Format 1 had no minutes, format
2 no status.
"""


def newest_of(rows: str) -> str:
    """Return the SQL of the newest row per series; `rows` has an `age` that decides between equal times."""
    row = "{'t': time, 'v': value, 'x': text, 'q': quality, 's': status}"
    return (
        f"SELECT series, n.t AS time, n.v AS value, n.x AS text, n.q AS quality, n.s AS status "
        f"FROM (SELECT series, arg_max({row}, {{'t': time, 'a': age}}) AS n FROM ({rows}) GROUP BY series)"
    )


@dataclass(slots=True)
class Catalog:
    """The state of a store: `active` is the number of the hot table that grows, the other one is being sealed or empty.

    `overlapping` are ids of series with rows in the growing table that are not newer than all outside of it;
    `overlapping_sealing` the same for the table being sealed. `writes` counts those that have changed something, and
    `number` tells one state that was loaded from another.
    """

    series: dict[str, dict[str, Series]] = field(default_factory=dict)
    next_id: int = 1
    active: int = 0
    hot_rows: int = 0
    writes: int = 0
    number: int = field(default_factory=count().__next__)
    sealing_rows: int = 0
    next_segment: int = 1
    segments: list[Segment] = field(default_factory=list)
    minutes: list[Segment] = field(default_factory=list)
    raw_since: int = 0
    missing: list[str] = field(default_factory=list)
    overlapping: set[int] = field(default_factory=set)
    overlapping_sealing: set[int] = field(default_factory=set)

    @property
    def growing(self) -> str:
        """The hot table that grows."""
        return HOT[self.active]

    @property
    def sealing(self) -> str:
        """The hot table that is being sealed, or empty."""
        return HOT[1 - self.active]

    def files(self, kind: Kind) -> list[Segment]:
        """Return the segments of samples or minutes."""
        return self.segments if kind == "segments" else self.minutes

    def all_series(self) -> Iterator[Series]:
        """Give every series; a copy, since a write may add some meanwhile."""
        for of_asset in list(self.series.values()):
            yield from list(of_asset.values())


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file of a store and make its tables; raise StoreUnavailable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": 2,
        "allocator_background_threads": True,  # what a merge took goes back at once, not after minutes
        "temp_directory": str(path.with_suffix(".tmp")),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        connection = duckdb.connect(str(path), config=config)
    except duckdb.IOException as error:
        message = str(error)
        if "lock" in message:
            raise StoreUnavailable(
                f"{path} is open in another process: {message}",
                "stop the other cloud, or give this one another SHOPFLOOR_HOME: one process owns the file",
            ) from error
        raise StoreUnavailable(
            f"cannot open {path}: {message}",
            "is its disk full or damaged? free space or restore the folder from a backup",
        ) from error
    except duckdb.Error as error:
        raise StoreUnavailable(f"cannot open {path}: {error}", "restore the folder from a backup") from error
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute(_SCHEMA)
    (found,) = connection.execute("SELECT format FROM meta").fetchone() or (None,)
    if found in (1, 2):
        _renew(connection)
    elif found != FORMAT:
        connection.close()
        raise StoreUnavailable(
            f"{path} has format {found}, this version reads {FORMAT}", "use the version that wrote it"
        )
    return connection


def _renew(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring a file of an earlier format to ours, at once; files of samples stay as they are."""
    ((active,),) = connection.execute("SELECT active FROM meta").fetchall()
    connection.begin()
    for table in ("newest", *HOT):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN status UINTEGER")
    connection.execute("DELETE FROM meta")  # not by UPDATE: see DuckDbStore.swap
    connection.execute("INSERT INTO meta VALUES (?, ?)", [FORMAT, active])
    connection.commit()


def load(connection: duckdb.DuckDBPyConnection, folder: SegmentFolder, ahead_ns: int) -> Catalog:
    """Read what a store must know; a last sample after `ahead_ns` counts only for series that have no other."""
    catalog = Catalog()
    ((catalog.active,),) = connection.execute("SELECT active FROM meta").fetchall()
    segments, minutes = (
        [Segment(*row) for row in connection.execute(f"FROM {kind} ORDER BY name").fetchall()]
        for kind in ("segments", "minutes")
    )
    catalog.next_segment = max((segment.number for segment in [*segments, *minutes]), default=0) + 1
    catalog.missing = folder.prepare(segment.name for segment in [*segments, *minutes])
    catalog.segments = [segment for segment in segments if segment.name not in catalog.missing]
    catalog.minutes = [segment for segment in minutes if segment.name not in catalog.missing]
    catalog.raw_since = max((since for (since,) in connection.execute("FROM kept").fetchall()), default=0)
    by_id = {}
    for id_, asset, signal, kind, *place in connection.execute("FROM series").fetchall():
        by_id[id_] = catalog.series.setdefault(asset, {})[signal] = Series(id_, asset, signal, kind, tuple(place))
    catalog.next_id = max(by_id, default=0) + 1
    for id_, time_ns, *rest in connection.execute("FROM newest").fetchall():
        _met(by_id[id_], Sample(time_ns, *rest))
    _load_hot(connection, catalog, by_id)
    wrong = [series for series in by_id.values() if series.last is not None and series.last.time_ns > ahead_ns]
    _look_before(connection, folder, catalog, wrong, ahead_ns)
    return catalog


def _met(series: Series, sample: Sample) -> None:
    if series.last is None or sample.time_ns >= series.newest_ns:
        series.last = sample
    series.newest_ns = series.tip_ns = max(series.newest_ns, sample.time_ns)
    series.sealed_ns = series.newest_ns


def _load_hot(connection: duckdb.DuckDBPyConnection, catalog: Catalog, by_id: dict[int, Series]) -> None:
    for table, overlapping in (
        (catalog.sealing, catalog.overlapping_sealing),
        (catalog.growing, catalog.overlapping),
    ):
        oldest = dict(connection.execute(f"SELECT series, min(time) FROM {table} GROUP BY series").fetchall())
        overlapping.update(id_ for id_, time_ns in oldest.items() if time_ns <= by_id[id_].newest_ns)
        for id_, time_ns, *rest in connection.execute(newest_of(f"SELECT *, 0 AS age FROM {table}")).fetchall():
            series = by_id[id_]
            sealed_ns = series.newest_ns
            _met(series, Sample(time_ns, *rest))
            if table == catalog.growing:
                series.sealed_ns = sealed_ns
    # to the end: a result that is not read out keeps a transaction open, and with it every row that was sealed
    ((catalog.hot_rows,),) = connection.execute(f"SELECT count(*) FROM {catalog.growing}").fetchall()
    ((catalog.sealing_rows,),) = connection.execute(f"SELECT count(*) FROM {catalog.sealing}").fetchall()


def _look_before(
    connection: duckdb.DuckDBPyConnection, folder: SegmentFolder, catalog: Catalog, wrong: list[Series], ahead_ns: int
) -> None:
    if not wrong:
        return
    ids = ", ".join(str(series.id) for series in wrong)
    sources = [*HOT, *([source(folder.path(s.name) for s in catalog.segments)] if catalog.segments else [])]
    where = f"WHERE series IN ({ids}) AND time <= {ahead_ns}"
    rows = " UNION ALL ".join(f"SELECT {COLUMNS}, 0 AS age FROM {table} {where}" for table in sources)
    found = {id_: Sample(*rest) for id_, *rest in connection.execute(newest_of(rows)).fetchall()}
    for series in wrong:
        series.last = found.get(series.id, series.last)
