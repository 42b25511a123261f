"""One case from its healthy past to its end, diagnosed as live; what was said, beside what was so."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.diagnosis import diagnose, learn
from cloud.diagnosis.finding import Report
from shopfloor.evaluate.asset import STEP_S, simulated
from shopfloor.evaluate.case import LEARN_S, Case, growth_s
from shopfloor.evaluate.recorder import WINDOW_S, Recorder
from simulators.fault import LinkFault, SensorFault
from simulators.machine import SimulatedMachine

EVERY_S: Final = 600.0
AROUND_STEP_S: Final = 600.0
"""So long after a step every STEP_S is looked at, then as for everything else."""
AFTER_FOUND: Final = 4
"""When something was found in a machine with a fault it is looked at so many times more rarely, to save time."""
WATCH_S: Final = 6 * 3600.0
"""How long a step, a lying sensor or a bad link is watched, and a fault that stays below failure after it has grown."""
HOUR_S: Final = 3600.0
_LIES_HZ: Final = 0.002
"""How often a spike or drop-out begins: a step of 10 s sees as many as the newest of ten samples, one each second."""


@dataclass(frozen=True, slots=True)
class Said:
    """A finding, as far as it is scored; `hours` are the remaining life with its interval."""

    fault: str
    component: str
    level: str
    confidence: float
    hours: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a diagnosis said `at_s` seconds after the onset, the first in rank first."""

    at_s: float
    findings: tuple[Said, ...]
    abstained: str


@dataclass(slots=True)
class Course:
    """A case and all that was said of it. Times in seconds after the onset.

    `failed_s` is when the severity reached 1 or the controller stopped the machine, whichever came first; `alarm_s` is
    the latter; `cycle_s` is the end of the cycle after the one in which a step came.
    """

    case: Case
    verdicts: list[Verdict] = field(default_factory=list)
    growth_s: float = 0.0
    failed_s: float | None = None
    alarm_s: float | None = None
    cycle_s: float | None = None
    watched_s: float = 0.0


def run(cases: Sequence[Case]) -> Iterator[Course]:
    """Try cases, and yield the course of each; those of one asset share its healthy past and its baseline."""
    for (kind, load, seed), same in groupby(cases, lambda case: (case.kind, case.load, case.seed)):
        recorder = Recorder(simulated(kind, load, seed))
        recorder.run(LEARN_S)
        baseline = learn(recorder.window(LEARN_S))
        for case in same:
            yield _Trial(case, recorder.fork(), baseline).run()


class _Trial:
    """One case on an asset of its own."""

    def __init__(self, case: Case, recorder: Recorder, baseline: Baseline) -> None:
        self._case = case
        self._recorder = recorder
        self._baseline = baseline
        self._course = Course(case)
        self._onset_s = recorder.time_s
        self._rarer = 1

    @property
    def _machine(self) -> SimulatedMachine:
        return self._recorder.asset.machine

    def run(self) -> Course:
        """Let it happen."""
        if self._case.what == "healthy":
            self._watch(self._case.days * 86400.0, EVERY_S)
            return self._course
        self._onset_s = self._recorder.time_s + STEP_S * round(float(self._case.rng().uniform(0.5, 6.0)) * 360.0)
        self._recorder.run(self._onset_s)
        begin = {"fault": self._fault, "several": self._fault, "sensor": self._sensor, "link": self._link}
        begin[self._case.what]()
        return self._course

    def _fault(self) -> None:
        case, machine = self._case, self._machine
        modes = [machine.faults[name].mode for name in case.names]
        growth = max(map(growth_s, modes))
        for mode in modes:
            machine.inject(mode.code, growth_s=growth, limit=case.severity)
        self._course.growth_s = growth
        if not growth:
            self._watch(AROUND_STEP_S, STEP_S)
            self._watch(WATCH_S, EVERY_S)
            return
        every = min(EVERY_S, max(STEP_S, STEP_S * math.floor(growth / 36.0 / STEP_S)))
        self._watch(growth, every)
        if case.severity < 1.0:
            self._watch(growth + min(WATCH_S, growth), every)
        elif self._course.failed_s is None:
            self._course.failed_s = growth

    def _sensor(self) -> None:
        name, mode = self._case.names
        usual = self._recorder.window(LEARN_S).numbers[name]
        signal = next(signal for signal in self._machine.signals if signal.name == name)
        swing = float(usual.max() - usual.min())
        # a quarter of what it usually swings, but never what its own noise hides
        size = max(0.25 * swing, 20.0 * signal.noise, 4.0 * signal.deadband)
        if mode == "spike":
            size *= 4.0
        fault = SensorFault(name, mode, self._machine.time_s, size, _LIES_HZ)  # type: ignore[arg-type]
        self._machine.sensor_faults[name] = fault
        self._watch(WATCH_S, EVERY_S)

    def _link(self) -> None:
        (mode,) = self._case.names
        if mode == "closed":
            self._recorder.is_closed = True
        else:
            fault = LinkFault(mode, self._machine.time_s, HOUR_S, delay_s=60.0)  # type: ignore[arg-type]
            self._machine.link_faults.append(fault)
        self._watch(HOUR_S, EVERY_S)
        self._recorder.is_closed = False
        self._watch(2.0 * HOUR_S, EVERY_S)

    def _watch(self, until_s: float, every_s: float) -> None:
        """Diagnose every `every_s` until `until_s` after the onset, or shortly after the controller has stopped."""
        course, case = self._course, self._case
        cycles = _cycles(self._machine)
        while self._recorder.time_s - self._onset_s < until_s - 1e-6:
            if case.what == "fault" and course.failed_s is not None and course.growth_s:
                return
            self._run(min(self._recorder.time_s + every_s * self._rarer, self._onset_s + until_s))
            at_s = self._recorder.time_s - self._onset_s
            if course.alarm_s is None and self._has_stopped:
                course.alarm_s = at_s
                if case.severity == 1.0 and case.what in ("fault", "several"):
                    course.failed_s = at_s
            if course.cycle_s is None and _cycles(self._machine) >= cycles + 2:
                course.cycle_s = at_s
            report = diagnose(self._recorder.window(WINDOW_S), self._baseline)
            course.verdicts.append(_verdict(report, at_s))
            if report.findings and case.what == "fault":
                self._rarer = AFTER_FOUND
            course.watched_s = at_s

    def _run(self, until_s: float) -> None:
        """Let time pass, but no longer than until the controller stops the machine: an alarm is looked at at once."""
        while self._recorder.time_s < until_s - 1e-6:
            self._recorder.run(min(self._recorder.time_s + STEP_S, until_s))
            if self._course.alarm_s is None and self._has_stopped:
                return

    @property
    def _has_stopped(self) -> bool:
        return bool(self._machine.alarm) and self._machine.stops_at_alarm


def _cycles(machine: SimulatedMachine) -> int:
    """Return how many cycles a machine has ended; one that has none ends one every minute."""
    said = machine.read()
    count = next((said[name] for name in ("part_count", "cycle_count", "measured_count") if name in said), None)
    return count if isinstance(count, int) else int(machine.time_s // 60.0)


def _verdict(report: Report, at_s: float) -> Verdict:
    said = tuple(
        Said(
            one.fault,
            one.component,
            one.level,
            one.confidence,
            None if one.life is None else (one.life.hours, one.life.low_hours, one.life.high_hours),
        )
        for one in report.findings
    )
    return Verdict(at_s, said, report.abstained)
