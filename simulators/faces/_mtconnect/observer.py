"""What an adapter of a machine observes: readings become observations, but only when they have changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from simulators.catalogs import mtconnect
from simulators.catalogs.mtconnect import UNAVAILABLE, DataItem, Limit
from simulators.face import Reading, Shown
from simulators.machine import NS, Signal, Value

SILENCE_S: Final = 5.0
"""A machine that says nothing for so long is not available."""

_HYSTERESIS: Final = 0.02
_LEVELS: Final = ("Normal", "Warning", "Fault")


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of a condition: Normal, Warning, Fault or Unavailable, with the controller's own code."""

    level: str
    native_code: str = ""
    qualifier: str = ""
    text: str = ""


NORMAL: Final = Condition("Normal")
UNKNOWN: Final = Condition("Unavailable")
Observed = Value | Condition
"""Native value of a sample, a word of an event, or a condition; UNAVAILABLE when there is none."""


@dataclass(slots=True)
class Observer:
    """The adapter of one machine: what changed since it was last asked.

    Values are native ones; `scaled` turns them into the standard's units.
    """

    shown: Shown
    items: dict[str, DataItem] = field(init=False)
    last: dict[str, Observed] = field(init=False)
    _limits: dict[str, Limit] = field(init=False)
    _heard_ns: int | None = None

    def __post_init__(self) -> None:
        machine = self.shown.machine
        self.items = mtconnect.items_of(machine)
        self.last = {name: nothing(item) for name, item in self.items.items()}
        self._limits = {limit.signal: limit for limit in mtconnect.limits_of(machine)}

    def observe(self, time_ns: int) -> Iterator[tuple[int, dict[str, Observed]]]:
        """Yield what changed as (time, observations by name): one per message of the machine."""
        heard = False
        for stamp_ns, reading in self.shown.messages(time_ns):
            heard = True
            yield stamp_ns, self._changes(stamp_ns, reading)
        if heard or self._heard_ns is None:
            self._heard_ns = time_ns
        elif time_ns - self._heard_ns > SILENCE_S * NS:
            lost = {name: nothing(item) for name, item in self.items.items() if name not in _ASSETS}
            yield time_ns, self._changed(lost)

    def _changes(self, stamp_ns: int, reading: Reading) -> dict[str, Observed]:
        """Return what a message changes, and write its signals down as sent."""
        now: dict[str, Observed] = {"avail": "AVAILABLE"}
        for signal in self.shown.machine.signals:
            if not self.shown.due(signal, stamp_ns):
                continue
            value = reading[signal.name]
            now[signal.name] = observed(self.items[signal.name], signal, value)
            limit = self._limits.get(signal.name)
            if limit is not None:
                name = mtconnect.condition_name(limit)
                now[name] = watched(limit, signal.unit, value, self.last[name])
        changed = self._changed(now)
        sent = {name: _told(self.items[name], value) for name, value in changed.items() if name in reading}
        self.shown.note(stamp_ns // 1000 * 1000, sent)
        self.shown.count(list(sent))
        return changed

    def _changed(self, now: dict[str, Observed]) -> dict[str, Observed]:
        changed = {name: value for name, value in now.items() if self.last[name] != value}
        self.last.update(changed)
        return changed


_ASSETS: Final = ("asset_changed", "asset_removed")


def nothing(item: DataItem) -> Observed:
    """Return what is observed while there is no data."""
    return UNKNOWN if item.category == "CONDITION" else UNAVAILABLE


def observed(item: DataItem, signal: Signal, value: Value | None) -> Observed:
    """Return what a signal's value is in the words of its data item."""
    if value is None:
        return nothing(item)
    if item.category == "CONDITION":
        text = str(value)
        return Condition("Fault", text.replace(" ", "_"), text=text) if text else NORMAL
    if item.words is not None:
        return item.words.get(value, UNAVAILABLE)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _sent(float(value)) if signal.datatype == "double" else value


def _told(item: DataItem, value: Observed) -> Value | None:
    """Return what a client reads: a number in the standard's units, a word, the level and code of a condition."""
    if isinstance(value, Condition):
        return None if value == UNKNOWN else f"{value.level} {value.native_code}".strip()
    if value == UNAVAILABLE:
        return None
    return value if isinstance(value, int) or item.category != "SAMPLE" else float(scaled(item, value))


def _sent(value: Value) -> Value:
    return round(value, 6) if isinstance(value, float) else value


def watched(limit: Limit, unit: str, value: Value | None, before: Observed) -> Condition:
    """Return the condition of a watched value; a level ends 2 % inside its limit, so that noise does not repeat it."""
    if value is None or isinstance(value, str):
        return UNKNOWN
    sign = 1.0 if limit.qualifier == "HIGH" else -1.0
    held = _LEVELS.index(before.level) if isinstance(before, Condition) and before.level in _LEVELS else 0
    level = 0
    for number, bound in enumerate((limit.warning, limit.fault), start=1):
        edge = bound * (1.0 - sign * _HYSTERESIS) if held >= number else bound
        if sign * float(value) > sign * edge:
            level = number
    if level == 0:
        return NORMAL
    bound = (limit.warning, limit.fault)[level - 1]
    text = f"{limit.signal} is {'above' if sign > 0 else 'below'} {bound:g} {unit}"
    return Condition(_LEVELS[level], f"{limit.signal}_{limit.qualifier}".upper(), limit.qualifier, text)


def scaled(item: DataItem, value: Observed) -> str:
    """Return a value as the agent tells it: text, numbers in the standard's units."""
    if item.category == "SAMPLE" and isinstance(value, int | float):
        return format(value * item.factor, ".12g")
    if isinstance(value, Condition):
        return value.text
    return str(value)
