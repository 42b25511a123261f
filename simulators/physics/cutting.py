"""Metal cutting: forces, power, wear, roughness.

Symbols as in ISO 3002 and DIN 6580: v_c cutting speed (m/min), f_z feed per tooth (mm), a_p depth, a_e width of cut
(mm), h_m mean chip thickness (mm), k_c specific cutting force (N/mm²), VB flank wear land (mm).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

WEAR_LIMIT_MM: Final = 0.3
"""Flank wear VB at the end of tool life, mm (mean of the land; ISO 3685, ISO 8688-2)."""

_FORCE_PER_WEAR: Final = 1.33
_CLEARANCE: Final = math.tan(math.radians(7.0))


@dataclass(frozen=True, slots=True)
class Material:
    """A work material: k_c1.1 in N/mm², the exponent m_c of Kienzle, and density in kg/m³."""

    name: str
    kc11: float
    mc: float
    density: float = 7850.0


C45: Final = Material("C45", 2220.0, 0.14)
"""Ck45/AISI 1045: k_c1.1 = 2220 N/mm², m_c = 0.14 (Degner, Lutze, Smejkal: Spanende Formung; König, Essel.

Table of Ck45).
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """A milling cutter: diameter (mm), teeth, corner radius (mm), entering angle (°), stiffness at the tip (N/µm).

    `taylor_c` is the cutting speed (m/min) of one minute of life at `feed_ref` (mm), `taylor_n` the exponent of
    v_c·T^n = C.
    """

    number: int
    name: str
    diameter_mm: float
    teeth: int
    corner_mm: float = 0.8
    entering_deg: float = 90.0
    stiffness_n_um: float = 20.0
    taylor_c: float = 420.0
    taylor_n: float = 0.25
    feed_ref_mm: float = 0.1
    runout_um: float = 4.0


def specific_force(material: Material, chip_mm: float) -> float:
    """Return k_c in N/mm²: k_c = k_c1.1·h^(−m_c) (Kienzle and Victor, Stahl und Eisen 74, 1954; VDI 3323 practice)."""
    return float(material.kc11 * max(chip_mm, 1e-4) ** -material.mc)


def turning_force(material: Material, depth_mm: float, feed_mm: float, entering_deg: float = 90.0) -> float:
    """Return the main cutting force in N of turning: F_c = b·h·k_c, b = a_p/sin κ, h = f·sin κ (Kienzle)."""
    sine = math.sin(math.radians(entering_deg))
    chip = feed_mm * sine
    return depth_mm / sine * chip * specific_force(material, chip)


def engagement_deg(width_mm: float, diameter_mm: float) -> float:
    """Return the angle φ_s in ° over which a tooth cuts, side milling: cos φ_s = 1 − 2·a_e/D; a full slot is 180°."""
    return math.degrees(math.acos(max(-1.0, 1.0 - 2.0 * width_mm / diameter_mm)))


def mean_chip(width_mm: float, diameter_mm: float, feed_tooth_mm: float, entering_deg: float = 90.0) -> float:
    """Return h_m in mm: h_m = 360/(π·φ_s)·(a_e/D)·f_z·sin κ (DIN 6580 geometry; Tschätsch, chapter milling)."""
    angle = engagement_deg(width_mm, diameter_mm)
    return 360.0 / (math.pi * angle) * width_mm / diameter_mm * feed_tooth_mm * math.sin(math.radians(entering_deg))


@dataclass(frozen=True, slots=True)
class Cut:
    """What a milling cut asks for.

    Power (W), torque (N·m), mean tangential force (N), per tooth force (N), chips (mm³/s).
    """

    power_w: float
    torque_nm: float
    force_n: float
    tooth_force_n: float
    chips_mm3_s: float
    chip_mm: float


