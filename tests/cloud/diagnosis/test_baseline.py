"""What is usual: learned by operating state, told as plain data, and only judged by when there was enough of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.diagnosis import diagnose, learn
from tests.cloud.diagnosis.mill import mill


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return learn(mill(2000, seed=1))


def test_operating_states_are_found_in_the_data(baseline: Baseline) -> None:
    assert baseline.states[:2] == ("execution", "tool_number")
    assert baseline.groups == ("", "ACTIVE|1", "ACTIVE|2", "ACTIVE|3", "PROGRAM_COMPLETED|3")
    assert "energy" not in baseline.signals  # it counts


def test_a_baseline_survives_its_text_and_keeps_its_id(baseline: Baseline) -> None:
    again = Baseline.from_json(baseline.to_json())
    assert again == baseline
    assert again.id == baseline.id
    assert learn(mill(2000, seed=1)).id == baseline.id
    assert learn(mill(2000, seed=2)).id != baseline.id


def test_a_baseline_of_another_version_is_refused(baseline: Baseline) -> None:
    with pytest.raises(ValueError, match="learn it anew"):
        Baseline.from_json(baseline.to_json().replace('"version":1', '"version":0'))


def test_too_short_a_past_says_how_much_there_is(baseline: Baseline) -> None:
    short = learn(mill(120, seed=1))
    assert (short.rows, short.enough, short.learned) == (120, 360, False)
    assert diagnose(mill(400, seed=2), short).abstained == "learning"
    assert diagnose(mill(400, seed=2)).abstained == "no_baseline"
    few = mill(4, seed=2)
    assert diagnose(few, baseline).abstained == "little_data"
    nothing = {name: np.full(4, np.nan) for name in few.numbers}
    assert diagnose(replace(few, numbers=nothing), baseline).abstained == "no_data"


def test_an_asset_that_still_learns_is_compared_with_its_fleet(baseline: Baseline) -> None:
    def below(size: float) -> str:
        window = mill(400, seed=2, changes={name: lambda of: np.full(of.count, size) for name in ("drawbar_force",)})
        other = replace(window, subject=replace(window.subject, id="cnc-02"))
        report = diagnose(other, learn(mill(120, seed=3)), [baseline])
        assert report.baseline == baseline.id
        return " ".join(one.component for one in report.findings)

    assert below(-9.0) == "drawbar_force"
    assert below(0.0) == ""


def test_a_program_that_was_never_seen_is_not_judged(baseline: Baseline) -> None:
    window = mill(400, seed=2)
    texts = {**window.texts, "execution": np.full(400, "MANUAL", dtype=object)}
    assert diagnose(replace(window, texts=texts), baseline).abstained == "unknown_state"


def test_what_no_rule_explains_is_said_to_be_unexplained(baseline: Baseline) -> None:
    names = ("y_current", "x_position", "coolant_flow", "lubrication_pressure", "power", "spindle_speed")
    changes = {name: lambda of: 3.0 * of.random.standard_normal(of.count) for name in names}
    report = diagnose(mill(400, seed=2, changes=changes), baseline)
    assert (report.findings, report.abstained) == ((), "unexplained")


def test_a_stock_that_is_used_up_has_no_usual_level() -> None:
    level = {"coolant_flow": lambda of: -20.0 * of.grown}
    used = learn(mill(2000, seed=1, changes=level))
    symptoms = Symptoms(mill(400, seed=2, changes={"coolant_flow": lambda of: np.full(of.count, -30.0)}), used)
    assert not symptoms.steady("coolant_flow")
    assert "coolant_flow" not in symptoms.departing


def test_what_is_over_is_no_symptom_any_more(baseline: Baseline) -> None:
    repaired = {"drawbar_force": lambda of: np.where(np.arange(of.count) < 400, -5.0, 0.0)}
    assert "drawbar_force" not in Symptoms(mill(700, seed=2, changes=repaired), baseline).departing


def test_the_same_window_gives_the_same_report(baseline: Baseline) -> None:
    window = mill(400, seed=2, changes={"drawbar_force": lambda of: -9.0 * of.grown})
    assert diagnose(window, baseline) == diagnose(window, Baseline.from_json(baseline.to_json()))


def test_a_machine_with_a_single_number_has_a_baseline() -> None:
    seen = mill(2000, seed=1)
    one = replace(seen, numbers={"feed": next(iter(seen.numbers.values()))}, texts={})
    assert learn(one).learned
    learn(replace(one, numbers={"feed": np.full(2000, np.nan)}))
    learn(replace(one, numbers={"feed": np.zeros(2000)}))
