"""What the courses of all cases come to: counts with their intervals, by fault, sensor, link and kind of machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from scipy.stats import chi2

from shopfloor.evaluate.case import Case, modes_of
from shopfloor.evaluate.trial import HOUR_S, Course, Said, Verdict

WEEK_S: Final = 7 * 86400.0
AT_ONCE_S: Final = 60.0
EPISODE_S: Final = 3600.0
"""A false finding that comes again after a longer pause is another one."""
SHOWN: Final = 0.5
"""A finding with less confidence is a possibility, not a verdict."""
ALPHA: Final = 0.3
LAMBDA: Final = 0.5


@dataclass(frozen=True, slots=True)
class Count:
    """`of` trials, `hits` of them good."""

    hits: int
    of: int

    def interval(self) -> tuple[float, float]:
        """Return the Wilson interval of 95 % for the share (E. B. Wilson, JASA 22, 1927)."""
        if not self.of:
            return 0.0, 1.0
        z, n = 1.959964, self.of
        share = self.hits / n
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.hits} of {self.of} ({100 * low:.0f}–{100 * high:.0f} %)" if self.of else "–"


def rate_interval(events: int, weeks: float) -> tuple[float, float]:
    """Return the exact Poisson interval of 95 % for events in a week (F. Garwood, Biometrika 28, 1936)."""
    low = 0.5 * float(chi2.ppf(0.025, 2 * events)) / weeks if events else 0.0
    return low, 0.5 * float(chi2.ppf(0.975, 2 * events + 2)) / weeks


@dataclass(slots=True)
class Row:
    """The figures of a group of cases; what a group has none of is absent."""

    name: str
    counts: dict[str, Count] = field(default_factory=dict)
    figures: dict[str, float | None] = field(default_factory=dict)
    first_wrong: dict[str, int] = field(default_factory=dict)
    """What was ranked first where something else was right, and how often."""

    def plain(self) -> dict[str, Any]:
        """Return it as plain data, counts with their intervals."""
        counts = {name: {**asdict(one), "interval": one.interval()} for name, one in self.counts.items()}
        return {"name": self.name, "counts": counts, "figures": self.figures, "first_wrong": self.first_wrong}


@dataclass(slots=True)
class Score:
    """All rows."""

    growing: list[Row]
    steps: list[Row]
    several: list[Row]
    sensors: list[Row]
    links: list[Row]
    healthy: list[Row]

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {name: [row.plain() for row in getattr(self, name)] for name in self.__slots__}


def score(courses: Iterable[Course]) -> Score:
    """Return the score of courses."""
    all_courses = list(courses)
    faults = [course for course in all_courses if course.case.what == "fault"]
    return Score(
        growing=_rows([course for course in faults if course.growth_s], _fault_name, _growing),
        steps=_rows([course for course in faults if not course.growth_s], _fault_name, _step),
        several=_rows(_of(all_courses, "several"), lambda _: "two faults at once", _several),
        sensors=_rows(_of(all_courses, "sensor"), lambda case: case.names[1], _lying),
        links=_rows(_of(all_courses, "link"), lambda case: case.names[0], _lying),
        healthy=_rows(_of(all_courses, "healthy"), lambda case: case.kind, _healthy),
    )


def _of(courses: Sequence[Course], what: str) -> list[Course]:
    return [course for course in courses if course.case.what == what]


def _fault_name(case: Case) -> str:
    return case.names[0]


def _rows(
    courses: Sequence[Course], name_of: Callable[[Case], str], figures: Callable[[str, Sequence[Course]], Row]
) -> list[Row]:
    """Return a row for each name in the order of the names, and one for all when there are several."""
    names = sorted({name_of(course.case) for course in courses})
    rows = [figures(name, [course for course in courses if name_of(course.case) == name]) for name in names]
    return [*rows, figures("all", courses)] if len(rows) > 1 else rows


# ---- one course ------------------------------------------------------------------------------------------------------


def shown(verdict: Verdict) -> list[Said]:
    """Return the findings that are said, not only possible."""
    return [one for one in verdict.findings if one.confidence >= SHOWN]


def is_right(one: Said, case: Case) -> bool:
    """Return whether a finding names a component that is broken: this fault, or another fault of the same part."""
    modes = modes_of(case.kind)
    broken = {modes[name].component for name in case.names}
    return one.fault in modes and modes[one.fault].component in broken


def until_end(course: Course) -> list[Verdict]:
    """Return what was said before the machine had failed, or until the end of the trial."""
    end_s = course.watched_s if course.failed_s is None else course.failed_s
    early = [verdict for verdict in course.verdicts if verdict.at_s < end_s]
    return early if course.failed_s is not None and course.growth_s else course.verdicts


def found_at(verdicts: Sequence[Verdict], case: Case) -> float | None:
    """Return when (s after the onset) one of the first three findings was right for the first time."""
    right = (v.at_s for v in verdicts if any(is_right(one, case) for one in shown(v)[:3]))
    return next(right, None)


def _mostly(verdicts: Sequence[Verdict], since_s: float | None, case: Case, ranks: int) -> bool:
    """Return whether, since the fault was found, one of the first `ranks` was right in most verdicts that say any."""
    later = [] if since_s is None else [v for v in verdicts if v.at_s >= since_s and shown(v)]
    return sum(any(is_right(one, case) for one in shown(v)[:ranks]) for v in later) * 2 > len(later)


def _first_wrong(courses: Sequence[Course]) -> dict[str, int]:
    """Return what was ranked first and wrong, by the number of cases in which it was at any time."""
    wrong: dict[str, int] = {}
    for course in courses:
        known = course.case.what in ("fault", "several")
        firsts = [shown(verdict)[:1] for verdict in course.verdicts]
        for fault in sorted(
            {one.fault for first in firsts for one in first if not known or not is_right(one, course.case)}
        ):
            wrong[fault] = wrong.get(fault, 0) + 1
    return dict(sorted(wrong.items(), key=lambda item: -item[1]))


# ---- groups of courses -----------------------------------------------------------------------------------------------


def _growing(name: str, courses: Sequence[Course]) -> Row:
    failing = [course for course in courses if course.case.severity == 1.0]
    below = [course for course in courses if course.case.severity < 1.0]
    times = [(course, found_at(until_end(course), course.case)) for course in failing]
    found = [(course, at_s) for course, at_s in times if at_s is not None]
    lives = [life for course, _ in found if (life := _life(course)) is not None]
    horizons = [horizon for _, horizon, _ in lives if horizon is not None]
    covered = [inside for _, _, each in lives for inside in each]
    return Row(
        name,
        {
            "found": Count(len(found), len(failing)),
            "rank_1": Count(sum(_mostly(until_end(c), at, c.case, 1) for c, at in times), len(failing)),
            "rank_3": Count(sum(_mostly(until_end(c), at, c.case, 3) for c, at in times), len(failing)),
            "found_below": Count(sum(found_at(c.verdicts, c.case) is not None for c in below), len(below)),
            "life": Count(sum(close for close, _, _ in lives), len(lives)),
        },
        {
            "delay": median(at_s / course.growth_s for course, at_s in found) if found else None,
            "horizon": median(horizons) if horizons else None,
            "coverage": sum(covered) / len(covered) if covered else None,
            "abstained": _abstained(courses),
        },
        _first_wrong(courses),
    )


def _life(course: Course) -> tuple[bool, float | None, list[bool]] | None:
    """Return whether the remaining life told half-way from finding to failure was right to ±ALPHA, and the horizon.

    Third, of all lives told, whether the truth was in the interval.

    The prognostic horizon is the share of the growth that was left when the told life began to stay within ±ALPHA of
    the growth (α-λ and horizon: Saxena et al., Metrics for offline evaluation of prognostic performance, 2010). None:
    no life was told.
    """
    end_s = course.failed_s
    told = [
        (verdict.at_s, *one.hours)
        for verdict in until_end(course)
        for one in shown(verdict)[:3]
        if one.hours is not None and is_right(one, course.case)
    ]
    if end_s is None or not told:
        return None
    half_s = told[0][0] + LAMBDA * (end_s - told[0][0])
    at_s, hours, _, _ = min(told, key=lambda each: abs(each[0] - half_s))
    left_h = (end_s - at_s) / HOUR_S
    close = abs(hours - left_h) <= ALPHA * left_h
    inside = [low <= (end_s - at_s) / HOUR_S <= high for at_s, _, low, high in told]
    horizon = None
    for at_s, hours, _, _ in reversed(told):
        if abs(hours * HOUR_S - (end_s - at_s)) > ALPHA * course.growth_s:
            break
        horizon = (end_s - at_s) / course.growth_s
    return close, horizon, inside


def _step(name: str, courses: Sequence[Course]) -> Row:
    times = [(course, found_at(course.verdicts, course.case)) for course in courses]
    found = [(course, at_s) for course, at_s in times if at_s is not None]
    # a machine that has stopped by itself ends no cycle any more
    soon = sum(at_s <= max(AT_ONCE_S, course.cycle_s or course.alarm_s or 0.0) for course, at_s in found)
    return Row(
        name,
        {
            "soon": Count(soon, len(courses)),
            "found": Count(len(found), len(courses)),
            "rank_1": Count(sum(_mostly(c.verdicts, at, c.case, 1) for c, at in times), len(courses)),
            "rank_3": Count(sum(_mostly(c.verdicts, at, c.case, 3) for c, at in times), len(courses)),
        },
        {"delay_s": median(at_s for _, at_s in found) if found else None, "abstained": _abstained(courses)},
        _first_wrong(courses),
    )


def _several(name: str, courses: Sequence[Course]) -> Row:
    def each(course: Course) -> Iterator[bool]:
        for code in course.case.names:
            alone = Case("fault", course.case.kind, course.case.load, course.case.seed, (code,))
            yield found_at(until_end(course), alone) is not None

    firsts = sum(_mostly(until_end(c), found_at(until_end(c), c.case), c.case, 1) for c in courses)
    return Row(
        name,
        {
            "rank_1": Count(firsts, len(courses)),
            "one": Count(sum(any(each(course)) for course in courses), len(courses)),
            "both": Count(sum(all(each(course)) for course in courses), len(courses)),
        },
        {"abstained": _abstained(courses)},
        _first_wrong(courses),
    )


def _lying(name: str, courses: Sequence[Course]) -> Row:
    def blames_machine(course: Course) -> bool:
        return any(one.level == "machine" for verdict in course.verdicts for one in shown(verdict)[:1])

    def named(course: Course) -> bool:
        level = course.case.what
        where = course.case.names[0] if level == "sensor" else ""
        said = (one for verdict in course.verdicts for one in shown(verdict)[:3] if one.level == level)
        return any(where in one.component for one in said)

    return Row(
        name,
        {
            "no_machine": Count(sum(not blames_machine(course) for course in courses), len(courses)),
            "named": Count(sum(named(course) for course in courses), len(courses)),
        },
        {"abstained": _abstained(courses)},
        _first_wrong([course for course in courses if blames_machine(course)]),
    )


def _healthy(name: str, courses: Sequence[Course]) -> Row:
    weeks = sum(course.watched_s for course in courses) / WEEK_S
    alarms = sum(len(episodes(course)) for course in courses)
    low, high = rate_interval(alarms, weeks) if weeks else (0.0, 0.0)
    figures: dict[str, float | None] = {"weeks": weeks, "alarms": alarms, "low": low, "high": high}
    return Row(name, {}, {**figures, "abstained": _abstained(courses)}, _first_wrong(courses))


def episodes(course: Course) -> list[tuple[float, str]]:
    """Return when which finding began to be said of a healthy machine; after less than an hour it is the same."""
    last: dict[str, float] = {}
    begun = []
    for verdict in course.verdicts:
        for one in shown(verdict)[:3]:
            if verdict.at_s - last.get(one.fault, -EPISODE_S - 1.0) > EPISODE_S:
                begun.append((verdict.at_s, one.fault))
            last[one.fault] = verdict.at_s
    return begun


def _abstained(courses: Sequence[Course]) -> float | None:
    verdicts = [verdict for course in courses for verdict in course.verdicts]
    return sum(bool(verdict.abstained) for verdict in verdicts) / len(verdicts) if verdicts else None
