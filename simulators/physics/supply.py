"""What a machine tool needs beside its axes: coolant, hydraulics, lubrication, and its standing power."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Coolant:
    """Coolant pump, filter and tank. Pressure in bar, flow in l/min, level in % of the tank."""

    nominal_bar: float = 20.0
    nominal_l_min: float = 40.0
    efficiency: float = 0.55
    tank_l: float = 200.0
    on: bool = False
    level_percent: float = 92.0
    pressure_bar: float = 0.0
    flow_l_min: float = 0.0
    power_w: float = 0.0

    def step(self, dt: float, clogged: float, ripple: float) -> None:
        """Let `dt` pass; `clogged` 0 to 1 is how far the suction filter is shut, `ripple` a relative disturbance.

        The nozzle passes Q ∝ √p; a pump that sucks through a clogged filter gives less of both. Hydraulic power p·Q/η
        (Dubbel, displacement pumps), with a share of slip and friction that does not fall with the flow.
        """
        share = 1.0 - 0.65 * clogged if self.on else 0.0
        target = self.nominal_l_min * share
        self.flow_l_min += (target - self.flow_l_min) * (1.0 - math.exp(-dt / 0.8))
        relative = self.flow_l_min / self.nominal_l_min
        self.pressure_bar = self.nominal_bar * relative**2 * (1.0 + ripple)
        hydraulic = self.pressure_bar * 1e5 * self.flow_l_min / 60000.0
        self.power_w = (hydraulic / self.efficiency + 350.0) if self.on else 0.0
        self.level_percent = max(0.0, self.level_percent - 100.0 * 0.6 / 3600.0 * relative * dt / self.tank_l)

    def fill(self) -> None:
        """Fill the tank."""
        self.level_percent = 92.0


@dataclass(slots=True)
class Hydraulics:
    """Clamping hydraulics with an accumulator that a pump fills between two pressures. Pressure in bar."""

    low_bar: float = 52.0
    high_bar: float = 62.0
    pump_w: float = 1100.0
    pressure_bar: float = 60.0
    pumping: bool = False
    power_w: float = 0.0

    def step(self, dt: float, leak: float, clamping: bool) -> None:
        """Let `dt` pass; `leak` 0 to 1 speeds the loss of pressure, clamping takes oil.

        A hysteresis switches the pump, which cannot hold the pressure against a complete leak.
        """
        loss = 0.06 + 3.2 * leak + (1.5 if clamping else 0.0)
        if self.pressure_bar <= self.low_bar:
            self.pumping = True
        elif self.pressure_bar >= self.high_bar:
            self.pumping = False
        gain = 2.5 if self.pumping else 0.0
        self.pressure_bar = max(0.0, min(self.high_bar + 1.0, self.pressure_bar + (gain - loss) * dt))
        self.power_w = self.pump_w if self.pumping else 60.0


@dataclass(slots=True)
class Lubrication:
    """Central lubrication: a pulse every few minutes. Pressure in bar."""

    period_s: float = 240.0
    pulse_s: float = 6.0
    nominal_bar: float = 28.0
    pressure_bar: float = 0.0
    _since_s: float = 0.0

    def step(self, dt: float, blocked: float) -> None:
        """Let `dt` pass; `blocked` 0 to 1: a shut distributor lets the pressure rise, yet no oil reaches the guides."""
        self._since_s = (self._since_s + dt) % self.period_s
        target = self.nominal_bar * (1.0 + 0.5 * blocked) if self._since_s < self.pulse_s else 0.5
        self.pressure_bar += (target - self.pressure_bar) * (1.0 - math.exp(-dt / (1.0 if target > 1.0 else 15.0)))
