"""From a message to events, as a plant file describes them: state, severity, texts and time by path."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from contract.event import Event, State
from contract.model import TIME_REPLACED, Value
from edge.driver import Counters
from edge.drivers._json import times
from edge.drivers._json.entry import EventEntry, SeverityOption, StateOption, TimeOption, Word
from edge.drivers._json.paths import Search, search
from edge.drivers._json.values import MessageError, sound
from edge.telling import event

_MOST_EVENTS: Final = 1000  # in one message

Find = Callable[[Any], Any]


class EventReader:
    """Reads one event, or sort of conditions, in the messages of an entry; `time` is that of the machine's messages."""

    def __init__(self, name: str, entry: EventEntry, time: TimeOption | None, counters: Counters) -> None:
        self._name = name
        self._counters = counters
        self._time = entry.time or time
        self._when_is = None if self._time is None else search(self._time.path)
        self._when, self._items = _find(entry.when), _find(entry.items)
        self._condition, self._id = _find(entry.condition), _find(entry.id)
        self._state = None if entry.state is None else (search(entry.state.path), entry.state)
        self._severity = _find(entry.severity.path), entry.severity
        self._texts = [(language, search(path)) for language, path in entry.text.items()]
        self._values = None if entry.values is None else [(key, search(path)) for key, path in entry.values.items()]

    def events(self, asset: str, data: Any, arrived_ns: int, untimed: int) -> list[Event]:
        """Return the events that a message tells of an asset; what cannot be understood is counted and left out.

        `untimed` is the quality of what states no time of its own. Raises MessageError, and whatever a path comes upon.
        """
        found = []
        for item in self._each(data):
            if self._when is not None and self._when(item) in (None, False):
                continue
            try:
                found.append(self._event(asset, item, arrived_ns, untimed))
            except MessageError as error:
                self._counters.rejected += 1
                text = f"{asset}: an event {self._name!r} is left out: {error}"
                self._counters.notes.tell("event", text[:500], self._name)
        return found

    def _each(self, data: Any) -> Sequence[Any]:
        items = [data] if self._items is None else self._items(data)
        if not isinstance(items, list):
            raise MessageError(f"no list where `items` of the event {self._name!r} points")
        if len(items) > _MOST_EVENTS:
            raise MessageError(f"more than {_MOST_EVENTS} events {self._name!r}")
        return items

    def _event(self, asset: str, item: Any, arrived_ns: int, untimed: int) -> Event:
        state = self._state_of(item)
        condition = self._condition_of(item) if state else ""
        time_ns, is_replaced = self._time_of(item, arrived_ns, untimed)
        own = _text(self._id(item)) if self._id else ""
        facts = (own, state) if own else (state, time_ns, zlib.crc32(repr(item).encode(errors="replace")))
        texts = [(language, _text(find(item))) for language, find in self._texts]
        found = event(
            asset,
            self._name,
            time_ns,
            facts=(self._name, condition, *facts),
            state=state,
            condition=condition,
            severity=self._severity_of(item),
            texts={language: text for language, text in texts if text},
            values=self._values_of(item),
        )
        return found.model_copy(update={"time_replaced": True}) if is_replaced else found

    def _condition_of(self, item: Any) -> str:
        """Return what the condition is called; two that are told apart by nothing that can be read are not one."""
        if self._condition is None:
            return self._name
        said = self._condition(item)
        told = _text(said)
        if not told:
            raise MessageError(f"{said!r:.80} is no name of a condition, which `condition` shall find")
        return f"{self._name}/{told}"

    def _state_of(self, item: Any) -> State:
        if self._state is None:
            return ""
        find, option = self._state
        word = find(item)
        state = _state(option, word)
        if not state:
            raise MessageError(f"{word!r:.80} is no state: say what it means under `state`")
        return state

    def _severity_of(self, item: Any) -> int:
        find, option = self._severity
        said = None if find is None else find(item)
        if said is None:
            return option.otherwise
        severity = _severity(option, said)
        if severity is None or not 1 <= severity <= 1000:
            text = f"{self._name}: {said!r:.80} is no severity of 1 to 1000: say what it means under `severity`"
            self._counters.notes.tell("severity", text, self._name)
        return option.otherwise if severity is None else severity

    def _time_of(self, item: Any, arrived_ns: int, untimed: int) -> tuple[int, bool]:
        """Return the time of an event, 0 for one that cannot be read, and whether it is not the source's."""
        said = None if self._when_is is None else self._when_is(item)
        if said is None or self._time is None:
            return arrived_ns, bool(untimed & TIME_REPLACED)
        try:
            return times.time_of(self._time, said, arrived_ns, self._counters.notes.tell), False
        except times.TimeError as error:
            self._counters.notes.tell("time of an event", f"{self._name}: {error}", self._name)
            return 0, False

    def _values_of(self, item: Any) -> Mapping[str, Value]:
        if self._values is None:
            found = list(item.items()) if isinstance(item, dict) else [("value", item)]
        else:
            found = [(key, find(item)) for key, find in self._values]
        values = [(str(key), sound(value)) for key, value in found if isinstance(value, str | int | float)]
        return {key: value for key, value in values if value is not None}


def _find(path: str | None) -> Search | None:
    return None if path is None else search(path)


def _state(option: StateOption, word: Any) -> State:
    """Return the state that a word means, "" for none."""
    if _is_among(word, option.active):
        return "active"
    if _is_among(word, option.cleared):
        return "cleared"
    return "acknowledged" if _is_among(word, option.acknowledged) else ""


def _is_among(word: Any, words: Sequence[Word]) -> bool:
    if isinstance(word, str):
        return word.strip().casefold() in {each.casefold() for each in words if isinstance(each, str)}
    return any(type(each) is type(word) and each == word for each in words)


def _severity(option: SeverityOption, said: Any) -> int | None:
    """Return the severity that is said in a number or a word, None for neither."""
    by_word = {word.casefold(): severity for word, severity in option.words.items()}
    meant = by_word.get(_text(said).strip().casefold())
    if meant is not None:
        return meant
    is_number = isinstance(said, int | float) and not isinstance(said, bool) and said - said == 0
    return round(said) if is_number else None


def _text(raw: Any) -> str:
    """Return a plain value as a text, "" for what is none."""
    plain = sound(raw) if isinstance(raw, str | int | float) else None
    return "" if plain is None else str(plain)
