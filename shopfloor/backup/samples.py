"""The samples and minutes in a backup: Parquet files that become line protocol again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import duckdb
import httpx2
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from cloud.settings import Settings
from cloud.telemetry import minute_lines
from cloud.telemetry.rollup import roll_up
from cloud.telemetry.store import BOOL, GOOD, INT, QUALITY, STATUS, TEXT, UINT
from contract.lineprotocol import FieldValue, Point, encode
from shopfloor.errors import ConfigurationError, RefusedError, UnreachableError

BATCH: Final = 20_000
SIGNALS: Final = 50
"""As many go into one export."""
_PLACE: Final = ("kind", "site", "area", "line")
_MEASUREMENT: Final = {"text": TEXT, "boolean": BOOL, "int64": INT, "uint64": UINT}
"""By column of an export, what the measurement of its values ends with; that of numbers has no ending."""
WRITE_TIMEOUT_S: Final = 60.0


def series_of(columns: Mapping[str, Sequence[str]]) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Yield each stored asset (id, kind and place) with its signals, as many as one export takes.

    `columns` is what the platform says of its series: also those that nobody announces any more.
    """
    places: dict[str, dict[str, str]] = {}
    signals: dict[str, list[str]] = {}
    for asset, signal, *place in zip(*(columns[name] for name in ("asset", "signal", *_PLACE)), strict=True):
        places[asset] = {"id": asset, **dict(zip(_PLACE, place, strict=True))}
        signals.setdefault(asset, []).append(signal)
    for asset, names in sorted(signals.items()):
        for first in range(0, len(names), SIGNALS):
            yield places[asset], names[first : first + SIGNALS]


@dataclass(frozen=True, slots=True)
class Kept:
    """Since when the plant will have samples and minutes, in ns since 1970."""

    raw_since: int
    minutes_since: int


def _tags(asset: Mapping[str, Any]) -> dict[str, str]:
    return {name: asset[name] for name in ("site", "area", "line")} | {"asset": asset["id"]}


def rolled_up(asset: Mapping[str, Any], file: IO[bytes], kept: Kept) -> Iterator[list[Point]]:
    """Yield the minutes of the samples that are older than samples are kept."""
    at = ds.field("time").cast(pa.int64())
    columns = {"series": ds.field("signal"), "time": at, "value": ds.field("value"), "text": ds.field("text")}
    dataset = ds.dataset(file.name, format="parquet")
    samples = dataset.scanner(columns, filter=at < kept.raw_since).to_reader()
    with duckdb.connect(config={"memory_limit": "256MB", "temp_directory": tempfile.gettempdir()}) as connection:
        connection.register("samples", samples)
        rolled = connection.sql(roll_up("FROM samples"))
        rows = rolled.project("series AS signal, time, min, sum / count AS mean, max, last, count, text")
        yield from minutes_of(asset, rows.to_arrow_reader(BATCH), kept)


def minutes_of(asset: Mapping[str, Any], batches: Iterable[pa.RecordBatch], kept: Kept) -> Iterator[list[Point]]:
    """Yield the points of each minute."""
    tags = _tags(asset)
    for batch in batches:
        times = batch["time"].cast(pa.int64()).to_pylist()
        for row, time_ns in zip(batch.to_pylist(), times, strict=True):
            if kept.minutes_since <= time_ns < kept.raw_since:
                yield minute_lines.points(asset["kind"], tags, row, time_ns)


def points(asset: Mapping[str, Any], file: IO[bytes], kept: Kept) -> Iterator[Point]:
    """Yield a point for each sample of a Parquet file, as a gateway would have written it.

    A file of an earlier version has numbers and texts alone.
    """
    tags = _tags(asset)
    for batch in pq.ParquetFile(file).iter_batches(BATCH):
        times = batch["time"].cast(pa.int64()).to_pylist()
        # a time with its nanoseconds is no Python object
        for row, time_ns in zip(batch.drop_columns(["time"]).to_pylist(), times, strict=True):
            if time_ns >= kept.raw_since:
                end, fields = _fields(row)
                yield Point(asset["kind"] + end, tags, fields, time_ns)


def _fields(row: Mapping[str, Any]) -> tuple[str, dict[str, FieldValue]]:
    """Return the end of a sample's measurement, and its fields."""
    signal: str = row["signal"]
    end, value = next(
        ((end, row[name]) for name, end in _MEASUREMENT.items() if row.get(name) is not None), ("", row["value"])
    )
    fields: dict[str, FieldValue] = {} if value is None else {signal: value}
    if row["quality"] != GOOD or value is None:
        fields[signal + QUALITY] = float(row["quality"])
    if row.get("status") is not None:
        fields[signal + STATUS] = float(row["status"])
    return end, fields


class Writer:
    """Writes line protocol into the store of a plant."""

    def __init__(self, url: str, token_file: Path, settings: Settings, bucket: str) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/write"
        self._query = {"org": settings.store_org, "bucket": bucket, "precision": "ns"}
        try:
            self._headers = {"Authorization": f"Token {token_file.read_text().strip()}"}
        except OSError as error:
            raise ConfigurationError(f"{token_file}: {error.strerror}", "name it with --store-token-file") from error

    def write(self, groups: Iterable[list[Point]]) -> int:
        """Write all points, those of a group in one request; return how many."""
        count, batch = 0, list[Point]()
        for group in groups:
            batch += group
            if len(batch) >= BATCH:
                self._post(encode(batch))
                count, batch = count + len(batch), []
        if batch:
            self._post(encode(batch))
        return count + len(batch)

    def _post(self, lines: bytes) -> None:
        try:
            answer = httpx2.post(
                self._url,
                params=self._query,
                content=lines,
                headers=self._headers,
                timeout=WRITE_TIMEOUT_S,
                trust_env=False,
            )
        except httpx2.HTTPError as error:
            raise UnreachableError(f"{self._url} does not answer: {error}", "start the plant, then restore") from error
        if not answer.is_success:
            raise RefusedError(f"{self._url}: {answer.status_code} {answer.text[:300]}", "may this token write there?")
