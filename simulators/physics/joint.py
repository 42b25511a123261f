"""Joints of a six-axis arm: torques of a moving load, friction of the reducers, heat, tracking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

GRAVITY: Final = 9.81


@dataclass(frozen=True, slots=True)
class JointData:
    """A joint.

    Gear ratio, motor constant (N·m/A), limits (°, °/s), friction at the joint (N·m, N·m·s/rad), heat (J/K, W/K).

    `gear` is rv (main axes) or harmonic (wrist); `stiffness` in N·m/rad behind the encoder.
    """

    name: str
    gear: Literal["rv", "harmonic"]
    ratio: float
    torque_nm_a: float
    speed_deg_s: float
    coulomb_nm: float
    viscous_nm_s: float
    stiffness_nm_rad: float
    rotor_kg_m2: float
    capacity_j_k: float
    to_ambient_w_k: float
    rated_a: float
    resistance_ohm: float


@dataclass(frozen=True, slots=True)
class ArmData:
    """Links: upper arm and forearm (m, kg with half-way centers), wrist (kg), tool flange (m)."""

    upper_m: float = 0.60
    upper_kg: float = 18.0
    fore_m: float = 0.62
    fore_kg: float = 12.0
    wrist_kg: float = 6.0
    flange_m: float = 0.15


JOINTS: Final = (
    JointData("1", "rv", 121.0, 0.45, 180.0, 12.0, 9.0, 2.6e5, 6.0e-4, 9000.0, 3.2, 9.0, 0.6),
    JointData("2", "rv", 121.0, 0.45, 160.0, 12.0, 9.0, 2.6e5, 6.0e-4, 9000.0, 3.2, 9.0, 0.6),
    JointData("3", "rv", 101.0, 0.35, 180.0, 8.0, 6.0, 1.4e5, 4.0e-4, 7000.0, 2.6, 7.0, 0.8),
    JointData("4", "harmonic", 100.0, 0.15, 250.0, 3.0, 1.6, 2.5e4, 8.0e-5, 3000.0, 1.4, 3.5, 1.6),
    JointData("5", "harmonic", 100.0, 0.15, 250.0, 3.0, 1.6, 2.5e4, 8.0e-5, 3000.0, 1.4, 3.5, 1.6),
    JointData("6", "harmonic", 80.0, 0.12, 360.0, 2.0, 1.0, 1.6e4, 5.0e-5, 2500.0, 1.2, 3.0, 1.8),
)
"""A 12 kg arm: orders of magnitude of the data sheets of RV-N and CSG reducers and of its class of robots."""


def gravity_nm(arm: ArmData, q: list[float], payload_kg: float) -> tuple[float, float, float]:
    """Return the static torques of joints 2, 3 and 5 in N·m; angles in rad, q2 from the horizontal, q3 and q5 relative.

    Planar chain of the arm's vertical plane (Siciliano, Robotics, ch. 7): τ3 = (m3·l/2 + m·l)·g·cos(q2 + q3) and so on.
    """
    end = arm.wrist_kg + payload_kg
    wrist = (0.5 * arm.wrist_kg + payload_kg) * arm.flange_m * GRAVITY * math.cos(q[1] + q[2] + q[4])
    fore = (0.5 * arm.fore_kg + end) * arm.fore_m * GRAVITY * math.cos(q[1] + q[2])
    upper = (0.5 * arm.upper_kg + arm.fore_kg + end) * arm.upper_m * GRAVITY * math.cos(q[1])
    return upper + fore + wrist, fore + wrist, wrist


def inertia_kg_m2(arm: ArmData, q: list[float], payload_kg: float) -> tuple[float, float, float, float]:
    """Return the inertia about joints 1, 2, 3 and the wrist in kg·m², without the rotors (point masses)."""
    end = arm.wrist_kg + payload_kg
    reach = arm.upper_m * math.cos(q[1]) + arm.fore_m * math.cos(q[1] + q[2])
    elbow = arm.upper_m * math.cos(q[1])
    first = arm.upper_kg / 3.0 * elbow**2 + arm.fore_kg * (0.5 * (elbow + reach)) ** 2 + end * reach**2
    square = arm.upper_m**2 + arm.fore_m**2 + 2.0 * arm.upper_m * arm.fore_m * math.cos(q[2])
    second = arm.upper_kg / 3.0 * arm.upper_m**2 + arm.fore_kg * (arm.upper_m**2 + 0.25 * arm.fore_m**2) + end * square
    third = (arm.fore_kg / 3.0 + end) * arm.fore_m**2
    wrist = (arm.wrist_kg / 3.0 + payload_kg) * arm.flange_m**2 + 0.02
    return first, second, third, wrist


def friction_nm(joint: JointData, speed_rad_s: float, temperature_c: float, load_nm: float) -> float:
    """Return the friction of a joint in N·m, against the motion.

    Dry part that grows with the load, viscous part that falls as the grease warms: Bittencourt and Gunnarsson,
    Static friction in a robot joint, ASME J. Dyn. Sys. Meas. Control 134 (2012).
    """
    dry = joint.coulomb_nm + 0.03 * abs(load_nm)
    viscous = joint.viscous_nm_s * math.exp(-0.025 * (temperature_c - 30.0))
    return dry * math.tanh(speed_rad_s / 0.01) + viscous * speed_rad_s


def smooth(share: float) -> tuple[float, float, float]:
    """Return way, speed and acceleration of a rest-to-rest move at `share` of its time (fifth-degree polynomial).

    s = 10τ³ − 15τ⁴ + 6τ⁵ (Biagiotti and Melchiorri, Trajectory Planning, ch. 2.1); the speed peaks at 1.875.
    """
    t = min(max(share, 0.0), 1.0)
    return (
        t * t * t * (10.0 - 15.0 * t + 6.0 * t * t),
        30.0 * t * t * (1.0 - 2.0 * t + t * t),
        60.0 * t * (1.0 - 3.0 * t + 2.0 * t * t),
    )
