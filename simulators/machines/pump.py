"""A centrifugal pump of the central coolant supply: its curve meets that of the pipes, and its bearing can be heard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from simulators.catalogs.others import ALARM, ENERGY, EXECUTION, POWER, SEQUENCE
from simulators.fault import FaultMode
from simulators.machine import Signal, SimulatedMachine, Value, Waveform
from simulators.physics.bearing import B6205
from simulators.physics.vibration import Defect, Sources
from simulators.supervision import Trip

SHUT_OFF_BAR: Final = 4.2
CURVE: Final = 0.0025
"""Fall of the pump's curve p = p0 − k·Q², bar/(m³/h)²."""
STATIC_BAR: Final = 0.8
PIPES: Final = 0.006
"""Rise of the pipes' curve p = ps + r·Q², bar/(m³/h)²."""
EFFICIENCY: Final = 0.62
SHAFT_HZ: Final = 48.5
BLADES: Final = 6

FLOW: Final = "PUMP FLOW TOO LOW"
VIBRATION: Final = "PUMP VIBRATION TOO HIGH"


class Pump(SimulatedMachine):
    """Pumps without a pause until its controller stops it."""

    kind = "pump"
    model = "SF-P20 coolant pump"
    sensors = ("motor",)
    data_sheet: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "motor": {"rpm": SHAFT_HZ * 60.0, "bearings": [B6205.data_sheet()]}
    }
    signals = (
        EXECUTION,
        ALARM,
        Signal("pressure", "Pump/Pressure", "bar", low=0, high=6, deadband=0.01, noise=0.005),
        Signal("flow", "Pump/Flow", "m³/h", low=0, high=30, deadband=0.05, noise=0.02),
        Signal("vibration_velocity", "Motor/VibrationVelocity", "mm/s", low=0, high=20, deadband=0.01, noise=0.01),
        POWER,
        ENERGY,
        SEQUENCE,
    )
    modes = (
        FaultMode(
            "impeller_wear",
            0,
            "impeller",
            ("pressure", "flow", "power", "energy"),
            shape="linear",
            alarm=FLOW,
            does="Chips wear the impeller: less pressure, less flow, less power.",
        ),
        FaultMode(
            "pump_bearing",
            1,
            "pump bearing",
            ("vibration_velocity",),
            evidence="BPFO in the envelope",
            alarm=VIBRATION,
            does="The outer race of the pump's bearing pits: it rattles and shakes.",
        ),
    )
    protection = (Trip("flow", FLOW, low=12.0), Trip("vibration_velocity", VIBRATION, high=11.0))

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        self.flow_m3_h = 20.0
        self.pressure_bar = STATIC_BAR + PIPES * self.flow_m3_h**2

    def _advance(self, dt: float) -> None:
        if self.alarm:
            self.flow_m3_h, self.pressure_bar = 0.0, STATIC_BAR
            return
        # pressure goes with the square of what is left of the impeller (affinity law)
        shut_off_bar = SHUT_OFF_BAR * (1.0 - 0.45 * self.severity["impeller_wear"]) ** 2
        self.flow_m3_h = math.sqrt(max(0.0, shut_off_bar - STATIC_BAR) / (CURVE + PIPES))
        self.pressure_bar = STATIC_BAR + PIPES * self.flow_m3_h**2
        # 1 bar · 1 m³/h is 1/36 kW
        self.add_energy(self.pressure_bar * self.flow_m3_h / 36.0 / EFFICIENCY * 1000.0, dt)

    def _measured(self) -> Mapping[str, Value | None]:
        """Leave out the flow while the pump stands: then it says nothing of the pump."""
        return {**self.read(), "flow": None} if self.alarm else self.read()

    def _sources(self) -> Sources:
        if self.alarm:
            return Sources(floor=0.02)
        sources = Sources(shaft_hz=SHAFT_HZ, orders={1.0: 0.5}, tones={SHAFT_HZ * BLADES: 0.6}, floor=0.3)
        damage = self.severity["pump_bearing"]
        if damage > 0.0:
            sources.defects.append(Defect(B6205, "outer", 60.0 * damage))
            sources.orders[1.0] += 5.5 * damage
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
            "execution": "INTERRUPTED" if self.alarm else "ACTIVE",
            "alarm": self.alarm,
            "pressure": self.pressure_bar,
            "flow": self.flow_m3_h,
            "vibration_velocity": self._sources().velocity_mm_s(),
            "power": self.power_w / 1000.0,
            "energy": self.energy_kwh,
            "sequence": self.sequence,
        }


MACHINE = Pump
