"""What a machine's samples become before they are sent: strictly increasing times, stated datatypes, deadband, period.

Per signal, memory is bounded. Time is an argument: `now_ns` is the edge's wall clock at arrival.

Times. A signal's times strictly increase, so that (asset, signal, time) names one sample. The source's time is kept;
a tie, or a step back of less than a second, becomes the last time + 1 ns. A larger step back (a clock that was set, or
a sample that came late) gets the time of arrival, and so does a time more than five minutes ahead of the edge's clock.
A last time that lies so far ahead is of a clock that was wrong and has been set: times begin anew behind it.
A sample equal to the one before it in time, value and quality is a repeat and is left out. After a loss (`resume`) the
first sample of each signal passes whatever it is, dated not before the return: it tells that the value holds again.

The source's own times are remembered beside, since those that were given out may be others. They tell what of the
source's record was never read: what is later than the newest time that was read before a loss, and not later than the
first one after the return. A sample without a value says nothing of that; the edge may have dated it.

Deadband and period. A sample passes when its quality changed, or its value moved by more than the deadband since the
last one that passed, and the period has gone by. What arrives inside the period waits, the newest of it passes when the
period is over: the last value before a silence is never lost. With a deadband, a value passes at least every 20 s while
the source delivers: screens take a machine that is not heard of for 60 s for stale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from contract.model import Datatype, Quality, Sample, Signal, Value

_STEP_BACK_NS: Final = 1_000_000_000
_AHEAD_NS: Final = 300_000_000_000
_AT_LEAST_NS: Final = 20_000_000_000
_MOST_INTERVALS: Final = 100

_INTEGERS: Final = {
    Datatype.INT8: (-(2**7), 2**7 - 1),
    Datatype.INT16: (-(2**15), 2**15 - 1),
    Datatype.INT32: (-(2**31), 2**31 - 1),
    Datatype.INT64: (-(2**63), 2**63 - 1),
    Datatype.UINT8: (0, 2**8 - 1),
    Datatype.UINT16: (0, 2**16 - 1),
    Datatype.UINT32: (0, 2**32 - 1),
    Datatype.UINT64: (0, 2**64 - 1),
    Datatype.DATETIME: (0, 2**63 - 1),
}
_LARGEST_FLOAT: Final = 3.4028234663852886e38
_TRUE: Final = frozenset(("true", "on", "yes", "1"))
_FALSE: Final = frozenset(("false", "off", "no", "0"))


def inferred(value: Value) -> Datatype:
    """Return the datatype of a signal that states none, from its first value: every number is a double."""
    if isinstance(value, bool):
        return Datatype.BOOLEAN
    return Datatype.STRING if isinstance(value, str) else Datatype.DOUBLE


def coerce(value: Value, datatype: Datatype) -> Value | None:
    """Return `value` in the datatype of its signal, None when it does not fit (NaN and infinity never do)."""
    try:
        if datatype is Datatype.STRING:
            return _as_text(value)
        if datatype is Datatype.BOOLEAN:
            return _as_boolean(value)
        if datatype in (Datatype.DOUBLE, Datatype.FLOAT):
            number = float(value)
            limit = _LARGEST_FLOAT if datatype is Datatype.FLOAT else math.inf
            return number if math.isfinite(number) and abs(number) <= limit else None
        whole = int(value)
        low, high = _INTEGERS[datatype]
    except (ValueError, OverflowError):
        return None
    exact = isinstance(value, str) or whole == value
    return whole if exact and low <= whole <= high else None


def _as_text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _as_boolean(value: Value) -> bool | None:
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else None
    return bool(value) if value in (0, 1) else None


class Read(NamedTuple):
    """What was read of a signal, in the source's times: all until one, and closed intervals after it."""

    until_ns: int
    intervals: tuple[tuple[int, int], ...] = ()

    def and_also(self, first_ns: int, last_ns: int) -> Read:
        """Add an interval; of very many the oldest is forgotten."""
        return Read(self.until_ns, (*self.intervals, (first_ns, last_ns))[-_MOST_INTERVALS:])


