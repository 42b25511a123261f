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
from tests.cloud.diagnosis.mill import Change, mill

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
    assert rest.low_hours <= rest.hours <= rest.high_hours


def test_what_grows_faster_and_faster_ends_sooner_than_its_line(baseline: Baseline) -> None:
    rest = life(seen(baseline, lambda of: -6.0 * np.expm1(3.0 * of.grown) / np.expm1(3.0)), FORCE)
    assert rest is not None
    truth = HOURS * (np.log1p(9.0 / 6.0 * np.expm1(3.0)) / 3.0 - 1.0)
    assert rest.hours == pytest.approx(truth, rel=0.15)


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
