"""A stationary battery: charges and discharges on command, within its charge and its power."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from simulators.catalogs import others as catalog
from simulators.machine import Refused, SimulatedMachine, Value, number

ONE_WAY: Final = 0.96
OHM: Final = 0.12
LOW: Final = 0.08
HIGH: Final = 0.97
EMPTY_V: Final = 350.0
FULL_V: Final = 60.0
"""Open voltage: EMPTY_V, and FULL_V more when it is full."""
RATED_V: Final = 380.0
LEAST_A: Final = 5.0
"""With less current the voltage tells nothing of the resistance."""


class Battery(SimulatedMachine):
    """A battery of `capacity_kwh` and `power_kw` (options). Above 0 it takes power; an alarm opens its contactors.

    `energy_mj` is the net energy that it has taken.
    """

    kind = "battery"
    model = "SF-B60 battery"
    signals = catalog.BATTERY
    modes = catalog.BATTERY_MODES
    protection = catalog.BATTERY_TRIPS

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        self.capacity_j = 3.6e6 * float(self.options.get("capacity_kwh", 60.0))
        self.limit_kw = float(self.options.get("power_kw", 30.0))
        self.charge_j = 0.5 * self.capacity_j
        self.setpoint_kw = float(self.options.get("setpoint_kw", 5.0))
        self.temperature_c = self.ambient_c

    def _advance(self, dt: float) -> None:
        wanted = 0.0 if self.alarm else self.setpoint_kw * 1000.0
        room = (HIGH * self.capacity_j - self.charge_j) / ONE_WAY / dt
        stock = (self.charge_j - LOW * self.capacity_j) * ONE_WAY / dt
        power = max(-max(stock, 0.0), min(max(room, 0.0), wanted))
        self.charge_j += (power * ONE_WAY if power > 0.0 else power / ONE_WAY) * dt
        loss = abs(power) * (1.0 - ONE_WAY) * (1.0 + 3.0 * self.severity["cell_resistance"])
        target = self.ambient_c + 0.36 * loss / self.limit_kw  # a larger one has more to cool it
        self.temperature_c = target + (self.temperature_c - target) * math.exp(-dt / 5400.0)
        self.add_energy(power, dt)

    def set_setpoint(self, value: Value) -> None:
        """Charge (above 0) or discharge (below 0), kW."""
        wanted = number("setpoint", value, -self.limit_kw, self.limit_kw)
        share = self.charge_j / self.capacity_j
        if wanted > 0.0 and share >= HIGH:
            raise Refused(f"{self.id} is full ({100.0 * share:.0f} %)")
        if wanted < 0.0 and share <= LOW:
            raise Refused(f"{self.id} is empty ({100.0 * share:.0f} %)")
        self.setpoint_kw = wanted

    def set_reset(self, _value: Value) -> None:
        """Take an alarm away and close the contactors."""
        self._reset()

    def _measured(self) -> Mapping[str, Value | None]:
        said = self.read()
        charge, voltage, power = said["charge"], said["voltage"], said["power"]
        resistance: Value | None = None
        if isinstance(charge, float) and isinstance(voltage, float) and isinstance(power, float):
            current = power * 1000.0 / RATED_V
            if abs(current) >= LEAST_A:
                resistance = (voltage - EMPTY_V - FULL_V * charge / 100.0) / current
        return {**said, "cell_resistance": resistance}

    def _values(self) -> dict[str, Value]:
        share = self.charge_j / self.capacity_j
        current = self.power_w / RATED_V
        resistance = OHM * (1.0 + 3.0 * self.severity["cell_resistance"])
        return {
            "execution": "INTERRUPTED" if self.alarm else "ACTIVE" if current else "READY",
            "alarm": self.alarm,
            "charge": 100.0 * share,
            "setpoint": self.setpoint_kw,
            "temperature": self.temperature_c,
            "voltage": EMPTY_V + FULL_V * share + resistance * current,
            "power": self.power_w / 1000.0,
            "energy": self.energy_kwh,
            "sequence": self.sequence,
        }


MACHINE = Battery
