"""A signal that stands still: a condition while its value has not changed for a time in the states that count.

A sensor that has frozen, or lost its contact, goes on saying what it said last. The condition becomes active when the
value has been the same for `after_s`, all of it in the states of `when`, and is cleared by the first other value, or
when the machine leaves these states. Whether the same value comes again or nothing comes makes no difference: many
sources tell changes only. Samples without a usable value, and late ones, are as if they had not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from contract.block import Block
from contract.event import Event, Evidence
from contract.model import Asset, Sample
from edge.detector import Found
from edge.detectors._state import ConditionEntry, OperatingState, Reading
from edge.entry import SignalName

_MOST_TEXT: Final = 200


class Options(ConditionEntry):
    """A signal that must move."""

    says: ClassVar = {"en": "The value stands still", "zh": "数值长时间不变"}

    kind: Literal["stuck"]
    signal: SignalName
    after_s: Annotated[float, Field(ge=1, le=86_400)] = Field(description="so long its value may be the same")
    severity: Annotated[int, Field(ge=1, le=1000)] = 300

    def signals(self) -> dict[str, str]:
        """Return the signals that it looks at, by option."""
        return {"signal": self.signal, **super().signals()}


class Stuck:
    """See above; it keeps one value and its times."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        self._state = OperatingState(options, asset)
        self._reading = Reading(options.signal)
        self._is_active = is_active
        self._since_ns = 0  # when it took its value and the state counted, by the edge's clock

    def update(self, samples: Sequence[Sample], _blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        events: list[Event] = []
        for sample in samples:
            counted, value = self._state.counts, self._reading.value
            self._state.take(sample, now_ns)
            if bool(counted) != bool(self._state.counts):
                events += self._moved(now_ns)
            if (
                sample.signal == self._options.signal
                and self._reading.take(sample, now_ns)
                and self._reading.value != value
            ):
                events += self._moved(now_ns)
        stands_s = (now_ns - self._since_ns) / 1e9
        is_there = self._state.counts and self._reading.value is not None
        if is_there and not self._is_active and stands_s >= self._options.after_s:
            self._is_active = True
            events.append(self._event("active", now_ns))
        return Found(events=events)

    def _moved(self, now_ns: int) -> list[Event]:
        self._since_ns = now_ns
        if not self._is_active:
            return []
        self._is_active = False
        return [self._event("cleared", now_ns)]

    def _event(self, state: Literal["active", "cleared"], time_ns: int) -> Event:
        options, value = self._options, self._reading.value
        value = value[:_MOST_TEXT] if isinstance(value, str) else value
        evidence = [Evidence(signal=options.signal, start_ns=self._since_ns, end_ns=time_ns)]
        values = {"signal": options.signal} | ({} if value is None else {"value": value})
        return options.event(self._asset, state, time_ns, values, evidence if state == "active" else ())


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Stuck:
    """Return the look at one signal of an asset."""
    return Stuck(options, asset, is_active=options.name in active)
