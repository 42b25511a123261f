"""The store in an InfluxDB 2 server, through influxdb-client: synchronous, bytes in, CSV out (it has all the ns)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.dialect import Dialect
from influxdb_client.service.buckets_service import BucketsService
from urllib3.exceptions import HTTPError

from cloud.telemetry import flux
from cloud.telemetry.batch import kind_of
from cloud.telemetry.influx_rows import Field, Sample, newest_of, parted, raw_of, table_of
from cloud.telemetry.rollup import MINUTE_NS, SINCE, horizon, minutes_bucket
from cloud.telemetry.store import (
    BOOL,
    BUCKETS,
    INT,
    LAST,
    MINUTES,
    QUALITY,
    RAW,
    STATUS,
    TEXT,
    TIME,
    UINT,
    BadLines,
    Query,
    Stored,
    StoreRefuses,
    StoreUnavailable,
    TooManyRows,
    Trouble,
    WriteResult,
)
from cloud.telemetry.times import MAX_NS, format_time, parse_time
from contract.lineprotocol import TYPED

TIMEOUT_MS: Final = 30_000
HEALTH_MS: Final = 2_000
"""For each of both buckets: who asks for health waits a little longer than for both."""
REFUSED_TODO: Final = (
    "in containers `docker compose up -d` makes the token anew; else put one that may read both buckets into the file "
    "of SHOPFLOOR_STORE_TOKEN_FILE; it counts at once"
)
PAGE: Final = 50_000
_TOTALS: Final = {
    "min": ("min", "min"),
    "sum": ("sum", "sum"),
    "max": ("max", "max"),
    "last": ("last", "last"),
    "count": ("sum", "sum"),
}
"""By aggregate: what Flux makes of those of minutes, and what makes one of several, from old to new."""
_WINDOWS: Final = pa.schema([("signal", pa.string()), ("time", pa.int64()), ("number", pa.float64())])
_WINDOW: Final = ["signal", "time"]
_CONVERT: Final = pa_csv.ConvertOptions(
    include_columns=["_field", "_time", "_value"],
    column_types={"_field": pa.string(), "_time": TIME, "_value": pa.float64()},
    strings_can_be_null=False,
)
_LINE: Final = re.compile(r"line (\d+)")
_Result = TypeVar("_Result")


def _status(error: Exception) -> int | None:
    return error.response.status if isinstance(error, InfluxDBError) and error.response else None


class InfluxStore:
    """The store in InfluxDB 2. What a rejected write of several lines leaves there is InfluxDB's own choice.

    The server lets samples go after `raw_days` (0: never), and rolls them up before: shopfloor.compose.influx makes
    both buckets and the tasks. `token` is called for each request, so that it can be changed under way; it raises
    StoreRefuses when there is none.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        org: str,
        bucket: str,
        *,
        raw_days: int = 0,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._url = url
        self._bucket = bucket
        self._minutes = minutes_bucket(bucket)
        self._raw_days = raw_days
        self._now_ns = now_ns
        self._said_since, self._said_until_ns = 0, 0
        self._token = token
        self._client = InfluxDBClient(url, token="", org=org, timeout=TIMEOUT_MS)
        self._writes = self._client.write_api(write_options=SYNCHRONOUS)
        self._queries = self._client.query_api()
        self._deletes = self._client.delete_api()
        self._buckets = BucketsService(self._client.api_client)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """See Store."""
        self._client.close()  # type: ignore[no-untyped-call]

    def health(self) -> Trouble | None:
        """See Store. Whether the server knows our token, and whether that may read both buckets."""
        try:
            found = [bucket for name in (self._bucket, self._minutes) for bucket in self._named(name)]
        except StoreRefuses:
            return Trouble("this cloud has no token that InfluxDB takes", REFUSED_TODO)
        except StoreUnavailable:
            return Trouble("InfluxDB does not answer", "start it, look at its log, or correct SHOPFLOOR_TELEMETRY")
        if len(found) < 2:
            return Trouble(
                f"InfluxDB has no buckets {self._bucket} and {self._minutes} that this cloud may read", REFUSED_TODO
            )
        return None

    def _named(self, name: str) -> list[Any]:
        """Return the buckets of a name that we may read: one or none."""

        def ask() -> list[Any]:
            try:
                answer = self._buckets.get_buckets(org=self._client.org, name=name, _request_timeout=HEALTH_MS)  # type: ignore[no-untyped-call]
            except InfluxDBError as error:
                if _status(error) == 404:
                    return []
                raise
            return list(answer.buckets)

        return self._ask(ask)

    def _ask(self, call: Callable[[], _Result]) -> _Result:
        self._client.api_client.set_default_header("Authorization", f"Token {self._token()}")  # type: ignore[no-untyped-call]
        try:
            return call()
        except (InfluxDBError, HTTPError, OSError) as error:
            status = _status(error)
            message = f"InfluxDB at {self._url}: {status or 'no answer'}: {getattr(error, 'message', None) or error}"
            if status in (400, 413, 422):
                line = _LINE.search(message)
                raise BadLines(int(line[1]) if line else 1, message, "correct it, or send less at once") from error
            if status in (401, 403):
                raise StoreRefuses(message, REFUSED_TODO) from error
            todo = "is the server up, is there a bucket of that name, may the token read and write it?"
            raise StoreUnavailable(message, todo) from error

    def write(self, lines: bytes) -> WriteResult:
        """See Store. How many samples there were, InfluxDB does not tell: 0."""
        if lines.strip():
            self._ask(lambda: self._writes.write(self._bucket, record=lines))  # the time is in ns by default
        return WriteResult(0, 0)

    def write_minutes(self, lines: bytes) -> None:
        """See Store."""
        self._ask(lambda: self._writes.write(self._minutes, record=lines))
        self._said_until_ns = 0

    def raw_since(self) -> int:
        """See Store. What the server says is asked for again after a minute."""
        now_ns = self._now_ns()
        if now_ns >= self._said_until_ns:
            said = self._read(
                flux.rows(self._minutes, 0, MAX_NS, f"r._measurement == {flux.text(SINCE)}")
                + '  |> last()\n  |> keep(columns: ["_time"])'
            )
            self._said_since = parse_time(said[0]["_time"], 0) if said else 0
            self._said_until_ns = now_ns + MINUTE_NS
        return max(horizon(now_ns, self._raw_days), self._said_since)

    def _read(self, query: str) -> list[dict[str, str]]:
        """Return the rows of a query, each by column."""

        def read() -> list[dict[str, str]]:
            rows: list[dict[str, str]] = []
            header: list[str] = []
            for row in self._queries.query_csv(query):
                if not row or row[0].startswith("#"):
                    header = []
                elif not header:
                    header = row
                else:
                    rows.append(dict(zip(header, row, strict=False)))
            return rows

        return self._ask(read)

    def _rows(self, query: Query, fields: list[str], count: int, *steps: str) -> list[dict[str, str]]:
        """Return the first rows of some fields, in order of time."""
        where = (flux.one_of("asset", [query.asset]), flux.one_of("_field", fields))
        columns = '"_measurement", "_field", "_time", "_value"'
        rows = flux.rows(self._bucket, query.start_ns, query.end_ns, *where)
        return self._read(
            "".join([rows, *(f"  |> {step}\n" for step in steps), f"  |> keep(columns: [{columns}])\n"])
            + f'  |> group()\n  |> sort(columns: ["_time"])\n  |> limit(n: {count})'
        )

    def _page(self, query: Query, signal: str, count: int) -> pa.Table:
        """Return the first samples of a signal as RAW, at most about `count`."""
        if query.start_ns >= query.end_ns:
            return RAW.empty_table()
        numbers = self._rows(query, [signal], count, f"filter(fn: (r) => {flux.is_of()})")
        # each type has a column of its own there; as texts they keep all digits and stand in one
        typed = self._rows(query, [signal], count, f"filter(fn: (r) => {flux.is_of(*TYPED)})", "toString()")
        beside = self._rows(query, [signal + QUALITY, signal + STATUS], 2 * count, "toString()")
        found: dict[int, Sample] = {}
        for row in [*numbers, *typed, *beside]:
            sample = found.setdefault(parse_time(row["_time"], 0), Sample())
            sample.take(row["_measurement"], row["_field"].removeprefix(signal), row["_value"])
        # a status alone is that of nothing
        times = sorted(time_ns for time_ns, sample in found.items() if sample.is_one)[:count]
        return raw_of([(signal, time_ns, found[time_ns]) for time_ns in times])

    def samples(self, query: Query, limit: int) -> pa.Table:
        """See Store."""
        query = replace(query, start_ns=max(query.start_ns, self.raw_since()))
        pages = [self._page(query, signal, limit + 1) for signal in sorted(query.signals)]
        table = pa.concat_tables(pages)
        if len(table) > limit:
            raise TooManyRows(f"more than {limit} samples")
        return table

    def export(self, query: Query) -> Iterator[pa.RecordBatch]:
        """See Store."""
        query = replace(query, start_ns=max(query.start_ns, self.raw_since()))
        yield from _paged(query, self._page)

    def minutes(self, query: Query) -> Iterator[pa.RecordBatch]:
        """See Store."""
        query = replace(query, end_ns=min(query.end_ns, self.raw_since()))
        yield from _paged(query, self._page_of_minutes)

    def _page_of_minutes(self, query: Query, signal: str, count: int) -> pa.Table:
        """Return the first minutes of a signal as MINUTES, at most about `count`."""
        if query.start_ns >= query.end_ns:
            return MINUTES.empty_table()
        texts = self._minutes_of(query, signal, count, flux.is_of(TEXT))
        numbers = self._minutes_of(query, signal, count, flux.is_of())
        rows: list[tuple[Any, ...]] = []
        for time_ns in sorted({*numbers, *texts})[:count]:
            said = numbers.get(time_ns, {})
            if said.get("count"):
                least, most, last, total, n = (float(said[name]) for name in ("min", "max", "last", "sum", "count"))
                rows.append((signal, time_ns, least, total / n, most, last, int(n), None))
            if time_ns in texts:
                rows.append((signal, time_ns, *[None] * 4, int(float(said["texts"])), texts[time_ns]["last"]))
        return table_of(MINUTES, list(zip(*rows, strict=True)) if rows else [()] * len(MINUTES))

    def _minutes_of(self, query: Query, signal: str, count: int, is_of: str) -> dict[int, dict[str, str]]:
        """Return aggregates by time."""
        where = (flux.one_of("asset", [query.asset]), flux.one_of("_field", [signal]), is_of)
        rows = self._read(
            flux.rows(self._minutes, query.start_ns, query.end_ns, *where)
            + '  |> keep(columns: ["_time", "_value", "aggregate"])\n  |> group()\n'
            + '  |> pivot(rowKey: ["_time"], columnKey: ["aggregate"], valueColumn: "_value")\n'
            + f'  |> sort(columns: ["_time"])\n  |> limit(n: {count})'
        )
        return {parse_time(row["_time"], 0): row for row in rows}

    def at_hand(self, query: Query) -> pa.Table | None:
        """See Store: nothing is."""
        return None

    def buckets(self, query: Query, width_ns: int) -> pa.Table:
        """See Store."""
        since_ns = self.raw_since()
        minutes = replace(query, end_ns=min(query.end_ns, since_ns))
        samples = replace(query, start_ns=max(query.start_ns, since_ns))
        every = f"every: {width_ns}ns, offset: {query.start_ns % width_ns}ns"
        found: dict[str, pa.Table] = {}
        for name, (total, both) in _TOTALS.items():
            of_minutes = self._windows(self._minutes, minutes, every, total, flux.one_of("aggregate", [name]))
            windows = pa.concat_tables(
                [
                    of_minutes,
                    self._windows(self._bucket, samples, every, name),
                    self._windows(self._bucket, samples, every, name, types=(BOOL, INT, UINT)),
                ]
            )
            # a clipped window says its own start
            since_start = pc.subtract(windows["time"], query.start_ns)
            starts = pc.add(pc.multiply(pc.divide(since_start, width_ns), width_ns), query.start_ns)
            windows = windows.set_column(1, "time", starts)
            # in one thread: else there is no last of a group
            found[name] = windows.group_by(_WINDOW, use_threads=False).aggregate([("number", both)])
        table = found["count"].select(_WINDOW)
        for name, numbers in found.items():
            table = table.join(numbers.rename_columns([*_WINDOW, name]), _WINDOW, join_type="inner")
        table = table.append_column("mean", pc.divide(table["sum"], table["count"]))
        return table.sort_by([(name, "ascending") for name in _WINDOW]).select(BUCKETS.names).cast(BUCKETS)

    def _windows(
        self, bucket: str, query: Query, every: str, fn: str, *conditions: str, types: Sequence[str] = ()
    ) -> pa.Table:
        """Return signal, start and number of windows of a width, the first of which may be clipped.

        Values of other types than numbers, which are in measurements of their own, are made numbers.

        An asset that was moved to another line is two series to InfluxDB, and may have two numbers in a window.
        """
        if query.start_ns >= query.end_ns:
            return _WINDOWS.empty_table()
        where = (
            flux.one_of("asset", [query.asset]),
            flux.one_of("_field", sorted(query.signals)),
            flux.is_of(*types),
            *conditions,
        )
        samples = flux.rows(bucket, query.start_ns, query.end_ns, *where) + ("  |> toFloat()\n" if types else "")
        # `_start`: InfluxDB gives a window its end as its time otherwise
        windows = f'  |> aggregateWindow({every}, fn: {fn}, createEmpty: false, timeSrc: "_start")\n'
        windows += '  |> keep(columns: ["_time", "_value", "_field"])'
        # nothing may stand between filter and windows, else the server makes them outside of its storage, and slowly
        table = self._numbers(samples + windows)
        if fn == "last" and len(table.group_by(_WINDOW).aggregate([])) < len(table):
            as_one = '  |> group(columns: ["_start", "_stop", "_field"])\n  |> sort(columns: ["_time"])\n'
            table = self._numbers(samples + as_one + windows)
        return table

    def _numbers(self, query: str) -> pa.Table:
        """Return _field, _time and _value of a query as _WINDOWS, without a Python object for each."""
        dialect = Dialect(annotations=[], header=True)  # type: ignore[no-untyped-call]
        answer = self._ask(lambda: self._queries.query_raw(query, dialect=dialect).read())
        # a number of another type begins another table, with a header of its own
        parts = [part for part in answer.split(b"\r\n\r\n") if part.strip()]
        try:
            tables = [pa_csv.read_csv(pa.BufferReader(part), convert_options=_CONVERT) for part in parts]
        except (pa.ArrowInvalid, KeyError) as error:  # in the middle of an answer an error is a table, too
            raise StoreUnavailable(f"InfluxDB at {self._url}: {answer[-300:]!r}", "look at its log") from error
        return pa.concat_tables(
            [_WINDOWS.empty_table(), *(table.rename_columns(_WINDOWS.names).cast(_WINDOWS) for table in tables)]
        )

    def forget(self, asset: str) -> None:
        """See Store."""
        quoted = asset.replace("\\", "\\\\").replace('"', '\\"')
        for bucket in (self._bucket, self._minutes):
            all_times = format_time(0), format_time(MAX_NS - 1)
            self._ask(partial(self._deletes.delete, *all_times, f'asset="{quoted}"', bucket=bucket))

    def last(self, assets: Sequence[str]) -> pa.Table:
        """See Store."""
        where = (flux.one_of("asset", list(assets)),) if assets else ()
        found: dict[tuple[str, str], dict[str, Field]] = {}
        for is_of in (flux.is_of(), flux.is_of(*TYPED)):
            columns = '["_measurement", "asset", "_field", "_time", "_value"]'
            rows = flux.rows(self._bucket, 0, MAX_NS, *where, is_of)
            for row in self._read(f"{rows}  |> last()\n  |> toString()\n  |> keep(columns: {columns})"):
                signal, end = parted(row["_field"])
                field = Field(parse_time(row["_time"], 0), row["_measurement"], row["_value"])
                ends = found.setdefault((row["asset"], signal), {})
                ends[end] = max(ends.get(end, field), field, key=lambda each: each.time_ns)
        newest = [(asset, *newest_of(signal, ends)) for (asset, signal), ends in found.items()]
        newest.sort(key=lambda row: row[:2])
        assets_of = pa.array([asset for asset, *_ in newest], pa.string())
        return raw_of([sample for _, *sample in newest]).add_column(0, LAST.field("asset"), assets_of)

    def series(self, assets: Sequence[str] = ()) -> list[Stored]:
        """See Store."""
        where = (flux.one_of("asset", list(assets)),) if assets else ()
        counted = flux.one_of("aggregate", ["count", "texts"])
        columns = '["_measurement", "asset", "site", "area", "line", "_field"]'
        found: dict[tuple[str, str], Stored] = {}
        for rows in (
            flux.rows(self._minutes, 0, MAX_NS, *where, counted),
            flux.rows(self._bucket, 0, MAX_NS, *where),
        ):
            said = self._read(f"{rows}  |> last()\n  |> keep(columns: {columns})")
            fields = {(row["asset"], row["_field"]) for row in said}
            for row in said:
                asset, (signal, end) = row["asset"], parted(row["_field"])
                if end == STATUS and not {(asset, signal), (asset, signal + QUALITY)} & fields:
                    signal = row["_field"]  # as in `newest_of`
                place = (row.get(name, "") for name in ("site", "area", "line"))
                found[asset, signal] = Stored(asset, signal, kind_of(row["_measurement"]), *place)
        return sorted(found.values())


def _paged(query: Query, page_of: Callable[[Query, str, int], pa.Table]) -> Iterator[pa.RecordBatch]:
    for signal in sorted(query.signals):
        start_ns = query.start_ns
        while True:
            page = page_of(replace(query, start_ns=start_ns), signal, PAGE)
            yield from page.to_batches()
            if len(page) < PAGE:
                break
            start_ns = page["time"].cast(pa.int64())[-1].as_py() + 1
