"""Is what was produced what is stored? It knows the machines' own account and the store, and nothing between them.

Each sample is named by (asset, signal, time). Produced ones must be stored once and with an equal value; stored ones
must have been produced. What is not so must lie in an outage of its source: a time in which nothing could take the
sample from the machine (its line was cut, the process that reads it was dead). A source that can wait has no outages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import orjson

Value: TypeAlias = float | int | bool | str | None
Key = tuple[str, str]
Produced = dict[Key, dict[int, Value]]
Stored = Mapping[Key, Sequence[tuple[int, Value]]]

MOST_EXAMPLES: Final = 20
AFTER_NS: Final = 1_000_000_000
"""A sample read again after an outage may have been dated this much before the one that it repeats was produced."""

TIE_NS: Final = 1_000
"""A sample whose time cannot stand (the edge's clock was set back) gets the time of the one before it + 1 ns each."""


FAR_NS: Final = 300_000_000_000
"""What is stored so far outside the time in question was dated by a wrong clock."""

WRONG_NS: Final = 3600 * 1_000_000_000
"""Clocks that jump are wrong by an hour."""


class Outage(NamedTuple):
    """A time (ns since 1970, both ends in it) in which what `sources` produced could not be taken, and why.

    `only_moves`: it could be taken, but perhaps not dated: what is not stored under its own time was moved.
    """

    why: str
    sources: frozenset[str]
    start_ns: int
    end_ns: int
    only_moves: bool = False


class Finding(NamedTuple):
    """A sample that should be otherwise: lost, doubled, altered (stored with another value), alien (never produced)."""

    what: str
    asset: str
    signal: str
    time_ns: int
    detail: str = ""


@dataclass(slots=True)
class Verdict:
    """Counts of samples; `explained` by the reason of the outage; `findings` hold the first ones of each sort."""

    produced: int = 0
    stored: int = 0
    equal: int = 0
    repeated: int = 0
    """Samples that were read again after an outage, at the time of the return."""
    explained: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is lost, doubled, altered or alien, and there was something to check."""
        return not self.wrong and self.equal > 0

    def note(self, finding: Finding) -> None:
        """Count a finding."""
        self.wrong[finding.what] += 1
        if self.wrong[finding.what] <= MOST_EXAMPLES:
            self.findings.append(finding)


def read_emitted(paths: Iterable[Path]) -> Produced:
    """Return what the files of `simulators.emitted` say; a line that was cut off by a death is left out.

    Of two samples of a signal with one time the later counts: they are one to every store.
    """
    produced: Produced = {}
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                try:
                    message = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                for signal, value in message["values"].items():
                    produced.setdefault((message["source"], signal), {})[message["time_ns"]] = value
    return produced


def check(produced: Produced, stored: Stored, outages: Sequence[Outage], start_ns: int, end_ns: int) -> Verdict:
    """Compare what was produced from `start_ns` to before `end_ns` with all that is stored of that time.

    What is stored farther than FAR_NS outside that time was produced then, or an hour before or after, in an outage.
    """
    verdict = Verdict()
    for key in sorted(produced.keys() | stored.keys()):
        mine = [outage for outage in outages if key[0] in outage.sources]
        ever = produced.get(key, {})
        made = {t: v for t, v in ever.items() if start_ns <= t < end_ns}
        have, around = [], {}
        for t, v in stored.get(key, ()):
            if start_ns <= t < end_ns:
                have.append((t, v))
            else:
                around[t] = v
        verdict.produced += len(made)
        verdict.stored += len(have)
        _check_series(verdict, key, made, have, around=_Around(around, start_ns, end_ns), outages=mine, ever=ever)
    return verdict


class _Around(NamedTuple):
    """What is stored before and after the time in question."""

    there: Mapping[int, Value]
    start_ns: int
    end_ns: int

    def true_ns(self, time_ns: int) -> int:
        """Return the time by a right clock."""
        if time_ns < self.start_ns - FAR_NS:
            return time_ns + WRONG_NS
        return time_ns - WRONG_NS if time_ns >= self.end_ns + FAR_NS else time_ns


def _check_series(
    verdict: Verdict,
    key: Key,
    made: Mapping[int, Value],
    have: Sequence[tuple[int, Value]],
    *,
    around: _Around,
    outages: Sequence[Outage],
    ever: Mapping[int, Value],
) -> None:
    there: dict[int, Value] = {}
    for time_ns, value in have:
        if time_ns in there:
            verdict.note(Finding("doubled", *key, time_ns))
        there[time_ns] = value
    moved = _check_strange(verdict, key, there, around=around, outages=outages, ever=ever)
    losing = [outage for outage in outages if not outage.only_moves]
    for time_ns, value in made.items():
        if time_ns in there:
            if same(value, there[time_ns]):
                verdict.equal += 1
            else:
                verdict.note(Finding("altered", *key, time_ns, f"{value!r} became {there[time_ns]!r}"))
        elif why := _outage(outages if time_ns in moved else losing, time_ns):
            verdict.explained[why] += 1
        else:
            verdict.note(Finding("lost", *key, time_ns, repr(value)))


def _outage(outages: Sequence[Outage], time_ns: int) -> str:
    return next((outage.why for outage in outages if outage.start_ns <= time_ns <= outage.end_ns), "")


def _check_strange(
    verdict: Verdict,
    key: Key,
    there: Mapping[int, Value],
    *,
    around: _Around,
    outages: Sequence[Outage],
    ever: Mapping[int, Value],
) -> set[int]:
    """Check what is stored at a time at which nothing was produced: told again after an outage, or moved.

    What stands right behind another sample (tied) was moved there: a sample that was produced in the outage and is not
    stored under its own time. Each is moved once, and in order. So it is with what is stored an hour away. Returns the
    times under which those were produced.
    """
    all_there = {**around.there, **there}
    times, known = sorted(ever), sorted(ever.keys() | all_there.keys())
    gone = [time_ns for time_ns in times if time_ns not in all_there]
    found: set[int] = set()
    told: set[Outage] = set()
    for time_ns in sorted(all_there.keys() - ever.keys(), key=around.true_ns):
        value, true_ns = all_there[time_ns], around.true_ns(time_ns)
        at = bisect_left(known, time_ns)
        is_away = true_ns != time_ns
        is_tied = not is_away and at > 0 and time_ns - known[at - 1] < TIE_NS
        base_ns = _base(known, at) if is_tied else time_ns
        # a time that was not made up is the source's own: what stands behind it was produced later
        after = gone[bisect_right(gone, base_ns) :] if base_ns in ever else gone
        moved = _moved(ever, after, true_ns, value, outages) if is_tied or is_away else None
        if moved is not None:
            gone = gone[gone.index(moved) + 1 :]
            found.add(moved)
            is_right = True
        elif is_tied:
            behind = bisect_left(known, time_ns + TIE_NS)
            next_ns = known[behind] if behind < len(known) else time_ns
            mine = [outage for outage in outages if outage.start_ns <= next_ns and time_ns <= outage.end_ns]
            is_right = _told_again(ever, told, value, mine)
        else:
            is_right = _was_so(ever, times, true_ns, value, outages)
        if time_ns not in there and not is_away:
            continue  # not in question
        if is_right:
            verdict.repeated += 1
        else:
            verdict.note(Finding("doubled" if is_tied else "alien", *key, time_ns, repr(value)))
    return found


def _base(known: Sequence[int], at: int) -> int:
    """Return the time of the sample behind which the one at this place was moved."""
    while at > 0 and known[at] - known[at - 1] < TIE_NS:
        at -= 1
    return known[at]


def _moved(
    ever: Mapping[int, Value], gone: Sequence[int], time_ns: int, value: Value, outages: Sequence[Outage]
) -> int | None:
    """Return which of the samples that are not stored under their own times is stored at `time_ns`, None for none."""
    behind = bisect_right(gone, time_ns)
    # what is tied to the sample before it was produced with the next one, or later
    taken_ns = (time_ns, *gone[behind : behind + 1])
    mine = [outage for outage in outages if any(outage.start_ns <= t <= outage.end_ns for t in taken_ns)]
    if not mine:
        return None
    first = bisect_left(gone, min(outage.start_ns for outage in mine))
    last = bisect_right(gone, max(outage.end_ns for outage in mine))
    return next((t for t in gone[first:last] if same(ever[t], value)), None)


def _told_again(ever: Mapping[int, Value], told: set[Outage], value: Value, outages: Sequence[Outage]) -> bool:
    """Whether a tied value is the one that is told at a return though it has its own time: once for an outage."""
    if value is None or not outages:
        return bool(outages)
    fresh = [outage for outage in outages if outage not in told]
    end_ns = max((outage.end_ns for outage in fresh), default=0)
    was_so = any(t <= end_ns and same(made, value) for t, made in ever.items())
    told.update(fresh[:1] if was_so else ())
    return was_so


def _was_so(
    ever: Mapping[int, Value], times: Sequence[int], time_ns: int, value: Value, outages: Sequence[Outage]
) -> bool:
    """Whether the source had the value during an outage that the stored time lies in, or still when it began."""
    mine = [outage for outage in outages if outage.start_ns <= time_ns <= outage.end_ns]
    if not mine:
        return False
    first = max(bisect_right(times, min(outage.start_ns for outage in mine)) - 1, 0)
    last = bisect_right(times, time_ns + AFTER_NS)
    return value is None or any(same(ever[t], value) for t in times[first:last])


def same(produced: Value, stored: Value) -> bool:
    """Whether a stored value is the produced one: numbers and truth values are stored as floats.

    >>> same(3, 3.0), same(True, 1.0), same("on", "on"), same(1.5, 1.25), same(None, None)
    (True, True, True, False, True)
    """
    if isinstance(produced, bool) and isinstance(stored, str):
        return stored == str(produced).lower()
    if isinstance(produced, bool | int | float) and isinstance(stored, bool | int | float):
        return float(produced) == float(stored)
    return produced == stored
