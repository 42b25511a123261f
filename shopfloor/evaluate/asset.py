"""The simulated assets that are diagnosed: a machine under a load, what drives it, what the platform knows of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from contract.model import Asset, Datatype
from contract.model import Signal as Measurement
from edge.detectors.vibration import Options, Vibration, detector
from edge.entry import BlockEntry
from simulators import machines
from simulators.face import behind, looking
from simulators.machine import SimulatedMachine
from simulators.machines._machinetool import MachineTool
from simulators.machines.battery import Battery
from simulators.machines.compressor import Compressor
from simulators.machines.measuring import Measuring
from simulators.machines.meter import Meter
from simulators.machines.pv import Pv
from simulators.machines.robot import Robot
from simulators.production.part import Operation, Part
from simulators.sensor import Sensors

KINDS: Final = (
    "cnc", "lathe", "grinder", "robot", "agv", "measuring", "pump", "compressor", "pv", "battery", "meter",
)  # fmt: skip
LOADS: Final = ("usual", "other")
STEP_S: Final = 10.0
_DAY_S: Final = 86400.0
_OTHER: Final[dict[str, dict[str, Any]]] = {
    "cnc": {"part": "cover"},
    "battery": {"capacity_kwh": 90.0},
    "pv": {"peak_kw": 30.0},
}
"""Options of a machine under the load `other`."""

Drive = Callable[[SimulatedMachine, np.random.Generator], None]


@dataclass(slots=True)
class SimulatedAsset:
    """A machine and what happens around it; everything that `step` does follows from kind, load and seed."""

    machine: SimulatedMachine
    load: str
    rng: np.random.Generator

    def step(self) -> None:
        """Let STEP_S pass: the hall warms and cools, work arrives, the machine moves and emits."""
        machine = self.machine
        machine.ambient_c = 22.0 + 2.0 * math.sin(2.0 * math.pi * (machine.time_s / _DAY_S - 0.375))
        drive = _DRIVES.get(machine.kind)
        if drive is not None:
            drive(machine, self.rng)
        machine.step(STEP_S)


def simulated(kind: str, load: str, seed: int) -> SimulatedAsset:
    """Return an asset at its start; the load `other` is another part, speed, demand or weather, `slow` another feed."""
    options = _OTHER.get(kind, {}) if load == "other" else {}
    machine = machines.load(kind)(f"{kind}-{seed}", seed, None, options)
    if load in ("other", "slow") and isinstance(machine, MachineTool):
        machine.feed_override = 85.0
    if load == "other" and isinstance(machine, Robot):
        machine.speed_override = 60.0
    if load == "other" and isinstance(machine, Pv):
        machine.usual_cloud = 0.6
    return SimulatedAsset(machine, load, np.random.default_rng([seed, 7]))


def announced(machine: SimulatedMachine) -> tuple[Asset, list[Vibration]]:
    """Return what the edge would announce of a machine by the plant file that fits it, and its detectors.

    The signals are those of the machine, then the features of the detectors.
    """
    names = Sensors(machine).names
    sensors = {name: BlockEntry.model_validate(behind(machine, name)).fact() for name in names}
    entries = [Options.model_validate(entry) for entry in looking(machine, names).get("detectors", [])]
    signals = [
        Measurement(one.name, Datatype(one.datatype), one.unit, one.low, one.high, one.deadband)
        for one in machine.signals
    ]
    signals += [feature for entry in entries for feature in entry.features(sensors)]
    asset = Asset("", "", "", "", machine.id, machine.kind, signals=tuple(signals), sensors=sensors)
    return asset, [detector(entry, asset, frozenset()) for entry in entries]


def _air(machine: SimulatedMachine, rng: np.random.Generator) -> None:
    """Let the factory take air: less at night, in changing amounts by day."""
    assert isinstance(machine, Compressor)
    night = not 6.0 <= machine.time_s / 3600.0 % 24.0 < 22.0
    pull = math.exp(-STEP_S / 1800.0)
    usual = 6.0 if night else 28.0
    machine.demand_m3_h = max(0.0, usual + (machine.demand_m3_h - usual) * pull + 0.4 * float(rng.standard_normal()))


def _energy(machine: SimulatedMachine, _rng: np.random.Generator) -> None:
    """Charge and discharge in turn, with a rest between."""
    assert isinstance(machine, Battery)
    setpoint = (8.0, 0.0, -12.0, 4.0)[int(machine.time_s // 5400.0) % 4]
    share = machine.charge_j / machine.capacity_j
    if (setpoint > 0.0 and share < 0.9) or (setpoint < 0.0 and share > 0.2) or setpoint == 0.0:
        machine.setpoint_kw = setpoint
    else:
        machine.setpoint_kw = 0.0


def _consumers(machine: SimulatedMachine, rng: np.random.Generator) -> None:
    """Let two machines draw power: on and off, by day more than at night."""
    assert isinstance(machine, Meter)
    hour = machine.time_s / 3600.0 % 24.0
    busy = 1.0 if 6.0 <= hour < 22.0 else 0.2
    swing = 1.0 + 0.4 * math.sin(machine.time_s / 41.0)
    watt = 900.0 + busy * (5000.0 * swing + 800.0 * float(rng.standard_normal()))
    machine.flow_mj = round(max(watt, 200.0) * STEP_S * 1000.0)


def _parts(machine: SimulatedMachine, rng: np.random.Generator) -> None:
    """Bring a part a minute, good ones with the scatter of a capable process."""
    assert isinstance(machine, Measuring)
    if machine.is_busy or machine.time_ns % 60_000_000_000:
        return
    size, depth, roughness = rng.standard_normal(3)
    made = Operation(
        "cnc", "housing", 0.0, 0.0, 0, 4.0 * float(size), 6.0 * float(depth), 0.8 + 0.05 * float(roughness), {}
    )
    part = Part(f"p-{machine.time_ns}", "housing", "", 1000, [made])
    machine.load(part, 30.0)


_DRIVES: Final[dict[str, Drive]] = {
    "compressor": _air,
    "battery": _energy,
    "meter": _consumers,
    "measuring": _parts,
}
