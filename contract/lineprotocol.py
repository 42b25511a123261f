"""InfluxDB line protocol: `measurement,tag=value field=value,field="text" time`, with every escape, both ways.

A comma, space or equals sign is escaped by the backslash directly before it, as InfluxDB's own parser reads it; a
backslash before anything else is itself. So a name cannot end with a backslash, nor hold a line break; a text (in
quotes, with `\\"` and `\\\\`) can hold both. Plain wide lines of numbers, which nearly all are, take a short way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

FieldValue: TypeAlias = float | int | bool | str

TYPED: Final = ("_text", "_bool", "_int", "_uint")
"""What measurements end with that hold the texts, booleans, signed and unsigned 64-bit integers of a kind of assets.

InfluxDB gives a field one type in a measurement; numbers that a double holds are in that of the kind itself.
"""
_MOST_HEADS: Final = 10_000
_MOST_TEMPLATES: Final = 1_000
_INT64: Final = range(-(2**63), 2**63)
_UINT64: Final = range(2**64)


class Point(NamedTuple):
    """One line. `time_ns` is None when the line has no time: the store takes that of the arrival."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, FieldValue]
    time_ns: int | None


class LineError(ValueError):
    """A line that is not line protocol: `number` and `column` count from 1, `line` is the bytes of the line."""

    def __init__(self, number: int, column: int, what: str, line: bytes) -> None:
        super().__init__(f"line {number}, column {column}: {what}: {line[:200]!r}")
        self.number, self.column, self.what, self.line = number, column, what, line


# --- writing ---

_ESCAPED_IN_MEASUREMENT: Final = re.compile(r"([, ])")
_ESCAPED_IN_KEY: Final = re.compile(r"([,= ])")
_NEEDS_NO_ESCAPE: Final = re.compile(r"[^,= \\\n\r#\"]+\Z")


def encode(points: Iterable[Point]) -> bytes:
    """Return points as lines: float as it is, int with `i` (`u` from 2^63 on), bool as true or false, str quoted.

    In a measurement of unsigned integers (see TYPED) each int has its `u`. Raises ValueError for what a line cannot
    hold: a number that is not finite, a name that is empty, ends with a backslash or has a line break, a point without
    fields.
    """
    lines = []
    for measurement, tags, fields, time_ns in points:
        if not fields:
            raise ValueError(f"a line needs a field; {measurement!r} has none")
        end = "u" if measurement.endswith(TYPED[-1]) else "i"
        written = ",".join(f"{_key(name)}={_field(value, end)}" for name, value in fields.items())
        at = "\n" if time_ns is None else f" {time_ns}\n"
        lines.append(f"{head(measurement, tags)} {written}{at}")
    return "".join(lines).encode()


def head(measurement: str, tags: Mapping[str, str]) -> str:
    """Return the part of a line before its fields, escaped; tags with an empty value are left out."""
    tagged = "".join(f",{_key(name)}={_key(value)}" for name, value in tags.items() if value)
    return _name(measurement, _ESCAPED_IN_MEASUREMENT) + tagged


def _key(name: str) -> str:
    return name if _NEEDS_NO_ESCAPE.match(name) else _name(name, _ESCAPED_IN_KEY)


def _name(name: str, escaped: re.Pattern[str]) -> str:
    if not name or name.endswith("\\") or "\n" in name or "\r" in name:
        raise ValueError(f"{name!r} cannot be a name in line protocol: empty, a line break, or a backslash at its end")
    if escaped is _ESCAPED_IN_MEASUREMENT and name.startswith("#"):
        raise ValueError(f"{name!r} cannot be a measurement: its line would be a comment")
    return escaped.sub(r"\\\1", name)


def _field(value: FieldValue, end: str) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if value not in _UINT64 and value not in _INT64:
            raise ValueError(f"{value} has more than the 64 bits of line protocol")
        fits = value in (_UINT64 if end == "u" else _INT64)
        return f"{value}{end}" if fits else f"{value}{'i' if end == 'u' else 'u'}"
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number that line protocol can hold")
    return repr(value)


