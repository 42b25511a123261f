"""What detectors share: the operating state of a machine, what a signal says now, and how a condition is told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import Field

from contract.event import Event, Evidence, event_id
from contract.model import Asset, Datatype, Quality, Sample, Value, base_quality
from edge.coercion import coerce
from edge.dating import no_time
from edge.entry import DetectorEntry, Names, SignalName, Text

_STATES: Final = ("execution", "state", "status", "mode")
_GIVES_WAY_NS: Final = 60_000_000_000
_MOST_WORD: Final = 200

When = Annotated[
    tuple[Text, ...],
    Field(description="in these states it counts, as the machine says them; none: in all"),
]


Key = tuple[str | None, ...]


class ConditionEntry(DetectorEntry):
    """What all detectors say of the condition that they find; `says` is what it means where no `texts` are stated."""

    says: ClassVar[Names] = {}

    when: When = ()
    state: Text = Field("", description="the signal that tells the state; none: that of the machine")
    severity: Annotated[int, Field(ge=1, le=1000)] = 500
    texts: Names = Field(default_factory=dict, description="what it means, by language; none: in words of its kind")

    def signals(self) -> dict[str, str]:
        """Return the signals that it looks at, by option."""
        return {"state": self.state} if self.state else {}

    def event(
        self,
        asset: str,
        state: Literal["active", "cleared"],
        time_ns: int,
        values: Mapping[str, Any],
        evidence: Sequence[Evidence] = (),
    ) -> Event:
        """Return the event that the condition of this entry begins, or ends; told again it has the same id."""
        return Event(
            id=event_id(asset, self.name, state, time_ns),
            asset=asset,
            name=self.name,
            time_ns=max(0, time_ns),
            state=state,
            condition=self.name,
            severity=self.severity,
            texts=self.texts or self.says,
            values=values,
            evidence=tuple(evidence),
            source=self.name,
        )


class NumberEntry(ConditionEntry):
    """What detectors say that look at the numbers of one signal, each operating state for itself."""

    signal: SignalName
    by: tuple[SignalName, ...] = Field(
        (), max_length=8, description="signals that make, with the state, the operating state: program, tool"
    )

    def signals(self) -> dict[str, str]:
        """Return the signals that it looks at, by option."""
        return {"signal": self.signal, **super().signals(), **{f"by.{i}": name for i, name in enumerate(self.by)}}

    def numbers(self) -> Collection[str]:
        """Return the option whose signal must be a number."""
        return ("signal",)


class Reading:
    """What a signal says now: its newest usable value, when that was by the source, and when it came.

    A sample without a value, of bad quality or late is as if it had not come. What is odd as a time is that of arrival.
    When for a minute there came nothing but late ones, the source's clock was set back, and they count.
    """

    def __init__(self, signal: str) -> None:
        self.signal = signal
        self.value: Value | None = None
        self.time_ns = 0
        self.came_ns = 0  # by the edge's clock
        self._late_ns = 0  # since when there came late ones alone

    def take(self, sample: Sample, now_ns: int) -> bool:
        """Take over a sample of the signal; return whether it counts."""
        if sample.value is None or base_quality(sample.quality) == Quality.BAD:
            return False
        time_ns = sample.time_ns if no_time(sample.time_ns, now_ns) is None else now_ns
        if time_ns < self.time_ns:
            self._late_ns = self._late_ns or now_ns
            if now_ns - self._late_ns < _GIVES_WAY_NS:
                return False
        self.value, self.time_ns, self.came_ns, self._late_ns = sample.value, time_ns, now_ns, 0
        return True

    def number(self) -> float | None:
        """Return the value as a finite number; None when it is none."""
        value = self.value
        if type(value) is not float or value - value != 0.0:  # infinity and NaN
            value = None if value is None else coerce(value, Datatype.DOUBLE)
        return None if value is None else float(value)

    def at(self, now_ns: int) -> int:
        """Return what the source's clock says now."""
        return self.time_ns + max(0, now_ns - self.came_ns)


class OperatingState:
    """The word of a machine's state, and the values of `by`; `key` is all of that, None where one is not known."""

    def __init__(self, options: ConditionEntry, asset: Asset, by: Sequence[str] = ()) -> None:
        names = {signal.name for signal in asset.signals}
        signal = options.state or asset.state or next((name for name in _STATES if name in names), "")
        self._word = Reading(signal)
        self._by = [Reading(name) for name in by]
        self._readings = {reading.signal: reading for reading in (self._word, *self._by) if reading.signal}
        self._when = {state.casefold() for state in options.when}
        self.counts: bool | None = None if self._when else True
        """Whether it is one of `when`; None while that is not known."""
        self.key: Key = (None,) * len(self._readings)
        self.changed_ns = 0
        """When one of its signals changed last, by the source."""

    def take(self, sample: Sample, now_ns: int) -> bool:
        """Look at a sample of any signal; return whether the operating state has changed."""
        reading = self._readings.get(sample.signal)
        if reading is None or not reading.take(sample, now_ns):
            return False
        if self._when:
            self.counts = None if self._word.value is None else str(self._word.value).casefold() in self._when
        before = self.key
        values = (each.value for each in self._readings.values())
        self.key = tuple(None if value is None else str(value).casefold()[:_MOST_WORD] for value in values)
        if self.key == before:
            return False
        self.changed_ns = reading.time_ns
        return True


T = TypeVar("T")


class Kept(Generic[T]):
    """What was learned by key, of the `most` keys that were there last; others are learned anew."""

    def __init__(self, make: Callable[[], T], most: int) -> None:
        self._make = make
        self._most = most
        self._kept: OrderedDict[Key, T] = OrderedDict()

    def of(self, key: Key) -> T:
        """Return what there is of a key; forget that of the one that was there longest ago when there are too many."""
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._make()
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept

    def __iter__(self) -> Iterator[T]:
        return iter(self._kept.values())


def least_of(asset: Asset, signal: str) -> float:
    """Return the change of a signal that says nothing: its deadband, or a thousandth of its range; 0: of neither."""
    for each in asset.signals:
        if each.name == signal:
            whole = 0.0 if each.low is None or each.high is None else each.high - each.low
            return max(each.deadband, whole / 1000.0)
    return 0.0
