"""Rolling bearings: characteristic frequencies and friction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

Element = Literal["outer", "inner", "ball", "cage"]


@dataclass(frozen=True, slots=True)
class Bearing:
    """A ball bearing: number of balls, ball and pitch diameter (mm), contact angle (°), friction factors f0, f1."""

    name: str
    balls: int
    ball_mm: float
    pitch_mm: float
    contact_deg: float = 0.0
    f0: float = 2.0
    f1: float = 0.0005

    @property
    def ratio(self) -> float:
        """Return r = d/D·cos φ."""
        return self.ball_mm / self.pitch_mm * math.cos(math.radians(self.contact_deg))

    def cage(self) -> float:
        """Return the cage's frequency (FTF) per shaft turn: (1 − r)/2."""
        return 0.5 * (1.0 - self.ratio)

    def outer(self) -> float:
        """Return the outer race's pass frequency (BPFO) per shaft turn: n/2·(1 − r)."""
        return 0.5 * self.balls * (1.0 - self.ratio)

    def inner(self) -> float:
        """Return the inner race's pass frequency (BPFI) per shaft turn: n/2·(1 + r)."""
        return 0.5 * self.balls * (1.0 + self.ratio)

    def ball(self) -> float:
        """Return the spin frequency of a ball (BSF) per shaft turn: D/(2d)·(1 − r²). A defect shows at twice it."""
        return self.pitch_mm / (2.0 * self.ball_mm) * (1.0 - self.ratio**2)

    def order(self, element: Element) -> float:
        """Return the impacts per shaft turn of a defect on an element (Randall and Antoni, MSSP 25, 2011, eq. 1–4)."""
        if element == "outer":
            return self.outer()
        if element == "inner":
            return self.inner()
        return 2.0 * self.ball() if element == "ball" else self.cage()

    def data_sheet(self) -> dict[str, Any]:
        """Return what its maker prints: type and geometry."""
        printed = {"type": self.name, "balls": self.balls, "ball_mm": self.ball_mm, "pitch_mm": self.pitch_mm}
        return printed | ({"contact_deg": self.contact_deg} if self.contact_deg else {})

    def friction_nm(self, rpm: float, load_n: float, viscosity_mm2_s: float) -> float:
        """Return the friction torque in N·m (Palmgren 1959; Harris, Rolling Bearing Analysis, chapter 14).

        M0 = 1e-7·f0·(ν·n)^(2/3)·D³ N·mm for ν·n ≥ 2000 (else 160e-7·f0·D³), M1 = f1·P·D N·mm.
        """
        flow = viscosity_mm2_s * rpm
        viscous = flow ** (2.0 / 3.0) if flow >= 2000.0 else 160.0
        m0 = 1e-7 * self.f0 * viscous * self.pitch_mm**3
        return (m0 + self.f1 * load_n * self.pitch_mm) / 1000.0


B6205: Final = Bearing("6205-2RS", 9, 7.94, 39.04)
"""SKF 6205-2RS JEM, drive end of the Case Western test rig (0.3126 in, 1.537 in, 9 balls)."""

B7014: Final = Bearing("7014C", 19, 12.7, 90.0, 15.0, f0=1.7)
"""Angular contact bearing of a milling spindle, bore 70 mm (dimensions of the 70 series; typical ball set)."""

B7010: Final = Bearing("7010C", 19, 8.73, 65.0, 15.0, f0=1.7)
"""Angular contact bearing, bore 50 mm: rear of the spindle."""


def oil_viscosity(temperature_c: float, at_40_mm2_s: float = 22.0) -> float:
    """Return the viscosity in mm²/s of a spindle grease's base oil, ISO VG 22 at 40 °C.

    Exponential (Reynolds 1886) with 0.03/K, the mean slope of a VG 22 oil between 20 and 80 °C.
    """
    return at_40_mm2_s * math.exp(-0.03 * (temperature_c - 40.0))
