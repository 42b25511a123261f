"""Which time a sample of one signal is given: the source's own, unless that cannot be its time.

All times are ns since 1970. `now_ns` is the edge's wall clock at arrival. What is promised stands in edge.filter.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from contract.model import Sample

REMEMBERED: Final = 32  # samples of each signal
AHEAD_NS: Final = 300_000_000_000
FIRST_NS: Final = 1_000_000  # what is before is no time
LAST_NS: Final = 1 << 62  # in 2116: what is later is no time of a clock, however wrong
_STILL_NS: Final = 1_000_000_000  # values of one time that arrive farther apart were not taken at one time
_STEADY_NS: Final = 2_000_000_000  # when all that comes is late by the same for so long, the clock was set back
_SAME_NS: Final = 1_000_000_000

Sort = Literal["none", "before 1970", "ahead", "standing still", "set back", "too old"]

WORDS: Final[dict[Sort, str]] = {
    "none": "a value without a usable time: it gets that of its arrival, and a flag",
    "before 1970": "a time before 1970: it is replaced by that of arrival, and flagged",
    "ahead": "a time more than five minutes ahead of the edge's clock: it is replaced by that of arrival, and flagged",
    "standing still": "a time that stands still while the value moves: it is replaced by that of arrival, and flagged",
    "set back": "a clock that was set back: what it says is kept, + 1 ns, beside what it said before at the same times",
    "too old": "a time before all that is kept (SHOPFLOOR_RAW_DAYS): the store will refuse what is dated so",
}


def no_time(time_ns: int, now_ns: int) -> Sort | None:
    """Return why a time cannot be that of a source, whatever it is the time of; None when it can."""
    if time_ns < FIRST_NS:
        return "none" if time_ns == 0 else "before 1970"
    return "ahead" if time_ns > now_ns + AHEAD_NS else None


class Date(NamedTuple):
    """The time that a sample is given; `is_replaced`: not the source's. `sort` says what is odd about that."""

    time_ns: int
    is_past: bool = False
    sort: Sort | None = None
    is_replaced: bool = False


class Bounds(NamedTuple):
    """What the times of a source are held against.

    Samples before `oldest_ns` are not kept by any store. `holds`: the source answers a new connection with what holds
    then, however long it has held. `recorded`: samples are read from the source's record, so that their arrival tells
    nothing.
    """

    oldest_ns: int = 0
    holds: bool = False
    recorded: bool = False


class _Run(NamedTuple):
    """Samples of one source time: the time that the last of them was given, and when the first arrived."""

    source_ns: int = 0
    given_ns: int = 0
    came_ns: int = 0


class _Lag(NamedTuple):
    """How far late samples are behind the edge's clock, and since when all that comes is."""

    lag_ns: int = 0
    since_ns: int = 0
    is_set_back: bool = False


_NO_RUN: Final = _Run()
_NO_LAG: Final = _Lag()


