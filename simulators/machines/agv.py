"""An automated guided vehicle: rolling resistance and inertia against a battery, trips between places."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.catalogs import others as catalog
from simulators.machine import Refused, SimulatedMachine, Value

MASS_KG: Final = 320.0
ROLLING: Final = 0.015
"""Rolling resistance of polyurethane on concrete, 0.01 to 0.02 (Dubbel, conveying)."""
CAPACITY_WH: Final = 4800.0
CHARGER_W: Final = 2400.0
CHARGE_BELOW: Final = 25.0
_EFFICIENCY: Final = 0.8
_SPEED_M_S: Final = 1.4
_ACCELERATION: Final = 0.5
_IDLE_W: Final = 55.0
DOCK: Final = (0.0, 0.0)


@dataclass(slots=True)
class Trip:
    """Fetch something of `load_kg` at one place (m) and bring it to another."""

    name: str
    source: tuple[float, float]
    target: tuple[float, float]
    load_kg: float
    on_arrival: Callable[[], None] = field(default=lambda: None)


class Agv(SimulatedMachine):
    """A vehicle that charges at its dock when it is low. Its grid power is the charger's."""

    kind = "agv"
    model = "SF-V500 vehicle"
    signals = catalog.AGV
    modes = catalog.AGV_MODES
    protection = catalog.AGV_TRIPS

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        self.endless = True
        self.trip: Trip | None = None
        self.position = DOCK
        self.speed = 0.0
        self.load_kg = 0.0
        self.trips = 0
        self.charge_wh = 0.8 * CAPACITY_WH
        self.charging = False
        self.current_a = 0.0
        self.motor_c = self.ambient_c
        self._stops: list[tuple[float, float]] = []
        self._handling_s = 0.0

    def assign(self, trip: Trip) -> None:
        """Give the vehicle a trip; raise Refused while it has one or is charging."""
        if not self.is_free:
            raise Refused(f"{self.id} is busy: {self.trip.name if self.trip else 'charging'}")
        self.trip = trip
        self._stops = [trip.source, trip.target]

    @property
    def is_free(self) -> bool:
        """Whether it takes a trip."""
        return self.trip is None and not self.charging and not self.alarm

    def _advance(self, dt: float) -> None:
        if self.endless and self.is_free and self.charge_wh > CHARGE_BELOW / 100.0 * CAPACITY_WH:
            self.assign(Trip("round", (20.0, 5.0), (40.0, 15.0), 60.0))
        left = dt
        drawn_j = 0.0
        while left > 1e-9:
            piece = min(left, 0.5)
            drawn_j += self._drive(piece) * piece
            self.at_s += piece
            left -= piece
        self._supply(dt, drawn_j / dt)

    def _drive(self, piece: float) -> float:
        """Move for `piece` seconds; return the power drawn from the battery, W."""
        target = self._stops[0] if self._stops else (DOCK if not self.is_free or self._low else self.position)
        if self.alarm:
            target = self.position
        elif self._handling_s > 0.0:
            self._handling_s -= piece
            target = self.position
        way = math.dist(self.position, target)
        wanted = min(_SPEED_M_S, math.sqrt(2.0 * _ACCELERATION * way)) if way > 1e-6 else 0.0
        change = max(-_ACCELERATION * piece, min(_ACCELERATION * piece, wanted - self.speed))
        before, self.speed = self.speed, min(self.speed + change, way / piece)
        if way > 1e-6:
            share = min(1.0, self.speed * piece / way)
            (x, y), (u, v) = self.position, target
            self.position = (x + (u - x) * share, y + (v - y) * share)
        mass = MASS_KG + self.load_kg
        resistance = ROLLING * (1.0 + 3.0 * self.severity["wheel_bearing"]) * mass * 9.81 if self.speed > 0.0 else 0.0
        force = resistance + mass * (self.speed - before) / piece
        mechanical = max(0.0, force * 0.5 * (self.speed + before))
        if self._stops and math.dist(self.position, self._stops[0]) < 0.01 and self._handling_s <= 0.0:
            self._arrive()
        self.current_a = mechanical / _EFFICIENCY / 48.0
        return mechanical / _EFFICIENCY + _IDLE_W

    def _arrive(self) -> None:
        self._stops.pop(0)
        self._handling_s = 8.0
        trip = self.trip
        if trip is None:
            return
        if self._stops:
            self.load_kg = trip.load_kg
            return
        self.load_kg, self.trip = 0.0, None
        self.trips += 1
        self.record("trip_done", trip=trip.name, load_kg=trip.load_kg)
        trip.on_arrival()

    @property
    def _low(self) -> bool:
        return self.charge_wh < CHARGE_BELOW / 100.0 * CAPACITY_WH

    def _supply(self, dt: float, drawn_w: float) -> None:
        at_dock = math.dist(self.position, DOCK) < 0.05
        if self.trip is None and at_dock and self.charge_wh < 0.9 * CAPACITY_WH:
            self.charging = self.charging or self._low
        if self.charge_wh >= 0.95 * CAPACITY_WH:
            self.charging = False
        charger = CHARGER_W if self.charging else 0.0
        capacity_lost = 1.0 + 0.5 * self.severity["battery_aging"]
        self.charge_wh += (0.92 * charger - drawn_w * capacity_lost) * dt / 3600.0
        self.charge_wh = max(0.0, min(CAPACITY_WH, self.charge_wh))
        if self.charge_wh <= 0.0 and not self.alarm:
            self.raise_alarm(catalog.EMPTY)
        target = self.ambient_c + 0.05 * max(0.0, drawn_w - _IDLE_W) * (1.0 + self.severity["wheel_bearing"])
        self.motor_c = target + (self.motor_c - target) * math.exp(-dt / 900.0)
        self.add_energy(charger, dt)

    def _measured(self) -> Mapping[str, Value | None]:
        """Add the battery's resistance (Ω), as its management reckons it from the sag under load."""
        said = self.read()
        charge, volt, ampere = (said[name] for name in ("battery_charge", "battery_voltage", "motor_current"))
        if not (isinstance(charge, float) and isinstance(volt, float) and isinstance(ampere, float) and ampere > 3.0):
            return said
        return {**said, "battery_resistance": (46.0 + 0.06 * charge - volt) / ampere}

    def _reset(self) -> None:
        """Go on; a battery that ran empty is replaced by a charged one."""
        empty = self.alarm == catalog.EMPTY
        super()._reset()
        if empty:
            self.charge_wh = 0.9 * CAPACITY_WH

    def set_reset(self, _value: Value) -> None:
        """Take an alarm away and go on; a battery that ran empty is replaced by a charged one."""
        self._reset()

    def set_charge(self, _value: Value) -> None:
        """Send the vehicle to its charger."""
        if self.trip is not None:
            raise Refused(f"{self.id} carries {self.trip.name}: wait for its end")
        if math.dist(self.position, DOCK) > 0.05:
            raise Refused(f"{self.id} is not at its dock")
        self.charging = True

    def _values(self) -> dict[str, Value]:
        share = self.charge_wh / CAPACITY_WH
        sag = 0.02 * self.current_a * (1.0 + 4.0 * self.severity["battery_aging"])
        return {
            "execution": "INTERRUPTED" if self.alarm else "ACTIVE" if self.trip else "READY",
            "alarm": self.alarm,
            "x_position": self.position[0],
            "y_position": self.position[1],
            "speed": self.speed,
            "load": self.load_kg,
            "task": self.trip.name if self.trip else ("charging" if self.charging else ""),
            "trips": self.trips,
            "motor_current": self.current_a,
            "motor_temperature": self.motor_c,
            "battery_charge": 100.0 * share,
            "battery_voltage": 46.0 + 6.0 * share - sag,
            "charging": self.charging,
            "power": self.power_w / 1000.0,
            "energy": self.energy_kwh,
            "sequence": self.sequence,
        }


MACHINE = Agv
