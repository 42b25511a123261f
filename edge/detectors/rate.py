"""A signal that changes too fast: a condition while it rises, or falls, by more than a limit in a time.

The change is the slope of the line through twelve means of the last `over_s`, times `over_s`, so that neither noise nor
one odd value makes it. The condition becomes active when that has been beyond `rise` or `fall` for `delay_s`, and is
cleared when it is below four fifths of both, or the operating state changes: the value may jump then, and the time
begins anew. A value holds while others of the machine come; those that are late, or not usable, are as if they had not
come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from contract.block import Block
from contract.event import Event, Evidence
from contract.model import Asset, Sample
from edge.detector import Found
from edge.detectors._state import NumberEntry, OperatingState, Reading
from edge.detectors._steps import Step, Steps
from edge.entry import Seconds

_MEANS: Final = 12
_CLEARED: Final = 0.8
_PLACES: Final = [2.0 * i - (_MEANS - 1) for i in range(_MEANS)]
_SQUARES: Final = sum(place * place for place in _PLACES)
_SPAN: Final = 2.0 * _MEANS  # of all steps, in the unit of the places

Change = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Options(NumberEntry):
    """A limit of the change of one signal."""

    says: ClassVar = {"en": "It changes too fast", "zh": "变化过快"}

    kind: Literal["rate"]
    rise: Change | None = Field(None, description="it may rise by so much in `over_s`, in the unit of the signal")
    fall: Change | None = Field(None, description="it may fall by so much in `over_s`, in the unit of the signal")
    over_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    delay_s: Seconds = Field(0.0, description="so long the change must be beyond a limit")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rise is None and self.fall is None:
            raise ValueError("state `rise`, `fall` or both")
        return self


class Rate:
    """See above; it keeps twelve means."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        self._state = OperatingState(options, asset, options.by)
        self._reading = Reading(options.signal)
        self._steps = Steps(options.over_s / _MEANS)
        self._means: deque[float] = deque(maxlen=_MEANS)
        self._is_active = is_active
        self._since_ns = 0  # since when it is beyond a limit; 0: it is not
        self._end_ns = 0  # of the newest mean
        self._change = 0.0

    def update(self, samples: Sequence[Sample], _blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        events: list[Event] = []
        reading, signal = self._reading, self._options.signal
        for sample in samples:
            if self._state.take(sample, now_ns):
                events += self._begin_anew(reading.at(now_ns))
            if sample.signal == signal and reading.take(sample, now_ns) and self._state.counts:
                events += self._look(self._steps.take(reading.number(), reading.time_ns))
        if samples and self._state.counts:
            events += self._look(self._steps.pass_until(reading.at(now_ns)))
        return Found(events=events)

    def _begin_anew(self, time_ns: int) -> list[Event]:
        self._means.clear()
        self._since_ns = 0
        self._steps.begin(time_ns, self._reading.number() if self._state.counts else None)
        return [self._end(time_ns)] if self._is_active else []

    def _look(self, steps: Iterable[Step]) -> list[Event]:
        events = []
        for step in steps:
            if step.end_ns - self._end_ns != self._steps.step_ns:  # the clock has jumped
                self._means.clear()
            self._end_ns = step.end_ns
            self._means.append(step.mean)
            if len(self._means) == _MEANS:
                slope = sum(place * mean for place, mean in zip(_PLACES, self._means, strict=True)) / _SQUARES
                self._change = slope * _SPAN
                events += self._judge(step.end_ns)
        return events

    def _judge(self, time_ns: int) -> list[Event]:
        if self._is_active:
            return [] if self._is_beyond(_CLEARED) else [self._end(time_ns)]
        if not self._is_beyond(1.0):
            self._since_ns = 0
            return []
        self._since_ns = self._since_ns or time_ns
        if time_ns - self._since_ns < self._options.delay_s * 1e9:
            return []
        self._is_active = True
        start_ns = self._since_ns - round(self._options.over_s * 1e9)
        evidence = Evidence(signal=self._options.signal, start_ns=max(0, start_ns), end_ns=time_ns)
        return [self._options.event(self._asset, "active", time_ns, self._values(), [evidence])]

    def _is_beyond(self, share: float) -> bool:
        rise, fall = self._options.rise, self._options.fall
        return (rise is not None and self._change > rise * share) or (fall is not None and -self._change > fall * share)

    def _end(self, time_ns: int) -> Event:
        self._is_active, self._since_ns = False, 0
        return self._options.event(self._asset, "cleared", time_ns, self._values())

    def _values(self) -> dict[str, str | float]:
        return {"signal": self._options.signal, "change": self._change, "over_s": self._options.over_s}


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Rate:
    """Return the look at the change of one signal of an asset."""
    return Rate(options, asset, is_active=options.name in active)