class Series:
    """Writes wide lines of numbers with one measurement and one set of tags, all values as float."""

    def __init__(self, measurement: str, tags: Mapping[str, str]) -> None:
        self._prefix = head(measurement, tags).replace("%", "%%")
        self._templates: dict[tuple[str, ...], str] = {}

    def line(self, names: Sequence[str], values: Sequence[float], time_ns: int) -> str:
        """Return a line with its line break; bool and int become float.

        Raises ValueError for a value that is not finite, TypeError for one that is not a number.
        """
        key = tuple(names)
        template = self._templates.get(key) or self._make_template(key)
        numbers = list(map(float, values))
        total = sum(numbers)
        if total - total != 0 and not all(map(math.isfinite, numbers)):
            raise ValueError(
                f"not finite: {[name for name, n in zip(names, numbers, strict=True) if not math.isfinite(n)]}"
            )
        return template % (*numbers, time_ns)

    def _make_template(self, names: tuple[str, ...]) -> str:
        if not names:
            raise ValueError("a line needs a field")
        if len(self._templates) >= _MOST_TEMPLATES:
            self._templates.clear()
        fields = ",".join(_key(name).replace("%", "%%") + "=%r" for name in names)
        template = self._templates[names] = f"{self._prefix} {fields} %d\n"
        return template


# --- reading ---

# a backslash takes the special character behind it along; `++` and `*+` never give a character back, so that a bad line
# costs no more than a good one
_MEASUREMENT_FORM: Final = r"(?:[^, \n\r\\]++|\\[, ]?+)++"
_KEY_FORM: Final = r"(?:[^,= \n\r\\]++|\\[,= ]?+)++"
_MEASUREMENT: Final = re.compile(_MEASUREMENT_FORM)
_TAG: Final = re.compile(rf",({_KEY_FORM})=({_KEY_FORM})")
_FIELD: Final = re.compile(rf'({_KEY_FORM})=(?:"((?:[^"\\]++|\\.)*+)"|([^, \n\r"]++))', re.DOTALL)
_FIELD_START: Final = re.compile(rf"({_KEY_FORM})=")
_TIME: Final = re.compile(r" +(-?[0-9]{1,19})", re.ASCII)
_END: Final = re.compile(r" *\r?(?:\n|\Z)")
_UNESCAPED: Final = re.compile(r"\\([,= ])")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}[iu]\Z", re.ASCII)
_BOOLEANS: Final = dict.fromkeys(("t", "T", "true", "True", "TRUE"), True) | dict.fromkeys(
    ("f", "F", "false", "False", "FALSE"), False
)
_IGNORED: Final = re.compile(r"[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")

_Head: TypeAlias = tuple[str, Mapping[str, str]]


def decode(data: bytes, unit_ns: int = 1) -> list[Point]:
    """Return all points of lines; times are in units of `unit_ns`. Raises LineError at the first bad line."""
    return list(iterate(data, unit_ns))


