"""Minutes as line protocol, both ways: see cloud.telemetry.rollup for the layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from cloud.telemetry.batch import Batch
from cloud.telemetry.rollup import MINUTE_NS, NUMBERS, SINCE, TEXTS
from cloud.telemetry.store import TEXT, BadLines
from contract.lineprotocol import FieldValue, LineError, Point, iterate

MINUTE_ROWS: Final = pa.schema(
    [
        ("series", pa.uint32()),
        ("time", pa.int64()),
        ("min", pa.float64()),
        ("sum", pa.float64()),
        ("max", pa.float64()),
        ("last", pa.float64()),
        ("text", pa.string()),
        ("count", pa.int64()),
    ]
)
"""Minutes as they are kept."""
_TODO: Final = "write what `shopfloor backup` wrote"


@dataclass(frozen=True, slots=True)
class Given:
    """What lines say: since when there are samples (0: nothing of that), and MINUTE_ROWS."""

    raw_since: int
    rows: pa.Table


def points(kind: str, tags: Mapping[str, str], row: Mapping[str, Any], time_ns: int) -> list[Point]:
    """Return the points of a row of MINUTES: no write may part them."""
    signal = row["signal"]
    if row["text"] is not None:
        said = [(kind + TEXT, "last", row["text"]), (kind, "texts", float(row["count"]))]
    else:
        numbers = {**row, "sum": row["mean"] * row["count"]}
        said = [(kind, name, float(numbers[name])) for name in NUMBERS]
    return [Point(where, {**tags, "aggregate": name}, {signal: value}, time_ns) for where, name, value in said]


def since(raw_since: int) -> Point:
    """Return the point that says since when there are samples."""
    return Point(SINCE, {}, {SINCE: 1.0}, raw_since)


def read(lines: bytes, batch: Batch, raw_since: int) -> Given:
    """Return what lines say; new series go into the batch. Raise BadLines, also for minutes that samples stand for."""
    found: dict[tuple[int, int, bool], dict[str, FieldValue]] = {}
    given_since = 0
    try:
        for number, point in enumerate(iterate(lines), 1):
            if point.measurement == SINCE:
                given_since = max(given_since, point.time_ns or 0)
                continue
            time_ns = _minute(point, number, max(raw_since, given_since))
            name = point.tags.get("aggregate", "")
            is_text = name == "texts" or point.measurement.endswith(TEXT)
            for signal, value in point.fields.items():
                series = batch.series(point.tags.get("asset", ""), signal, point, number)
                found.setdefault((series.id, time_ns, is_text), {})[name] = value
    except LineError as error:
        raise BadLines(error.number, f"column {error.column}: {error.what}", _TODO) from error
    return Given(given_since, _table(found))


def _minute(point: Point, number: int, raw_since: int) -> int:
    time_ns = point.time_ns
    if time_ns is None or time_ns % MINUTE_NS or not point.tags.get("asset"):
        raise BadLines(number, "it is not a minute of an asset", _TODO)
    if time_ns >= raw_since:
        raise BadLines(number, "there are samples of that minute", f"say before by {SINCE} that there are none")
    return time_ns


def _table(found: Mapping[tuple[int, int, bool], Mapping[str, FieldValue]]) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for (series, time_ns, is_text), said in found.items():
        if missing := set(TEXTS if is_text else NUMBERS) - said.keys():
            raise BadLines(1, f"a minute has no {' nor '.join(sorted(missing))}", _TODO)
        row = {name: float(said[name]) for name in ("min", "sum", "max", "last")} if not is_text else {}
        text = str(said["last"]) if is_text else None
        count = said["texts" if is_text else "count"]
        rows.append({"series": series, "time": time_ns, **row, "text": text, "count": int(count)})
    return pa.Table.from_pylist(rows, schema=MINUTE_ROWS)