@dataclass(slots=True)
class Dating:
    """What is remembered of the times of one signal.

    Whoever gives a sample that is simply newer its own time sets `last_ns` and `came_ns`; of all others `find` tells
    the time. Each is noted in `seen` and, with the time that it was given, in `recent`.
    """

    last_ns: int = FIRST_NS - 1  # the newest of the source's times, as it was given out
    came_ns: int = 0  # when the first sample of that time arrived
    seen: Sample | None = None  # the newest sample, as it came; None at the beginning, and after a loss
    recent: deque[Sample] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    newest: _Run = _NO_RUN  # of `last_ns`, when its time came more than once
    late: _Run = _NO_RUN
    lag: _Lag = _NO_LAG
    arrived_ns: int = 0  # the last time of arrival that was given out

    def follow(self, before: Dating) -> None:
        """Go on behind the times that another one has given out."""
        self.last_ns, self.came_ns, self.newest = before.last_ns, before.came_ns, before.newest
        self.recent.extend(before.recent)

    def find(self, sample: Sample, now_ns: int, bounds: Bounds) -> Date | None:
        """Return the time of a sample that is not simply newer than `last_ns`; None for a repeat."""
        time_ns = sample.time_ns
        if unusable := self._unusable(time_ns, now_ns, bounds):
            return self._arrival(now_ns, unusable)
        newest_ns = self.newest.source_ns if self.newest.given_ns == self.last_ns else self.last_ns
        # of what an earlier run gave out only the last time is known
        is_first = self.seen is None and (time_ns < newest_ns or not self.came_ns) and time_ns >= bounds.oldest_ns
        if is_first or self.last_ns > now_ns + AHEAD_NS:
            return self._begin(sample, now_ns)
        goes_on = self.seen is not None and self.seen.time_ns == time_ns
        given_ns = 0 if goes_on else self._given(sample)
        if given_ns:
            return Date(given_ns) if self.seen is None else None  # what held before a loss holds again
        if time_ns < newest_ns:
            return self._find_late(time_ns, now_ns, bounds, goes_on=goes_on)
        if now_ns - self.came_ns > _STILL_NS and not bounds.recorded:
            return self._arrival(now_ns, "standing still")
        self.last_ns = self._free(self.last_ns + 1)
        self.newest = _Run(newest_ns, self.last_ns, self.came_ns)
        return Date(self.last_ns)

    def _unusable(self, time_ns: int, now_ns: int, bounds: Bounds) -> Sort | None:
        if sort := no_time(time_ns, now_ns):
            return sort
        return "too old" if time_ns < bounds.oldest_ns and bounds.holds and self.seen is None else None

    def _arrival(self, now_ns: int, sort: Sort) -> Date:
        # not before what was given out: when the edge's clock was set back, order is what is left
        goes_on = self.arrived_ns <= now_ns + AHEAD_NS or 0 < self.arrived_ns - self.last_ns < _SAME_NS
        last_ns = max(self.last_ns, self.arrived_ns) if goes_on else self.last_ns
        self.arrived_ns = self._free(max(now_ns, last_ns + 1))
        return Date(self.arrived_ns, sort=sort, is_replaced=True)

    def _begin(self, sample: Sample, now_ns: int) -> Date:
        """Begin times anew with a sample."""
        time_ns = self._given(sample) or self._free(sample.time_ns)
        self.last_ns, self.came_ns, self.newest = time_ns, now_ns, _Run(sample.time_ns, time_ns, now_ns)
        return Date(time_ns)

    def _find_late(self, time_ns: int, now_ns: int, bounds: Bounds, *, goes_on: bool) -> Date:
        """Return the time of a late sample; `goes_on`: the one before it came with the same."""
        run = self.late if goes_on and self.late.source_ns == time_ns else _Run(time_ns, time_ns - 1, now_ns)
        if now_ns - run.came_ns > _STILL_NS and not bounds.recorded:
            return self._arrival(now_ns, "standing still")
        is_too_old = time_ns < bounds.oldest_ns
        was_set_back = self.lag.is_set_back
        is_set_back = not (bounds.recorded or is_too_old) and self._is_set_back(now_ns - time_ns, now_ns)
        # a clock that was set back gives times that it has given before
        given_ns = self._free(max(run.given_ns + 1, time_ns + is_set_back))
        self.late = run._replace(given_ns=given_ns)
        sort: Sort | None = "too old" if is_too_old else "set back" if is_set_back and not was_set_back else None
        return Date(given_ns, not is_set_back, sort)

    def _is_set_back(self, lag_ns: int, now_ns: int) -> bool:
        known = self.lag
        if abs(lag_ns - known.lag_ns) > _SAME_NS or self.came_ns >= known.since_ns:
            self.lag = _Lag(lag_ns, now_ns)
        elif now_ns - known.since_ns > _STEADY_NS:
            self.lag = known._replace(is_set_back=True)
        return self.lag.is_set_back

    def _given(self, sample: Sample) -> int:
        """Return under which time an equal sample of the same source's time was given out; 0 for none that is known."""
        at, time_ns = {given.time_ns: given for given in self.recent}, sample.time_ns
        while (given := at.get(time_ns)) is not None:
            if given._replace(time_ns=sample.time_ns) == sample:
                return time_ns
            time_ns += 1
        return 0

    def _free(self, time_ns: int) -> int:
        """Return this time, or the next one that was not given out as far as is remembered."""
        taken = {given.time_ns for given in self.recent}
        while time_ns in taken:
            time_ns += 1
        return time_ns
