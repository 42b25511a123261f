"""From messages to samples: which signals a topic carries, and where they stand in the payload."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from contract.model import Sample
from edge.driver import Counters
from edge.drivers.mqtt.options import ASSET, Machine, TimeOption
from edge.ids import AssetIds

_SIMPLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[\d+\])*(?:\.[A-Za-z_][A-Za-z0-9_]*(?:\[\d+\])*)*\Z")
_STEP: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\[\d+\]")
_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_MOST_ITEMS: Final = 10_000

Search = Callable[[Any], Any]


class MessageError(ValueError):
    """A message that cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Route:
    """The signals of the messages under one topic."""

    matches: re.Pattern[str]
    signals: Sequence[tuple[str, Search]]


class Mapping:
    """The plant file's description of the messages of one machine entry, ready for use."""

    def __init__(self, name: str, machine: Machine, counters: Counters, ids: AssetIds | None = None) -> None:
        self._name = name
        self._ids = AssetIds() if ids is None else ids
        self._counters = counters
        self._text = machine.payload == "text"
        self._items = None if machine.items is None else search(machine.items)
        self._time = None if machine.time is None else (search(machine.time.path), machine.time)
        self._routes = [
            Route(
                _pattern(topic),
                [(s, search(e.path)) for s, e in machine.signals.items() if (e.topic or machine.topic) == topic],
            )
            for topic in sorted(machine.topics())
        ]
        self.filters = sorted({topic.replace(ASSET, "+") for topic in machine.topics()})

    def samples(self, topic: str, payload: bytes, arrived_ns: int) -> list[Sample]:
        """Return the samples of a message; what is wrong in it is counted and left out."""
        samples: list[Sample] = []
        data: Any = None
        parsed = False
        for route in self._routes:
            match = route.matches.match(topic)
            if match is None:
                continue
            try:
                if not parsed:
                    data, parsed = self._parse(payload), True
                asset = self._asset(match)
                for item in self._entries(data):
                    samples += self._item(route, asset, item, arrived_ns)
            except MessageError as error:
                self._reject(str(error), topic, payload)
        return samples

    def _reject(self, why: str, topic: str, payload: bytes) -> None:
        self._counters.rejected += 1
        sort = why.split(":", maxsplit=1)[0]
        self._counters.note(sort, f"{self._name}: message on {topic!r} left out: {why}; it begins {payload[:80]!r}")

    def _parse(self, payload: bytes) -> Any:
        if self._text:
            try:
                text = payload.decode().strip()
            except UnicodeDecodeError as error:
                raise MessageError(f"not UTF-8 text: {error}") from error
            return _number(text)
        try:
            return orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise MessageError(f"not JSON: {error}") from error

    def _asset(self, match: re.Match[str]) -> str:
        if match.lastindex is None:
            return self._name
        return self._ids.of(self._name, match[1])

    def _entries(self, data: Any) -> Sequence[Any]:
        if self._items is None:
            return (data,)
        items = _find(self._items, data)
        if not isinstance(items, list):
            raise MessageError("no list where `items` points")
        if len(items) > _MOST_ITEMS:
            raise MessageError(f"more than {_MOST_ITEMS} items")
        return items

    def _item(self, route: Route, asset: str, item: Any, arrived_ns: int) -> Iterator[Sample]:
        time_ns = arrived_ns if self._time is None else time_of(self._time[1], _find(self._time[0], item))
        for signal, find in route.signals:
            value = _find(find, item)
            if value is None:
                continue  # not in this message
            if isinstance(value, dict | list):
                self._counters.rejected += 1
                text = f"{self._name}: the path of {signal} leads to a {type(value).__name__}, not to a value"
                self._counters.note(f"path of {signal}", text)
                continue
            yield Sample(asset, signal, time_ns, value)


def search(path: str) -> Search:
    """Return a function that finds `path` in data; plain paths (a.b[0].c) skip JMESPath's interpreter."""
    if path == "@":
        return lambda data: data
    if not _SIMPLE.match(path):
        return jmespath.compile(path).search
    steps: list[str | int] = [int(s[1:-1]) if s[0] == "[" else s for s in _STEP.findall(path)]
    if len(steps) == 1:
        key = steps[0]
        return lambda data: data.get(key) if isinstance(data, dict) else None

    def find(data: Any) -> Any:
        for step in steps:
            if isinstance(step, int):
                data = data[step] if isinstance(data, list) and step < len(data) else None
            else:
                data = data.get(step) if isinstance(data, dict) else None
        return data

    return find


def _find(find: Search, data: Any) -> Any:
    try:
        return find(data)
    except (JMESPathError, RecursionError, TypeError, ValueError) as error:
        raise MessageError(f"a path cannot be applied: {error}") from error


def time_of(option: TimeOption, value: Any) -> int:
    """Return the time that a message states, in ns since 1970; raise MessageError when it states none."""
    if option.unit == "iso" and isinstance(value, str):
        try:
            stamp = datetime.fromisoformat(value)
        except ValueError as error:
            raise MessageError(f"no time at `time.path`: {value!r} is not ISO 8601") from error
        aware = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
        delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
        time_ns = ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000
    elif option.unit != "iso" and isinstance(value, int | float) and not isinstance(value, bool):
        scale = _NS[option.unit]
        time_ns = value * scale if isinstance(value, int) else round(value * 1000) * scale // 1000
    else:
        raise MessageError(f"no time at `time.path`: {value!r} is not a time in {option.unit}")
    if not 0 < time_ns < 1 << 62:
        raise MessageError(f"a time out of range: {value!r}; is the unit really {option.unit}?")
    return time_ns


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _pattern(topic: str) -> re.Pattern[str]:
    levels = {"+": "[^/]*", ASSET: "([^/]+)", "#": ".*"}
    return re.compile("/".join(levels.get(level, re.escape(level)) for level in topic.split("/")) + r"\Z", re.DOTALL)
