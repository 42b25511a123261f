"""A signal that is missing: a condition while it does not come, or too many of its samples have no usable value.

Missing is a signal of which nothing has come for longer than usual: `factor` times the median of its last intervals, at
least `least_s`, and twice the longest of those that came while it learned, for `learn_s`; or `after_s`, where that is
stated. So one that is told when it changes alone is not missing while it stands as usual. While nothing else of the
machine comes either, it is not the signal that is missing, but its line. Of the last `last` samples the share without a
value, or of bad quality, is a feature in percent; above `share` they are the condition, too. It is cleared when the
signal comes and the share is below half of that, or the machine leaves the states of `when`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from contract.block import Block
from contract.event import Event, Evidence
from contract.model import Asset, Quality, Sample, Signal, base_quality
from contract.sensor import Sensor
from edge.detector import TICK_S, Found
from edge.detectors._state import ConditionEntry, OperatingState
from edge.entry import SignalName

_INTERVALS: Final = 31
_LEAST_INTERVALS: Final = 5  # to know what is usual
_AWAY_NS: Final = round(10 * TICK_S * 1e9)
_TOLD_NS: Final = 10_000_000_000


class Options(ConditionEntry):
    """A signal that must come."""

    says: ClassVar = {"en": "Values are missing", "zh": "数据缺失"}

    kind: Literal["dropout"]
    signal: SignalName
    factor: Annotated[float, Field(ge=2, le=1000)] = Field(10.0, description="so many usual intervals without it")
    least_s: Annotated[float, Field(ge=1, le=86_400)] = Field(10.0, description="it is not missing sooner")
    learn_s: Annotated[float, Field(ge=1, le=30 * 86_400)] = Field(600.0, description="so long it learns what is usual")
    after_s: Annotated[float, Field(ge=1, le=86_400)] | None = Field(
        None, description="without it for so long it is missing, whatever is usual"
    )
    last: Annotated[int, Field(ge=5, le=1000)] = Field(60, description="samples of which the share is taken")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="of them without a usable value")
    severity: Annotated[int, Field(ge=1, le=1000)] = 300

    def signals(self) -> dict[str, str]:
        """Return the signals that it looks at, by option."""
        return {"signal": self.signal, **super().signals()}

    def features(self, _sensors: Mapping[str, Sensor]) -> Sequence[Signal]:
        """Return the share."""
        text = f"share of the last {self.last} samples of {self.signal} without a usable value"
        return (Signal(f"{self.name}_share", unit="%", low=0.0, high=100.0, deadband=0.1, description=text),)


class Dropout:
    """See above; it keeps some intervals, and of each of the last samples whether it was usable."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        self._is_alone = not {each.name for each in asset.signals} - {options.signal, f"{options.name}_share"}
        self._state = OperatingState(options, asset)
        self._is_bad: deque[bool] = deque(maxlen=options.last)
        self._bad = 0
        self._intervals_ns: deque[int] = deque(maxlen=_INTERVALS)
        self._longest_ns = 0  # of the intervals while it learned
        self._learns_until_ns = 0
        self._usual_ns = 0  # after so long it is missing; 0: nobody knows yet
        # all by the edge's clock
        self._came_ns = 0
        self._others_ns = 0  # when something else of the machine came last
        self._now_ns = 0
        self._told_ns = 0
        self._is_active = is_active

    def update(self, samples: Sequence[Sample], _blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        if not 0 <= now_ns - self._now_ns <= _AWAY_NS:  # the edge was away, or its clock was set
            self._came_ns = self._others_ns = now_ns
        self._now_ns = now_ns
        came = 0
        for sample in samples:
            self._state.take(sample, now_ns)
            if sample.signal == self._options.signal:
                came += 1
                self._count(sample.value is None or base_quality(sample.quality) == Quality.BAD)
            else:
                self._others_ns = now_ns
        if came:
            self._learn(now_ns)
        events = self._judge(now_ns)
        features = []
        if self._is_bad and ((came and now_ns - self._told_ns >= _TOLD_NS) or events):
            self._told_ns = now_ns
            features = [Sample(self._asset, f"{self._options.name}_share", now_ns, 100.0 * self._share())]
        return Found(features, events)

    def _count(self, is_bad: bool) -> None:
        if len(self._is_bad) == self._options.last:
            self._bad -= self._is_bad[0]
        self._is_bad.append(is_bad)
        self._bad += is_bad

    def _learn(self, now_ns: int) -> None:
        self._learns_until_ns = self._learns_until_ns or now_ns + round(self._options.learn_s * 1e9)
        silent_ns, came_ns, self._came_ns = self._silent_ns(), self._came_ns, now_ns
        if now_ns < self._learns_until_ns:
            self._longest_ns = max(self._longest_ns, silent_ns)
        elif 0 < self._usual_ns < silent_ns:
            return
        self._intervals_ns.append(now_ns - came_ns)
        if now_ns >= self._learns_until_ns and len(self._intervals_ns) >= _LEAST_INTERVALS:
            usual_ns = self._options.factor * median(self._intervals_ns)
            self._usual_ns = round(max(usual_ns, self._options.least_s * 1e9, 2 * self._longest_ns))

    def _share(self) -> float:
        return self._bad / len(self._is_bad) if self._is_bad else 0.0

    def _silent_ns(self) -> int:
        """Return for how long other signals have come without this one."""
        return max(0, (self._now_ns if self._is_alone else self._others_ns) - self._came_ns) if self._came_ns else 0

    def _is_missing(self) -> bool:
        after_s = self._options.after_s
        after_ns = self._usual_ns if after_s is None else round(after_s * 1e9)
        return 0 < after_ns < self._silent_ns()

    def _judge(self, now_ns: int) -> list[Event]:
        options = self._options
        is_full = len(self._is_bad) == options.last
        share = options.share * (0.5 if self._is_active else 1.0)
        is_bad = (is_full or self._is_active) and self._share() > share
        is_active = bool(self._state.counts) and (self._is_missing() or is_bad)
        if is_active == self._is_active or not (is_active or self._is_bad or self._state.counts is False):
            return []
        self._is_active = is_active
        said = {"signal": options.signal, "share": self._share(), "silent_s": self._silent_ns() / 1e9}
        if not is_active:
            return [options.event(self._asset, "cleared", now_ns, said)]
        evidence = [Evidence(signal=options.signal, start_ns=min(self._came_ns, now_ns), end_ns=now_ns)]
        return [options.event(self._asset, "active", now_ns, said, evidence)]


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Dropout:
    """Return the look at whether one signal of an asset comes."""
    return Dropout(options, asset, is_active=options.name in active)
