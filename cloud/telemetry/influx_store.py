"""The store in an InfluxDB 2 server, through influxdb-client: synchronous, bytes in, CSV out (it has all the ns)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import pyarrow as pa
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from urllib3.exceptions import HTTPError

from cloud.telemetry import flux
from cloud.telemetry.store import (
    BUCKETS,
    GOOD,
    LAST,
    QUALITY,
    RAW,
    TIME,
    BadLines,
    Query,
    StoreUnavailable,
    TooManyRows,
    WriteResult,
)
from cloud.telemetry.times import MAX_NS, parse_time

TIMEOUT_MS: Final = 30_000
PAGE: Final = 50_000
_LINE: Final = re.compile(r"line (\d+)")
_Result = TypeVar("_Result")


def _table(schema: pa.Schema, columns: Sequence[Sequence[Any]]) -> pa.Table:
    types = [pa.int64() if field.type == TIME else field.type for field in schema]
    arrays = [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)]
    return pa.Table.from_arrays(arrays, names=schema.names).cast(schema)


class InfluxStore:
    """The store in InfluxDB 2. What a rejected write of several lines leaves there is InfluxDB's own choice."""

    def __init__(self, url: str, token: str, org: str, bucket: str) -> None:
        self._url = url
        self._bucket = bucket
        self._client = InfluxDBClient(url, token=token, org=org, timeout=TIMEOUT_MS)
        self._writes = self._client.write_api(write_options=SYNCHRONOUS)
        self._queries = self._client.query_api()

    def close(self) -> None:
        """See Store."""
        self._client.close()  # type: ignore[no-untyped-call]

    def health(self) -> str | None:
        """See Store."""
        return None if self._client.ping() else f"InfluxDB at {self._url} does not answer"

    def _ask(self, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except (InfluxDBError, HTTPError, OSError) as error:
            status = error.response.status if isinstance(error, InfluxDBError) and error.response else "no answer"
            message = f"InfluxDB at {self._url}: {status}: {getattr(error, 'message', None) or error}"
            if status in (400, 413, 422):
                line = _LINE.search(message)
                raise BadLines(int(line[1]) if line else 1, message, "correct it, or send less at once") from error
            todo = "is the server up, is there a bucket of that name, may the token read and write it?"
            raise StoreUnavailable(message, todo) from error

    def write(self, lines: bytes) -> WriteResult:
        """See Store. How many samples there were, InfluxDB does not tell: 0."""
        if lines.strip():
            self._ask(lambda: self._writes.write(self._bucket, record=lines))  # the time is in ns by default
        return WriteResult(0, 0)

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

    def _rows(self, query: Query, field: str, count: int, *conditions: str) -> dict[int, str]:
        """Return the first values of one field by time."""
        where = (flux.one_of("asset", [query.asset]), flux.one_of("_field", [field]), *conditions)
        rows = self._read(
            flux.rows(self._bucket, query.start_ns, query.end_ns, *where)
            + '  |> keep(columns: ["_time", "_value"])\n  |> group()\n'
            + f'  |> sort(columns: ["_time"])\n  |> limit(n: {count})'
        )
        return {parse_time(row["_time"], 0): row["_value"] for row in rows}

    def _page(self, query: Query, signal: str, count: int) -> pa.Table:
        """Return the first samples of a signal as RAW, at most about `count`."""
        numbers = self._rows(query, signal, count, flux.is_text(False))
        texts = self._rows(query, signal, count, flux.is_text(True))
        qualities = self._rows(query, signal + QUALITY, count)
        times = sorted({*numbers, *texts, *qualities})[:count]
        values = [float(numbers[t]) if t in numbers else None for t in times]
        quality = [int(float(qualities[t])) if t in qualities else GOOD for t in times]
        return _table(RAW, ([signal] * len(times), times, values, [texts.get(t) for t in times], quality))

    def samples(self, query: Query, limit: int) -> pa.Table:
        """See Store."""
        pages = [self._page(query, signal, limit + 1) for signal in sorted(query.signals)]
        table = pa.concat_tables(pages)
        if len(table) > limit:
            raise TooManyRows(f"more than {limit} samples")
        return table

    def export(self, query: Query) -> Iterator[pa.RecordBatch]:
        """See Store."""
        for signal in sorted(query.signals):
            start_ns = query.start_ns
            while True:
                page = self._page(Query(query.asset, query.signals, start_ns, query.end_ns), signal, PAGE)
                yield from page.to_batches()
                if len(page) < PAGE:
                    break
                start_ns = page["time"].cast(pa.int64())[-1].as_py() + 1

    def buckets(self, query: Query, width_ns: int) -> pa.Table:
        """See Store."""
        where = (
            flux.one_of("asset", [query.asset]),
            flux.one_of("_field", sorted(query.signals)),
            flux.is_text(False),
        )
        window = f"every: {width_ns}ns, offset: {query.start_ns % width_ns}ns, createEmpty: false"
        data = flux.rows(self._bucket, query.start_ns, query.end_ns, *where)
        keep = '  |> keep(columns: ["_start", "_stop", "_time", "_value", "_field"])\n'
        found: dict[tuple[str, int], dict[str, float]] = {}
        names = ("min", "mean", "max", "last", "count")
        for name in names:
            # `_start`: InfluxDB gives a bucket its end as its time otherwise
            aggregate = f'  |> aggregateWindow({window}, timeSrc: "_start", fn: {name})'
            for row in self._read(data + keep + aggregate):
                found.setdefault((row["_field"], parse_time(row["_time"], 0)), {})[name] = float(row["_value"])
        keys = sorted(key for key, numbers in found.items() if len(numbers) == len(names))
        columns = [[found[key][name] for key in keys] for name in names[:-1]]
        counts = [int(found[key]["count"]) for key in keys]
        return _table(BUCKETS, ([key[0] for key in keys], [key[1] for key in keys], *columns, counts))

    def last(self, assets: Sequence[str]) -> pa.Table:
        """See Store."""
        where = (flux.one_of("asset", list(assets)),) if assets else ()
        found: dict[tuple[str, str], list[tuple[int, str, bool]]] = {}
        for is_text in (False, True):
            query = flux.rows(self._bucket, 0, MAX_NS, *where, flux.is_text(is_text)) + (
                '  |> last()\n  |> keep(columns: ["asset", "_field", "_time", "_value"])'
            )
            for row in self._read(query):
                said = (parse_time(row["_time"], 0), row["_value"], is_text)
                found.setdefault((row["asset"], row["_field"]), []).append(said)
        newest = {key: max(said) for key, said in found.items()}
        signals = sorted({(asset, field.removesuffix(QUALITY)) for asset, field in newest})
        rows = [(*key, *_last(newest.get(key), newest.get((key[0], key[1] + QUALITY)))) for key in signals]
        return _table(LAST, list(zip(*rows, strict=True)) if rows else [()] * len(LAST))


def _last(
    value: tuple[int, str, bool] | None, quality: tuple[int, str, bool] | None
) -> tuple[int, float | None, str | None, int]:
    """Return time, value, text and quality of the newest sample, of the newest value and the newest quality."""
    if value is None or (quality is not None and quality[0] > value[0]):
        assert quality is not None
        return quality[0], None, None, int(float(quality[1]))
    time_ns, said, is_text = value
    code = int(float(quality[1])) if quality is not None and quality[0] == time_ns else GOOD
    return time_ns, None if is_text else float(said), said if is_text else None, code
