"""Features of robots, vehicles, pumps, compressors, photovoltaics and batteries: physics that takes the load out.

What hangs together by a law (the lag of a joint with its torque, a voltage with its current) is fitted in pieces of
PIECE rows, so that a coefficient of the law becomes a quantity of its own: play, ripple, resistance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from cloud.diagnosis.window import Numbers

PIECE: Final = 60
_LEAST_ROWS: Final = 10
_MOVING_DEG_S: Final = 1.0
SUN_W_M2: Final = 100.0
"""With less sun its yield is not told: noise and scattered light are a large part of it."""
_PER_KELVIN: Final = -0.004
"""What crystalline silicon loses (1/K), where the module's own figure is not known (IEC 61215)."""
_LOADED: Final = 0.7
_HELD_LOAD: Final = 0.98
_RIDGE: Final = 1e-6


def fitted(columns: list[Numbers], values: Numbers) -> tuple[Numbers, Numbers]:
    """Return the coefficients of a linear law in each piece, by row and column, and the typical size of what is left.

    Single rows far off the law do not count (one pass without them); a piece with too few rows has NaN.
    """
    rows = len(values)
    pad = -rows % PIECE
    filled = np.column_stack([np.ones(rows), *columns, values])
    whole = np.concatenate([np.full((pad, filled.shape[1]), np.nan), filled]).reshape(-1, PIECE, filled.shape[1])
    counts = np.all(np.isfinite(whole), axis=2)
    whole = np.where(counts[:, :, None], whole, 0.0)
    x, y = whole[:, :, :-1], whole[:, :, -1]
    coefficients, left = _solved(x, y, counts)
    size = _typical(left, counts)
    counts &= np.abs(left) <= 4.0 * size[:, None] + 1e-12
    coefficients, left = _solved(x, y, counts)
    size = _typical(left, counts)
    few = counts.sum(axis=1) < _LEAST_ROWS
    coefficients[few], size[few] = np.nan, np.nan
    return np.repeat(coefficients, PIECE, axis=0)[pad:], np.repeat(size, PIECE)[pad:]


