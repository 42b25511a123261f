"""The embedded store: DuckDB for what is new, sorted Parquet files for what is old.

`samples.duckdb` has a table that grows (`hot_0` or `hot_1`), the series and the list of segments. Each write is one
transaction, durable when it returns. When the growing table is long enough the other one takes over, and a thread seals
the long one into a segment (cloud.telemetry.sealing). A row of the growing table stands for a sealed one with the same
(series, time): which series have such late rows is known in memory, and only queries for them look twice. Once a day
the thread rolls up what is too old into minutes; before `raw_since` minutes count alone, from there on samples alone.
"""

# ruff: noqa: S608  (nothing but numbers and names of our own is put into SQL)

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cloud.telemetry import minute_lines
from cloud.telemetry.batch import Batch, Series
from cloud.telemetry.catalog import Catalog
from cloud.telemetry.exact import with_types
from cloud.telemetry.files import AHEAD_NS, SEAL_ROWS, Files
from cloud.telemetry.sealing import Sealer
from cloud.telemetry.segments import COLUMNS
from cloud.telemetry.store import (
    BUCKETS,
    LAST,
    MINUTES,
    RAW,
    TIME,
    Query,
    Stored,
    StoreUnavailable,
    TooManyRows,
    Trouble,
    WriteResult,
)
from cloud.telemetry.tail import MAX_ROWS
from cloud.telemetry.times import MAX_NS


