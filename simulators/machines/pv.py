"""A photovoltaic plant: sun by the hour, clouds, module temperature, strings that fail."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from simulators.catalogs import others as catalog
from simulators.machine import SimulatedMachine, Value

CLEAR_W_M2: Final = 950.0
NOCT_C: Final = 45.0
PER_KELVIN: Final = -0.004
SUN_W_M2: Final = 100.0
"""With less sun the inverter does not compare its strings."""


class Pv(SimulatedMachine):
    """Modules of `peak_kw` (option) in four strings. The inverter tells of a string that fails, and goes on.

    `energy_mj` and `power` count what it gives. The day starts at `start_hour`.
    """

    kind = "pv"
    model = "SF-PV inverter"
    signals = catalog.PV
    modes = catalog.PV_MODES
    protection = catalog.PV_TRIPS
    stops_at_alarm = False

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        self.peak_w = 1000.0 * float(self.options.get("peak_kw", 20.0))
        self.start_hour = float(self.options.get("start_hour", 8.0))
        self.cloud = self.usual_cloud = 0.3
        self.irradiance = 0.0
        self.module_c = self.ambient_c

    def _advance(self, dt: float) -> None:
        hour = (self.start_hour + self.time_s / 3600.0) % 24.0
        height = math.sin(math.pi * (hour - 6.0) / 12.0) if 6.0 < hour < 18.0 else 0.0
        pull = math.exp(-dt / 600.0)  # clouds come and go in some ten minutes
        self.cloud = self.usual_cloud + (self.cloud - self.usual_cloud) * pull
        self.cloud += 0.22 * math.sqrt(1.0 - pull * pull) * float(self.rng.standard_normal())
        self.irradiance = CLEAR_W_M2 * height * (1.0 - 0.75 * min(1.0, max(0.0, self.cloud)))
        # T = T_a + (NOCT − 20)·G/800 (IEC 61215), with the modules' own inertia
        target = self.ambient_c + (NOCT_C - 20.0) * self.irradiance / 800.0
        self.module_c = target + (self.module_c - target) * math.exp(-dt / 420.0)
        lost = (1.0 - 0.35 * self.severity["soiling"]) * (1.0 - 0.25 * self.severity["string_loss"])
        power = self.peak_w * self.irradiance / 1000.0 * (1.0 + PER_KELVIN * (self.module_c - 25.0)) * lost
        self.add_energy(power * 0.97, dt)

    def set_reset(self, _value: Value) -> None:
        """Take an alarm away."""
        self._reset()

    def _measured(self) -> Mapping[str, Value | None]:
        said = self.read()
        sun = said["irradiance"]
        is_sunny = isinstance(sun, float) and sun >= SUN_W_M2
        return {**said, "weakest_string": 1.0 - self.severity["string_loss"] if is_sunny else None}

    def _values(self) -> dict[str, Value]:
        return {
            "execution": "ACTIVE" if self.power_w > 0.0 else "READY",
            "alarm": self.alarm,
            "irradiance": self.irradiance,
            "module_temperature": self.module_c,
            "power": self.power_w / 1000.0,
            "energy": self.energy_kwh,
            "sequence": self.sequence,
        }


MACHINE = Pv
