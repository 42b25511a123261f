"""The milling center: its signals hang together as physics says, its controller refuses what a real one would."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulators.machine import Refused
from simulators.machines.cnc import Cnc
from simulators.physics.axis import Axis
from simulators.physics.cutting import tooth_pass_hz
from simulators.physics.spindle import Spindle, SpindleData


def machine(seed: int = 1) -> Cnc:
    return Cnc("cnc", seed)


def run(cnc: Cnc, seconds: float, dt: float = 0.1, see: Callable[[], None] = lambda: None) -> None:
    for _ in range(round(seconds / dt)):
        cnc.step(dt)
        see()


def until(cnc: Cnc, condition: Callable[[], bool], limit_s: float = 600.0) -> None:
    for _ in range(round(limit_s / 0.05)):
        if condition():
            return
        cnc.step(0.05)
    raise AssertionError("it never came to that")


def until_cut(cnc: Cnc, tool: int) -> None:
    until(cnc, lambda: cnc.tool == tool and cnc.cut.power_w > 0.0 and cnc.cut.chip_mm > 0.0)


def test_power_is_the_sum_of_its_consumers_and_energy_its_integral() -> None:
    cnc = machine()
    joule = 0.0
    for i in range(3000):
        dt = (0.1, 0.7, 3.0)[i % 3]  # long steps end several blocks
        cnc.step(dt)
        assert cnc.power_w == pytest.approx(math.fsum(cnc.balance.values()), abs=0.02)  # energy is in whole mJ
        joule += cnc.power_w * dt
    assert cnc.energy_mj / 1000.0 == pytest.approx(joule, rel=1e-12)


def test_the_spindle_balances_electric_against_cutting_friction_inertia_and_loss() -> None:
    spindle = Spindle(SpindleData())
    spindle.target_rpm = 6000.0
    for torque in (0.0, 5.0, 20.0, 0.0):
        for _ in range(20):
            spindle.step(0.1, torque, bearings_c=(35.0, 33.0), friction=(1.0, 1.0))
            parts = spindle.cutting_w + spindle.front_heat_w + spindle.rear_heat_w + spindle.inertia_w
            assert spindle.electric_w == pytest.approx(parts + spindle.motor_heat_w)
    # what went into the rotor is its kinetic energy
    start = Spindle(SpindleData())
    start.target_rpm, kinetic = 6000.0, 0.0
    for _ in range(100):
        start.step(0.1, 0.0, bearings_c=(35.0, 33.0), friction=(1.0, 1.0))
        kinetic += start.inertia_w * 0.1
    assert kinetic == pytest.approx(0.5 * 0.018 * (6000.0 * math.pi / 30.0) ** 2)


def test_power_by_state() -> None:
    cnc = machine()
    powers = {}
    for state in ("off", "standby", "on"):
        cnc.command("power", state)
        cnc.step(0.1)
        powers[state] = cnc.power_w
    until_cut(cnc, 1)
    powers["cutting"] = cnc.power_w
    assert powers["off"] == 0.0
    assert 400.0 < powers["standby"] < 700.0 <= powers["on"] < 2000.0
    assert powers["cutting"] > 5000.0


def test_wear_raises_force_power_and_roughness_and_shifts_the_size() -> None:
    """A tool at its limit of wear (VB 0.3 mm) against a fresh one: the same program, the same seed."""
    found = {}
    for life in (0.02, 0.98):
        cnc = machine()
        cnc.life = {1: 0.3, 2: life, 3: life}
        until_cut(cnc, 2)
        factor, sharp = cnc.force_factor(), cnc.spindle.cutting_w / cnc.force_factor()
        cnc.life[3] = life
        until(cnc, lambda cnc=cnc: cnc.part_count == 1)  # type: ignore[misc]
        found[life] = factor, sharp, dict(cnc.results)
    fresh, worn = found[0.02], found[0.98]
    assert worn[0] / fresh[0] == pytest.approx(1.4 / 1.033, rel=0.02)  # force, by 1.33 per mm of VB
    assert worn[1] == pytest.approx(fresh[1], rel=0.01)  # the sharp share is the same
    width = worn[2]["size"] - fresh[2]["size"]
    assert 2.0 * 0.27 * 122.8 < width < 2.0 * 0.27 * 122.8 + 20.0  # recession on both sides, plus deflection: µm
    assert 1.6 < worn[2]["surface"] / fresh[2]["surface"] < 2.3


def test_flank_wear_follows_the_time_in_cut() -> None:
    cnc = machine()
    before = dict(cnc.life)
    until(cnc, lambda: cnc.part_count == 1)
    gains = {tool: cnc.life[tool] - before[tool] for tool in before}
    assert all(0.002 < gain < 0.08 for gain in gains.values())  # 12 to 500 parts per edge


def test_the_head_warms_over_tens_of_minutes_and_the_depth_drifts_with_it() -> None:
    cnc = machine()
    growth: list[float] = []
    depths: list[tuple[float, float]] = []

    def record(event: str, **facts: Any) -> None:
        if event == "part_finished":
            depths.append((cnc.growth_z_um, facts["operations"][0]["depth_um"]))

    cnc.record = record
    for _ in range(12):
        run(cnc, 600.0, 0.5)
        growth.append(cnc.growth_z_um)
    assert growth[0] < growth[2] < growth[5]
    rise = [value / growth[-1] for value in growth]
    assert 0.25 < rise[1] < 0.9 < rise[7]  # time constant of tens of minutes
    assert 20.0 < growth[-1] < 90.0  # µm, the usual size for a motor spindle
    # the first parts are too shallow by the growth that is still missing
    assert depths[-1][1] - depths[0][1] == pytest.approx(depths[-1][0] - depths[0][0], abs=6.0)
    assert depths[-1][1] - depths[0][1] > 15.0


def test_growth_follows_temperature_by_the_expansion_of_steel() -> None:
    cnc = machine()
    run(cnc, 3600.0, 0.5)
    front, head = cnc.heat.temperature_c[0], cnc.heat.temperature_c[3]
    assert cnc.growth_z_um == pytest.approx(11.5e-3 * (350.0 * (head - 22.0) + 120.0 * (front - 22.0)))


def test_following_error_grows_with_speed_and_current_with_acceleration() -> None:
    axis = Axis("x", 650.0)
    assert axis.following_um(500.0) == pytest.approx(10.0 * axis.following_um(50.0))
    constant, pushing = axis.current_a(100.0, 0.0, 0.0), axis.current_a(100.0, 3000.0, 0.0)
    force = 650.0 * 3.0 * 0.012 / (2.0 * math.pi * 0.92) + 0.012 * 3000.0 * 2.0 * math.pi / 12.0
    assert (pushing - constant) * axis.torque_nm_a == pytest.approx(force)
    assert axis.friction_n(0.5) > axis.friction_n(10.0) < axis.friction_n(400.0)  # Stribeck


def test_the_vibration_block_shows_turn_and_tooth_pass_of_the_cut() -> None:
    cnc = machine()
    until_cut(cnc, 2)
    block = cnc.waveform("spindle", 1 << 15)
    lines = np.abs(np.fft.rfft(block * np.hanning(len(block))))
    frequency = np.fft.rfftfreq(len(block), 1.0 / 25600.0)
    teeth = tooth_pass_hz(cnc.spindle.rpm, 4)
    inside = (frequency > 0.5 * teeth) & (frequency < 1.5 * teeth)
    assert frequency[inside][np.argmax(lines[inside])] == pytest.approx(teeth, abs=1.0)
    assert np.array_equal(block, cnc.waveform("spindle", 1 << 15))  # asking changes nothing
    with pytest.raises(KeyError, match="have: spindle"):
        cnc.waveform("table", 1024)


def test_a_part_costs_chips_energy_and_time() -> None:
    cnc = machine()
    until(cnc, lambda: cnc.part_count == 1)
    part = cnc.part
    assert part is not None
    operation = part.operations[0]
    assert part.material_g == 3100
    assert cnc.chips_g == 1100
    assert 150.0 < operation.end_s - operation.start_s < 300.0
    assert 0.05 < operation.energy_mj / 3.6e9 < 0.6  # kWh
    assert abs(operation.size_um) < 60.0


def test_overrides_change_time_and_force() -> None:
    slow, fast = machine(), machine()
    slow.command("feed_override", 50.0)
    until(slow, lambda: slow.part_count == 1)
    until(fast, lambda: fast.part_count == 1)
    assert slow.cycle_s > 1.4 * fast.cycle_s
    slow.command("feed_override", 100.0)
    until_cut(slow, 1)
    run(slow, 1.0)
    full = slow.cut.force_n
    slow.command("feed_override", 50.0)
    slow.step(0.05)
    # half the feed per tooth: 0.5^(1 − m_c) of the force
    assert slow.cut.force_n / full == pytest.approx(0.5**0.86, rel=0.02)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("feed_override", 151.0, "0 to 150"),
        ("feed_override", "fast", "number"),
        ("program_start", True, "already runs"),
        ("tool_change", 2, "standstill"),
        ("power", "off", "stop it"),
        ("coolant", "full", "use on or off"),
        ("explode", 1, "knows no command"),
    ],
)
def test_a_running_machine_refuses(name: str, value: float | str, says: str) -> None:
    cnc = machine()
    until(cnc, lambda: cnc.execution == "ACTIVE")
    with pytest.raises(Refused, match=says):
        cnc.command(name, value)


def test_hold_resume_alarm_and_reset() -> None:
    cnc = machine()
    until_cut(cnc, 1)
    cnc.command("program_stop", True)
    run(cnc, 5.0)
    assert cnc.read()["feed_rate"] == 0.0
    assert cnc.cut.power_w == 0.0
    cnc.command("program_start", True)
    cnc.raise_alarm("HYDRAULIC PRESSURE LOW")
    with pytest.raises(Refused, match="HYDRAULIC"):
        cnc.command("program_start", True)
    run(cnc, 5.0)
    assert cnc.read()["execution"] == "INTERRUPTED"
    assert abs(float(cnc.read()["spindle_speed"] or 0.0)) < 5.0
    cnc.command("reset", True)
    until(cnc, lambda: cnc.execution == "ACTIVE")


def test_dry_cutting_takes_no_pump_power_but_tools() -> None:
    wet, dry = machine(), machine()
    for cnc in (wet, dry):
        until_cut(cnc, 1)
    dry.command("coolant", "off")
    before = wet.life[1], dry.life[1]
    for cnc in (wet, dry):
        run(cnc, 5.0)
    assert float(dry.read()["coolant_pressure"] or 0.0) < 0.2 < 15.0 < float(wet.read()["coolant_pressure"] or 0.0)
    assert dry.balance["coolant"] == 0.0 < wet.balance["coolant"]
    assert dry.life[1] - before[1] == pytest.approx(3.0 * (wet.life[1] - before[0]), rel=0.02)
    dry.command("program_stop", True)
    dry.coolant.level_percent = 0.0
    with pytest.raises(Refused, match="the tank is empty"):
        dry.command("coolant", "on")


def test_a_worn_out_tool_is_replaced_at_its_next_change() -> None:
    cnc = machine()
    cnc.life[2] = 1.05
    until(cnc, lambda: cnc.tool == 2)
    assert cnc.life[2] == 0.0


@pytest.mark.parametrize("dt", [0.05, 1.0, 5.0])
def test_the_length_of_a_step_hardly_matters(dt: float) -> None:
    fine, coarse = machine(), machine()
    run(fine, 900.0, 0.1)
    run(coarse, 900.0, dt)
    assert coarse.part_count == fine.part_count
    assert coarse.energy_kwh == pytest.approx(fine.energy_kwh, rel=0.02)
    assert coarse.heat.temperature_c[3] == pytest.approx(fine.heat.temperature_c[3], abs=0.5)
    assert coarse.life[2] == pytest.approx(fine.life[2], rel=0.02)


def lines(block: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Spectrum of the squared envelope between two frequencies."""
    full = np.fft.fft(block)
    frequency = np.fft.fftfreq(len(block), 1.0 / 25600.0)
    full[(frequency < low) | (frequency > high)] = 0.0
    envelope = np.abs(np.fft.ifft(full)) ** 2
    window = np.hanning(len(block))
    return np.fft.rfftfreq(len(block), 1.0 / 25600.0), np.abs(np.fft.rfft((envelope - envelope.mean()) * window))