class DuckDbStore(Files):
    """The embedded store: files that samples are written to and read from; one process at a time.

    `open` it, and `close` it in the end.
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
        super().__init__(folder, raw_days=raw_days, minute_days=minute_days, seal_rows=seal_rows, now_ns=now_ns)
        self._sealer = Sealer(self)
        self._last: tuple[int, int, pa.Table] = (-1, -1, LAST.empty_table())

    def open(self) -> DuckDbStore:
        """Open the files; return itself. Raise StoreUnavailable."""
        with self._changing:
            self._connected()
        self._sealer.start()
        return self

    def close(self) -> None:
        """Release the files; safe twice."""
        self._sealer.stop()
        super().close()

    # --- writing

    def write(self, lines: bytes) -> WriteResult:
        """See Store."""
        with self._writing:
            self.cursor().close()
            catalog = self.catalog
            batch = Batch(catalog.series, catalog.next_id, self._closed_before_ns)
            try:
                batch.read(lines)
                self._commit(catalog, batch)
            except BaseException:
                for series in batch.newest():
                    series.tip_ns = series.newest_ns
                raise
            self._remember(catalog, batch)
            self._seal_when_long()
            return WriteResult(batch.samples, len(batch.late))

    def _commit(self, catalog: Catalog, batch: Batch) -> None:
        # before the commit: a view between commit and this would take a late row and the sealed one for two
        catalog.overlapping |= {id_ for (id_, at), (series, _) in batch.late.items() if at <= series.sealed_ns}
        growing = catalog.growing
        with self.change() as cursor:
            if batch.made:
                cursor.register("made", batch.made_rows())
                cursor.execute("INSERT INTO series FROM made")
            cursor.register("fresh", batch.fresh_rows())
            cursor.execute(f"INSERT INTO {growing} FROM fresh")
            if batch.late:
                cursor.register("late", batch.late_rows())
                cursor.execute(
                    f"DELETE FROM {growing} AS old USING late WHERE old.series = late.series AND old.time = late.time"
                )
                cursor.execute(f"INSERT INTO {growing} FROM late")

    def _remember(self, catalog: Catalog, batch: Batch) -> None:
        ahead_ns = self._now_ns() + AHEAD_NS
        for series, sample in batch.newest().items():
            series.newest_ns = series.tip_ns
            series.show(sample, ahead_ns)
        for series, sample in batch.late.values():
            series.show(sample, ahead_ns)
        for asset, made in batch.made.items():
            catalog.series.setdefault(asset, {}).update(made)
        catalog.next_id = batch.next_id
        catalog.hot_rows += batch.samples
        catalog.writes += 1
        self._tails.add(batch)

    def write_minutes(self, lines: bytes) -> None:
        """See Store."""
        with self.maintaining:
            with self._writing:
                catalog = self.catalog
                batch = Batch(catalog.series, catalog.next_id, 0)
                given = minute_lines.read(lines, batch, catalog.raw_since)
                self._commit(catalog, batch)
                self._remember(catalog, batch)
            if given.raw_since > catalog.raw_since:
                self._sealer.expire(given.raw_since)
            if given.rows:
                self._sealer.take(given.rows)

    def _seal_when_long(self) -> None:
        if self.catalog.sealing_rows or self.catalog.hot_rows >= self.seal_rows:
            self.seal_wanted.set()

    def forget(self, asset: str) -> None:
        """See Store."""
        with self.maintaining:
            self.cursor().close()  # opens the file if it has to be
            if ids := [series.id for series in self.catalog.series.get(asset, {}).values()]:
                self._sealer.forget(asset, ids)

    # --- reading

    def _series(self, query: Query) -> list[Series]:
        known = self.catalog.series.get(query.asset, {})
        return [known[signal] for signal in sorted(query.signals) if signal in known]

    def samples(self, query: Query, limit: int) -> pa.Table:
        """See Store."""
        series = self._series(query)
        if not series:
            return RAW.empty_table()
        table = self._from_tail(series, query)
        if table is None:
            table = self._rows(series, query.start_ns, query.end_ns, limit + 1)
        if len(table) > limit:
            raise TooManyRows(f"more than {limit} samples")
        return _raw(table, series)

    def at_hand(self, query: Query) -> pa.Table | None:
        """See Store."""
        series = self._series(query)
        if len(series) != 1 or query.start_ns < self.catalog.raw_since:
            return None
        table = self._tails.at_hand(series[0].id, query.start_ns, query.end_ns)
        return None if table is None else _raw(table, series)

    def _rows(self, series: Sequence[Series], start_ns: int, end_ns: int, most: int) -> pa.Table:
        with self.view() as view:
            rows = view.rows([s.id for s in series], start_ns, end_ns)
            return view.table(f"SELECT {COLUMNS} FROM ({rows}) ORDER BY series, time LIMIT {most}")

    def _from_tail(self, series: Sequence[Series], query: Query) -> pa.Table | None:
        """Return samples of one series that are in memory, or worth to be; None: look into the files."""
        if len(series) > 1 or query.start_ns < self.catalog.raw_since:
            return None

        def load(since_ns: int) -> pa.Table:
            return self._rows(series, since_ns, MAX_NS, MAX_ROWS)

        return self._tails.rows(series[0].id, query.start_ns, query.end_ns, self._now_ns(), load)

    def buckets(self, query: Query, width_ns: int) -> pa.Table:
        """See Store."""
        series = self._series(query)
        if not series:
            return BUCKETS.empty_table()
        with self.view() as view:
            what = [s.id for s in series], query.start_ns, query.end_ns
            # a sample is a minute of its own
            rows = (
                "SELECT series, time, value AS min, value AS sum, value AS max, value AS last, 1 AS count "
                f"FROM ({view.rows(*what)}) WHERE value IS NOT NULL"
            )
            if minutes := view.minutes(*what):
                numbers = f"({minutes}) WHERE text IS NULL"
                rows += f" UNION ALL SELECT series, time, min, sum, max, last, count FROM {numbers}"
            table = view.table(
                f"SELECT series, (time - {query.start_ns}) // {width_ns} * {width_ns} + {query.start_ns} AS time, "
                "min(min) AS min, sum(sum) / sum(count) AS mean, max(max) AS max, arg_max(last, time) AS last, "
                f"sum(count)::BIGINT AS count FROM ({rows}) GROUP BY 1, 2 ORDER BY 1, 2"
            )
        return _named(table, series).select(BUCKETS.names).cast(BUCKETS)

    def minutes(self, query: Query) -> Generator[pa.RecordBatch]:
        """See Store."""
        with self.view() as view:
            for series in self._series(query):
                if minutes := view.minutes([series.id], query.start_ns, query.end_ns):
                    rows = f"SELECT series, time, min, sum / count AS mean, max, last, count, text FROM ({minutes})"
                    yield from _batches(view.reader(f"{rows} ORDER BY time, text IS NOT NULL"), series, MINUTES)

    def export(self, query: Query) -> Generator[pa.RecordBatch]:
        """See Store."""
        with self.view() as view:
            for series in self._series(query):
                rows = view.rows([series.id], query.start_ns, query.end_ns)
                found = view.reader(f"SELECT {COLUMNS} FROM ({rows}) ORDER BY time")
                yield from _batches(found, series, RAW)

    def last(self, assets: Sequence[str]) -> pa.Table:
        """See Store."""
        catalog, writes = self.catalog, self.catalog.writes
        if not assets and self._last[:2] == (catalog.number, writes):
            return self._last[2]
        wanted = set(assets)
        found = [s for s in catalog.all_series() if s.last is not None and (not wanted or s.asset in wanted)]
        found.sort(key=lambda s: (s.asset, s.signal))
        rows = [(s.asset, s.signal, *s.last) for s in found if s.last is not None]
        kept = ("asset", "signal", "time", "value", "text", "quality", "status")
        columns = zip(*rows, strict=True) if rows else ((),) * len(kept)
        types = [pa.int64() if name == "time" else LAST.field(name).type for name in kept]
        arrays = [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)]
        table = with_types(pa.Table.from_arrays(arrays, names=kept)).select(LAST.names).cast(LAST)
        if not assets:
            self._last = catalog.number, writes, table
        return table

    def series(self, assets: Sequence[str] = ()) -> list[Stored]:
        """See Store."""
        wanted = set(assets)
        series = self.catalog.series
        of_assets = (series.get(asset, {}) for asset in wanted) if wanted else series.copy().values()
        found = (s for of_asset in of_assets for s in of_asset.copy().values())
        return sorted(Stored(s.asset, s.signal, s.kind, *s.place) for s in found)

    def health(self) -> Trouble | None:
        """See Store."""
        if self.catalog.missing:
            return Trouble(f"segments are missing: {', '.join(self.catalog.missing)}", "restore them from a backup")
        try:
            self.cursor().close()
        except StoreUnavailable:
            return Trouble("the store cannot open its files", "look at the log of the cloud; is its disk full?")
        return None


def _batches(found: Iterator[pa.RecordBatch], series: Series, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in found:
        table = pa.Table.from_batches([batch])
        named = _raw(table, [series]) if schema is RAW else _named(table, [series]).select(schema.names).cast(schema)
        yield from named.to_batches()


def _raw(rows: pa.Table, series: Sequence[Series]) -> pa.Table:
    """Return ROWS as RAW."""
    table = with_types(_named(rows, series)).select(RAW.names)
    time = table.schema.get_field_index("time")
    return table.set_column(time, RAW.field(time), table["time"].cast(TIME))  # all others have their types


def _named(table: pa.Table, series: Sequence[Series]) -> pa.Table:
    """Return rows with the signal's name for its number, in the order of `series`."""
    parts = [(s, table.filter(pc.equal(table["series"], s.id)) if len(series) > 1 else table) for s in series]
    return pa.concat_tables(
        part.append_column("signal", pa.repeat(pa.scalar(s.signal), len(part))) for s, part in parts
    )
