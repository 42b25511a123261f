"""A signal beyond a limit: a condition with hysteresis and delay, looked at in the states of the machine that count.

The condition becomes active when the value has been above `high` or below `low` for `delay_s`, at the end of that time.
It is cleared when the value is inside both limits by `hysteresis`, or the machine leaves the states of `when`. Samples
without a usable value, and late ones, are as if they had not come.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.block import Block
from contract.event import Event, Evidence
from contract.model import Asset, Sample
from edge.detector import Found
from edge.detectors._state import ConditionEntry, OperatingState, Reading
from edge.entry import Finite, Seconds, SignalName, Text


class Options(ConditionEntry):
    """A limit of one signal."""

    says: ClassVar = {"en": "Beyond a limit", "zh": "超出限值"}

    kind: Literal["limit"]
    signal: SignalName
    high: Finite | None = Field(None, description="in the unit of the signal")
    low: Finite | None = Field(None, description="in the unit of the signal")
    hysteresis: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="so far inside the limits the value must be to be good again"
    )
    delay_s: Seconds = Field(0.0, description="so long the value must be beyond a limit")
    block: Text = Field("", description="the sensor whose newest block is sent as evidence")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.high is None and self.low is None:
            raise ValueError("state `high`, `low` or both")
        room = (self.high or 0.0) - (self.low or 0.0)
        if self.high is not None and self.low is not None and room <= 2 * self.hysteresis:
            raise ValueError("between low and high there must be more than twice the hysteresis")
        return self

    def signals(self) -> dict[str, str]:
        """Return the signals that it looks at, by option."""
        return {"signal": self.signal, **super().signals()}

    def numbers(self) -> Collection[str]:
        """Return the option whose signal must be a number."""
        return ("signal",)

    def sensors(self) -> dict[str, str]:
        """Return the sensor whose blocks it looks at."""
        return {"block": self.block} if self.block else {}


class Limit:
    """See above; it keeps one value and its times."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        self._state = OperatingState(options, asset)
        self._reading = Reading(options.signal)
        self._is_active = is_active
        self._value = 0.0
        self._since_ns = 0  # since when it is beyond a limit, by the source; 0: it is not
        self._came_ns = 0  # when that came, by the edge's clock
        self._block: Block | None = None

    def update(self, samples: Sequence[Sample], blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        events: list[Event] = []
        for block in blocks:
            if block.header.sensor == self._options.block:
                self._block = block
        for sample in samples:
            if self._state.take(sample, now_ns) and self._state.counts is False:
                self._since_ns = 0
                events += [self._end(self._state.changed_ns)] if self._is_active else []
            if sample.signal == self._options.signal and self._reading.take(sample, now_ns):
                events += self._look(now_ns)
        if self._since_ns and not self._is_active and now_ns - self._came_ns >= self._options.delay_s * 1e9:
            events.append(self._begin())
        return Found(events=events)

    def _look(self, now_ns: int) -> list[Event]:
        value, time_ns = self._reading.number(), self._reading.time_ns
        if value is None:
            return []
        self._value = value
        if not self._state.counts:
            return []
        if self._is_active:
            return [self._end(time_ns)] if self._is_inside(self._options.hysteresis) else []
        if self._is_inside(0.0):
            self._since_ns = 0
        elif not self._since_ns:
            self._since_ns, self._came_ns = time_ns, now_ns
        is_over = self._since_ns and time_ns - self._since_ns >= self._options.delay_s * 1e9
        return [self._begin()] if is_over else []

    def _is_inside(self, margin: float) -> bool:
        high, low = self._options.high, self._options.low
        return (high is None or self._value <= high - margin) and (low is None or self._value >= low + margin)

    def _begin(self) -> Event:
        self._is_active = True
        time_ns = self._since_ns + round(self._options.delay_s * 1e9)
        evidence = [Evidence(signal=self._options.signal, start_ns=self._since_ns, end_ns=time_ns)]
        if self._block is not None:
            header = self._block.header
            evidence.append(Evidence(block=header.id, start_ns=header.start_ns, end_ns=header.end_ns))
        self._since_ns = 0
        return self._event("active", time_ns, evidence)

    def _end(self, time_ns: int) -> Event:
        self._is_active = False
        return self._event("cleared", time_ns)

    def _event(self, state: Literal["active", "cleared"], time_ns: int, evidence: Sequence[Evidence] = ()) -> Event:
        options = self._options
        limits = {name: limit for name, limit in (("high", options.high), ("low", options.low)) if limit is not None}
        values = {"signal": options.signal, "value": self._value, **limits}
        return options.event(self._asset, state, time_ns, values, evidence)


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Limit:
    """Return the limit of an asset."""
    return Limit(options, asset, is_active=options.name in active)