def _solved(x: Numbers, y: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
    weighted = x * counts[:, :, None]
    square = np.einsum("pri,prj->pij", weighted, x)
    scale = np.maximum(np.einsum("pii->pi", square), 1e-12)
    square = square + _RIDGE * scale[:, :, None] * np.eye(x.shape[2])
    coefficients = np.linalg.solve(square, np.einsum("pri,pr->pi", weighted, y)[:, :, None])[:, :, 0]
    return coefficients, y - np.einsum("pri,pi->pr", x, coefficients)


def _typical(left: Numbers, counts: Numbers) -> Numbers:
    sizes = np.sort(np.where(counts, np.abs(left), np.inf), axis=1)
    middle = np.maximum(counts.sum(axis=1) - 1, 0) // 2
    typical = np.take_along_axis(sizes, middle[:, None], axis=1)[:, 0]
    return np.asarray(1.4826 * np.where(np.isfinite(typical), typical, 0.0))


# ---- joints of robots ------------------------------------------------------------------------------------------------


def _direction(speed: Numbers) -> Numbers:
    return np.where(np.abs(speed) < _MOVING_DEG_S, 0.0, np.sign(speed))


def _moved(values: Numbers, speed: Numbers) -> Numbers:
    """Leave out pieces in which the joint hardly moved."""
    moving = np.abs(np.nan_to_num(speed)) >= _MOVING_DEG_S
    pad = -len(moving) % PIECE
    often = np.concatenate([np.zeros(pad, bool), moving]).reshape(-1, PIECE).sum(axis=1) >= _LEAST_ROWS
    return np.where(np.repeat(often, PIECE)[pad:], values, np.nan)


def play(error: Numbers, current: Numbers, speed: Numbers) -> Numbers:
    """Return the tracking error (°) that turns with the direction alone: elastic twist and lag are taken out."""
    coefficients, _ = fitted([current, speed, _direction(speed)], error)
    return _moved(coefficients[:, 3], speed)


def ripple(error: Numbers, current: Numbers, speed: Numbers) -> Numbers:
    """Return the tracking error (°) that neither torque nor speed nor direction explains: what the gear adds."""
    _, size = fitted([current, speed, _direction(speed)], error)
    return _moved(size, speed)


def friction(current: Numbers, speed: Numbers, *angles_and_load: Numbers) -> Numbers:
    """Return the current (A) against the direction of motion, when that which holds the arm is taken out."""
    shoulder, elbow, wrist, payload = angles_and_load
    upper, fore, hand = (np.cos(np.radians(angle)) for angle in (shoulder, shoulder + elbow, shoulder + elbow + wrist))
    columns = [upper, fore, hand, payload * upper, payload * fore, speed, _direction(speed)]
    coefficients, _ = fitted(columns, current)
    moving = np.abs(speed[_direction(speed) != 0.0])
    usual = np.nanmean(moving) if np.isfinite(moving).any() else np.nan
    return _moved(coefficients[:, 7] + coefficients[:, 6] * usual, speed)


def _growth(count: Numbers) -> Numbers:
    return np.maximum(np.diff(count, prepend=count[:1]), 0.0)


# ---- energy, air, transport ------------------------------------------------------------------------------------------


def cruising(current: Numbers, speed: Numbers) -> Numbers:
    """Return the current (A) at full speed, where nothing is accelerated."""
    return np.where(speed >= 0.97 * np.nanmax(np.abs(speed), initial=0.0), current, np.nan)


def standing(current: Numbers, speed: Numbers) -> Numbers:
    """Return the current (A) of a vehicle that stands: nothing, or what its sensor is off by."""
    return np.where(np.abs(speed) < 0.01 * np.nanmax(np.abs(speed), initial=0.0), current, np.nan)


def sag(voltage: Numbers, current: Numbers, charge: Numbers) -> Numbers:
    """Return the resistance of a vehicle's battery (Ω): how its voltage falls with the current at the same charge."""
    coefficients, _ = fitted([charge, current], voltage)
    return -coefficients[:, 2]


def swing(voltage: Numbers, power: Numbers) -> Numbers:
    """Return the resistance (Ω) that the last change of the current showed: ΔU/ΔI, with I = P/U; NaN before one."""
    current = 1000.0 * power / voltage
    steps, volts = np.diff(current, prepend=current[:1]), np.diff(voltage, prepend=voltage[:1])
    large = np.abs(steps) > max(5.0, 0.2 * float(np.nanmax(np.abs(current), initial=0.0)))
    return _held(np.divide(volts, steps, out=np.full(len(steps), np.nan), where=large))


def full_load(values: Numbers) -> Numbers:
    """Return what a machine that loads and unloads had under full load lately: of PIECE rows the fourth highest value.

    The highest ones may be spikes. NaN where it has hardly loaded, or not held its load.
    """
    padded = np.concatenate([np.full(PIECE - 1, np.nan), values])
    rows = np.lib.stride_tricks.sliding_window_view(np.nan_to_num(padded, nan=-np.inf), PIECE)
    highest = np.partition(rows, (-4, -2), axis=1)
    fourth, second = highest[:, -4], highest[:, -2]
    there = np.isfinite(fourth)
    usual = float(np.quantile(fourth[there], 0.9)) if there.any() else 0.0
    return np.where(there & (fourth >= _LOADED * usual) & (fourth >= _HELD_LOAD * second), fourth, np.nan)


def yield_of_sun(power: Numbers, irradiance: Numbers, temperature: Numbers) -> Numbers:
    """Return the power (kW) at 1 kW/m² and 25 °C (IEC 61724); at night the last one of the day holds."""
    full = at_full_sun(irradiance, temperature)
    return _held(np.divide(power, full, out=np.full(len(power), np.nan), where=irradiance >= SUN_W_M2))


def at_full_sun(irradiance: Numbers, temperature: Numbers) -> Numbers:
    """Return the share of its power at 1 kW/m² and 25 °C that a module has at an irradiance and its temperature."""
    return np.asarray(irradiance / 1000.0 * (1.0 + _PER_KELVIN * (temperature - 25.0)))


def _held(values: Numbers) -> Numbers:
    there = np.where(np.isfinite(values), np.arange(len(values)), -1)
    newest = np.maximum.accumulate(there) if len(there) else there
    return np.where(newest >= 0, values[newest], np.nan)


Formula = tuple[tuple[str, ...], str, Callable[..., Numbers]]

_HELD_BY: Final = ("joint2_position", "joint3_position", "joint5_position", "payload")

FORMULAS: Final[Mapping[str, Formula]] = {
    "grip_miss_rate": (("grip_misses",), "", _growth),
    "cruise_current": (("motor_current", "speed"), "A", cruising),
    "standing_current": (("motor_current", "speed"), "A", standing),
    "battery_resistance": (("battery_voltage", "motor_current", "battery_charge"), "Ω", sag),
    "cell_resistance": (("voltage", "power", "charge"), "Ω", lambda voltage, power, _charge: swing(voltage, power)),
    "loaded_power": (("power", "load_cycles"), "kW", lambda power, _cycles: full_load(power)),
    "loaded_temperature": (
        ("outlet_temperature", "load_cycles"),
        "°C",
        lambda temperature, _cycles: full_load(temperature),
    ),
    "yield_of_sun": (("power", "irradiance", "module_temperature"), "kW", yield_of_sun),
    **{
        f"joint{n}_{name}": ((f"joint{n}_tracking_error", f"joint{n}_current", f"joint{n}_speed"), "°", formula)
        for n in range(1, 7)
        for name, formula in (("play", play), ("ripple", ripple))
    },
    **{f"joint{n}_friction": ((f"joint{n}_current", f"joint{n}_speed", *_HELD_BY), "A", friction) for n in range(1, 7)},
}
"""Signals, unit and formula of each; the signals go into the formula in this order."""
