"""The robot: loads, heat, faults of its reducers, and a controller that refuses."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from simulators.machine import Refused
from simulators.machines.robot import Job, Robot
from simulators.physics.joint import JOINTS


def until(robot: Robot, condition: Callable[[], bool], limit_s: float = 300.0) -> None:
    for _ in range(round(limit_s / 0.05)):
        if condition():
            return
        robot.step(0.05)
    raise AssertionError("it never came to that")


def carried(payload_kg: float) -> Robot:
    """A robot with one job that nothing stops."""
    robot = Robot("r", 1, options={"supervised": False})
    robot.endless = False
    robot.assign(Job("carry", 1, 4, payload_kg))
    return robot


def test_a_heavier_load_takes_more_current_and_energy() -> None:
    light, heavy = carried(0.5), carried(10.0)
    tops = []
    for robot in (light, heavy):
        top = 0.0
        for _ in range(200):
            robot.step(0.05)
            if robot.closed:
                top = max(top, abs(robot.current[1]))
        tops.append(top)
    assert tops[1] > 1.2 * tops[0]
    assert heavy.energy_mj > light.energy_mj


def test_a_job_moves_its_part_between_grip_and_release() -> None:
    happened: list[str] = []
    robot = Robot("r", 1)
    robot.endless = False
    job = Job("carry", 0, 3, 2.0, lambda: happened.append("grip"), lambda: happened.append("release"))
    robot.assign(job)
    with pytest.raises(Refused, match="still does carry"):
        robot.assign(Job("other", 0, 1, 1.0))
    until(robot, lambda: robot.closed)
    assert happened == ["grip"]
    until(robot, lambda: float(robot.read()["gripper_vacuum"] or 0.0) < -55.0)
    until(robot, lambda: job.done)
    assert happened == ["grip", "release"]
    assert robot.payload_kg == 0.0
    assert 4.0 < robot.cycle_s < 30.0


def test_joints_warm_to_where_loss_and_cooling_meet() -> None:
    robot = Robot("r", 1)
    for _ in range(10000):
        robot.step(1.0)
    early = list(robot.temperature)
    for _ in range(8000):
        robot.step(1.0)
    assert all(22.0 < temperature < 60.0 for temperature in robot.temperature)
    assert robot.temperature[1] - early[1] < 0.25 * (early[1] - 22.0)  # nearly warm after some three hours


def test_a_worn_harmonic_drive_ripples_twice_per_motor_turn() -> None:
    """Row 16: joint 5's current against its motor angle has its line at order 2 (the wave generator meshes twice)."""
    robot = carried(4.0)
    robot.inject("harmonic_drive", 0.0, 0.0)
    moves: list[list[tuple[float, float]]] = [[]]
    while robot.job is not None:
        robot.step(0.0005)
        if abs(robot.speed[4]) > 0.05:
            moves[-1].append((robot.q[4] * 100.0 / (2.0 * math.pi), robot.current[4]))
        elif moves[-1]:
            moves.append([])
    orders = np.arange(1.0, 6.0, 0.02)
    power = np.zeros(len(orders))
    for move in moves:
        if len(move) < 200:
            continue
        turns, amps = np.array(move).T
        amps = amps - np.polyval(np.polyfit(turns - turns.mean(), amps, 3), turns - turns.mean())
        amps *= np.hanning(len(amps))
        power += [abs(np.sum(amps * np.exp(-2j * np.pi * order * turns))) for order in orders]
    assert orders[int(np.argmax(power))] == pytest.approx(2.0, abs=0.15)


def test_tracking_error_grows_with_speed() -> None:
    slow, fast = carried(4.0), carried(4.0)
    slow.command("speed_override", 20.0)
    tops = []
    for robot in (slow, fast):
        top = 0.0
        while robot.job is not None:
            robot.step(0.05)
            top = max(top, abs(robot.tracking[0]))
        tops.append(top)
    assert tops[1] > 2.0 * tops[0]


def test_a_shifted_calibration_misses_grips_and_mastering_helps() -> None:
    robot = Robot("r", 3)
    robot.inject("calibration_shift", 0.0, 0.0)
    until(robot, lambda: robot.grip_misses >= 3)
    until(robot, lambda: robot.alarm == "GRIP MISSED", 3000.0)
    with pytest.raises(Refused, match="reset it first"):
        robot.command("program_start", True)
    robot.command("calibrate", True)
    robot.command("reset", True)
    misses, cycles = robot.grip_misses, robot.cycle_count
    until(robot, lambda: robot.cycle_count > cycles + 3)
    assert robot.grip_misses == misses


def test_a_worn_brake_sags_at_its_test_and_the_robot_stops() -> None:
    robot = Robot("r", 1)
    robot.inject("brake", 0.0, 0.0)
    until(robot, lambda: robot.brake_drop > 1.0, 400.0)
    until(robot, lambda: robot.read()["protective_stop"] is True, 4.0)
    with pytest.raises(Refused, match="BRAKE TEST FAILED"):
        robot.command("reset", True)


def test_hold_and_resume_keep_the_part() -> None:
    robot = carried(3.0)
    until(robot, lambda: robot.closed)
    robot.command("program_stop", True)
    before = list(robot.q)
    for _ in range(50):
        robot.step(0.1)
    assert robot.q == before
    robot.command("program_start", True)
    until(robot, lambda: robot.job is None)


def test_a_leaking_gripper_loses_its_part_and_stops_until_it_is_repaired() -> None:
    robot = Robot("r", 1)
    robot.inject("vacuum_leak", 0.0, 0.0)
    until(robot, lambda: robot.alarm == "PART LOST")
    assert robot.read()["protective_stop"] is True
    robot.clear("vacuum_leak")
    robot.command("reset", True)
    cycles = robot.cycle_count
    until(robot, lambda: robot.cycle_count > cycles)


@pytest.mark.parametrize(("joint", "fault", "order"), [(5, "harmonic_drive", 2.0), (2, "rv_reducer", 18.0)])
def test_a_worn_reducer_is_heard_at_its_mesh(joint: int, fault: str, order: float) -> None:
    heights = []
    for ill in (False, True):
        robot = carried(4.0)
        if ill:
            robot.inject(fault, 0.0, 0.0)
        until(robot, lambda robot=robot: abs(robot.speed[joint - 1]) > 0.15)  # type: ignore[misc]
        block = robot.waveform(f"joint{joint}", 1 << 14)
        mesh = order * abs(robot.speed[joint - 1]) * JOINTS[joint - 1].ratio / (2.0 * math.pi)
        lines = np.abs(np.fft.rfft(block * np.hanning(len(block))))
        near = np.abs(np.fft.rfftfreq(len(block), 1.0 / 25600.0) - mesh) < 4.0
        heights.append(float(lines[near].max()))
    assert heights[1] > 5.0 * heights[0]
    with pytest.raises(KeyError, match="have: joint1"):
        robot.waveform("spindle", 16)
