"""Windows of robots and utilities as the rules know them: levels with noise, and what a fault changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from cloud.diagnosis.window import Measured, Numbers, Subject, Window

STEP_NS = 10_000_000_000
Change = Callable[[Mapping[str, Numbers]], Numbers]


def window(kind: str, count: int, seed: int, changes: Mapping[str, Change] | None = None, alarm: str = "") -> Window:
    """Return `count` rows of an asset; a change is a function from all its numbers to what is added to one of them."""
    random = np.random.default_rng(seed)
    numbers = _KINDS[kind](count, random)
    changed = dict(numbers)
    for name, change in (changes or {}).items():
        changed[name] = numbers[name] + change(numbers)
    texts = {
        "execution": np.full(count, "ACTIVE", dtype=object),
        "alarm": np.array([""] * (count - 1) + [alarm], dtype=object),
    }
    signals = {name: Measured(_UNITS.get(name, "A")) for name in changed}
    times = np.arange(count, dtype=np.int64) * STEP_NS
    return Window(Subject(f"{kind}-01", kind, signals), times, changed, texts)


def _noisy(level: Numbers | float, noise: float, count: int, random: np.random.Generator) -> Numbers:
    return np.asarray(level + noise * random.standard_normal(count))


def _pump(count: int, random: np.random.Generator) -> dict[str, Numbers]:
    levels = {"flow": 20.0, "pressure": 3.2, "power": 2.9, "vibration_velocity": 1.1}
    return {name: _noisy(level, 0.005 * level, count, random) for name, level in levels.items()}


def _compressor(count: int, random: np.random.Generator) -> dict[str, Numbers]:
    loaded = np.arange(count) % 10 < 4
    return {
        "flow": _noisy(28.0, 2.0, count, random),
        "power": _noisy(np.where(loaded, 11.8, 3.3), 0.01, count, random),
        "outlet_temperature": _noisy(np.where(loaded, 80.0, 75.0), 0.2, count, random),
        "load_cycles": np.arange(count) // 10 + 0.0,
        "vibration_velocity": _noisy(1.4, 0.01, count, random),
    }


def _measuring(count: int, random: np.random.Generator) -> dict[str, Numbers]:
    return {
        "air_pressure": _noisy(6.0, 0.01, count, random),
        "size_deviation": _noisy(0.0, 4.0, count, random),
        "depth_deviation": _noisy(0.0, 6.0, count, random),
    }


def _agv(count: int, random: np.random.Generator) -> dict[str, Numbers]:
    speed = np.tile([0.0, 0.7, 1.4, 1.4, 1.4], count // 5)
    current = _noisy(np.where(speed == 0.7, 6.0, 1.3 * speed), 0.05, count, random)
    charge = 60.0 + 20.0 * np.cos(np.arange(count) / 400.0)
    return {
        "speed": speed,
        "motor_current": current,
        "motor_temperature": _noisy(25.0, 0.2, count, random),
        "battery_charge": charge,
        "battery_voltage": _noisy(46.0 + 0.06 * charge - 0.02 * current, 0.01, count, random),
    }


def _pv(count: int, random: np.random.Generator) -> dict[str, Numbers]:
    sun = 500.0 + 200.0 * np.sin(np.arange(count) / 50.0)
    return {
        "irradiance": sun,
        "module_temperature": np.full(count, 25.0) + 0.01 * random.standard_normal(count),
        "power": 20.0 * sun / 1000.0 * _noisy(1.0, 0.002, count, random),
    }


def _battery(count: int, random: np.random.Generator) -> dict[str, Numbers]:
    power = np.resize(np.repeat([8.0, 0.0, -12.0, 4.0], 90), count)
    return {
        "power": power,
        "charge": 50.0 + 0.01 * random.standard_normal(count),
        "voltage": _noisy(380.0 + 0.12 * 1000.0 * power / 380.0, 0.05, count, random),
        "temperature": _noisy(23.0, 0.1, count, random),
    }


def _robot(count: int, random: np.random.Generator) -> dict[str, Numbers]:
    turn = np.arange(count)
    made: dict[str, Numbers] = {
        "brake_drop": _noisy(0.02, 0.0005, count, random),
        "grip_misses": np.zeros(count),
        "gripper_vacuum": _noisy(-62.0, 0.1, count, random),
        "payload": np.where(turn % 30 < 15, 4.0, 0.0),
    }
    for joint in range(1, 7):
        angle, speed = 40.0 * np.sin(turn / (3.0 + joint)), 60.0 * np.cos(turn / (3.0 + joint))
        current = 2.0 * np.cos(np.radians(angle)) + 0.2 * np.sign(speed) + 0.02 * random.standard_normal(count)
        made[f"joint{joint}_position"], made[f"joint{joint}_speed"] = angle, speed
        made[f"joint{joint}_current"] = current
        made[f"joint{joint}_temperature"] = _noisy(28.0, 0.1, count, random)
        made[f"joint{joint}_tracking_error"] = _noisy(0.0005 * speed + 0.01 * current, 0.0003, count, random)
    return made


_KINDS = {
    "pump": _pump, "compressor": _compressor, "measuring": _measuring, "agv": _agv, "pv": _pv, "battery": _battery,
    "robot": _robot,
}  # fmt: skip
_UNITS = {
    "flow": "m³/h", "pressure": "bar", "air_pressure": "bar", "power": "kW", "vibration_velocity": "mm/s",
    "outlet_temperature": "°C", "motor_temperature": "°C", "module_temperature": "°C", "temperature": "°C",
    "load_cycles": "", "grip_misses": "", "speed": "m/s", "battery_charge": "%", "charge": "%", "payload": "kg",
    "size_deviation": "µm", "depth_deviation": "µm", "gripper_vacuum": "kPa", "brake_drop": "°",
}  # fmt: skip
