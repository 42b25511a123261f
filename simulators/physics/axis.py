"""A feed axis: ball screw, servo motor, guides."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis with a ball screw.

    Mass (kg), screw lead (mm), position gain K_v (1/s), motor torque constant (N·m/A), screw efficiency, friction
    of the guides: Coulomb and breakaway (N), Stribeck speed (mm/s), viscous (N·s/m); weight carried by the motor
    (N); rated current (A).
    """

    name: str
    mass_kg: float
    lead_mm: float = 12.0
    gain_1_s: float = 50.0
    torque_nm_a: float = 1.2
    efficiency: float = 0.92
    coulomb_n: float = 220.0
    breakaway_n: float = 320.0
    stribeck_mm_s: float = 4.0
    viscous_n_s_m: float = 350.0
    weight_n: float = 0.0
    rated_a: float = 14.0
    inertia_kg_m2: float = 0.012

    def friction_n(self, speed_mm_s: float, factor: float = 1.0) -> float:
        """Return the friction of the guides in N, against the motion.

        F = F_C + (F_S − F_C)·exp(−(v/v_S)²) + B·v (Stribeck curve; Armstrong-Hélouvry, Automatica 30, 1994).
        `factor` raises the dry part (lubrication lost, preload).
        """
        if speed_mm_s == 0.0:
            return 0.0
        speed = abs(speed_mm_s)
        dry = self.coulomb_n + (self.breakaway_n - self.coulomb_n) * math.exp(-((speed / self.stribeck_mm_s) ** 2))
        return math.copysign(factor * dry + self.viscous_n_s_m * speed / 1000.0, speed_mm_s)

    def current_a(
        self, speed_mm_s: float, acceleration_mm_s2: float, load_n: float, friction_factor: float = 1.0
    ) -> float:
        """Return the servo current in A.

        Force at the nut F·h/(2π·η) as torque at the motor plus the rotating inertia (Weck and Brecher,
        Werkzeugmaschinen 3, chapter feed drives), divided by the torque constant. `load_n` acts against
        positive motion; the weight is added.
        """
        force = self.friction_n(speed_mm_s, friction_factor) + self.mass_kg * acceleration_mm_s2 / 1000.0
        force += load_n + self.weight_n
        torque = force * self.lead_mm / 1000.0 / (2.0 * math.pi * self.efficiency)
        torque += self.inertia_kg_m2 * acceleration_mm_s2 * 2.0 * math.pi / self.lead_mm
        return torque / self.torque_nm_a

    def following_um(self, speed_mm_s: float, disturbance_n: float = 0.0, stiffness_n_um: float = 120.0) -> float:
        """Return the following error in µm.

        V/K_v (Weck, Schleppabstand) less 90 % by feed-forward, plus force/stiffness.
        """
        return speed_mm_s / self.gain_1_s * 1000.0 * 0.1 + disturbance_n / stiffness_n_um

    def motor_loss_w(self, current_a: float, resistance_ohm: float = 0.9) -> float:
        """Return the copper loss of the motor in W: 3/2·I²·R per phase (amplitude)."""
        return 1.5 * current_a * current_a * resistance_ohm
