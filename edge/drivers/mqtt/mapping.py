"""From messages to samples: which signals a topic carries, and where they stand in the payload."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from contract.model import Datatype, Quality, Sample, Value
from edge.driver import Counters
from edge.drivers.mqtt import lenient, quality, times
from edge.drivers.mqtt.filters import apart, pattern
from edge.drivers.mqtt.options import ASSET, Machine, QualityOption, SignalEntry, TimeOption
from edge.drivers.mqtt.paths import NULL, Search, leads, mark, search
from edge.ids import AssetIds

_MOST_ITEMS: Final = 10_000
_MOST_BITS: Final = 64
_LONE: Final = re.compile("[\ud800-\udfff]")
# what is no number when nothing says that it is one: 0012, 1e5, 12E3 and 00E5 name programs and parts
_PLAIN_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]\d+)?\Z", re.ASCII)


class MessageError(ValueError):
    """A message that cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A signal: how its value is found, and, where it has its own, its quality."""

    name: str
    find: Search
    leads: bool  # so that null is what the message says of it
    is_whole: bool
    quality: Callable[[Any], tuple[int, int]] | None


@dataclass(frozen=True, slots=True)
class Route:
    """The signals of the messages under one topic."""

    matches: re.Pattern[str]
    signals: Sequence[Entry]
    is_mixed: bool  # several topics may be taken for those of one asset


class _Message(NamedTuple):
    data: Any
    may_hold_null: bool
    arrived_ns: int
    untimed: int  # quality of what states no time


class Mapping:
    """The plant file's description of the messages of one machine entry, ready for use."""

    def __init__(self, name: str, machine: Machine, counters: Counters, ids: AssetIds | None = None) -> None:
        self._name = name
        self._ids = AssetIds() if ids is None else ids
        self._counters = counters
        self._text = machine.payload == "text"
        self._encoding = machine.encoding
        self._items = None if machine.items is None else search(machine.items)
        self._time = None if machine.time is None else (search(machine.time.path), machine.time)
        self._quality = None if machine.quality is None else self._quality_of(machine.quality)
        self._routes = [
            Route(
                pattern(topic),
                [self._entry(s, e) for s, e in machine.signals.items() if (e.topic or machine.topic) == topic],
                not machine.one_asset and ("+" in topic or "#" in topic),
            )
            for topic in sorted(machine.topics())
        ]
        self._topic_of: dict[tuple[int, str], str] = {}  # by route and asset, the first one
        self.filters = apart(topic.replace(ASSET, "+") for topic in machine.topics())

    def _entry(self, name: str, entry: SignalEntry) -> Entry:
        find = search(entry.path)
        if self._text:
            find = _of_text(find, entry)
        own = None if entry.quality is None else self._quality_of(entry.quality)
        return Entry(name, find, leads(entry.path), entry.path == "@", own)

    def _quality_of(self, option: QualityOption) -> Callable[[Any], tuple[int, int]]:
        find = search(option.path)

        def quality_of(item: Any) -> tuple[int, int]:
            try:
                return quality.read(find(item), option.good)
            except Exception as error:  # noqa: BLE001 (whatever a path comes upon is trouble of that message alone)
                self._counters.note("quality", f"{self._name}: no quality at {option.path}: {error}")
                return Quality.UNCERTAIN, 0

        return quality_of

    def samples(self, topic: str, payload: bytes, arrived_ns: int, untimed: int = Quality.GOOD) -> list[Sample]:
        """Return the samples of a message; what is wrong in it is counted and left out. Never raises.

        `untimed` is the quality of what states no time of its own. A time that is stated but cannot be read is 0.
        """
        samples: list[Sample] = []
        message: _Message | None = None
        for index, route in enumerate(self._routes):
            match = route.matches.match(topic)
            if match is None:
                continue
            try:
                if message is None:
                    message = _Message(*self._parse(payload), arrived_ns, untimed)
                asset = self._asset(match)
                if route.is_mixed:
                    self._tell_mixture(index, asset, topic)
                for item in self._entries(message.data):
                    samples += self._item(route, asset, item, message)
            except MessageError as error:
                self._reject(str(error), topic, payload)
            except Exception as error:  # noqa: BLE001 (a message that we cannot take must not come again for ever)
                self._reject(f"it cannot be read: {type(error).__name__}: {error}", topic, payload)
        return samples

    def _reject(self, why: str, topic: str, payload: bytes) -> None:
        self._counters.rejected += 1
        sort = why.split(":", maxsplit=1)[0]
        self._counters.note(sort, f"{self._name}: message on {topic!r} left out: {why}; it begins {payload[:80]!r}")

    def _leave_out(self, signal: str, why: str) -> None:
        self._counters.rejected += 1
        self._counters.note(f"path of {signal}", f"{self._name}: {signal}: {why}")

    def _tell_mixture(self, route: int, asset: str, topic: str) -> None:
        first = self._topic_of.get((route, asset))
        if first is None and len(self._topic_of) < _MOST_ITEMS:
            self._topic_of[route, asset] = topic
        elif first is not None and first != topic:
            self._counters.note(
                "several topics of one asset",
                f"{self._name}: {first!r} and {topic!r} are both taken for {asset}, so that their values are mixed: "
                "let {asset} stand for the level that differs, or state `one_asset: true` if that is meant",
            )

    def _parse(self, payload: bytes) -> tuple[Any, bool]:
        """Return what a message says, and whether there may be null in it."""
        if self._text:
            try:
                return lenient.decode(payload, self._encoding or "utf-8"), False
            except ValueError as error:
                raise MessageError(f"not text: {error}") from error
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
        self._counters.note("not quite JSON", text)
        return data, True

    def _asset(self, match: re.Match[str]) -> str:
        if match.lastindex is None:
            return self._name
        return self._ids.of(self._name, match[1])

    def _entries(self, data: Any) -> Sequence[Any]:
        if self._items is None:
            return (data,)
        items = self._items(data)
        if not isinstance(items, list):
            raise MessageError("no list where `items` points")
        if len(items) > _MOST_ITEMS:
            raise MessageError(f"more than {_MOST_ITEMS} items")
        return items

    def _item(self, route: Route, asset: str, item: Any, message: _Message) -> Iterator[Sample]:
        if self._time is None:
            time_ns, said = message.arrived_ns, message.untimed
        else:
            time_ns = self._time_of(*self._time, item, message.arrived_ns)
            said = Quality.GOOD if time_ns else message.untimed
        status = 0
        if self._quality is not None:
            stated, status = self._quality(item)
            said = quality.worse(said, stated)
        marked: Any = None
        for entry in route.signals:
            try:
                value = entry.find(item)
                if value is None:
                    if not message.may_hold_null or not entry.leads or (item is None and not entry.is_whole):
                        continue  # not in this message
                    marked = mark(item) if marked is None else marked
                    value = entry.find(marked)
                    if value is not NULL:
                        continue
            except Exception as error:  # noqa: BLE001 (functions of JMESPath raise anything: ceil('inf'), avg([]))
                self._leave_out(entry.name, f"its path cannot be applied: {type(error).__name__}: {error}")
                continue
            kind = type(value)
            own, code = said, status
            if entry.quality is not None:
                own, code = entry.quality(item)
                own = quality.worse(own, said)
            if (
                (kind is float and value - value == 0)
                or (kind is str and value.isascii())
                or kind is bool
                or (kind is int and value.bit_length() <= _MOST_BITS)
            ):
                yield Sample(asset, entry.name, time_ns, value, own, code)
            elif kind in _KINDS:
                value, limit = self._odd(entry.name, value)
                yield Sample(asset, entry.name, time_ns, value, quality.worse(own, limit), code)
            else:
                self._leave_out(entry.name, f"its path leads to a {kind.__name__}, not to a value")

    def _odd(self, signal: str, value: Any) -> tuple[Value | None, int]:
        """Return a value that needs a second look as one that all else can hold, and the best quality it may have."""
        if value is NULL:
            return None, Quality.BAD
        found = sound(value)
        if found is None:
            self._leave_out(signal, "NaN, or what is no number, stands where its value should: it is kept as bad")
            return None, Quality.BAD
        if not isinstance(found, str) or found == value:
            return found, Quality.GOOD
        text = f"{self._name}: {signal}: a text in another encoding: {found!r:.80}; state the machine's `encoding`"
        self._counters.note("encoding", text)
        return found, Quality.UNCERTAIN

    def _time_of(self, find: Search, option: TimeOption, item: Any, arrived_ns: int) -> int:
        try:
            return times.time_of(option, find(item), arrived_ns, self._note)
        except Exception as error:  # noqa: BLE001 (whatever a path comes upon is trouble of that message alone)
            self._note("no time at `time.path`", f"no time at `time.path`: {error}")
            return 0

    def _note(self, sort: str, text: str) -> None:
        self._counters.note(sort, f"{self._name}: {text}")


_KINDS: Final = frozenset((int, float, str, type(NULL)))


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


def _of_text(find: Search, entry: SignalEntry) -> Search:
    """Return what finds a signal in a payload of text, which is the text itself where that is stated."""
    if entry.path == "@" and entry.datatype is Datatype.STRING:
        return find
    is_stated = entry.datatype is not None
    return lambda text: find(_guess(text.strip(), is_stated=is_stated))


def _guess(text: str, *, is_stated: bool) -> Value:
    """Return the number that a text is, when nothing says that it is none; `is_stated`: it is to be one."""
    if not _PLAIN_NUMBER.match(text):
        if not is_stated or "_" in text:  # to Python 1_0 is ten
            return text
        try:
            return float(text)
        except ValueError:
            return text
    if "." in text or "e" in text or "E" in text:
        return float(text)
    return int(text) if len(text) <= 20 else float(text)