_NOTHING: Final = Read(0)


@dataclass(slots=True)
class _State:
    signal: Signal
    last_ns: int = 0  # the newest time that was given out, also to what did not pass
    seen: Sample | None = None  # the newest sample as it came
    sent: Sample | None = None
    waiting: Sample | None = None
    waiting_since_ns: int = 0
    # the source's own times, 0 while there is none
    begun_ns: int = 0  # the first that was read
    read_ns: int = 0  # the newest that was read
    waiting_ns: int = 0
    passed_ns: int = 0
    before: Read = _NOTHING  # what was read before the gap that this filter is to fill


class Filter:
    """The samples of one asset, on their way out."""

    def __init__(self, signals: Iterable[Signal], read: Mapping[str, Read] = MappingProxyType({})) -> None:
        """`read`: by signal, what earlier filters have read."""
        self._states = {signal.name: _State(signal) for signal in signals}
        for name, before in read.items():
            state = self._states[name]
            state.before, state.read_ns, state.last_ns = before, before.until_ns, before.until_ns
        self._waiting: dict[str, _State] = {}
        self.late = 0  # samples whose time was replaced by the time of arrival
        self.misfits = 0  # values that do not fit their datatype

    def successor(self, signals: Iterable[Signal]) -> Filter:
        """Return the filter of what is read after a loss: its times go on behind those that this one gave out."""
        after = Filter(signals)
        for name, state in after._states.items():
            state.last_ns = self._states[name].last_ns
        return after

    def set_datatype(self, signal: Signal) -> None:
        """Take a signal whose datatype is known only now."""
        self._states[signal.name].signal = signal

    def resume(self, now_ns: int) -> None:
        """Forget what was sent, after a loss: `now_ns` is the time of the return."""
        self._waiting.clear()
        for state in self._states.values():
            state.seen = state.sent = state.waiting = None
            state.last_ns = max(state.last_ns, now_ns)

    @property
    def has_all(self) -> bool:
        """Whether a value of each signal was read."""
        return all(state.begun_ns for state in self._states.values())

    @property
    def begun_ns(self) -> int:
        """The newest of the source's times with which its signals began; 0 for none."""
        return max((state.begun_ns for state in self._states.values()), default=0)

    @property
    def before_ns(self) -> int:
        """The newest of the source's times until which all of a signal was read before a gap; 0 for none."""
        return max((state.before.until_ns for state in self._states.values()), default=0)

    def read(self, signals: Iterable[str], past: Filter | None) -> dict[str, Read]:
        """Return, by signal, what was read when its last sample passed; `past` is to fill a gap that is still open."""
        read = {}
        for name in set(signals):
            state = self._states[name]
            if state.passed_ns and past is None:
                read[name] = Read(state.passed_ns)
            elif state.passed_ns and past is not None:
                read[name] = past._states[name].before.and_also(state.begun_ns + 1, state.passed_ns)
        return read

    def rewind(self) -> None:
        """Begin to fill a gap: what follows is what the source recorded, in its own times."""
        for state in self._states.values():
            state.last_ns, state.before = state.read_ns, Read(state.read_ns)

    def missing(self, samples: Iterable[Sample], live: Filter) -> list[Sample]:
        """Return those of `samples`, which the source recorded, that neither this filter nor `live` behind it read."""
        return [sample for sample in samples if self._is_missing(sample, live._states[sample.signal].begun_ns)]

    def _is_missing(self, sample: Sample, until_ns: int) -> bool:
        state, time_ns = self._states[sample.signal], sample.time_ns
        if 0 < until_ns < state.read_ns:  # the source's clock was set back
            state.read_ns = state.last_ns = 0
        is_new = state.read_ns < time_ns and (time_ns <= until_ns or not until_ns)
        return is_new and not any(first <= time_ns <= last for first, last in state.before.intervals)

    def leave_out(self, live: Filter) -> None:
        """Take what `live` has read for read; the gap before it is still open."""
        for name, other in live._states.items():
            if other.begun_ns:
                state = self._states[name]
                state.before = state.before.and_also(other.begun_ns + 1, other.read_ns)

    @property
    def waits(self) -> bool:
        """Whether samples wait for the end of their period."""
        return bool(self._waiting)

    def update(self, samples: Sequence[Sample], now_ns: int) -> list[Sample]:
        """Return what of `samples` (of signals that are known) passes, in order."""
        passed: list[Sample] = []
        for sample in samples:
            state = self._states[sample.signal]
            dated = self._date(state, sample, now_ns)
            if dated is not None and self._passes(state, dated, now_ns):
                passed.append(dated)
                state.passed_ns = state.read_ns
        return passed

    def flush(self, now_ns: int) -> list[Sample]:
        """Return the waiting samples whose period is over; call it a few times per period."""
        passed = []
        for name, state in list(self._waiting.items()):
            period_ns = round(state.signal.period_s * 1e9)
            since = now_ns - state.waiting_since_ns
            if state.waiting is not None and (since >= period_ns or since < 0):
                passed.append(state.waiting)
                state.sent, state.waiting, state.passed_ns = state.waiting, None, state.waiting_ns
                del self._waiting[name]
        return passed

    def drain(self) -> list[Sample]:
        """Return all that wait, whatever their period: the machine is lost."""
        passed = [state.waiting for state in self._waiting.values() if state.waiting is not None]
        for state in list(self._waiting.values()):
            state.passed_ns = state.waiting_ns
            self._forget(state)
        return passed

    def _date(self, state: _State, sample: Sample, now_ns: int) -> Sample | None:
        """Return the sample in its datatype and with a time of its own, None for a repeat."""
        asset, name, time_ns, value, quality, status = sample
        if sample == state.seen:
            return None
        state.seen = sample
        if value is not None:
            state.begun_ns = state.begun_ns or time_ns
            state.read_ns = time_ns
        if value is None:
            quality = Quality.BAD if quality == Quality.GOOD else quality
        elif not (type(value) is float and state.signal.datatype is Datatype.DOUBLE and value - value == 0):
            value = coerce(value, state.signal.datatype)
            if value is None:
                self.misfits += 1
                quality = Quality.BAD
        if time_ns > now_ns + _AHEAD_NS or time_ns <= 0:
            self.late += 1
            time_ns = now_ns
        elif state.last_ns > now_ns + _AHEAD_NS:
            state.last_ns = 0
        if time_ns <= state.last_ns:
            if state.last_ns - time_ns >= _STEP_BACK_NS:
                self.late += state.sent is not None
                time_ns = now_ns
            time_ns = max(time_ns, state.last_ns + 1)
        state.last_ns = time_ns
        return Sample(asset, name, time_ns, value, quality, status)

    def _passes(self, state: _State, sample: Sample, now_ns: int) -> bool:
        sent, signal = state.sent, state.signal
        if sent is not None and sent.quality == sample.quality and sent.status == sample.status:
            if signal.deadband and _within(sample, sent, signal.deadband):
                self._forget(state)  # it is back where it was: what waited is history
                return False
            if signal.period_s and 0 <= sample.time_ns - sent.time_ns < round(signal.period_s * 1e9):
                if state.waiting is None:
                    state.waiting_since_ns = now_ns
                    self._waiting[signal.name] = state
                state.waiting, state.waiting_ns = sample, state.read_ns
                return False
        self._forget(state)
        state.sent = sample
        return True

    def _forget(self, state: _State) -> None:
        if state.waiting is not None:
            state.waiting = None
            del self._waiting[state.signal.name]


def _within(sample: Sample, sent: Sample, deadband: float) -> bool:
    value, before = sample.value, sent.value
    if not 0 <= sample.time_ns - sent.time_ns < _AT_LEAST_NS:
        return False
    if value is None or before is None:
        return value is before
    if isinstance(value, str | bool) or isinstance(before, str | bool):
        return value == before
    return abs(value - before) <= deadband
