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
from cloud.telemetry.store import GOOD, QUALITY, TEXT
from contract.lineprotocol import FieldValue, Point, encode
from shopfloor.backup.database import Row
from shopfloor.errors import ConfigurationError, RefusedError, UnreachableError

BATCH: Final = 20_000
SIGNALS: Final = 50
"""As many go into one export."""
WRITE_TIMEOUT_S: Final = 60.0


def series_of(tables: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each asset with its signals, as many as one export takes."""
    for asset in sorted(row["id"] for row in tables["assets"]):
        signals = sorted(row["name"] for row in tables["signals"] if row["asset_id"] == asset)
        for first in range(0, len(signals), SIGNALS):
            yield asset, signals[first : first + SIGNALS]


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
    """Yield a point for each sample of a Parquet file, as a gateway would have written it."""
    tags = _tags(asset)
    kind: str = asset["kind"]
    for batch in pq.ParquetFile(file).iter_batches(BATCH):
        times = batch["time"].cast(pa.int64()).to_pylist()
        columns = (batch[name].to_pylist() for name in ("signal", "value", "text", "quality"))
        for time_ns, signal, value, said, quality in zip(times, *columns, strict=True):
            if time_ns < kept.raw_since:
                continue
            fields: dict[str, FieldValue] = {}
            if value is not None:
                fields[signal] = float(value)
            if quality != GOOD:
                fields[signal + QUALITY] = float(quality)
            if said is not None:
                yield Point(kind + TEXT, tags, {signal: said}, time_ns)
            if fields:
                yield Point(kind, tags, fields, time_ns)


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
