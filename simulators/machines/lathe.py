"""A lathe: the workpiece turns, the force is Kienzle's of turning, shafts come from blanks of bar stock."""

from __future__ import annotations

import math

from simulators.catalogs.machinetool import LATHE_MODES, LATHE_TRIPS
from simulators.machines._machinetool import MachineTool
from simulators.physics.cutting import C45, NO_CUT, Cut, Tool, tool_life_min, turning_force
from simulators.physics.program import Block


class Lathe(MachineTool):
    """A turning center.

    A block's `width_mm` is the diameter that is turned, its feed per turn comes from feed and speed.
    """

    kind = "lathe"
    modes = LATHE_MODES
    protection = LATHE_TRIPS
    model = "SF-T200 turning center"
    default_part = "shaft"
    tool_set = (
        Tool(1, "roughing insert CNMG", 40.0, 1, corner_mm=0.8, entering_deg=95.0, stiffness_n_um=60.0, taylor_c=560.0,
             feed_ref_mm=0.25, runout_um=0.0),
        Tool(2, "roughing insert DNMG", 40.0, 1, corner_mm=0.8, entering_deg=93.0, stiffness_n_um=50.0, taylor_c=540.0,
             feed_ref_mm=0.25, runout_um=0.0),
        Tool(3, "finishing insert VNMG", 40.0, 1, corner_mm=0.4, entering_deg=93.0, stiffness_n_um=40.0, taylor_c=560.0,
             feed_ref_mm=0.12, runout_um=0.0),
    )  # fmt: skip

    def _cut(self, block: Block, rpm: float, feed_mm_min: float) -> Cut:
        """Return F_c = b·h·k_c (Kienzle), P = F_c·v_c, M = F_c·d/2."""
        if rpm < 1.0:
            return NO_CUT
        feed, diameter = feed_mm_min / rpm, block.width_mm
        force = turning_force(C45, block.depth_mm, feed, self.tools[self.tool].entering_deg)
        speed = math.pi * diameter / 1000.0 * rpm / 60.0
        chips = block.depth_mm * feed * math.pi * diameter * rpm / 60.0
        # what shakes a lathe is the change of a steady force, about a tenth of it
        return Cut(force * speed, force * diameter / 2000.0, force, 0.1 * force, chips, feed)

    def _tool_life_min(self, tool: Tool, block: Block) -> float:
        speed = math.pi * block.width_mm * self.spindle.rpm / 1000.0
        return tool_life_min(tool, speed, self.feed_mm_min / max(self.spindle.rpm, 1e-9))


MACHINE = Lathe
