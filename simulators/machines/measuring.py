"""A coordinate measuring station: what it finds is the truth plus its own uncertainty, and its verdict sorts parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from simulators.catalogs import others as catalog
from simulators.machine import SimulatedMachine, Value
from simulators.production.part import Part

SECONDS: Final = 24.0
UNCERTAINTY_UM: Final = 1.5
"""Standard deviation of a length, µm: a shop-floor machine of about 1.5 + L/300 µm (ISO 10360-2)."""
ROUGHNESS_UM: Final = 1.6
DEPTH_UM: Final = 60.0


class Measuring(SimulatedMachine):
    """Measures one part at a time: size, depth and roughness of its last operation, against its tolerance."""

    kind = "measuring"
    model = "SF-M700 measuring station"
    signals = catalog.MEASURING
    modes = catalog.MEASURING_MODES
    protection = catalog.MEASURING_TRIPS

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        self.part: Part | None = None
        self.part_done = False
        self.tolerance_um = 30.0
        self.results = {"size": 0.0, "depth": 0.0, "roughness": 0.0}
        self.verdict = ""
        self.measured_count = 0
        self.scrap_count = 0
        self._left_s = 0.0

    def load(self, part: Part, tolerance_um: float) -> None:
        """Take a part; it is measured against ± `tolerance_um`."""
        self.part, self.part_done, self.tolerance_um, self._left_s = part, False, tolerance_um, SECONDS

    @property
    def is_busy(self) -> bool:
        """Whether it is measuring."""
        return self.part is not None and not self.part_done and not self.alarm

    def _advance(self, dt: float) -> None:
        busy = self.is_busy
        if busy:
            self._left_s -= dt
            if self._left_s <= 0.0:
                self._judge()
        self.add_energy(850.0 if busy else 420.0, dt)

    def _judge(self) -> None:
        part = self.part
        if part is None or not part.operations:
            self.part_done = True
            return
        last = part.operations[-1]
        spread = UNCERTAINTY_UM * (1.0 + 6.0 * self.severity["air_bearing"])
        noise = self.rng.standard_normal(3)
        self.results = {
            "size": round(last.size_um + spread * float(noise[0]), 2),
            "depth": round(last.depth_um + spread * float(noise[1]), 2),
            "roughness": round(max(0.05, last.roughness_um + 0.02 * float(noise[2])), 3),
        }
        good = abs(self.results["size"]) <= self.tolerance_um and abs(self.results["depth"]) <= DEPTH_UM
        good = good and self.results["roughness"] <= ROUGHNESS_UM
        self.verdict = part.quality = "good" if good else "scrap"
        self.measured_count += 1
        self.scrap_count += not good
        self.part_done = True
        self.record("part_measured", serial=part.serial, verdict=self.verdict, **self.results)

    def _reset(self) -> None:
        """Measure the part in the station anew."""
        super()._reset()
        self._left_s = SECONDS

    def set_reset(self, _value: Value) -> None:
        """Take an alarm away; the part in the station is measured anew."""
        self._reset()

    def _values(self) -> dict[str, Value]:
        return {
            "execution": "INTERRUPTED" if self.alarm else "ACTIVE" if self.is_busy else "READY",
            "alarm": self.alarm,
            "part": self.part.serial if self.part else "",
            "size_deviation": self.results["size"],
            "depth_deviation": self.results["depth"],
            "roughness": self.results["roughness"],
            "verdict": self.verdict,
            "measured_count": self.measured_count,
            "scrap_count": self.scrap_count,
            "room_temperature": self.ambient_c - 1.5,
            "air_pressure": 6.0 - 2.2 * self.severity["air_bearing"],
            "power": self.power_w / 1000.0,
            "energy": self.energy_kwh,
            "sequence": self.sequence,
        }


MACHINE = Measuring
