"""Single values far from those around them: a condition while they come, as of a loose contact or a disturbed cable.

A value is a spike when it differs from the median of itself and `around` values on either side by more than `sigmas`
times their spread, which is 1.4826 times the median deviation (Hampel), and by more than `least`. A step is none: the
values behind it stand with it. The condition becomes active with `count` spikes within `within_s`, and is cleared when
for so long there came none, or the machine leaves the states of `when`; the values around a change of the operating
state are not looked at. Those that are late, or not usable, are as if they had not come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from contract.block import Block
from contract.event import Event, Evidence
from contract.model import Asset, Sample
from edge.detector import Found
from edge.detectors._state import NumberEntry, OperatingState, Reading, least_of

_TO_SIGMA: Final = 1.4826  # of the median deviation, for a normal distribution
_CLOSE: Final = 10.0  # changes that say nothing: of a signal told with a deadband the spread is often 0


class Options(NumberEntry):
    """A signal whose values must not stand alone."""

    says: ClassVar = {"en": "Single values far from the others", "zh": "出现异常尖峰"}

    kind: Literal["spike"]
    sigmas: Annotated[float, Field(ge=3, le=1000)] = Field(
        8.0, description="so far from its neighbors a value is a spike"
    )
    least: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None,
        description="what differs by less is none, in the unit; not stated: ten deadbands, or a hundredth of the range",
    )
    around: Annotated[int, Field(ge=2, le=50)] = Field(5, description="values on either side that it is held against")
    count: Annotated[int, Field(ge=1, le=100)] = Field(1, description="so many make the condition")
    within_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    severity: Annotated[int, Field(ge=1, le=1000)] = 300


class Spike:
    """See above; it keeps the values of one window, and the times of `count` spikes."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        self._state = OperatingState(options, asset, options.by)
        self._reading = Reading(options.signal)
        self._least = _CLOSE * least_of(asset, options.signal) if options.least is None else options.least
        self._window: deque[tuple[int, float]] = deque(maxlen=2 * options.around + 1)
        self._spikes: deque[int] = deque(maxlen=options.count)
        self._last_ns = 0  # when the newest one was seen, by the edge's clock
        self._is_active = is_active

    def update(self, samples: Sequence[Sample], _blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        events: list[Event] = []
        reading, signal = self._reading, self._options.signal
        for sample in samples:
            if self._state.take(sample, now_ns):
                self._window.clear()
                if self._state.counts is False:
                    events += self._end(reading.at(now_ns))
            if sample.signal == signal and reading.take(sample, now_ns) and self._state.counts:
                events += self._look(now_ns)
        if self._is_active and reading.came_ns:
            self._last_ns = self._last_ns or now_ns  # of an earlier run nobody knows when it was
            if now_ns - self._last_ns > self._options.within_s * 1e9:
                events += self._end(reading.at(now_ns))
        return Found(events=events)

    def _look(self, now_ns: int) -> list[Event]:
        number = self._reading.number()
        if number is None:
            return []
        self._window.append((self._reading.time_ns, number))
        if len(self._window) < 2 * self._options.around + 1:
            return []
        time_ns, value = self._window[self._options.around]
        values = [each for _, each in self._window]
        usual = median(values)
        off = abs(value - usual)
        if off <= self._least:
            return []
        spread = _TO_SIGMA * median(abs(each - usual) for each in values)
        if off <= self._options.sigmas * spread:
            return []
        self._spikes.append(time_ns)
        self._last_ns = now_ns
        is_full = len(self._spikes) == self._options.count
        if self._is_active or not is_full or time_ns - self._spikes[0] > self._options.within_s * 1e9:
            return []
        self._is_active = True
        evidence = Evidence(signal=self._options.signal, start_ns=self._window[0][0], end_ns=self._window[-1][0])
        said = {"signal": self._options.signal, "value": value, "usual": usual, "spread": spread}
        return [self._options.event(self._asset, "active", time_ns, said, [evidence])]

    def _end(self, time_ns: int) -> list[Event]:
        self._spikes.clear()
        if not self._is_active:
            return []
        self._is_active = False
        return [self._options.event(self._asset, "cleared", time_ns, {"signal": self._options.signal})]


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Spike:
    """Return the look at single values of one signal of an asset."""
    return Spike(options, asset, is_active=options.name in active)
