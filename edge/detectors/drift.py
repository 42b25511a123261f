"""A signal that has left its usual value: a condition by cumulated sums (CUSUM) against a baseline that it learns.

Mean and spread are learned from the means of `step_s`, in each operating state for itself, for `learn_s` of it. From
then on each mean counts by how many of these spreads it is off, less `slack`; what adds up, to either side, is the
statistic (Page, Biometrika 41, 1954), its larger side a feature. The condition becomes active when the statistic of an
operating state is above `threshold`, and is cleared when that of each is below half of it. One mean counts at most a
third of the threshold, so that one odd value makes none.

A value holds while others of the machine come; those that are late, or not usable, are as if they had not come, and so
are the steps in which the operating state changes, and those within `settle_s` behind. What was learned is gone with a
restart of the edge. Of the 64 operating states that were there last something is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from contract.block import Block
from contract.event import Event, Evidence
from contract.model import Asset, Sample, Signal
from contract.sensor import Sensor
from edge.detector import Found
from edge.detectors._state import Kept, NumberEntry, OperatingState, Reading, least_of
from edge.detectors._steps import Step, Steps
from edge.entry import Seconds

_MOST_STATES: Final = 64
_LEAST_MEANS: Final = 10  # to learn from
_CLEARED: Final = 0.5

Side = Literal["both", "up", "down"]


class Options(NumberEntry):
    """A signal that must keep its usual value."""

    says: ClassVar = {"en": "The value has left what is usual", "zh": "数值偏离常态"}

    kind: Literal["drift"]
    learn_s: Annotated[float, Field(ge=10, le=30 * 86_400)] = Field(
        3600.0, description="so long it learns, in each operating state"
    )
    step_s: Annotated[float, Field(ge=1, le=3600)] = Field(10.0, description="what it looks at are means of so long")
    slack: Annotated[float, Field(ge=0, le=100)] = Field(1.0, description="so many spreads off are usual")
    threshold: Annotated[float, Field(ge=1, le=1e6)] = Field(20.0, description="of the statistic, in spreads")
    least: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="the least spread, in the unit; not stated: deadband, or a thousandth of the range"
    )
    side: Side = Field("both", description="which way it may not go")
    settle_s: Seconds = Field(10.0, description="so long after a change of the operating state nothing counts")
    severity: Annotated[int, Field(ge=1, le=1000)] = 400

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.learn_s < _LEAST_MEANS * self.step_s:
            raise ValueError(f"learn_s must be {_LEAST_MEANS} times step_s at least")
        return self

    def features(self, _sensors: Mapping[str, Sensor]) -> Sequence[Signal]:
        """Return the statistic."""
        text = (
            f"how far {self.signal} is from its usual value: CUSUM in spreads, above {self.threshold:g} it is a drift"
        )
        return (Signal(f"{self.name}_cusum", description=text),)


@dataclass(slots=True)
class _Baseline:
    """Of one operating state: mean and sum of squares of what was learned (Welford), and the sums since."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    up: float = 0.0
    down: float = 0.0
    since_ns: int = 0  # since when a sum is above 0
    is_beyond: bool = False

    def learn(self, value: float) -> None:
        self.count += 1
        off = value - self.mean
        self.mean += off / self.count
        self.squares += off * (value - self.mean)

    def spread(self, least: float) -> float:
        return max(math.sqrt(self.squares / (self.count - 1)), least, abs(self.mean) * 1e-9, 1e-300)

    def add(self, off: float, options: Options) -> float:
        """Add how many spreads a mean is off; return the statistic."""
        most = options.threshold / 3.0 + options.slack
        off = max(-most, min(most, off))
        top = 2.0 * options.threshold  # so that it comes back in bounded time
        if options.side != "down":
            self.up = min(top, max(0.0, self.up + off - options.slack))
        if options.side != "up":
            self.down = min(top, max(0.0, self.down - off - options.slack))
        return max(self.up, self.down)


class Drift:
    """See above; it keeps a baseline for each operating state."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        self._state = OperatingState(options, asset, options.by)
        self._reading = Reading(options.signal)
        self._steps = Steps(options.step_s)
        self._least = least_of(asset, options.signal) if options.least is None else options.least
        self._learned = math.ceil(options.learn_s / options.step_s)
        self._baselines: Kept[_Baseline] = Kept(_Baseline, _MOST_STATES)
        self._is_active = is_active
        self._feature = f"{options.name}_cusum"

    def update(self, samples: Sequence[Sample], _blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        steps: list[Step] = []
        features: list[Sample] = []
        events: list[Event] = []
        reading, state, signal = self._reading, self._state, self._options.signal
        for sample in samples:
            if state.take(sample, now_ns):
                self._begin(reading.at(now_ns))
            if sample.signal == signal and reading.take(sample, now_ns) and state.counts:
                steps += self._steps.take(reading.number(), reading.time_ns)
                self._look(steps, features, events)
        if samples and state.counts:
            steps += self._steps.pass_until(reading.at(now_ns))
            self._look(steps, features, events)
        return Found(features, events)

    def _begin(self, time_ns: int) -> None:
        value = self._reading.number() if self._state.counts else None
        self._steps.begin(time_ns + round(self._options.settle_s * 1e9), value)

    def _look(self, steps: list[Step], features: list[Sample], events: list[Event]) -> None:
        """Judge steps of the operating state that is now, and take them away."""
        for step in steps:
            baseline = self._baselines.of(self._state.key)
            if baseline.count < self._learned:
                baseline.learn(step.mean)
                events += self._judge(baseline, step, 0.0)  # an earlier run may have left it active
                continue
            spread = baseline.spread(self._least)
            sum_ = baseline.add((step.mean - baseline.mean) / spread, self._options)
            baseline.since_ns = 0 if sum_ == 0.0 else baseline.since_ns or step.end_ns - self._steps.step_ns
            features.append(Sample(self._asset, self._feature, step.end_ns, sum_))
            limit = self._options.threshold * (_CLEARED if baseline.is_beyond else 1.0)
            baseline.is_beyond = sum_ > limit
            events += self._judge(baseline, step, spread)
        steps.clear()

    def _judge(self, baseline: _Baseline, step: Step, spread: float) -> Iterable[Event]:
        is_active = any(each.is_beyond for each in self._baselines)
        if is_active == self._is_active:
            return
        self._is_active = is_active
        options = self._options
        said = {"signal": options.signal, "value": step.mean, "usual": baseline.mean, "spread": spread}
        evidence = [Evidence(signal=options.signal, start_ns=baseline.since_ns, end_ns=step.end_ns)]
        if is_active:
            yield options.event(self._asset, "active", step.end_ns, said, evidence)
        else:
            yield options.event(self._asset, "cleared", step.end_ns, said)


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Drift:
    """Return the look at the usual value of one signal of an asset."""
    return Drift(options, asset, is_active=options.name in active)
