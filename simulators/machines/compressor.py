"""A screw compressor with a tank: loads and unloads between two pressures, and stops when nobody takes air."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from simulators.catalogs import others as catalog
from simulators.machine import SimulatedMachine, Value, Waveform
from simulators.physics.bearing import B6205
from simulators.physics.vibration import Defect, Sources

LOADED_W: Final = 11800.0
UNLOADED_SHARE: Final = 0.28
"""Power without load against full load: 20 to 40 % (Sustainable compressed air practice, dena)."""
DELIVERY_M3_H: Final = 105.0
TANK_M3: Final = 1.0
ON_BAR: Final = 6.8
OFF_BAR: Final = 7.6
AFTER_RUN_S: Final = 240.0
SHAFT_HZ: Final = 29.4


class Compressor(SimulatedMachine):
    """Keeps the air network between two pressures. `demand_m3_h` is what the factory takes (free air)."""

    kind = "compressor"
    model = "SF-A11 screw compressor"
    signals = catalog.COMPRESSOR
    modes = catalog.COMPRESSOR_MODES
    protection = catalog.COMPRESSOR_TRIPS
    sensors = ("motor",)
    data_sheet: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "motor": {"rpm": SHAFT_HZ * 60.0, "bearings": [B6205.data_sheet()]}
    }

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        self.demand_m3_h = 28.0
        self.pressure_bar = 7.2
        self.state = "unloaded"
        self.load_cycles = 0
        self.flow_m3_h = 0.0
        self.outlet_c = self.ambient_c
        self._idle_s = 0.0

    def _advance(self, dt: float) -> None:
        left, joule = dt, 0.0
        while left > 1e-9:
            piece = min(left, 1.0)
            joule += self._pump(piece) * piece
            left -= piece
        self.add_energy(joule / dt, dt)

    def _pump(self, piece: float) -> float:
        """Let `piece` seconds pass; return the electric power in W."""
        taken = self.demand_m3_h + 55.0 * self.severity["air_leak"]
        clogged = self.severity["intake_filter"]
        given = DELIVERY_M3_H * (1.0 - 0.6 * clogged) if self.state == "loaded" else 0.0
        # isothermal tank: V·dp/dt = p0·(Q_in − Q_out), p0 = 1.013 bar
        self.pressure_bar = max(0.0, self.pressure_bar + 1.013 * (given - taken) / 3600.0 / TANK_M3 * piece)
        self.flow_m3_h = taken
        if self.alarm:
            self.state = "stopped"
        elif self.pressure_bar <= ON_BAR and self.state != "loaded":
            self.state, self._idle_s = "loaded", 0.0
            self.load_cycles += 1
        elif self.pressure_bar >= OFF_BAR and self.state == "loaded":
            self.state, self._idle_s = "unloaded", 0.0
        if self.state == "unloaded":
            self._idle_s += piece
            if self._idle_s > AFTER_RUN_S:
                self.state = "stopped"
        share = {"loaded": 1.0 + 0.12 * clogged, "unloaded": UNLOADED_SHARE, "stopped": 0.012}[self.state]
        heat = {"loaded": 58.0 + 65.0 * clogged, "unloaded": 30.0, "stopped": 0.0}[self.state]
        self.outlet_c += (self.ambient_c + heat - self.outlet_c) * (1.0 - math.exp(-piece / 180.0))
        return LOADED_W * share

    def _sources(self) -> Sources:
        if self.state == "stopped":
            return Sources(floor=0.02)
        sources = Sources(shaft_hz=SHAFT_HZ, orders={1.0: 0.35, 2.0: 0.12}, tones={SHAFT_HZ * 4.0: 0.9}, floor=0.4)
        damage = self.severity["motor_bearing"]
        if damage > 0.0:
            sources.defects.append(Defect(B6205, "outer", 60.0 * damage))
            sources.orders[1.0] += 3.2 * damage
        return sources

    def waveform(self, sensor: str, samples: int, rate_hz: float = 25600.0) -> Waveform:
        """Return a block of acceleration (m/s²) of the sensor `motor`."""
        if sensor != "motor":
            raise KeyError(f"{self.id} has no vibration sensor {sensor!r}; have: motor")
        return self._sources().block(samples, rate_hz, self._block_rng())

    def set_reset(self, _value: Value) -> None:
        """Take an alarm away and start again."""
        self._reset()

    def _values(self) -> dict[str, Value]:
        return {
            "execution": "INTERRUPTED" if self.alarm else "READY" if self.state == "stopped" else "ACTIVE",
            "alarm": self.alarm,
            "pressure": self.pressure_bar,
            "flow": self.flow_m3_h,
            "outlet_temperature": self.outlet_c,
            "load_cycles": self.load_cycles,
            "vibration_velocity": self._sources().velocity_mm_s(),
            "power": self.power_w / 1000.0,
            "energy": self.energy_kwh,
            "sequence": self.sequence,
        }


MACHINE = Compressor
