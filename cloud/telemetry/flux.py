"""Flux, the query language of InfluxDB 2: the one place where a name becomes part of a query."""

from __future__ import annotations

from cloud.telemetry.times import format_time
from contract.lineprotocol import TYPED

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "$": "\\x24"}
"""`$`: so that no `${…}` in a name is evaluated."""


def text(value: str) -> str:
    """Return a string literal."""
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'


def one_of(column: str, values: list[str]) -> str:
    """Return a condition: that a column has one of some values."""
    return "(" + " or ".join(f"r[{text(column)}] == {text(value)}" for value in values) + ")"


def rows(bucket: str, start_ns: int, end_ns: int, *conditions: str) -> str:
    """Return the beginning of a query: the rows of a time that meet all conditions."""
    filters = " and ".join(conditions) or "true"
    return (
        f"from(bucket: {text(bucket)})\n"
        f"  |> range(start: {format_time(start_ns)}, stop: {format_time(end_ns)})\n"
        f"  |> filter(fn: (r) => {filters})\n"
    )


def is_of(*types: str) -> str:
    """Return a condition: that rows are in a measurement of one of some types, of numbers when none is given."""
    ends = "|".join(types or TYPED)
    return f"r._measurement {'=~' if types else '!~'} /({ends})$/"
