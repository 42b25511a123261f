"""A three-phase energy meter: it adds what flows through it and shows voltages and currents that fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from simulators.catalogs import others as catalog
from simulators.machine import SimulatedMachine, Value

PHASE_V: Final = 230.0
_LINE_OHM: Final = 0.02


class Meter(SimulatedMachine):
    """A meter of the machines in the option `of`, or of the whole factory (`of: all`): the connection to the grid.

    `flow_mj` is what the factory says has flowed in the step, in whole millijoules; below 0 it flows into the grid.
    """

    kind = "meter"
    model = "SF-E3 energy meter"
    signals = catalog.METER

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        of = self.options.get("of", "all")
        self.of: tuple[str, ...] | None = None if of == "all" else tuple(map(str, of))
        self.flow_mj = 0
        self.exported_mj = 0
        self.frequency_hz = 50.0
        self._factor = 0.92

    @property
    def power_w(self) -> float:
        """Mean power through the meter in the last step in W; below 0 into the grid."""
        return self.flow_mj / 1000.0 / self._last_dt if self._last_dt else 0.0

    def _advance(self, dt: float) -> None:
        if self.flow_mj >= 0:
            self.energy_mj += self.flow_mj
        else:
            self.exported_mj -= self.flow_mj
        pull = math.exp(-dt / 60.0)  # an Ornstein-Uhlenbeck process of 15 mHz, as the European grid has it
        self.frequency_hz = 50.0 + (self.frequency_hz - 50.0) * pull
        self.frequency_hz += 0.015 * math.sqrt(1.0 - pull * pull) * float(self.rng.standard_normal())
        load = min(1.0, abs(self.power_w) / 30000.0)
        self._factor = 0.78 + 0.16 * load  # motors that idle have a poor power factor

    def _values(self) -> dict[str, Value]:
        apparent = abs(self.power_w) / self._factor
        current = math.copysign(apparent / 3.0 / PHASE_V, self.power_w)
        values: dict[str, Value] = {
            "frequency": self.frequency_hz,
            "power_factor": math.copysign(self._factor, self.power_w),
            "reactive_power": math.sqrt(max(0.0, apparent**2 - self.power_w**2)) / 1000.0,
            "power": self.power_w / 1000.0,
            "energy": self.energy_kwh,
            "energy_exported": self.exported_mj / 3.6e9,
            "sequence": self.sequence,
        }
        for phase, share in (("1", 1.02), ("2", 0.99), ("3", 0.99)):
            values[f"current_l{phase}"] = current * share
            values[f"voltage_l{phase}"] = PHASE_V + 1.5 - _LINE_OHM * current * share
        return values


MACHINE = Meter
