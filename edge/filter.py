"""What a machine's samples become before they are sent: usable times, stated datatypes, deadband, period.

Per signal, memory is bounded. Time is an argument: `now_ns` is the edge's wall clock at arrival.

Times. A sample keeps the time that its source gave it, however late it comes. (asset, signal, time) names one sample:
further values of one time that arrive within a second become + 1 ns each, in order. A sample that is equal to the one
before it in time, value and quality is a repeat and is left out; so is a late one that is equal to one of the last
REMEMBERED of its signal. What cannot be the source's time is replaced by the time of arrival, flagged with
TIME_REPLACED and counted by sort in `odd_times`: none, one before 1970, one more than five minutes ahead of the edge's
clock, and one that stands still while the value moves (differing values more than a second apart). Order is kept: it is
the last time + 1 ns when the edge's clock was set back. Replaced is a time, too, that is
older than samples are kept, of a value that a machine answers a new connection with; others so old are late.

Past. A sample behind a newer one of its signal is late. It passes, whatever deadband and period are, and leaves their
state alone: `update` returns it apart. When all that comes is late by the same time for more than two seconds, the
source's clock was set back (one of `odd_times`): what comes then is live again, and becomes + 1 ns until the clock has
caught up, as those times have been given before. Times begin anew behind a last one that is more than five minutes
ahead of the edge's clock (which was wrong, and has been set), and after a loss (`resume`): the first sample of each
signal passes whatever it is, in its own time: it tells that the value holds again.

The source's own times are remembered beside, since those that were given out may be others. They tell what of the
source's record was never read: what is later than the newest time that was read before a loss, and not later than the
first one after the return. A sample without a value, or with a time that no clock says, tells nothing of that; one that
was replaced because it is ahead does: it may be the edge's clock that is wrong.

Deadband and period. A sample passes when its quality changed, or its value moved by more than the deadband since the
last one that passed, and the period has gone by. What arrives inside the period waits, the newest of it passes when the
period is over: the last value before a silence is never lost. With a deadband, a value passes at least every 20 s while
the source delivers: screens take a machine that is not heard of for 60 s for stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from contract.model import MAX_TEXT_BYTES, TIME_REPLACED, Datatype, Quality, Sample, Signal, Value, base_quality
from edge.coercion import coerce, is_exact
from edge.dating import AHEAD_NS, FIRST_NS, LAST_NS, Bounds, Date, Dating, Sort
from edge.read import NOTHING, Read

AT_LEAST_NS: Final = 20_000_000_000
"""With a deadband, a value that is older than this passes though it did not move."""
_UNBOUND: Final = Bounds()

_SHORT_TEXT: Final = MAX_TEXT_BYTES // 4  # characters that surely fit


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


class Passed(NamedTuple):
    """What passes: `live` in order, and apart what is late."""

    live: list[Sample]
    past: list[Sample]


@dataclass(slots=True)
class _State(Dating):
    signal: Signal = field(kw_only=True)
    sent: Sample | None = None
    waiting: Sample | None = None
    waiting_since_ns: int = 0
    # the source's own times, 0 while there is none
    begun_ns: int = 0  # the first that was read
    read_ns: int = 0  # the newest that was read
    waiting_ns: int = 0
    passed_ns: int = 0
    before: Read = NOTHING  # what was read before the gap that this filter is to fill


class Filter:
    """The samples of one asset, on their way out."""

    def __init__(
        self, signals: Iterable[Signal], read: Mapping[str, Read] | None = None, *, bounds: Bounds = _UNBOUND
    ) -> None:
        """`read`: by signal, what earlier filters have read; this one is to fill the gap behind that."""
        self._bounds = bounds if read is None else bounds._replace(recorded=True)
        self._states = {signal.name: _State(max(FIRST_NS, bounds.oldest_ns) - 1, signal=signal) for signal in signals}
        for name, before in (read or {}).items():
            state = self._states[name]
            state.before, state.read_ns, state.last_ns = before, before.until_ns, before.until_ns
        self._waiting: dict[str, _State] = {}
        self.odd_times: Counter[Sort] = Counter()
        self.replaced = 0
        self.has_news = False  # the last `update` was more than repeats
        self.news_ns = 0  # when that was new: at arrival, but what answers a connection in its own time
        self.examples: dict[tuple[Sort, str], Sample] = {}  # the first of each sort and signal, as it came
        self.misfits: Counter[str] = Counter()  # values that do not fit their datatype, by signal
        self.misfit: dict[str, Value] = {}  # the first of each signal
        self.rounded: Counter[str] = Counter()  # integers of more digits than their datatype holds, by signal
        self.too_large: list[tuple[str, int]] = []  # signal and bytes of texts left out by the last `update`

    def successor(self, signals: Iterable[Signal]) -> Filter:
        """Return the filter of what is read after a loss: its times go on behind those that this one gave out."""
        after = Filter(signals, bounds=self._bounds._replace(recorded=False))
        for name, state in after._states.items():
            state.follow(self._states[name])
        return after

    def datatype(self, signal: str) -> Datatype:
        """Return the datatype of a signal."""
        return self._states[signal].signal.datatype

    def set_datatype(self, signal: Signal) -> None:
        """Take a signal whose datatype is known only now."""
        self._states[signal.name].signal = signal

    def know(self, signals: Iterable[Signal]) -> None:
        """Take signals that are known only now, and what is new about others."""
        for signal in signals:
            if signal.name in self._states:
                self.set_datatype(signal)
            else:
                self._states[signal.name] = _State(max(FIRST_NS, self._bounds.oldest_ns) - 1, signal=signal)

    def resume(self, bounds: Bounds = _UNBOUND) -> None:
        """Forget what was sent, after a loss."""
        self._bounds = bounds
        self._waiting.clear()
        for state in self._states.values():
            state.seen = state.sent = state.waiting = None
            state.last_ns = max(state.last_ns, bounds.oldest_ns - 1)

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
        self._bounds = self._bounds._replace(recorded=True)
        for state in self._states.values():
            state.last_ns, state.before = max(state.read_ns, FIRST_NS - 1), Read(state.read_ns)

    def missing(self, samples: Iterable[Sample], live: Filter) -> list[Sample]:
        """Return those of `samples`, which the source recorded, that neither this filter nor `live` behind it read."""
        return [sample for sample in samples if self._is_missing(sample, live._states[sample.signal].begun_ns)]

    def _is_missing(self, sample: Sample, until_ns: int) -> bool:
        state, time_ns = self._states[sample.signal], sample.time_ns
        if 0 < until_ns < state.read_ns:  # the source's clock was set back
            state.read_ns, state.last_ns = 0, FIRST_NS - 1
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

    def update(self, samples: Sequence[Sample], now_ns: int) -> Passed:
        """Return what of `samples` (of signals that are known) passes."""
        passed = Passed([], [])
        self.too_large.clear()
        latest_ns = now_ns + AHEAD_NS
        repeats = firsts = newest_ns = 0
        for sample in samples:
            state, value, time_ns = self._states[sample.signal], sample.value, sample.time_ns
            if sample == state.seen:
                repeats += 1
                continue
            if state.seen is None:
                firsts += 1
                newest_ns = max(newest_ns, min(time_ns, now_ns) if time_ns >= FIRST_NS else now_ns)
            is_plain = type(value) is float and state.signal.datatype is Datatype.DOUBLE and value - value == 0
            said = sample if is_plain else self._typed(sample, state.signal.datatype)
            if state.last_ns < time_ns <= latest_ns:
                state.last_ns, state.came_ns = time_ns, now_ns
            else:
                date = self._find_date(state, sample, said, now_ns)
                state.seen = sample
                if date is None:
                    continue
                quality = said.quality | TIME_REPLACED if date.is_replaced else said.quality
                said = said._replace(time_ns=date.time_ns, quality=quality)
                if date.is_past:
                    state.recent.append(said)
                    passed.past.append(said)
                    continue
                if not FIRST_NS <= time_ns < LAST_NS:
                    value = None
            if value is not None:
                state.begun_ns = state.begun_ns or time_ns
                state.read_ns = time_ns
            state.seen = sample
            state.recent.append(said)
            if self._passes(state, said, now_ns):
                passed.live.append(said)
                state.passed_ns = state.read_ns
        self.has_news = repeats < len(samples)
        self.news_ns = newest_ns if repeats + firsts == len(samples) else now_ns
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

    def _typed(self, sample: Sample, datatype: Datatype) -> Sample:
        """Return a sample in the datatype of its signal."""
        asset, name, time_ns, value, quality, status = sample
        if value is not None:
            fitting = coerce(value, datatype)
            if fitting is None:
                self.misfits[name] += 1
                self.misfit.setdefault(name, value)
            elif isinstance(fitting, str) and len(fitting) > _SHORT_TEXT and (size := _bytes(fitting)) > MAX_TEXT_BYTES:
                self.too_large.append((name, size))
                fitting = None
            elif fitting is value:
                return sample
            elif isinstance(fitting, float) and not is_exact(value):
                self.rounded[name] += 1
                if base_quality(quality) == Quality.GOOD:
                    quality += Quality.UNCERTAIN - Quality.GOOD
            value = fitting
        if value is None and base_quality(quality) in (Quality.GOOD, Quality.UNCERTAIN):
            quality = Quality.BAD
        return Sample(asset, name, time_ns, value, quality, status)

    def _find_date(self, state: _State, sample: Sample, said: Sample, now_ns: int) -> Date | None:
        """Return the time of a sample that is not simply the newest, and count what is odd about it."""
        date = state.find(said, now_ns, self._bounds)
        if date is not None and date.sort is not None:
            self.odd_times[date.sort] += 1
            self.replaced += date.is_replaced
            self.examples.setdefault((date.sort, sample.signal), sample)
        return date

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
    if not 0 <= sample.time_ns - sent.time_ns < AT_LEAST_NS:
        return False
    if value is None or before is None:
        return value is before
    if isinstance(value, str | bool) or isinstance(before, str | bool):
        return value == before
    return abs(value - before) <= deadband
