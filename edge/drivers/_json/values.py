"""From a message to samples: which values it holds, and what it says of their time and quality."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from contract.model import Datatype, Quality, Sample, Value
from edge.dating import LAST_NS
from edge.driver import Counters
from edge.drivers._json import lenient, quality, shapes, times
from edge.drivers._json.entry import CsvOption, Entry, QualityOption, SignalEntry, TimeOption
from edge.drivers._json.paths import NULL, Search, leads, mark, search

_MOST_ITEMS: Final = 10_000
_MOST_BITS: Final = 64
_ROWS: Final = frozenset(("csv", "line_protocol", "senml"))
_TIMED: Final = frozenset(("line_protocol", "senml"))
_NO_NUMBERS: Final = frozenset((Datatype.STRING, Datatype.BOOLEAN))
_LONE: Final = re.compile("[\ud800-\udfff]")
# what is no number when nothing says that it is one: 0012, 1e5, 12E3 and 00E5 name programs and parts
_PLAIN_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]\d+)?\Z", re.ASCII)


class MessageError(ValueError):
    """A message that cannot be understood; the text says why."""


QualityOf = Callable[[Any], tuple[int, int]]


class Detail(NamedTuple):
    """What is seldom asked of a signal."""

    leads: bool  # so that null is what the message says of it
    is_whole: bool
    quality_of: QualityOf | None  # where it has its own


class Fields(NamedTuple):
    """Where signals stand in a message."""

    signals: Sequence[tuple[str, Search, Detail]]
    has_qualities: bool


Message = tuple[Any, bool]
"""What a message says, and whether there may be null in it."""

_Common = tuple[str, int, int, int, bool]  # of the values of a message: asset, time, quality, status, may hold null
_sample = partial(tuple.__new__, Sample)  # twice as fast as Sample(…)
_KINDS: Final = frozenset((float, int, bool, str, type(None)))


class Reader:
    """Reads the messages of one machine entry as its plant file describes them."""

    def __init__(self, name: str, entry: Entry, counters: Counters) -> None:
        self._name = name
        self._counters = counters
        self._payload = entry.payload
        self._text = entry.payload == "text"
        self._csv = entry.csv or CsvOption()
        self._decimal = entry.decimal
        self._encoding = entry.encoding
        self._items: Search | None = None if entry.items is None else search(entry.items)
        if entry.shape is not None:
            self._items = shapes.shaper(entry.shape)
        elif entry.payload in _ROWS and self._items is None:
            self._items = search("@")
        time = entry.time
        if entry.payload in _TIMED:
            self._unit_ns = 1 if time is None else times.NS.get(time.unit, 1)
            time = TimeOption(path="time", unit="ns")
        self._time = None if time is None else (search(time.path), time)
        self._scale = -1 if time is None else times.NS.get(time.unit, -1)  # of whole numbers
        self._quality = None if entry.quality is None else self._quality_of(entry.quality)

    def fields(self, signals: Mapping[str, SignalEntry]) -> Fields:
        """Return where these signals stand, ready for use."""
        found = [(name, *self._signal(each)) for name, each in signals.items()]
        return Fields(found, any(each.quality for each in signals.values()))

    def _signal(self, entry: SignalEntry) -> tuple[Search, Detail]:
        find = search(entry.path)
        decimal = entry.decimal or self._decimal
        if decimal is not None and entry.datatype not in _NO_NUMBERS:
            find = _of_number(find, decimal, entry.unit)
        elif self._payload == "csv":
            find = _of_cell(find, entry.datatype)
        elif self._text:
            find = _of_text(find, entry.path, entry.datatype)
        own = None if entry.quality is None else self._quality_of(entry.quality)
        return find, Detail(leads(entry.path), entry.path == "@", own)

    def _quality_of(self, option: QualityOption) -> QualityOf:
        find = search(option.path)

        def quality_of(item: Any) -> tuple[int, int]:
            try:
                return quality.read(find(item), option.good)
            except Exception as error:  # noqa: BLE001 (whatever a path comes upon is trouble of that message alone)
                self._counters.notes.tell("quality", f"{self._name}: no quality at {option.path}: {error}", option.path)
                return Quality.UNCERTAIN, 0

        return quality_of

    def samples(self, fields: Fields, asset: str, payload: bytes, arrived_ns: int) -> list[Sample]:
        """Return the samples of a message of one asset; what is wrong in it is counted and left out. Never raises.

        A time that is stated but cannot be read is 0.
        """
        samples: list[Sample] = []
        try:
            self.take(samples, fields, asset, self.parse(payload, arrived_ns), arrived_ns)
        except Exception as error:  # noqa: BLE001 (what a machine sends must not end its connection)
            self.reject("message", error, payload)
        return samples

    def take(
        self,
        samples: list[Sample],
        fields: Fields,
        asset: str,
        message: Message,
        arrived_ns: int,
        *,
        untimed: int = Quality.GOOD,
        asset_of: Callable[[Any], str] | None = None,
    ) -> None:
        """Add the samples of a message; `untimed` is the quality of what states no time of its own.

        `asset_of` tells whose an item is, where the message says that.

        Raises MessageError, and whatever odd data may bring about: `reject` takes it.
        """
        data, may_hold_null = message
        for item in self._entries(data):
            try:
                whose = asset if asset_of is None else asset_of(item)
            except MessageError as error:
                self._leave_out("asset", "an item", str(error))
                continue
            common = whose, *self._common(item, arrived_ns, untimed), may_hold_null
            self._take(samples, fields, item, common)

    def reject(self, what: str, error: Exception, payload: bytes) -> None:
        """Count a message that cannot be taken and tell why."""
        why = str(error) if isinstance(error, MessageError) else f"it cannot be read: {type(error).__name__}: {error}"
        self._counters.rejected += 1
        sort = why.split(":", maxsplit=1)[0]
        self._counters.notes.tell(sort, f"{self._name}: {what} left out: {why}; it begins {payload[:80]!r}")

    def parse(self, payload: bytes, arrived_ns: int) -> Message:
        """Return what a message says; raise MessageError."""
        if self._payload != "json":
            return self._other(payload, arrived_ns), False
        try:
            if self._encoding is None:
                return orjson.loads(payload), b"null" in payload
            text = payload.decode(self._encoding)
            return orjson.loads(text), "null" in text
        except (orjson.JSONDecodeError, UnicodeDecodeError) as error:
            strict = error
        try:
            data = lenient.loads(payload, self._encoding)
        except (ValueError, RecursionError) as error:
            raise MessageError(f"not JSON: {error}") from error
        text = f"{self._name}: not quite JSON ({strict}): what is odd in it is left out; it begins {payload[:80]!r}"
        self._counters.notes.tell("not quite JSON", text)
        return data, True

    def _other(self, payload: bytes, arrived_ns: int) -> Any:
        """Return what a message says that is no JSON, or JSON of a format of its own."""
        try:
            if self._payload == "senml":
                return shapes.senml(payload, arrived_ns)
            if self._payload == "line_protocol":
                left_out = partial(self._leave_out, "line", "a line")
                return shapes.lines(payload, self._unit_ns, arrived_ns, left_out)
            text = lenient.decode(payload, self._encoding or "utf-8")
            return shapes.rows(text, self._csv) if self._payload == "csv" else text
        except shapes.ShapeError as error:
            raise MessageError(str(error)) from error
        except ValueError as error:
            raise MessageError(f"not text: {error}") from error

    def _leave_out(self, kind: str, signal: str, why: str) -> None:
        self._counters.rejected += 1
        self._counters.notes.tell(kind, f"{self._name}: {signal}: {why}", signal)

    def _entries(self, data: Any) -> Sequence[Any]:
        if self._items is None:
            return (data,)
        try:
            items = self._items(data)
        except shapes.ShapeError as error:
            raise MessageError(str(error)) from error
        if not isinstance(items, list):
            raise MessageError("no list where `items` points")
        if len(items) > _MOST_ITEMS:
            raise MessageError(f"more than {_MOST_ITEMS} items")
        return items

    def _common(self, item: Any, arrived_ns: int, untimed: int) -> tuple[int, int, int]:
        """Return what the values of a message have in common: time, quality and status."""
        time_ns, said = arrived_ns, untimed
        if self._time is not None:
            time_ns = self._time_of(*self._time, item, arrived_ns)
            said = Quality.GOOD if time_ns else untimed
        if self._quality is None:
            return time_ns, said, 0
        stated, status = self._quality(item)
        return time_ns, quality.worse(said, stated), status

    def _take(self, samples: list[Sample], fields: Fields, item: Any, common: _Common) -> None:
        """Add the samples of a message, or of an item of it."""
        asset, time_ns, said, status, may_hold_null = common
        own, code = said, status
        marked: Any = None
        for name, find, detail in fields.signals:
            try:
                value = find(item)
            except Exception as error:  # noqa: BLE001 (functions of JMESPath raise anything: ceil('inf'), max_by)
                self._leave_out("path", name, f"its path cannot be applied: {type(error).__name__}: {error}")
                continue
            if value is None:
                if not may_hold_null or not detail.leads or (item is None and not self._is_whole(detail)):
                    continue  # not in this message
                marked = _marked(item) if marked is None else marked
                if not _is_null(find, marked):
                    continue
            if fields.has_qualities:
                own, code = (said, status) if detail.quality_of is None else self._own_quality(detail, item, said)
            kind = type(value)
            if kind not in _KINDS:
                self._leave_out("structure", name, f"its path leads to a {kind.__name__}, not to a value")
                continue
            best = own
            if not (value - value == 0 if kind is float else _is_plain(kind, value)):
                value, best = self._odd(name, value, own)
            samples.append(_sample((asset, name, time_ns, value, best, code)))

    def _is_whole(self, detail: Detail) -> bool:
        """Tell whether an item that is null is what the message says of a signal, and no gap in a list."""
        return self._items is None or detail.is_whole

    def _own_quality(self, detail: Detail, item: Any, said: int) -> tuple[int, int]:
        assert detail.quality_of is not None
        own, status = detail.quality_of(item)
        return quality.worse(own, said), status

    def _odd(self, signal: str, value: Value | None, quality_: int) -> tuple[Value | None, int]:
        """Return a value that needs a second look as one that all else can hold, and its quality."""
        if value is None:
            return None, quality.worse(quality_, Quality.BAD)
        found = sound(value)
        if found is None:
            self._leave_out(
                "no value", signal, "NaN, or what is no number, stands where its value should: it is kept as bad"
            )
            return None, quality.worse(quality_, Quality.BAD)
        if not isinstance(found, str) or found == value:
            return found, quality_
        text = f"{self._name}: {signal}: a text in another encoding: {found!r:.80}; state the machine's `encoding`"
        self._counters.notes.tell("encoding", text, signal)
        return found, quality.worse(quality_, Quality.UNCERTAIN)

    def _time_of(self, find: Search, option: TimeOption, item: Any, arrived_ns: int) -> int:
        try:
            value = find(item)
            if type(value) is int and 0 < (time_ns := value * self._scale) < LAST_NS:
                return time_ns
            return times.time_of(option, value, arrived_ns, self._note)
        except Exception as error:  # noqa: BLE001 (whatever a path comes upon is trouble of that message alone)
            self._note("no time at `time.path`", f"no time at `time.path`: {error}")
            return 0

    def _note(self, sort: str, text: str) -> None:
        self._counters.notes.tell(sort, f"{self._name}: {text}")


def _marked(item: Any) -> Any:
    try:
        return mark(item)
    except RecursionError:
        return item


def _is_null(find: Search, marked: Any) -> bool:
    """Tell whether a path that found nothing leads to null."""
    try:
        return find(marked) is NULL
    except Exception:  # noqa: BLE001 (of data that is marked a path may find what it cannot be applied to)
        return False


def _is_plain(kind: type, value: Any) -> bool:
    if kind is str:
        return value.isascii()  # type: ignore[no-any-return]
    return kind is bool or (kind is int and value.bit_length() <= _MOST_BITS)


def sound(value: Value | None) -> Value | None:
    """Return a value as one that all else can hold: with characters that exist, of 64 bits; None for NaN."""
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if value is None or (isinstance(value, int) and value.bit_length() <= _MOST_BITS):
        return value
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _of_number(find: Search, decimal: str, unit: str) -> Search:
    """Return what finds a number that is written as text; NaN for a text that is none."""

    def number(data: Any) -> Any:
        value = find(data)
        return shapes.number_of(value, decimal, unit) if isinstance(value, str) else value

    return number


def _of_cell(find: Search, datatype: Datatype | None) -> Search:
    """Return what finds a cell of CSV, which is text: a number where that is stated, or plain."""
    if datatype is Datatype.STRING:
        return find
    read = _guess if datatype is None else _stated

    def cell(data: Any) -> Any:
        value = find(data)
        return read(value) if isinstance(value, str) else value

    return cell


def _of_text(find: Search, path: str, datatype: Datatype | None) -> Search:
    """Return what finds a signal in a payload of text, which is the text itself where that is stated."""
    if path == "@" and datatype is Datatype.STRING:
        return find
    if path == "@" and datatype in (Datatype.DOUBLE, Datatype.FLOAT):
        return _float
    guess = _guess if datatype is None else _stated
    return guess if path == "@" else lambda text: find(guess(text))


def _float(text: str) -> float | str:
    """Return the number that a text is to be; the text, if it is none."""
    try:
        return text if "_" in text else float(text)  # to Python 1_0 is ten
    except ValueError:
        return text


def _guess(text: str) -> Value:
    """Return the number that a text is, when nothing says that it is none."""
    text = text.strip()
    number = _PLAIN_NUMBER.match(text)
    if number is None:
        return text
    return float(text) if number.lastindex or len(text) > 20 else int(text)


def _stated(text: str) -> Value:
    """Return the number that a text is to be; the text, if it is none."""
    found = _guess(text)
    return _float(found) if isinstance(found, str) else found
