"""Sensors and links that lie: they are named, and no machine is blamed for them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.diagnosis import diagnose, learn
from cloud.diagnosis.finding import Finding
from cloud.diagnosis.window import Numbers, Window
from tests.cloud.diagnosis.utilities import window

ROWS = 720


@cache
def learned(kind: str) -> Baseline:
    return learn(window(kind, 4000, seed=1))


def findings(seen: Window) -> tuple[Finding, ...]:
    """Return what is said with confidence, the first in rank first."""
    report = diagnose(seen, learned(seen.subject.kind))
    return tuple(one for one in report.findings if one.confidence >= 0.5)


def held(seen: Window, first: int, last: int) -> Window:
    """Return the window as it is stored when nothing arrives from row `first` on, up to `last`."""
    rows = np.arange(ROWS)
    rows[first:last] = first - 1
    return replace(seen, numbers={name: values[rows] for name, values in seen.numbers.items()})


@pytest.mark.parametrize("kind", ["robot", "compressor", "agv", "pv"])
@pytest.mark.parametrize("last", [ROWS, ROWS - 60])
def test_no_machine_is_blamed_for_what_was_held_while_its_link_was_silent(kind: str, last: int) -> None:
    for first in range(ROWS - 310, ROWS - 290):
        said = findings(held(window(kind, ROWS, seed=2), first, last))
        assert {one.level for one in said} <= {"link"}, (first, said[0].fault)
        assert last < ROWS or [one.fault for one in said] == ["link_silent"]


@pytest.mark.parametrize("kind", ["robot", "pump"])
def test_a_link_is_late_when_the_newest_minute_is_missing(kind: str) -> None:
    assert [one.fault for one in findings(held(window(kind, ROWS, seed=2), ROWS - 6, ROWS))] == ["link_delay"]
    assert findings(held(window(kind, ROWS, seed=2), ROWS - 2, ROWS)) == ()


def changed(seen: Window, name: str, values: Numbers) -> Window:
    return replace(seen, numbers={**seen.numbers, name: values})


def stuck(seen: Window, name: str, first: int) -> Window:
    return changed(seen, name, np.where(np.arange(ROWS) >= first, seen.numbers[name][first], seen.numbers[name]))


def jumping(seen: Window, name: str, size: float, every: int = 47) -> Window:
    return changed(seen, name, seen.numbers[name] + np.where(np.arange(ROWS) % every == every - 1, size, 0.0))


def test_a_gripper_does_not_leak_when_its_sensor_is_stuck_at_a_weak_vacuum() -> None:
    seen = window("robot", ROWS, seed=2)
    weak = changed(
        seen, "gripper_vacuum", np.where(np.arange(ROWS) >= ROWS - 60, -50.0, seen.numbers["gripper_vacuum"])
    )
    assert [(one.fault, one.component) for one in findings(weak)] == [("sensor_stuck", "gripper_vacuum")]


def test_a_sensor_of_a_machine_that_has_one_state_alone_is_stuck_when_it_is_flat() -> None:
    said = findings(stuck(window("pump", ROWS, seed=2), "flow", ROWS - 120))
    assert [(one.fault, one.component) for one in said] == [("sensor_stuck", "flow")]


def test_a_wheel_is_not_blamed_for_spikes_of_the_sensor_of_its_current_that_stopped_the_vehicle() -> None:
    seen = jumping(window("agv", ROWS, seed=2), "motor_current", 9.0, every=12)
    execution = seen.texts["execution"].copy()
    execution[ROWS - 400 :] = "INTERRUPTED"
    said = findings(replace(seen, texts={**seen.texts, "execution": execution}))
    assert [(one.fault, one.component) for one in said] == [("sensor_spike", "motor_current")]


def test_spikes_are_seen_against_what_is_usual_from_row_to_row_however_far_a_signal_wanders() -> None:
    seen = window("agv", ROWS, seed=2)
    said = findings(jumping(seen, "battery_voltage", 2.0))
    assert [(one.fault, one.component) for one in said] == [("sensor_spike", "battery_voltage")]


def test_what_jumps_together_is_no_spike_of_a_sensor() -> None:
    seen = jumping(jumping(window("pump", ROWS, seed=2), "flow", 3.0), "pressure", 0.5)
    assert not {one.fault for one in findings(seen)} & {"sensor_spike"}


def warmed(seen: Window) -> Window:
    """Return the window with modules that the sun warms."""
    warmth = 0.02 * seen.numbers["irradiance"]
    return changed(seen, "module_temperature", seen.numbers["module_temperature"] + warmth)


@pytest.mark.parametrize("name", ["irradiance", "power", "module_temperature"])
def test_no_module_is_blamed_for_a_sensor_that_is_stuck_while_the_sun_moves(name: str) -> None:
    seen, usual = warmed(window("pv", ROWS, seed=2)), learn(warmed(window("pv", 4000, seed=1)))
    said = diagnose(stuck(seen, name, ROWS - 200), usual).findings
    assert [(one.fault, one.component) for one in said] == [("sensor_stuck", name)]


def test_no_module_is_blamed_when_power_is_short_by_the_same_in_much_and_in_little_sun() -> None:
    seen = window("pv", ROWS, seed=2)
    off = changed(seen, "irradiance", seen.numbers["irradiance"] + np.linspace(0.0, 150.0, ROWS))
    assert not {one.fault for one in findings(off)} & {"soiling", "string_loss"}


def test_no_module_is_blamed_for_a_sensor_of_the_sun_that_has_just_got_stuck_or_spikes_once() -> None:
    seen = window("pv", ROWS, seed=2)
    assert all(one.level == "sensor" for one in findings(stuck(seen, "irradiance", ROWS - 90)))
    once = np.where(np.arange(ROWS) == ROWS - 8, 1500.0, 0.0)
    assert findings(changed(seen, "irradiance", seen.numbers["irradiance"] + once)) == ()


def test_cells_are_not_aged_when_a_current_is_measured_that_does_not_flow() -> None:
    seen = window("agv", ROWS, seed=2)
    sagging = changed(seen, "battery_voltage", seen.numbers["battery_voltage"] - 0.04 * seen.numbers["motor_current"])
    assert [one.fault for one in findings(sagging)] == ["battery_aging"]
    off = changed(sagging, "motor_current", seen.numbers["motor_current"] + 2.0)
    assert "battery_aging" not in {one.fault for one in findings(off)}


def test_modules_are_not_soiled_on_a_day_with_another_sky() -> None:
    seen = window("pv", ROWS, seed=2)
    said = findings(changed(seen, "power", seen.numbers["power"] * np.linspace(1.0, 0.975, ROWS)))
    assert said == ()


def test_an_intake_filter_is_not_blamed_for_a_sensor_that_is_off_at_rest_too() -> None:
    def rested(seen: Window) -> Window:
        rests = np.arange(len(seen.times_ns)) % 120 < 30
        texts = {**seen.texts, "execution": np.where(rests, "READY", "ACTIVE").astype(object)}
        power = np.where(rests, 0.14, seen.numbers["power"])
        return replace(changed(seen, "power", power), texts=texts)

    seen, usual = rested(window("compressor", ROWS, seed=2)), learn(rested(window("compressor", 4000, seed=1)))
    clogged = changed(seen, "power", np.where(seen.numbers["power"] > 1.0, 1.1, 1.0) * seen.numbers["power"])
    assert [one.fault for one in diagnose(clogged, usual).findings] == ["intake_filter"]
    off = changed(seen, "power", seen.numbers["power"] + 1.1)
    assert "intake_filter" not in {one.fault for one in diagnose(off, usual).findings}
