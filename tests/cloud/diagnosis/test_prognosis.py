"""Remaining life: from growth to the limit of the function, with an interval; none for what does not grow."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.diagnosis import learn
from cloud.diagnosis.prognosis import life
from cloud.diagnosis.rule import Health, urgency
from cloud.diagnosis.rules import load
from cloud.diagnosis.window import Numbers
from tests.cloud.diagnosis.mill import Change, Rows, mill

ROWS = 720
HOURS = 2.0
FORCE = Health("drawbar_force", 0.5)
"""18 kN is usual, at 9 kN a tool is lost."""


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return learn(mill(2000, seed=1))


def seen(baseline: Baseline, change: Change) -> Symptoms:
    return Symptoms(mill(ROWS, seed=2, changes={"drawbar_force": change}), baseline)


def test_a_line_is_continued_to_its_limit(baseline: Baseline) -> None:
    rest = life(seen(baseline, lambda of: -6.0 * of.grown), FORCE)  # 3 kN an hour, 3 kN are left
    assert rest is not None
    assert rest.hours == pytest.approx(1.0, rel=0.1)
    assert rest.low_hours < 0.8 < 1.2 < rest.high_hours  # nobody knows the limit, nor what comes, so well
    assert rest.low_hours <= rest.hours <= rest.high_hours


def test_a_limit_may_be_a_level_in_the_unit_of_the_signal(baseline: Baseline) -> None:
    symptoms = seen(baseline, lambda of: -6.0 * of.grown)
    level, share = life(symptoms, Health("drawbar_force", 9.0, "level")), life(symptoms, FORCE)
    assert level is not None
    assert share is not None
    assert level.hours == pytest.approx(share.hours, rel=0.01)


def test_what_grows_faster_and_faster_ends_sooner_than_its_line(baseline: Baseline) -> None:
    rest = life(seen(baseline, lambda of: -6.0 * np.expm1(3.0 * of.grown) / np.expm1(3.0)), FORCE)
    assert rest is not None
    truth = HOURS * (np.log1p(9.0 / 6.0 * np.expm1(3.0)) / 3.0 - 1.0)
    assert rest.hours == pytest.approx(truth, rel=0.15)


def test_what_shakes_more_grows_by_the_square_of_what_is_added(baseline: Baseline) -> None:
    """Damage whose own shaking doubles each half hour; of a usual 1 m/s² hardly anything is seen at first."""
    damage = Health("vibration_acceleration", 8.0)
    usual = seen(baseline, lambda of: 0.0 * of.grown).usual_level("vibration_acceleration")

    def shaking(of: Rows) -> Numbers:
        added = 0.25 * usual * 2.0 ** (2.0 * HOURS * of.grown)
        return np.sqrt(usual**2 + added**2) - usual

    rest = life(Symptoms(mill(ROWS, seed=2, changes={"vibration_acceleration": shaking}), baseline), damage)
    assert rest is not None
    # 4 times the usual level is added at the end, and 7.94 at the limit
    assert rest.hours == pytest.approx(0.5 * np.log2(np.sqrt(63.0) / 4.0), rel=0.3)
    assert rest.low_hours < 0.5 * np.log2(np.sqrt(63.0) / 4.0) < rest.high_hours


def test_what_jumps_about_is_not_continued(baseline: Baseline) -> None:
    jumps = np.random.default_rng(5)

    def jumping(of: Rows) -> Numbers:
        return -2.0 * of.grown - 4.0 * jumps.integers(0, 2, of.count // 60).repeat(60)

    assert life(seen(baseline, jumping), FORCE) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda of: 0.0 * of.grown,
        lambda of: np.full(of.count, -4.0),
        lambda of: 6.0 * of.grown,
    ],
    ids=["steady", "a step long ago", "it gets better"],
)
def test_what_does_not_grow_has_no_end(baseline: Baseline, change: Change) -> None:
    assert life(seen(baseline, change), FORCE) is None


def test_little_life_makes_it_urgent(baseline: Baseline) -> None:
    rule = load()["drawbar_force_loss"]
    rest = life(seen(baseline, lambda of: -8.5 * of.grown), FORCE)
    assert rule.urgency == "days"
    assert urgency(rule, None) == "days"
    assert urgency(rule, rest) == "now"
