"""A three-axis milling center: Kienzle forces, tool wear, a motor spindle that warms and grows."""

from __future__ import annotations

from simulators.machines._machinetool import MachineTool
from simulators.physics.cutting import C45, Cut, Tool, sharp_cut
from simulators.physics.program import Block


class Cnc(MachineTool):
    """A milling center that makes housings or covers of C45 with a face mill, an end mill and a finishing mill."""

    kind = "cnc"
    model = "SF-500 milling center"
    tool_set = (
        Tool(1, "face mill 63", 63.0, 5, entering_deg=45.0, stiffness_n_um=60.0, taylor_c=520.0, runout_um=6.0),
        Tool(2, "end mill 12", 12.0, 4, corner_mm=0.5, stiffness_n_um=25.0, taylor_c=440.0),
        Tool(3, "finishing mill 10", 10.0, 4, corner_mm=0.4, stiffness_n_um=18.0, taylor_c=480.0, runout_um=3.0),
    )

    def _cut(self, block: Block, rpm: float, feed_mm_min: float) -> Cut:
        # rounded, so that the cache of cuts serves every step of a block
        tool = self.tools[self.tool]
        return sharp_cut(C45, tool, round(rpm), round(feed_mm_min, 1), depth_mm=block.depth_mm, width_mm=block.width_mm)


MACHINE = Cnc
