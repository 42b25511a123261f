"""A motor spindle: drive, inertia, bearings with friction and preload, balance, drawbar."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from simulators.physics.bearing import B7010, B7014, Bearing, oil_viscosity


@dataclass(frozen=True, slots=True)
class SpindleData:
    """Rated power (W, S1), base speed and top speed (rpm), inertia (kg·m²), rotor (kg), efficiency, ramp (rpm/s)."""

    rated_w: float = 15000.0
    base_rpm: float = 1500.0
    top_rpm: float = 12000.0
    inertia_kg_m2: float = 0.018
    rotor_kg: float = 32.0
    efficiency: float = 0.90
    no_load_w: float = 140.0
    ramp_rpm_s: float = 4500.0
    preload_n: float = 600.0
    front: Bearing = B7014
    rear: Bearing = B7010
    balance_mm_s: float = 2.5
    mobility_mm_s_n: float = 0.0077

    def torque_limit_nm(self, rpm: float) -> float:
        """Return the S1 torque: constant below the base speed, constant power above it."""
        return self.rated_w / (max(rpm, self.base_rpm) * math.pi / 30.0)


@dataclass(slots=True)
class Spindle:
    """The state of a spindle. Speeds in rpm, torques in N·m, powers in W."""

    data: SpindleData = field(default_factory=SpindleData)
    rpm: float = 0.0
    target_rpm: float = 0.0
    torque_nm: float = 0.0
    electric_w: float = 0.0
    cutting_w: float = 0.0
    front_heat_w: float = 0.0
    rear_heat_w: float = 0.0
    motor_heat_w: float = 0.0
    inertia_w: float = 0.0
    idle_nm: float = 0.0
    """Torque of the bearings alone."""
    drawbar_kn: float = 18.0
    unclamp_s: float = 0.42

    def ramp_s(self, target_rpm: float) -> float:
        """Return how long a change of speed takes."""
        return abs(target_rpm - self.rpm) / self.data.ramp_rpm_s + 0.1

    def step(
        self, dt: float, cutting_nm: float, *, bearings_c: tuple[float, float], friction: tuple[float, float]
    ) -> None:
        """Let `dt` pass under a cutting torque; `friction` raises the torque of the front and rear bearings.

        Balance: electric = cutting + bearing friction + change of kinetic energy + motor loss, where the motor loss is
        (1/η − 1) of the shaft's power plus the no-load loss; a braking spindle gives its power back through the drive.
        """
        data = self.data
        before = self.rpm
        change = data.ramp_rpm_s * dt
        self.rpm += max(-change, min(change, self.target_rpm - self.rpm))
        mean = 0.5 * (before + self.rpm)
        omega = mean * math.pi / 30.0
        self.torque_nm, self.cutting_w = cutting_nm, cutting_nm * omega
        if mean <= 0.0:
            self.front_heat_w = self.rear_heat_w = self.motor_heat_w = self.inertia_w = self.electric_w = 0.0
            self.torque_nm = self.cutting_w = self.idle_nm = 0.0
            return
        front = 2.0 * data.front.friction_nm(mean, data.preload_n, oil_viscosity(bearings_c[0])) * friction[0]
        rear = 2.0 * data.rear.friction_nm(mean, data.preload_n, oil_viscosity(bearings_c[1])) * friction[1]
        kinetic = 0.5 * data.inertia_kg_m2 * (math.pi / 30.0) ** 2 * (self.rpm**2 - before**2) / dt
        self.front_heat_w, self.rear_heat_w, self.inertia_w = front * omega, rear * omega, kinetic
        shaft = self.cutting_w + self.front_heat_w + self.rear_heat_w + kinetic
        self.motor_heat_w = abs(shaft) * (1.0 / data.efficiency - 1.0) + data.no_load_w
        self.electric_w = shaft + self.motor_heat_w
        self.idle_nm = front + rear
        self.torque_nm = cutting_nm + self.idle_nm

    @property
    def load_percent(self) -> float:
        """Return the torque as a share of what the drive gives at this speed for ever (S1), %."""
        return 100.0 * self.torque_nm / self.data.torque_limit_nm(self.rpm)

    def unbalance_n(self, grade_mm_s: float) -> float:
        """Return the rotating force in N of balance grade G = e·ω (ISO 21940-11) fixed at top speed.

        F = m·e·ω², ∝ speed².
        """
        eccentricity_m = grade_mm_s / 1000.0 / (self.data.top_rpm * math.pi / 30.0)
        return self.data.rotor_kg * eccentricity_m * (self.rpm * math.pi / 30.0) ** 2

    def once_per_turn_m_s2(self, grade_mm_s: float) -> float:
        """Return the amplitude of acceleration at the shaft's frequency.

        F·Y·ω with a constant mobility Y of the head.
        """
        return self.unbalance_n(grade_mm_s) * self.data.mobility_mm_s_n / 1000.0 * self.rpm * math.pi / 30.0
