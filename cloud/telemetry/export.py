"""Samples as a file: CSV that is safe to open in a spreadsheet, or Parquet; made piece by piece."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Generator, Iterator
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloud.telemetry.exact import values
from cloud.telemetry.store import MINUTES, RAW, Query, Store
from contract.model import Value

PARQUET: Final = "application/vnd.apache.parquet"
SEND_TIMEOUT_S: Final = 30.0
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: one that begins like a formula gets a leading `'`."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(value: Value | None) -> Value | None:
    """Return a value as a cell: a boolean as everywhere else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_cell(value) if isinstance(value, str) else value


def _csv(asset: str, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Generator[bytes]:
    names = [name for name in schema.names if name not in ("signal", "time", "text", "boolean", "int64", "uint64")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(("asset", "signal", "time", *names))
    for batch in batches:
        times = pc.strftime(batch["time"], format="%Y-%m-%dT%H:%M:%SZ").to_pylist()
        columns = {name: batch[name].to_pylist() for name in names}
        if schema is RAW:
            columns["value"] = list(map(_cell, values(pa.Table.from_batches([batch]))))
        else:
            both = zip(columns["last"], batch["text"].to_pylist(), strict=True)
            columns["last"] = [number if text is None else safe_cell(text) for number, text in both]
        for time, signal, *rest in zip(times, batch["signal"].to_pylist(), *columns.values(), strict=True):
            writer.writerow((safe_cell(asset), safe_cell(signal), time, *rest))
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()
    if out.tell():
        yield out.getvalue().encode()


class _Outbox(io.RawIOBase):
    """A file that can only be written; what was written is taken out piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: object) -> int:
        """Take bytes."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Return how much was written."""
        return self._position

    def take(self) -> bytes:
        """Return what was written since the last time."""
        data, self._pieces = b"".join(self._pieces), []
        return data


def _parquet(asset: str, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Generator[bytes]:
    schema = pa.schema([("asset", pa.string()), *schema])
    outbox = _Outbox()
    with pq.ParquetWriter(outbox, schema, compression="zstd") as writer:
        for batch in batches:
            columns = [pa.repeat(asset, len(batch)), *batch.columns]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            yield outbox.take()
    yield outbox.take()


def pieces(
    store: Store,
    query: Query,
    format: Literal["csv", "parquet"],
    resolution: Literal["raw", "minute"],
    done: Callable[[], None],
) -> Generator[bytes]:
    """Give the pieces of a file with all samples or minutes of a query; call `done` when it ends or is broken off."""
    batches, schema = (store.export(query), RAW) if resolution == "raw" else (store.minutes(query), MINUTES)
    make = {"csv": _csv, "parquet": _parquet}[format]
    try:
        yield from make(query.asset, batches, schema)
    finally:
        done()
