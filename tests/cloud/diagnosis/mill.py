"""A mill in a few lines: each reading is its usual level in the state of the row, noise, and what a fault adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cloud.diagnosis.window import Measured, Numbers, Subject, Window

Change = Callable[["Rows"], Numbers]

STEP_NS = 10_000_000_000
START_NS = 1_800_000_000_000_000_000
CYCLE = "1 1 1 2 2 2 2 3 3 -"
"""The tool in each row of a cycle; - is the pause with tool 3, the spindle standing."""

UNITS = {
    "spindle_speed": "rpm", "spindle_torque": "N·m", "spindle_power": "kW", "power": "kW",
    "vibration_velocity": "mm/s", "vibration_acceleration": "m/s²", "spindle_front_temperature": "°C",
    "spindle_rear_temperature": "°C", "head_temperature": "°C", "screw_temperature": "°C",
    "ambient_temperature": "°C", "x_motor_temperature": "°C", "drawbar_force": "kN", "unclamp_time": "s",
    "coolant_pressure": "bar", "coolant_flow": "l/min", "lubrication_pressure": "bar", "hydraulic_pressure": "bar",
    "x_position": "mm", "x_current": "A", "x_following_error": "µm", "y_current": "A", "y_following_error": "µm",
}  # fmt: skip
LEVELS = {  # with tool 1, 2, 3 and in the pause
    "spindle_speed": "1000 3800 5500 0", "spindle_torque": "12 4 2 0", "spindle_power": "1.6 2.0 1.5 0",
    "power": "4.5 5 4.4 2", "vibration_velocity": "0.4 0.6 0.8 0.02", "vibration_acceleration": "1 2 3 0.2",
    "spindle_front_temperature": "36 36 36 36", "spindle_rear_temperature": "34 34 34 34",
    "head_temperature": "28 28 28 28", "screw_temperature": "25 25 25 25", "ambient_temperature": "22 22 22 22",
    "x_motor_temperature": "30 30 30 30", "drawbar_force": "18 18 18 18", "unclamp_time": "0.42 0.42 0.42 0.42",
    "coolant_pressure": "20 20 20 0", "coolant_flow": "40 40 40 0", "lubrication_pressure": "0.5 0.5 0.5 0.5",
    "hydraulic_pressure": "57 57 57 57", "x_position": "100 50 20 0", "x_current": "3 2.5 2 0",
    "x_following_error": "20 15 10 1", "y_current": "2 2 2 0", "y_following_error": "5 10 8 1",
}  # fmt: skip
NOISE = 0.01


class Rows:
    """What a fault may depend on: the tool of each row (0 in the pause), and how far it has grown (0 to 1)."""

    def __init__(self, count: int, seed: int) -> None:
        words = CYCLE.split()
        self.count = count
        self.tool = np.array([0 if words[i % len(words)] == "-" else int(words[i % len(words)]) for i in range(count)])
        self.grown = np.linspace(0.0, 1.0, count)
        self.random = np.random.default_rng(seed)
        self.sign = np.where(np.arange(count) // 2 % 2 == 0, 1.0, -1.0)
        """Which way the axis went last."""


def mill(rows: int, seed: int, changes: Mapping[str, Change] | None = None, **given: Any) -> Window:
    """Return a window of `rows` rows; `changes` give what is added to a signal. `given` are fields of the window."""
    of = Rows(rows, seed)
    numbers = {name: _usual(of, levels) for name, levels in LEVELS.items()}
    numbers["hydraulic_pressure"] = 57.0 + 4.0 * np.sin(np.arange(rows) / 9.0)
    for name, change in (changes or {}).items():
        numbers[name] = numbers[name] + change(of)
    numbers["tool_number"] = np.where(of.tool == 0, 3.0, of.tool)
    numbers["energy"] = np.arange(rows) * 0.01
    execution = np.where(of.tool == 0, "PROGRAM_COMPLETED", "ACTIVE").astype(object)
    start_ns = START_NS + seed * 10**15
    window = Window(
        subject=Subject("cnc-01", "cnc", {name: Measured(UNITS.get(name, "")) for name in numbers}),
        times_ns=start_ns + np.arange(rows, dtype=np.int64) * STEP_NS,
        numbers=numbers,
        texts={"execution": execution, "alarm": np.full(rows, "", dtype=object)},
    )
    return replace(window, **given)


def alarmed(window: Window, text: str, row: int) -> Window:
    """Return the window with an alarm from a row on; the machine stands from then."""
    alarm, execution = window.texts["alarm"].copy(), window.texts["execution"].copy()
    alarm[row:], execution[row:] = text, "INTERRUPTED"
    return replace(window, texts={"execution": execution, "alarm": alarm})


def _usual(of: Rows, levels: str) -> Numbers:
    one, two, three, pause = map(float, levels.split())
    level = np.select([of.tool == 1, of.tool == 2, of.tool == 3], [one, two, three], pause)
    noise = NOISE * max(one, two, three) * of.random.standard_normal(of.count)
    return np.asarray(level + noise, dtype=np.float64)