NO_CUT: Final = Cut(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@lru_cache(maxsize=4096)
def sharp_cut(
    material: Material, tool: Tool, rpm: float, feed_mm_min: float, *, depth_mm: float, width_mm: float
) -> Cut:
    """Return the cut of a sharp tool.

    P_c = a_p·a_e·v_f·k_c(h_m)/60 in W with mm and mm/min (the power formula of the tool makers: Sandvik Coromant,
    Mitsubishi Materials), torque M = P/ω, mean tangential force F = M/(D/2), force of one tooth k_c·a_p·h_m.
    """
    if rpm < 1.0 or feed_mm_min <= 0.0 or depth_mm <= 0.0 or width_mm <= 0.0:
        return NO_CUT
    chip = mean_chip(width_mm, tool.diameter_mm, feed_mm_min / (rpm * tool.teeth), tool.entering_deg)
    kc = specific_force(material, chip)
    power = depth_mm * width_mm * feed_mm_min * kc / 60.0 / 1000.0
    torque = power / (rpm * math.pi / 30.0)
    force = torque / (tool.diameter_mm / 2000.0)
    return Cut(power, torque, force, kc * depth_mm * chip, depth_mm * width_mm * feed_mm_min / 60.0, chip)


def wear_force_factor(wear_mm: float) -> float:
    """Return the factor on the cutting force of a worn edge: 1 at VB 0, 1.4 at VB 0.3 mm.

    Tschätsch gives 1.3 to 1.5 for a worn edge against a sharp one; linear in VB (Altintas, Manufacturing
    Automation, ch. 2.7).
    """
    return 1.0 + _FORCE_PER_WEAR * wear_mm


def tool_life_min(tool: Tool, speed_m_min: float, feed_tooth_mm: float) -> float:
    """Return the life in min to VB 0.3 mm: T = (C/v_c)^(1/n)·(f_ref/f_z)^0.6 (Taylor 1907, extended by feed)."""
    if speed_m_min <= 0.0 or feed_tooth_mm <= 0.0:
        return math.inf
    return float((tool.taylor_c / speed_m_min) ** (1.0 / tool.taylor_n) * (tool.feed_ref_mm / feed_tooth_mm) ** 0.6)


def flank_wear_mm(life: float) -> float:
    """Return VB in mm after the share `life` of the tool life: fast at first, even, then fast again.

    The three-part curve of ISO 3685 (annex): 25 % by running in, 55 % even, 20 % by the final rise; VB(1) = 0.3 mm.
    """
    return WEAR_LIMIT_MM * (0.25 * -math.expm1(-life / 0.05) + 0.55 * life + 0.2 * life**6)


def edge_recession_um(wear_mm: float) -> float:
    """Return in µm how far a flank land of VB sets the edge back, normal to the surface: VB·tan α, clearance α = 7°."""
    return wear_mm * _CLEARANCE * 1000.0


def roughness_um(
    feed_tooth_mm: float, corner_mm: float, wear_mm: float, vibration_um: float, floor_um: float = 0.3
) -> float:
    """Return Ra in µm: floor + kinematic f_z²/(8·r)/4 (Rz to Ra about 4 : 1), raised by wear, plus the vibration trace.

    Kinematic roughness: Rt = f²/(8·r) (Brammertz 1961, first term). A worn edge roughens up to 2.2 times at VB 0.3 mm.
    """
    kinematic = feed_tooth_mm**2 / (8.0 * corner_mm) * 1000.0 / 4.0
    return (floor_um + kinematic) * (1.0 + 4.0 * wear_mm) + 0.25 * vibration_um


def tooth_pass_hz(rpm: float, teeth: int) -> float:
    """Return the frequency in Hz at which teeth enter the cut: n·z/60."""
    return rpm * teeth / 60.0


def runout_share(runout_um: float, feed_tooth_mm: float, teeth: int) -> float:
    """Return the amplitude, as a share of the mean force, by which run-out modulates the force once per turn.

    A tooth that stands out by e cuts f_z + e − e' of its forerunner; for e on a circle the difference of two teeth is
    2·e·sin(π/z) (Kline and DeVor, Int. J. MTDR 23, 1983).
    """
    if feed_tooth_mm <= 0.0:
        return 0.0
    return min(1.0, 2.0 * runout_um / 1000.0 * math.sin(math.pi / max(teeth, 2)) / feed_tooth_mm)
