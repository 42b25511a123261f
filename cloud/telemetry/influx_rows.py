"""What rows of InfluxDB say as samples: a sample has its value, quality and status in fields of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from cloud.telemetry.store import (
    BAD,
    BOOL,
    GOOD,
    INT,
    MOST_QUALITY,
    QUALITY,
    RAW,
    STATUS,
    TEXT,
    TIME,
    UINT,
)
from contract.model import Value


class Field(NamedTuple):
    """A field of a point, as text."""

    time_ns: int
    measurement: str
    said: str


@dataclass(slots=True)
class Sample:
    """A sample, put together of fields and measurements."""

    value: Value | None = None
    is_unsigned: bool = False
    quality: int | None = None
    status: int | None = None

    @property
    def is_one(self) -> bool:
        """Whether there is a value or a quality."""
        return self.value is not None or self.quality is not None

    def take(self, measurement: str, end: str, said: str) -> None:
        """Take over a field: the value, or what stands beside it with this ending."""
        if end == QUALITY:
            quality = int(float(said))
            self.quality = quality if 0 <= quality <= MOST_QUALITY else BAD
        elif end == STATUS:
            self.status = int(float(said)) if 0 <= float(said) < 2**32 else None
        else:
            self.value, self.is_unsigned = _value(said, measurement), measurement.endswith(UINT)


def _value(said: str, measurement: str) -> Value:
    if measurement.endswith(TEXT):
        return said
    if measurement.endswith(BOOL):
        return said == "true"
    return int(said) if measurement.endswith((INT, UINT)) else float(said)


def parted(field: str) -> tuple[str, str]:
    """Return signal and ending of a field."""
    end = next((end for end in (QUALITY, STATUS) if field.endswith(end)), "")
    return field.removesuffix(end), end


def newest_of(signal: str, ends: Mapping[str, Field]) -> tuple[str, int, Sample]:
    """Return signal, time and newest sample: of its newest value, quality and status, those of one time."""
    if ends.keys() == {STATUS}:  # a signal of that name, written before such names meant a status
        ends, signal = {"": ends[STATUS]}, signal + STATUS
    time_ns = max(field.time_ns for end, field in ends.items() if end != STATUS)
    sample = Sample()
    for end, field in ends.items():
        if field.time_ns == time_ns:
            sample.take(field.measurement, end, field.said)
    return signal, time_ns, sample


def raw_of(rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return signals, times and samples as RAW."""
    columns: dict[str, list[Any]] = {name: [] for name in RAW.names}
    for signal, time_ns, sample in rows:
        value, kind = sample.value, sample.value.__class__
        said = {
            "signal": signal,
            "time": time_ns,
            "value": None if value is None or kind is str else float(value),
            "text": value if kind is str else None,
            "quality": GOOD if sample.quality is None else sample.quality,
            "boolean": value if kind is bool else None,
            "int64": value if kind is int and not sample.is_unsigned else None,
            "uint64": value if kind is int and sample.is_unsigned else None,
            "status": sample.status,
        }
        for name, column in columns.items():
            column.append(said[name])
    return table_of(RAW, list(columns.values()))


def table_of(schema: pa.Schema, columns: Sequence[Sequence[Any]]) -> pa.Table:
    """Return columns of Python's values, times as ns, as a table."""
    types = [pa.int64() if field.type == TIME else field.type for field in schema]
    arrays = [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)]
    return pa.Table.from_arrays(arrays, names=schema.names).cast(schema)
