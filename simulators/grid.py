"""The electric side of a factory: who draws, who gives, what is lost on the way, what the meters count.

All energies are whole millijoules, so that the grid's meter is exactly the sum of the machines and the losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from simulators.machine import SimulatedMachine
from simulators.machines.meter import Meter
from simulators.machines.pv import Pv

NO_LOAD_W: Final = 140.0
PER_W: Final = 2.5e-7
"""Losses of transformer and cables: P0 + k·P², 1 % at 40 kW (usual for a small factory)."""


class Grid:
    """Adds up a factory's energy step by step and moves its meters."""

    def __init__(self, machines: Mapping[str, SimulatedMachine]) -> None:
        self.meters = [machine for machine in machines.values() if isinstance(machine, Meter)]
        self.others = {name: machine for name, machine in machines.items() if not isinstance(machine, Meter)}
        self._before = {name: machine.energy_mj for name, machine in self.others.items()}
        self.lost_mj = 0

    def step(self, dt: float) -> None:
        """Give each meter what flowed through it in the last `dt` seconds, and step it. Call it after all machines."""
        flows = {}
        for name, machine in self.others.items():
            flow = machine.energy_mj - self._before[name]
            self._before[name] = machine.energy_mj
            flows[name] = -flow if isinstance(machine, Pv) else flow
        net = sum(flows.values())
        lost = round((NO_LOAD_W + PER_W * (net / 1000.0 / dt) ** 2) * dt * 1000.0)
        self.lost_mj += lost
        for meter in self.meters:
            through = net + lost if meter.of is None else sum(flows.get(name, 0) for name in meter.of)
            meter.flow_mj = through
            meter.step(dt)

    def balance(self) -> dict[str, Any]:
        """Return energies in mJ: `imported − exported = used − generated + lost`; batteries count as use."""
        main = [meter for meter in self.meters if meter.of is None]
        return {
            "imported_mj": sum(meter.energy_mj for meter in main),
            "exported_mj": sum(meter.exported_mj for meter in main),
            "used_mj": sum(machine.energy_mj for machine in self.others.values() if not isinstance(machine, Pv)),
            "generated_mj": sum(machine.energy_mj for machine in self.others.values() if isinstance(machine, Pv)),
            "lost_mj": self.lost_mj,
            "machines_mj": {name: machine.energy_mj for name, machine in self.others.items()},
        }
