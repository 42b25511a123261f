"""Signals that are computed from others of their machine, once for each batch and time, in order of dependency.

The time is that of the newest input, the quality that of the worst. There is none until each input had a sample; then
it has no value while an input has none, or where it cannot be computed (a division by zero), which is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import groupby
from operator import attrgetter
from typing import Final

from contract.model import TIME_REPLACED, Datatype, Quality, Sample, Value, base_quality
from edge.coercion import coerce
from edge.dating import AHEAD_NS
from edge.expression import Expression
from edge.notes import Notes

_MOST_LATE: Final = 10
"""So many late samples of a signal in a row are no stragglers: the clock of the source was set back."""


def in_order(expressions: Mapping[str, Expression]) -> list[str]:
    """Return their names, each behind those that it needs; raise graphlib.CycleError."""
    needs = {name: sorted(expression.names & expressions.keys()) for name, expression in expressions.items()}
    return list(TopologicalSorter(needs).static_order())


class Computed:
    """The computed signals of one asset."""

    def __init__(
        self, asset: str, expressions: Mapping[str, Expression], datatypes: Mapping[str, Datatype], notes: Notes
    ) -> None:
        """`datatypes` are those that signals state: a text that is a number counts as one. Raises CycleError."""
        self._asset, self._datatypes, self._notes = asset, datatypes, notes
        self._expressions = [(name, expressions[name]) for name in in_order(expressions)]
        self._inputs = frozenset[str]().union(*(each.names for each in expressions.values())) - expressions.keys()
        self._last: dict[str, Sample] = {}
        self._late: dict[str, int] = {}

    def forget(self) -> None:
        """Forget all values: the machine was lost."""
        self._last.clear()
        self._late.clear()

    def update(self, samples: Sequence[Sample], now_ns: int) -> list[Sample]:
        """Return what is computed from a batch."""
        new = [each for each in samples if each.signal in self._inputs and not self._is_late(each, now_ns)]
        new.sort(key=attrgetter("time_ns"))
        found: list[Sample] = []
        for _, together in groupby(new, attrgetter("time_ns")):
            found += self._computed(together)
        return found

    def _is_late(self, sample: Sample, now_ns: int) -> bool:
        """Return whether a sample is older than another that came before, unless that was ahead of the clock."""
        last = self._last.get(sample.signal)
        if last is None or not sample.time_ns < last.time_ns <= now_ns + AHEAD_NS:
            self._late.pop(sample.signal, None)
            return False
        self._late[sample.signal] = late = self._late.get(sample.signal, 0) + 1
        return late < _MOST_LATE

    def _computed(self, inputs: Iterable[Sample]) -> list[Sample]:
        changed = set[str]()
        for sample in inputs:
            self._last[sample.signal] = sample
            changed.add(sample.signal)
        found = []
        for name, expression in self._expressions:
            if changed.isdisjoint(expression.names) or not expression.names <= self._last.keys():
                continue
            sample = self._last[name] = self._sample(name, expression)
            changed.add(name)
            found.append(sample)
        return found

    def _sample(self, name: str, expression: Expression) -> Sample:
        inputs = [self._last[each] for each in expression.names]
        newest = max(inputs, key=attrgetter("time_ns"))
        quality = min((base_quality(each.quality) for each in inputs), key=_goodness)
        values = {each.signal: said for each in inputs if (said := self._value(each)) is not None}
        value: Value | None = None
        if len(values) == len(inputs):
            try:
                value = expression.value(values)
            except (ValueError, ArithmeticError, TypeError) as error:
                text = f"{self._asset}/{name}: it cannot be computed ({error}): it is bad, without a value"
                self._notes.tell("computed", text, name)
        if value is None:
            quality = Quality.BAD
        return Sample(self._asset, name, newest.time_ns, value, quality | newest.quality & TIME_REPLACED)

    def _value(self, sample: Sample) -> Value | None:
        datatype = self._datatypes.get(sample.signal)
        return sample.value if sample.value is None or datatype is None else coerce(sample.value, datatype)


_ORDER: Final = (Quality.BAD, Quality.STALE, Quality.UNCERTAIN, Quality.GOOD)


def _goodness(quality: int) -> int:
    return _ORDER.index(Quality(quality)) if quality in _ORDER else 0
