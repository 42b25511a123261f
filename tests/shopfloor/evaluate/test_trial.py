"""A tiny evaluation, whose counts follow from what was injected; and what the platform would have stored."""

import numpy as np
import pytest

from shopfloor.evaluate import seeds
from shopfloor.evaluate.asset import KINDS, simulated
from shopfloor.evaluate.case import Case, Choice, cases, modes_of
from shopfloor.evaluate.recorder import Recorder
from shopfloor.evaluate.score import Count, score
from shopfloor.evaluate.trial import run
from simulators.fault import LinkFault

SEED = seeds.TUNING[0]


def test_no_seed_is_for_tuning_and_for_the_table() -> None:
    assert not set(seeds.TUNING) & set(seeds.SCORE)
    assert set(seeds.chosen(3, tuning=True)) <= set(seeds.TUNING)
    assert set(seeds.chosen(3, tuning=False)) <= set(seeds.SCORE)
    with pytest.raises(ValueError, match="1 to 19"):
        seeds.chosen(20, tuning=True)


def test_every_fault_of_every_kind_is_tried_and_each_kind_is_watched_while_healthy() -> None:
    wanted = list(cases(Choice([1, 2, 3])))
    faults = {(case.kind, case.names[0]) for case in wanted if case.what == "fault" and case.severity == 1.0}
    assert faults == {(kind, code) for kind in KINDS for code in modes_of(kind)}
    weeks = sum(case.days for case in wanted if case.what == "healthy") / 7.0
    assert weeks >= 30.0
    assert {case.load for case in wanted} == {"usual", "other", "slow"}


def test_a_fault_of_a_tool_is_tried_with_a_part_that_this_tool_makes() -> None:
    end_mill, parts = 2, {"tool_breakage", "chip_jam", "chatter"}
    for case in cases(Choice([1, 2], ("cnc",))):
        if parts & set(case.names):
            program = simulated("cnc", case.load, case.seed).machine.program  # type: ignore[attr-defined]
            assert end_mill in {block.tool for block in program.blocks}, case


@pytest.fixture(scope="module")
def pump() -> Recorder:
    recorder = Recorder(simulated("pump", "usual", SEED))
    recorder.run(7200.0)
    return recorder


def test_a_number_stays_within_its_deadband_for_less_than_20_s(pump: Recorder) -> None:
    window = pump.window()
    changes = np.abs(np.diff(window.numbers["flow"]))
    is_small = (changes > 0.0) & (changes <= window.subject.signals["flow"].deadband)
    assert np.any(is_small)
    assert not np.any(is_small[1:] & is_small[:-1])
    assert window.step_s == 10.0
    assert window.times_ns[-1] == window.end_ns
    assert len(window.blocks) == 11  # one each ten minutes; the first began before the first row


def test_a_window_has_what_the_edge_and_the_cloud_make_of_blocks(pump: Recorder) -> None:
    window = pump.window()
    crest = window.numbers["motor_crest"]
    assert len(set(crest[~np.isnan(crest)])) == 12  # one a block
    assert list(window.speeds) == [block.header.id for block in window.blocks[-4:]]
    assert set(window.speeds.values()) == {2910.0}


def test_a_silent_link_holds_what_was_said_and_a_closed_one_says_nothing(pump: Recorder) -> None:
    silent, closed = pump.fork(), pump.fork()
    silent.asset.machine.link_faults.append(LinkFault("silent", silent.time_s))
    closed.is_closed = True
    silent.run(silent.time_s + 600.0)
    closed.run(closed.time_s + 600.0)
    assert len(set(silent.window().numbers["flow"][-60:])) == 1
    assert np.all(np.isnan(closed.window().numbers["flow"][-60:]))
    assert closed.window().texts["execution"][-1] is None
    assert pump.time_s == 7200.0  # what a fork does is its own


def test_the_counts_of_a_tiny_evaluation_are_the_truth() -> None:
    wear = Case("fault", "pump", "usual", SEED, ("impeller_wear",))
    link = Case("link", "pump", "usual", SEED, ("duplicate",))
    worn, doubled = run([wear, link])
    assert worn.growth_s == 86400.0
    assert worn.failed_s is not None
    assert worn.failed_s == worn.alarm_s  # its controller stops it before the impeller is gone
    result = score([worn, doubled])
    assert result.growing[0].counts["found"] == Count(1, 1)
    assert result.growing[0].counts["rank_1"] == Count(1, 1)
    assert result.links[0].counts["no_machine"] == Count(1, 1)
    assert not result.steps
    assert not result.healthy
