"""Rules of robots, pumps, compressors, vehicles, measuring, sun and batteries: what makes each speak, what does not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from cloud.diagnosis import rules
from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.diagnosis import diagnose, learn
from tests.cloud.diagnosis.utilities import Change, window

KINDS = ("pump", "compressor", "measuring", "agv", "pv", "battery", "robot")
ROWS = 720


@cache
def learned(kind: str) -> Baseline:
    return learn(window(kind, 4000, seed=1))


def found(kind: str, changes: dict[str, Change], alarm: str = "") -> dict[str, str]:
    """Return what is said with confidence, by fault, and of which component."""
    report = diagnose(window(kind, ROWS, seed=2, changes=changes, alarm=alarm), learned(kind))
    return {one.fault: one.component for one in report.findings if one.confidence >= 0.5}


def share(signal: str, part: float) -> Change:
    return lambda numbers: part * numbers[signal]


def scatter(size: float) -> Change:
    return lambda _: size * np.random.default_rng(3).standard_normal(ROWS)


def direction(joint: int, size: float) -> Change:
    return lambda numbers: size * np.sign(numbers[f"joint{joint}_speed"])


def rolling(size: float) -> Change:
    return lambda numbers: np.where(numbers["speed"] > 0.0, size, 0.0)


def offset(size: float) -> Change:
    return lambda _: np.full(ROWS, size)


def misses(every: int) -> Change:
    return lambda _: np.arange(ROWS) // every + 0.0


def halved(at: int) -> Change:
    return lambda numbers: np.where(np.arange(ROWS) >= at, -0.25 * numbers["power"], 0.0)


def dusty() -> Change:
    return lambda numbers: -0.25 * numbers["power"] * np.linspace(0.0, 1.0, ROWS)


def busier() -> Change:
    """Let the compressor be loaded in 8 of 10 rows instead of 4."""
    return lambda _: np.where(np.isin(np.arange(ROWS) % 10, (4, 5, 6, 7)), 8.5, 0.0)


def sag(ohm: float) -> Change:
    return lambda numbers: -ohm * numbers["motor_current"]


def swing(ohm: float) -> Change:
    return lambda numbers: ohm * 1000.0 * numbers["power"] / 380.0


SPEAKS: dict[str, tuple[str, dict[str, Change], str]] = {
    "impeller_wear": (
        "pump",
        {"flow": share("flow", -0.1), "pressure": share("pressure", -0.2), "power": share("power", -0.3)},
        "impeller",
    ),
    "air_leak": ("compressor", {"flow": offset(20.0), "power": busier()}, "air network"),
    "intake_filter": (
        "compressor",
        {"power": share("power", 0.08), "outlet_temperature": share("outlet_temperature", 0.3)},
        "intake filter",
    ),
    "air_bearing": ("measuring", {"air_pressure": offset(-1.0), "size_deviation": scatter(6.0)}, "air bearings"),
    "wheel_bearing": ("agv", {"motor_current": rolling(1.0)}, "drive wheel"),
    "battery_aging": ("agv", {"battery_voltage": sag(0.04)}, "battery cells"),
    "soiling": ("pv", {"power": dusty()}, "modules"),
    "string_loss": ("pv", {"power": halved(500)}, "string"),
    "cell_resistance": ("battery", {"voltage": swing(0.2)}, "cells"),
    "harmonic_drive": ("robot", {"joint5_tracking_error": scatter(0.01)}, "reducer of joint 5"),
    "rv_reducer": ("robot", {"joint2_tracking_error": direction(2, 0.02)}, "reducer of joint 2"),
    "brake": ("robot", {"brake_drop": offset(0.2), "joint2_temperature": offset(5.0)}, "brake and motor of joint 2"),
    "calibration_shift": ("robot", {"grip_misses": misses(8), "gripper_vacuum": offset(5.0)}, "mastering"),
    "vacuum_leak": ("robot", {"gripper_vacuum": offset(12.0)}, "gripper"),
}
SILENT: dict[str, tuple[str, dict[str, Change]]] = {
    "impeller_wear": ("pump", {"flow": share("flow", -0.1)}),  # the flow meter alone
    "air_leak": ("compressor", {"flow": offset(2.0)}),
    "intake_filter": ("compressor", {"outlet_temperature": share("outlet_temperature", 0.3)}),
    "air_bearing": ("measuring", {"air_pressure": offset(-2.0)}),  # so much would show in the results
    "wheel_bearing": ("agv", {"motor_current": offset(1.0)}),  # also while it stands
    "battery_aging": ("agv", {"battery_voltage": offset(-0.5)}),
    "soiling": ("pv", {"power": halved(500)}),
    "string_loss": ("pv", {"power": dusty()}),
    "cell_resistance": ("battery", {"voltage": offset(5.0)}),
    "harmonic_drive": ("robot", {"joint5_tracking_error": offset(0.02)}),
    "rv_reducer": ("robot", {"joint2_tracking_error": offset(0.02)}),
    "brake": ("robot", {"joint2_temperature": offset(5.0)}),
    "calibration_shift": ("robot", {"gripper_vacuum": offset(5.0)}),
    "vacuum_leak": ("robot", {"grip_misses": misses(8)}),
}


@pytest.mark.parametrize("fault", SPEAKS)
def test_a_rule_speaks_of_its_component(fault: str) -> None:
    kind, changes, component = SPEAKS[fault]
    assert found(kind, changes).get(fault) == component


@pytest.mark.parametrize("fault", SILENT)
def test_a_rule_is_silent_when_something_else_explains_it(fault: str) -> None:
    kind, changes = SILENT[fault]
    assert fault not in found(kind, changes)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_in_health(kind: str) -> None:
    assert found(kind, {}) == {}


def test_every_rule_of_these_kinds_is_tested() -> None:
    bearings = {"pump_bearing", "motor_bearing"}  # they need blocks
    own = {name for name, rule in rules.load().items() if set(rule.kinds) & set(KINDS)}
    assert own - bearings == set(SPEAKS) == set(SILENT)