@pytest.mark.parametrize("element", ["outer", "inner"])
def test_a_spindle_bearing_fault_shows_its_line_in_the_envelope(element: str) -> None:
    cnc = machine()
    cnc.inject(f"spindle_bearing_{element}", 0.0, 0.0, limit=0.5)
    until(cnc, lambda: cnc.spindle.rpm > 3700.0 and cnc.cut.power_w == 0.0)
    order = cnc.spindle.data.front.order("outer" if element == "outer" else "inner")
    expected = order * cnc.spindle.rpm / 60.0
    frequency, amplitude = lines(cnc.waveform("spindle", 1 << 16), 2000.0, 6000.0)
    inside = (frequency > 0.9 * expected) & (frequency < 1.1 * expected)
    assert frequency[inside][np.argmax(amplitude[inside])] == pytest.approx(expected, rel=0.01)


def test_chatter_lies_between_the_tooth_pass_lines() -> None:
    cnc = machine()
    cnc.inject("chatter", 0.0, 0.0)
    until_cut(cnc, 2)
    run(cnc, 1.0)
    block = cnc.waveform("spindle", 1 << 15)
    spectrum = np.abs(np.fft.rfft(block * np.hanning(len(block))))
    peak = np.fft.rfftfreq(len(block), 1.0 / 25600.0)[np.argmax(spectrum)]
    assert abs(peak / (cnc.spindle.rpm / 60.0) % 1.0 - 0.43) < 0.05