def iterate(data: bytes, unit_ns: int = 1) -> Iterator[Point]:
    """Yield the points of lines, one by one; raise LineError at the first bad line.

    Empty lines and comments are passed over. Points with the same measurement and tags share one mapping of tags.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        start = data.rfind(b"\n", 0, error.start) + 1
        raise LineError(
            data.count(b"\n", 0, start) + 1, error.start - start + 1, "not UTF-8", data[start:].split(b"\n", 1)[0]
        ) from error
    heads: dict[str, _Head] = {}
    position, number, length = 0, 1, len(text)
    while position < length:
        end = text.find("\n", position)
        line = text[position:] if end < 0 else text[position:end]
        point = _read_plain(line, heads, unit_ns)
        if point is not None:
            position += len(line) + 1
            number += 1
            yield point
            continue
        reader = _Reader(text, position, number, unit_ns)
        careful_point = reader.read()
        number += text.count("\n", position, reader.position)
        position = reader.position
        if careful_point is not None:
            yield careful_point


def _read_plain(line: str, heads: dict[str, _Head], unit_ns: int) -> Point | None:
    """Return the point of a line of numbers and booleans without escapes; None for any other, right or wrong."""
    if '"' in line or "\\" in line:
        return None
    parts = line.split(" ")
    if len(parts) != 3 or not parts[2].isdigit() or len(parts[2]) > 19 or not parts[2].isascii():
        return None
    fields = _plain_fields(parts[1])
    found = heads.get(parts[0]) or _plain_head(parts[0])
    time_ns = int(parts[2]) * unit_ns
    if fields is None or found is None or time_ns >= 2**63:
        return None
    if len(heads) < _MOST_HEADS:
        heads[parts[0]] = found
    return Point(found[0], found[1], fields, time_ns)


def _plain_fields(text: str) -> dict[str, FieldValue] | None:
    if not (text.isascii() and text.isprintable()):
        return None
    try:
        pairs = [pair.split("=") for pair in text.split(",")]
        fields: dict[str, FieldValue] = {name: float(value) for name, value in pairs}
    except ValueError:
        return _typed_fields(pairs)
    total = sum(fields.values())  # type: ignore[arg-type]
    # float() takes "nan", "inf" and "1_0", which line protocol does not have; a name that stands twice looks like it
    if total - total != 0 or "" in fields or text.count("_") != "".join(fields).count("_"):
        return None
    return fields


def _typed_fields(pairs: list[list[str]]) -> dict[str, FieldValue] | None:
    fields: dict[str, FieldValue] = {}
    for pair in pairs:
        value = _bare_value(pair[1]) if len(pair) == 2 else None
        if value is None or not pair[0]:
            return None
        fields[pair[0]] = value
    return fields


def _plain_head(text: str) -> _Head | None:
    measurement, *pairs = text.split(",")
    split = [pair.split("=") for pair in pairs]
    if not measurement or measurement.startswith("#") or any(len(pair) != 2 or not all(pair) for pair in split):
        return None
    tags = dict(split)
    return (measurement, tags) if len(tags) == len(split) else None


class _Reader:
    """Reads one line of any form, from `position` on; after `read` the position is at the next line."""

    def __init__(self, text: str, position: int, number: int, unit_ns: int) -> None:
        self.text, self.position, self._start = text, position, position
        self._number, self._unit_ns = number, unit_ns

    def read(self) -> Point | None:
        ignored = _IGNORED.match(self.text, self.position)
        if ignored is not None:
            self.position = ignored.end()
            return None
        self._skip(" ")
        match = _MEASUREMENT.match(self.text, self.position)
        if match is None:
            raise self._error("a measurement was expected")
        self.position = match.end()
        tags = self._tags()
        if not self._skip(" "):
            raise self._error("a tag as name=value, or a space and fields were expected")
        fields = self._fields()
        return Point(_unescape(match[0]), tags, fields, self._end())

    def _tags(self) -> dict[str, str]:
        tags: dict[str, str] = {}
        while match := _TAG.match(self.text, self.position):
            name = _unescape(match[1])
            if name in tags:
                raise self._error(f"the tag {name!r} stands twice")
            tags[name] = _unescape(match[2])
            self.position = match.end()
        return tags

    def _fields(self) -> dict[str, FieldValue]:
        fields: dict[str, FieldValue] = {}
        while True:
            match = _FIELD.match(self.text, self.position)
            if match is None:
                raise self._field_error()
            name, text, bare = match.groups()
            value = _bare_value(bare) if text is None else _unescape_text(text)
            if value is None:
                self.position = match.start(3)
                raise self._error(f'{bare[:80]!r} is no value: write 1.5, 2i, 3u, true, false or "text"')
            fields[_unescape(name)] = value
            self.position = match.end()
            if not self.text.startswith(",", self.position):
                return fields
            self.position += 1

    def _field_error(self) -> LineError:
        start = _FIELD_START.match(self.text, self.position)
        if start is None:
            return self._error("a field as name=value was expected")
        self.position = start.end()
        is_text = self.text.startswith('"', self.position)
        return self._error("a text is not closed by a quote" if is_text else "a value was expected after '='")

    def _end(self) -> int | None:
        time_ns = None
        stamp = _TIME.match(self.text, self.position)
        if stamp is not None:
            time_ns = int(stamp[1]) * self._unit_ns
            if time_ns not in _INT64:
                raise self._error("the time has more than 64 bits: is the precision right?")
            self.position = stamp.end()
        end = _END.match(self.text, self.position)
        if end is None:
            raise self._error("a time or the end of the line was expected")
        self.position = end.end()
        return time_ns

    def _skip(self, character: str) -> bool:
        start = self.position
        while self.text.startswith(character, self.position):
            self.position += 1
        return self.position > start

    def _error(self, what: str) -> LineError:
        end = self.text.find("\n", self.position)
        line = self.text[self._start :] if end < 0 else self.text[self._start : end]
        return LineError(self._number, self.position - self._start + 1, what, line.encode())


def _unescape(name: str) -> str:
    return _UNESCAPED.sub(r"\1", name) if "\\" in name else name


def _unescape_text(text: str) -> str:
    if "\\" not in text:
        return text
    # a pattern takes a microsecond for each quotation mark, half a second for a text of nothing else
    return "\\".join(part.replace('\\"', '"') for part in text.split("\\\\"))


def _bare_value(bare: str) -> FieldValue | None:
    if bare in _BOOLEANS:
        return _BOOLEANS[bare]
    if bare.endswith(("i", "u")):
        if not _INTEGER.match(bare):
            return None
        integer = int(bare[:-1])
        return integer if integer in (_UINT64 if bare[-1] == "u" else _INT64) else None
    number = float(bare) if _FLOAT.match(bare) else math.inf
    return number if math.isfinite(number) else None
