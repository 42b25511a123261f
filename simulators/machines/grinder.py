"""A cylindrical grinder: power is chip volume times specific energy; a dull wheel burns more and is dressed."""

from __future__ import annotations

import math
from typing import Final

from simulators.catalogs.machinetool import GRINDER_MODES, GRINDER_TRIPS
from simulators.machines._machinetool import MachineTool
from simulators.physics.cutting import NO_CUT, WEAR_LIMIT_MM, Cut, Tool
from simulators.physics.program import Block
from simulators.physics.spindle import SpindleData

SPECIFIC_J_MM3: Final = 40.0
"""Specific grinding energy of steel with a sharp wheel, J/mm³: 20 to 60 (Malkin and Guo, Grinding Technology)."""
WHEEL_MM: Final = 400.0
LIFE_MM3: Final = 60_000.0
"""Volume that a wheel of this size takes off before it is dressed, mm³."""


class Grinder(MachineTool):
    """A grinder for shafts. A block's `width_mm` is the ground diameter, `depth_mm` the infeed."""

    kind = "grinder"
    modes = GRINDER_MODES
    protection = GRINDER_TRIPS
    model = "SF-G300 cylindrical grinder"
    default_part = "ground_shaft"
    spindle_data = SpindleData(
        rated_w=11000.0,
        base_rpm=1500.0,
        top_rpm=2200.0,
        inertia_kg_m2=0.9,
        rotor_kg=60.0,
        no_load_w=420.0,
        ramp_rpm_s=300.0,
    )
    tool_set = (Tool(3, "wheel 400", WHEEL_MM, 24, corner_mm=4.0, stiffness_n_um=40.0, runout_um=1.0),)

    def _cut(self, block: Block, rpm: float, feed_mm_min: float) -> Cut:
        """Return P = e_c·Q_w with Q_w = π·d·a·v_f (traverse grinding), tangential force F = P/v_s."""
        if rpm < 1.0:
            return NO_CUT
        chips = math.pi * block.width_mm * block.depth_mm * feed_mm_min / 60.0
        power = SPECIFIC_J_MM3 * chips
        force = power / (math.pi * WHEEL_MM / 1000.0 * rpm / 60.0)
        return Cut(power, power / (rpm * math.pi / 30.0), force, 0.05 * force, chips, 0.002)

    def wear_mm(self, tool: int) -> float:
        """Return the dullness of the wheel on the scale of flank wear: 0.3 mm when it must be dressed."""
        return WEAR_LIMIT_MM * (0.5 * min(self.life[tool], 1.5) + 2.5 * self.severity["tool_flank_wear"])

    def _edge_um(self, wear_mm: float) -> float:
        """Return the radial wear of the wheel, µm: some 4 µm between two dressings."""
        return 4.0 * wear_mm / (0.5 * WEAR_LIMIT_MM)

    def _start_cycle(self) -> None:
        if self.life[self.tool] >= 1.0:
            self.record("wheel_dressed", life=round(self.life[self.tool], 4))
            self.life[self.tool] = 0.0
        super()._start_cycle()

    def _tool_life_min(self, tool: Tool, block: Block) -> float:
        del tool, block
        return LIFE_MM3 / max(self.cut.chips_mm3_s, 1e-9) / 60.0


MACHINE = Grinder
