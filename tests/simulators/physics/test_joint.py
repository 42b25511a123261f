"""Robot joints: statics of the arm, friction, rest-to-rest moves."""

from __future__ import annotations

import math

import pytest

from simulators.physics.joint import GRAVITY, JOINTS, ArmData, friction_nm, gravity_nm, inertia_kg_m2, smooth

ARM = ArmData()
STRETCHED = [0.0] * 6
UP = [0.0, math.pi / 2.0, 0.0, 0.0, 0.0, 0.0]


def test_a_stretched_arm_hangs_with_all_its_weight_and_an_upright_one_with_none() -> None:
    shoulder, elbow, wrist = gravity_nm(ARM, STRETCHED, 10.0)
    by_hand = GRAVITY * (18.0 * 0.30 + 12.0 * (0.60 + 0.31) + 6.0 * (1.22 + 0.075) + 10.0 * (1.22 + 0.15))
    assert shoulder == pytest.approx(by_hand)
    assert elbow == pytest.approx(GRAVITY * (12.0 * 0.31 + 6.0 * (0.62 + 0.075) + 10.0 * (0.62 + 0.15)))
    assert wrist == pytest.approx(GRAVITY * (6.0 * 0.075 + 10.0 * 0.15))
    assert gravity_nm(ARM, UP, 10.0) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_payload_adds_its_own_moment() -> None:
    bare, loaded = gravity_nm(ARM, STRETCHED, 0.0), gravity_nm(ARM, STRETCHED, 5.0)
    assert loaded[0] - bare[0] == pytest.approx(5.0 * GRAVITY * (0.60 + 0.62 + 0.15))


def test_inertia_about_the_base_vanishes_when_the_arm_points_up() -> None:
    assert inertia_kg_m2(ARM, STRETCHED, 5.0)[0] > 20.0
    assert inertia_kg_m2(ARM, UP, 5.0)[0] == pytest.approx(0.0, abs=1e-9)


def test_friction_opposes_motion_and_falls_as_the_grease_warms() -> None:
    joint = JOINTS[1]
    assert friction_nm(joint, 0.5, 30.0, 0.0) == -friction_nm(joint, -0.5, 30.0, 0.0)
    assert friction_nm(joint, 0.5, 60.0, 0.0) < friction_nm(joint, 0.5, 20.0, 0.0)
    assert friction_nm(joint, 0.5, 30.0, 300.0) > friction_nm(joint, 0.5, 30.0, 0.0)


def test_a_move_starts_and_ends_at_rest_and_its_speed_is_the_slope_of_its_way() -> None:
    assert smooth(0.0) == (0.0, 0.0, 0.0)
    assert smooth(1.0) == pytest.approx((1.0, 0.0, 0.0))
    assert smooth(0.5)[1] == pytest.approx(1.875)
    for share in (0.1, 0.4, 0.8):
        slope = (smooth(share + 1e-6)[0] - smooth(share - 1e-6)[0]) / 2e-6
        change = (smooth(share + 1e-6)[1] - smooth(share - 1e-6)[1]) / 2e-6
        assert smooth(share)[1:] == pytest.approx((slope, change), rel=1e-5)
