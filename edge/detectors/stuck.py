"""A signal that stands still: a condition while its value has not changed for a time in the states that count.

A sensor that has frozen, or lost its contact, goes on saying what it said last. The condition becomes active when the
value has been the same for `after_s`, all of it in the states of `when`, and is cleared by the first other value, or
when the machine leaves these states. Whether the same value comes again or nothing comes makes no difference: many
sources tell changes only. Samples without a value, and late ones, are as if they had not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from contract.block import Block
from contract.event import Event, Evidence, event_id
from contract.model import Asset, Sample, Value
from edge.detector import Found
from edge.entry import DetectorEntry, Names, SignalName, Text

_STATES: Final = ("execution", "state", "status", "mode")


class Options(DetectorEntry):
    """A signal that must move."""

    kind: Literal["stuck"]
    signal: SignalName
    after_s: Annotated[float, Field(ge=1, le=86_400)] = Field(description="so long its value may be the same")
    when: tuple[Text, ...] = Field((), description="in these states it counts, as the machine says them; none: in all")
    severity: Annotated[int, Field(ge=1, le=1000)] = 300
    texts: Names = Field(default_factory=dict, description="what it means, by language")

    def signals(self) -> dict[str, str]:
        """Return the signals that it looks at, by option."""
        return {"signal": self.signal}


class Stuck:
    """See above; it keeps one value and its times."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        names = {signal.name for signal in asset.signals}
        self._state_signal = asset.state or next((name for name in _STATES if name in names), "")
        self._when = {state.casefold() for state in options.when}
        self._counts = not self._when
        self._is_active = is_active
        self._value: Value | None = None
        self._last_ns = 0  # of the newest sample, by the source
        self._since_ns = 0  # when it took its value and the state counted, by the edge's clock

    def update(self, samples: Sequence[Sample], _blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        events: list[Event] = []
        for sample in samples:
            if sample.value is None:
                continue
            if self._when and sample.signal == self._state_signal:
                self._counts, counted = str(sample.value).casefold() in self._when, self._counts
                if self._counts != counted:
                    events += self._moved(now_ns)
            if sample.signal == self._options.signal and sample.time_ns >= self._last_ns:
                self._last_ns = sample.time_ns
                if sample.value != self._value:
                    self._value = sample.value
                    events += self._moved(now_ns)
        stands_s = (now_ns - self._since_ns) / 1e9
        if self._counts and self._value is not None and not self._is_active and stands_s >= self._options.after_s:
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
        options = self._options
        evidence = Evidence(signal=options.signal, start_ns=self._since_ns, end_ns=time_ns)
        return Event(
            id=event_id(self._asset, options.name, state, time_ns),
            asset=self._asset,
            name=options.name,
            time_ns=time_ns,
            state=state,
            condition=options.name,
            severity=options.severity,
            texts=options.texts,
            values={"signal": options.signal} | ({} if self._value is None else {"value": self._value}),
            evidence=(evidence,) if state == "active" else (),
            source=options.name,
        )


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Stuck:
    """Return the look at one signal of an asset."""
    return Stuck(options, asset, is_active=options.name in active)
