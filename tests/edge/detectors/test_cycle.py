"""Cycles of a machine with two programs, whose blocks have a course of their own; one of them runs unlike before."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from pydantic import ValidationError

from contract.event import Event
from contract.model import Asset, Sample, Signal
from edge.detectors._phases import Course
from edge.detectors.cycle import Cycle, Options, detector

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
SIGNALS = tuple(map(Signal, ("execution", "program", "tool", "block", "torque", "current")))
ASSET = Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", signals=SIGNALS)
BLOCKS = {10: 4.0, 20: 12.0, 30: 7.0}


class Mill:
    """Runs cycles and shows each sample to a detector; noise and pace are as on a machine."""

    def __init__(self, active: bool = False, **options: Any) -> None:
        entry = {"kind": "cycle", "name": "course", "measured": ["torque", "current"], "learn_cycles": 5}
        entry |= {"by": ["program", "tool", "block"]}
        said = Options.model_validate(entry | options)
        self.detector: Cycle = detector(said, ASSET, frozenset({"course"} if active else ()))
        self.now_s = 0.0
        self.events: list[Event] = []
        self.features: list[Sample] = []
        self._random = random.Random(1)

    def say(self, **values: Any) -> None:
        time_ns = START_NS + round(self.now_s * SECOND_NS)
        found = self.detector.update([Sample("cnc-01", name, time_ns, values[name]) for name in values], [], time_ns)
        self.events += found.events
        self.features += found.samples

    def run(
        self, program: str = "O1", tool: int = 1, block: int = 10, load: float = 1.0, pause_at: float = 2.0
    ) -> None:
        """Run one block; `load` multiplies its torque, `pause_at` (share of it) interrupts it."""
        seconds = BLOCKS[block] * self._random.uniform(0.95, 1.05)
        self.say(program=program, tool=tool, block=block)
        base = 20.0 if program == "O1" else 35.0
        for step in range(int(seconds / 0.2)):
            self.now_s += 0.2
            share = step * 0.2 / seconds
            torque = load * (base + block * math.sin(math.pi * share)) + self._random.gauss(0.0, 0.3)
            self.say(torque=torque, current=5.0 + self._random.gauss(0.0, 0.05))
            if share < pause_at <= share + 0.2 / seconds:
                self.say(execution="FEED_HOLD")
                self.now_s += 30.0
                self.say(execution="ACTIVE")
        self.now_s += 0.2

    def cycle(self, program: str = "O1", tool: int = 1, **odd: float) -> None:
        for block in BLOCKS:
            self.run(program, tool, block, load=odd.get(f"n{block}", 1.0))

    @property
    def told(self) -> list[tuple[str, Any]]:
        return [(event.state, event.values["phase"]) for event in self.events]


def test_cycles_like_the_ones_before_are_usual() -> None:
    mill = Mill()
    for number in range(60):
        mill.cycle(program="O1" if number % 3 else "O2", tool=1 + number % 2)
    assert mill.told == []
    assert len(mill.features) > 60


def test_a_phase_with_another_load_is_found_at_its_end_and_is_cleared_when_it_runs_as_before() -> None:
    mill = Mill()
    for _ in range(10):
        mill.cycle()
    mill.cycle(n20=1.5)
    mill.cycle(n20=1.5)
    mill.cycle()
    mill.cycle()
    assert mill.told == [("active", "o1 1 20"), ("cleared", "o1 1 20")]
    begin = mill.events[0]
    assert begin.values["signal"] == "torque"
    assert begin.values["deviation"] > 8.0  # type: ignore[operator]
    [evidence] = begin.evidence
    assert evidence.signal == "torque"
    assert 11.0 * SECOND_NS < evidence.end_ns - evidence.start_ns < 13.0 * SECOND_NS


def test_a_load_that_is_gone_in_a_third_of_a_phase_is_found() -> None:
    mill = Mill(learn_cycles=5)
    for _ in range(10):
        mill.cycle()
    mill.say(program="O1", tool=1, block=20)
    for step in range(60):
        mill.now_s += 0.2
        torque = 20.0 + 20.0 * math.sin(math.pi * step / 60.0) if step < 40 else 1.0  # the tool has broken
        mill.say(torque=torque, current=5.0)
    mill.run(block=30)
    assert mill.told == [("active", "o1 1 20")]


def test_each_program_and_each_tool_has_its_own_envelope() -> None:
    mill = Mill()
    for _ in range(10):
        mill.cycle("O1")
    for _ in range(4):
        mill.cycle("O2")  # another load, not known yet
    for _ in range(4):
        mill.cycle("O1", tool=2)
    assert mill.told == []


def test_a_phase_that_was_interrupted_is_left_out() -> None:
    mill = Mill()
    mill.say(execution="ACTIVE")
    for _ in range(8):
        mill.cycle()
    known = len(mill.features)
    mill.run(block=10)
    mill.run(block=20, pause_at=0.5, load=1.5)
    mill.run(block=30)
    mill.run(block=10)
    assert mill.told == []
    assert len(mill.features) == known + 3  # that of the phase that was open, then 10 and 30


def test_a_phase_that_was_not_seen_from_its_beginning_is_left_out() -> None:
    mill = Mill(learn_cycles=3)
    mill.say(torque=500.0)
    mill.now_s += 1.0
    mill.run(block=20)
    for _ in range(4):
        mill.cycle()
    assert len(mill.features) == 2  # the first 20 and the open 30 do not count


def test_what_is_late_or_not_usable_is_as_if_it_had_not_come() -> None:
    mill = Mill()
    for _ in range(10):
        mill.cycle()
    mill.say(program="O1", tool=1, block=20)
    begun_s = mill.now_s
    for step in range(60):
        mill.now_s += 0.2
        mill.say(torque=20.0 + 20.0 * math.sin(math.pi * step / 60.0), current=5.0)
        now_ns = START_NS + round(mill.now_s * SECOND_NS)
        late = Sample("cnc-01", "torque", START_NS + round(begun_s * SECOND_NS), 90.0)
        for odd in (late, Sample("cnc-01", "torque", now_ns, None, 0), Sample("cnc-01", "torque", now_ns, "?")):
            mill.detector.update([odd], [], now_ns)
    mill.run(block=30)
    assert mill.told == []


def test_it_learns_anew_after_a_restart_and_clears_what_was_active() -> None:
    mill = Mill(active=True)
    mill.cycle()
    mill.cycle()
    assert [event.state for event in mill.events] == ["cleared"]


def test_it_knows_no_more_phases_than_it_says_and_keeps_few_values_of_one() -> None:
    mill = Mill()
    for number in range(2_000):
        mill.say(block=number, program="O1", tool=1)
        for _ in range(5):
            mill.now_s += 0.2
            mill.say(torque=1.0)
    assert len(list(mill.detector._phases)) == 512
    mill.say(block=1)
    for _ in range(20_000):
        mill.now_s += 0.2
        mill.say(torque=1.0)
    assert len(mill.detector._courses["torque"]._points) <= 128


def test_a_course_is_brought_to_a_number_of_points_however_long_it_is() -> None:
    for seconds in (4, 40, 4_000):
        course = Course(32)
        for step in range(seconds):
            course.add(step * SECOND_NS, float(step) / seconds)
        assert course.resampled(0, seconds * SECOND_NS, 4) == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.13)
    short = Course(32)
    short.add(0, 1.0)
    assert short.resampled(0, SECOND_NS, 4) == []


@pytest.mark.parametrize(
    ("options", "problem"), [({"measured": []}, "at least 1 item"), ({"by": []}, "at least 1 item")]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Mill(**options)