def test_a_breaking_tool_peaks_then_hardly_cuts_and_a_new_one_heals_it() -> None:
    cnc = machine()
    until_cut(cnc, 2)
    run(cnc, 1.0)
    whole = cnc.force_factor()
    cnc.inject("tool_breakage", growth_s=0.0)
    cnc.step(0.1)
    assert cnc.force_factor() > 2.0 * whole
    run(cnc, 0.5)
    assert cnc.force_factor() < 0.5 * whole
    cnc.command("program_stop", True)
    cnc.command("tool_change", 2)
    assert cnc.severity["tool_breakage"] == 0.0


def test_imbalance_grows_with_the_square_of_the_speed_and_leaves_with_the_tool() -> None:
    spindle = Spindle(SpindleData())
    spindle.rpm = 3000.0
    slow = spindle.unbalance_n(10.0)
    spindle.rpm = 6000.0
    assert spindle.unbalance_n(10.0) == pytest.approx(4.0 * slow)
    ill, well = Cnc("cnc", 1, options={"supervised": False}), machine()
    ill.inject("tool_holder_imbalance", 0.0, 0.0)
    for tool, ratio in ((2, 1.0), (3, 2.0)):
        for cnc in (ill, well):
            until_cut(cnc, tool)
            run(cnc, 1.0)
        shaken = ill.truth()["values"]["vibration_velocity"] / well.truth()["values"]["vibration_velocity"]
        assert shaken == pytest.approx(1.0, abs=1e-6) if ratio == 1.0 else shaken > ratio
