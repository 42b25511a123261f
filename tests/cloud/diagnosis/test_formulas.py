"""Features that take the load out: a law that is put into the data comes out again, whatever the load does."""

import numpy as np
import pytest

from cloud.diagnosis import formulas
from cloud.diagnosis.formulas import PIECE

ROWS = 4 * PIECE
RNG = np.random.default_rng(1)
SPEED = 60.0 * np.sin(np.arange(ROWS) / 3.0)
CURRENT = 2.0 + RNG.normal(0.0, 1.0, ROWS)
LAW = 0.0005 * SPEED + 0.03 * CURRENT


def test_play_is_what_turns_with_the_direction() -> None:
    error = LAW + 0.02 * np.sign(SPEED)
    assert formulas.play(error, CURRENT, SPEED)[-1] == pytest.approx(0.02, rel=0.05)
    assert formulas.play(LAW, CURRENT, SPEED)[-1] == pytest.approx(0.0, abs=1e-6)


def test_ripple_is_what_neither_torque_nor_speed_nor_direction_explains() -> None:
    noise = RNG.normal(0.0, 0.004, ROWS)
    assert formulas.ripple(LAW + noise, CURRENT, SPEED)[-1] == pytest.approx(0.004, rel=0.4)


def test_a_spike_or_a_gap_changes_no_coefficient() -> None:
    error = LAW + 0.02 * np.sign(SPEED)
    error[-20] += 5.0
    error[-30] = np.nan
    assert formulas.play(error, CURRENT, SPEED)[-1] == pytest.approx(0.02, rel=0.1)
    assert formulas.ripple(error, CURRENT, SPEED)[-1] < 0.001


def test_a_joint_that_stands_says_nothing() -> None:
    assert np.all(np.isnan(formulas.play(LAW, CURRENT, np.zeros(ROWS))))


def test_friction_is_the_current_against_the_motion_when_gravity_is_taken_out() -> None:
    shoulder, elbow, wrist = (40.0 * np.sin(np.arange(ROWS) / period) for period in (5.0, 7.0, 11.0))
    payload = np.where(np.arange(ROWS) % 30 < 15, 4.0, 0.0)
    held = 3.0 * np.cos(np.radians(shoulder)) + 0.1 * payload * np.cos(np.radians(shoulder))
    angles = (shoulder, elbow, wrist, payload)
    smooth = formulas.friction(held + 0.2 * np.sign(SPEED), SPEED, *angles)
    rough = formulas.friction(held + 0.8 * np.sign(SPEED), SPEED, *angles)
    assert smooth[-1] == pytest.approx(0.2, abs=0.02)
    assert rough[-1] == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("speed", [0.0, np.nan])
def test_a_joint_that_never_moved_has_no_friction(speed: float) -> None:
    nothing = np.full(ROWS, speed)
    assert np.all(np.isnan(formulas.friction(nothing, nothing, nothing, nothing, nothing, nothing)))


def test_a_vehicle_s_battery_has_the_resistance_of_its_sag() -> None:
    charge = np.linspace(80.0, 70.0, ROWS)
    current = 4.0 + 3.0 * np.sin(np.arange(ROWS) / 2.0)
    voltage = 46.0 + 0.06 * charge - 0.05 * current + RNG.normal(0.0, 0.005, ROWS)
    assert formulas.sag(voltage, current, charge)[-1] == pytest.approx(0.05, rel=0.05)


def test_a_stationary_battery_has_the_resistance_of_its_last_swing() -> None:
    power = np.repeat([8.0, 0.0, -12.0, 4.0], PIECE)
    voltage = 380.0 + 0.3 * 1000.0 * power / 380.0
    resistance = formulas.swing(voltage, power)
    assert np.all(np.isnan(resistance[:PIECE]))
    assert resistance[-1] == pytest.approx(0.3, rel=0.05)


def test_the_yield_of_the_sun_holds_through_the_night() -> None:
    irradiance = np.concatenate([np.linspace(100.0, 900.0, PIECE), np.zeros(PIECE)])
    temperature = np.full(2 * PIECE, 45.0)
    power = 20.0 * irradiance / 1000.0 * (1.0 - 0.004 * 20.0)
    assert formulas.yield_of_sun(power, irradiance, temperature) == pytest.approx(20.0)


def test_full_load_is_what_the_last_piece_held_and_no_spike_and_no_load_that_is_broken_off() -> None:
    power = np.tile([11.8, 11.8, 3.3, 3.3, 0.1], ROWS // 5)
    power[PIECE + 3] = 20.0
    full = formulas.full_load(power)
    assert np.all(np.isnan(full[:6]))  # four rows are not there yet
    assert full[6:] == pytest.approx(11.8)
    assert np.all(np.isnan(formulas.full_load(np.full(3, np.nan))))
    broken_off = np.resize(np.array([11.8, 11.0, 10.0, 9.0, *[3.3] * 56]), ROWS)
    assert np.all(np.isnan(formulas.full_load(np.concatenate([power, broken_off]))[-PIECE:]))


def test_cruising_and_standing_look_at_their_own_rows_alone() -> None:
    speed = np.array([0.0, 0.7, 1.4, 1.4])
    current = np.array([0.1, 6.0, 1.8, 1.9])
    assert np.nanmean(formulas.cruising(current, speed)) == pytest.approx(1.85)
    assert np.nanmean(formulas.standing(current, speed)) == pytest.approx(0.1)
