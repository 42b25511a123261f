"""A cycle that runs unlike the ones before: the machine's own signals, held against the envelope of the same phase.

A phase lasts while the signals of `by` (program, tool, block) say the same. Each of its `measured` signals is brought
to `points` values, however long it takes; mean and spread of each are learned from the first `learn_cycles` times that
the phase runs. From then on the deviation of a phase is what a quarter of the points of one signal exceed, in spreads;
the largest of all signals is a feature. The condition becomes active with the end of a phase whose deviation is above
`sigmas`, and is cleared when each such phase has run again with one below four fifths of that.

A phase that the state interrupts is left out, and so is one with fewer than four values. Those that are late, or not
usable, are as if they had not come. What was learned is gone with a restart of the edge; of the 512 phases that ran
last something is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from contract.block import Block
from contract.event import Event, Evidence
from contract.model import Asset, Sample, Signal
from contract.sensor import Sensor
from edge.detector import Found
from edge.detectors._phases import Course, Envelope
from edge.detectors._state import ConditionEntry, Kept, Key, OperatingState, Reading, least_of
from edge.entry import SignalName

_MOST_PHASES: Final = 512
_CLEARED: Final = 0.8
_THINNED: Final = 8  # so many times `points` values are kept of a phase that runs
_LEAST_SHARE: Final = 0.01  # of the largest mean: no spread is less


class Options(ConditionEntry):
    """Phases of a cycle that must run as usual."""

    says: ClassVar = {"en": "The cycle does not run as usual", "zh": "循环与平时不同"}

    kind: Literal["cycle"]
    measured: tuple[SignalName, ...] = Field(min_length=1, max_length=8, description="what is compared, each a number")
    by: tuple[SignalName, ...] = Field(
        min_length=1, max_length=8, description="what tells the phase: program, tool, block"
    )
    learn_cycles: Annotated[int, Field(ge=3, le=1000)] = Field(10, description="times that a phase runs to be known")
    points: Annotated[int, Field(ge=4, le=64)] = Field(16, description="of each signal in a phase")
    sigmas: Annotated[float, Field(ge=3, le=1000)] = Field(8.0, description="so many spreads off is unusual")

    def signals(self) -> dict[str, str]:
        """Return the signals that it looks at, by option."""
        lists = {"measured": self.measured, "by": self.by}
        return super().signals() | {f"{key}.{i}": name for key, names in lists.items() for i, name in enumerate(names)}

    def numbers(self) -> Collection[str]:
        """Return the options whose signal must be a number."""
        return tuple(f"measured.{i}" for i in range(len(self.measured)))

    def features(self, _sensors: Mapping[str, Sensor]) -> Sequence[Signal]:
        """Return the deviation."""
        text = (
            f"how far the phase that has ended ran from its usual course, in spreads; above {self.sigmas:g} it is odd"
        )
        return (Signal(f"{self.name}_deviation", low=0.0, description=text),)


class _Phase:
    """What is known of one phase: an envelope for each signal, and whether it was odd when it ran last."""

    def __init__(self) -> None:
        self.envelopes: dict[str, Envelope] = {}
        self.is_odd = False


class Cycle:
    """See above."""

    def __init__(self, options: Options, asset: Asset, *, is_active: bool) -> None:
        self._options = options
        self._asset = asset.id
        self._state = OperatingState(options, asset, options.by)
        self._readings = {name: Reading(name) for name in options.measured}
        self._courses = {name: Course(_THINNED * options.points) for name in options.measured}
        self._least = {name: least_of(asset, name) for name in options.measured}
        self._phases: Kept[_Phase] = Kept(_Phase, _MOST_PHASES)
        self._key = self._state.key
        self._start_ns = 0
        self._is_whole = False  # it was seen from its beginning on
        self._is_active = is_active

    def update(self, samples: Sequence[Sample], _blocks: Sequence[Block], now_ns: int) -> Found:
        """Look at a batch."""
        features: list[Sample] = []
        events: list[Event] = []
        for sample in samples:
            if self._state.take(sample, now_ns):
                self._turn(self._state.changed_ns, features, events)
            reading = self._readings.get(sample.signal)
            if reading is not None and reading.take(sample, now_ns) and self._is_whole:
                value = reading.number()
                if value is not None and reading.time_ns >= self._start_ns:
                    self._courses[sample.signal].add(reading.time_ns, value)
        return Found(features, events)

    def _turn(self, time_ns: int, features: list[Sample], events: list[Event]) -> None:
        """End a phase, and begin another one."""
        before, self._key = self._key, self._state.key
        has_ended = self._by(before) != self._by(self._key)
        if self._is_whole and has_ended:
            self._end(before, time_ns, features, events)
        self._is_whole = bool(self._state.counts) and has_ended and None not in self._by(before)
        self._start_ns = time_ns
        for course in self._courses.values():
            course.clear()

    def _by(self, key: Key) -> Key:
        return key[-len(self._options.by) :]

    def _end(self, key: Key, end_ns: int, features: list[Sample], events: list[Event]) -> None:
        courses = {
            name: values
            for name, course in self._courses.items()
            if (values := course.resampled(self._start_ns, end_ns, self._options.points))
        }
        phase = self._phases.of(key)
        worst, deviation, is_known = "", 0.0, False
        for name, values in courses.items():
            envelope = phase.envelopes.setdefault(name, Envelope())
            if envelope.count < self._options.learn_cycles:
                envelope.learn(values)
                continue
            is_known = True
            off = sorted(map(abs, envelope.deviations(values, self._least[name], _LEAST_SHARE)))
            if (quarter := off[-max(1, len(off) // 4)]) >= deviation:
                worst, deviation = name, quarter
        if is_known:
            features.append(Sample(self._asset, f"{self._options.name}_deviation", end_ns, deviation))
            phase.is_odd = deviation > self._options.sigmas * (_CLEARED if phase.is_odd else 1.0)
        if courses:
            events += self._judge(key, worst, deviation, end_ns)

    def _judge(self, key: Key, worst: str, deviation: float, end_ns: int) -> list[Event]:
        is_active = any(phase.is_odd for phase in self._phases)
        if is_active == self._is_active:
            return []
        self._is_active = is_active
        said = {"phase": " ".join(map(str, self._by(key))), "deviation": deviation}
        if not is_active:
            return [self._options.event(self._asset, "cleared", end_ns, said)]
        evidence = Evidence(signal=worst, start_ns=self._start_ns, end_ns=end_ns)
        return [self._options.event(self._asset, "active", end_ns, said | {"signal": worst}, [evidence])]


def detector(options: Options, asset: Asset, active: frozenset[str]) -> Cycle:
    """Return the look at the cycles of an asset."""
    return Cycle(options, asset, is_active=options.name in active)
