"""Messages that hold their values in another shape than by name: tables, columns, lists of names, other formats.

Each becomes a list of items, objects whose values stand under names, which paths then read. Nothing is guessed: the
plant file says the shape. What a shape lacks in one place is left out there alone.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import orjson

from contract.lineprotocol import LineError, decode
from edge.drivers._json.entry import CsvOption, ShapeOption
from edge.drivers._json.paths import search

MOST_ROWS: Final = 10_000
_MOST_BYTES: Final = 1 << 20
_NS: Final = 1_000_000_000
_RELATIVE_S: Final = 2**28  # SenML: smaller times are relative to now (RFC 8428, 4.5.3)
_GROUPS: Final[Mapping[str, re.Pattern[str]]] = {
    ",": re.compile(r"([-+−]?)(\d{1,3}(?:([. '’\u00a0\u202f])\d{3})(?:\3\d{3})*|\d+)?(?:,(\d+))?([eE][-+]?\d+)?"),
    ".": re.compile(r"([-+−]?)(\d{1,3}(?:([, '’\u00a0\u202f])\d{3})(?:\3\d{3})*|\d+)?(?:\.(\d+))?([eE][-+]?\d+)?"),
}
"""Sign, whole digits (with separators of thousands, all alike), fraction, exponent."""


class ShapeError(ValueError):
    """A message that has not the shape that the plant file says; the text says why."""


def shaper(option: ShapeOption) -> Callable[[Any], Sequence[Any]]:
    """Return what makes items of a message; it raises ShapeError."""
    if option.columns is not None:
        find = search(option.columns)
        return lambda data: _columns(find(data))
    first, second = search(option.names or option.header or "@"), search(option.values or option.rows or "@")
    if option.names is not None:
        return lambda data: [_pairs(first(data), second(data))]
    return lambda data: _table(first(data), second(data))


def _columns(data: Any) -> list[dict[str, Any]]:
    if not isinstance(data, dict):
        raise ShapeError("no object of columns where `shape.columns` points")
    columns = {name: values for name, values in data.items() if isinstance(values, list)}
    shared = {name: value for name, value in data.items() if not isinstance(value, list)}
    count = max(map(len, columns.values()), default=0)
    _check(count)
    return [
        shared | {name: values[index] for name, values in columns.items() if index < len(values)}
        for index in range(count)
    ]


def _pairs(names: Any, values: Any) -> dict[str, Any]:
    if not isinstance(names, list) or not isinstance(values, list):
        raise ShapeError("no lists where `shape.names` and `shape.values` point")
    if len(names) != len(values):
        raise ShapeError(f"{len(names)} names and {len(values)} values: which belong together nobody can know")
    return {str(name): value for name, value in zip(names, values, strict=True)}


def _table(header: Any, rows: Any) -> list[dict[str, Any]]:
    if not isinstance(header, list) or not isinstance(rows, list):
        raise ShapeError("no lists where `shape.header` and `shape.rows` point")
    _check(len(rows))
    return [_pairs(header, row) for row in rows]


def _check(count: int) -> None:
    if count > MOST_ROWS:
        raise ShapeError(f"more than {MOST_ROWS} rows")


def rows(text: str, option: CsvOption) -> list[dict[str, str]]:
    """Return the rows of CSV by the name of each column, or its number from 1 where there is no header.

    Cells are text; an empty one is not there. Raises ShapeError.
    """
    if len(text) > _MOST_BYTES:
        raise ShapeError(f"more than {_MOST_BYTES} characters")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=option.separator, skipinitialspace=True)
    try:
        found = [row for row in islice(reader, MOST_ROWS + 2) if row]
    except csv.Error as error:
        raise ShapeError(f"not CSV: {error}") from error
    names: Sequence[str] = option.columns
    if option.header and found:
        head, *found = found
        names = names or [name.strip() for name in head]
    _check(len(found))
    return [
        {names[index] if index < len(names) else str(index + 1): cell for index, cell in enumerate(row) if cell}
        for row in found
    ]


def lines(payload: bytes, unit_ns: int, arrived_ns: int, left_out: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the lines of InfluxDB's line protocol: fields below their measurement, `tags`, and `time` (ns).

    A line that is none is given to `left_out`, with why; raises ShapeError for what has no line at all.
    """
    try:
        points = decode(payload, unit_ns)
    except LineError:
        points = []
        for line in payload.split(b"\n"):
            try:
                points += decode(line, unit_ns)
            except LineError as error:
                left_out(f"no line protocol: {error.what}: {line[:80]!r}")
    _check(len(points))
    return [
        {
            "tags": dict(point.tags),
            "time": arrived_ns if point.time_ns is None else point.time_ns,
            point.measurement: dict(point.fields),
        }
        for point in points
    ]


def senml(payload: bytes, arrived_ns: int) -> list[dict[str, Any]]:
    """Return the records of SenML (RFC 8428): each value under its full name, and `time` (ns). Raises ShapeError."""
    try:
        pack = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ShapeError(f"not SenML: {error}") from error
    if not isinstance(pack, list) or not all(isinstance(record, dict) for record in pack):
        raise ShapeError("not SenML: no list of records")
    _check(len(pack))
    base: dict[str, Any] = {}
    found = []
    for record in pack:
        base |= {key: value for key, value in record.items() if key in ("bn", "bt", "bv")}
        value = next((record[key] for key in ("v", "vs", "vb", "vd") if key in record), None)
        if value is None:
            continue
        if "v" in record:
            value = _number(value) + _number(base.get("bv", 0))
        time_s = _number(base.get("bt", 0)) + _number(record.get("t", 0))
        relative = time_s < _RELATIVE_S
        time_ns = (arrived_ns if relative else 0) + round(time_s * _NS)
        found.append({f"{base.get('bn', '')}{record.get('n', '')}": value, "time": time_ns})
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ShapeError(f"not SenML: {value!r:.40} stands where a number must")
    return value


def number_of(text: str, decimal: str, unit: str) -> float:
    """Return the number that a text is with this decimal sign, maybe with separators of thousands and a unit behind.

    NaN for what is none: another sign, or a unit that is not that of the signal.
    """
    text = text.strip()
    match = _GROUPS[decimal].match(text)
    if match is None or not (match[2] or match[4]):
        return math.nan
    behind = text[match.end() :].strip()
    if behind and (behind[0] in ".,'’" or behind[0].isdigit() or (unit and behind != unit)):
        return math.nan
    sign, whole, separator, fraction, exponent = match.groups()
    digits = (whole or "0").replace(separator or " ", "")
    return float(f"{'-' if sign in ('-', '−') else ''}{digits}.{fraction or 0}{exponent or ''}")
