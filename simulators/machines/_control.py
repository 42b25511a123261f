"""The controller of a machine tool: NC blocks, overrides, tools, alarms, parts.

What the blocks do to iron is the subclass's.

Execution has MTConnect's words: READY, ACTIVE, FEED_HOLD, INTERRUPTED, PROGRAM_COMPLETED.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from simulators.machine import Refused, SimulatedMachine, Value, number
from simulators.physics.cutting import NO_CUT, Cut, Tool
from simulators.physics.program import PROGRAMS, RAPID_MM_S, Block, Motion, Program
from simulators.physics.spindle import Spindle, SpindleData
from simulators.physics.supply import Coolant
from simulators.production.part import Operation, Part

_IN_TOOL: Final = {
    2: ("tool_breakage", "chip_jam", "tool_flank_wear"),
    3: ("tool_holder_imbalance", "tool_flank_wear"),
}
"""The faults that sit in a tool."""


class ToolController(SimulatedMachine):
    """Runs an NC program on one part after the other.

    Without a factory around it (`endless`) it supplies itself with blanks; in a factory it waits for `part`.
    """

    spindle_data: ClassVar[SpindleData] = SpindleData()
    tool_set: ClassVar[tuple[Tool, ...]] = ()
    default_part: ClassVar[str] = "housing"

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        self.endless = True
        self.part: Part | None = None
        self.part_done = False
        self.program: Program = PROGRAMS[str(self.options.get("part", self.default_part))]()
        self.load_s = float(self.options.get("load_s", 12.0))
        self.state = "on"
        self.mode = "AUTOMATIC"
        self.execution = "READY"
        self.feed_override = 100.0
        self.spindle_override = 100.0
        self.part_count = 0
        self.chips_g = 0
        self.cycle_s = 0.0
        self.spindle = Spindle(self.spindle_data)
        self.coolant = Coolant()
        self.tools = {tool.number: tool for tool in self.tool_set}
        self.life = {tool.number: float(self.rng.uniform(0.05, 0.5)) for tool in self.tool_set}
        self.tool = self.tool_set[0].number
        self.hardness = 1.0
        self.position = (0.0, 300.0, 300.0)
        self.cut: Cut = NO_CUT
        self.results = {"size": 0.0, "surface": 0.0, "depth": 0.0}
        self._index = 0
        self._phase = 0.0
        self._motion: Motion | None = None
        self._duration = self.load_s
        self._waiting = self.load_s
        self._started_s = 0.0
        self._energy_at_start = 0

    @property
    def can_load(self) -> bool:
        """Whether the machine stands open, empty and ready for a part."""
        ready = self.execution in ("READY", "PROGRAM_COMPLETED") and self.state == "on" and not self.alarm
        return ready and self.part is None

    def load(self, part: Part, seconds: float = 0.0) -> None:
        """Put a part in; the program starts after `seconds` (closing the door, or an operator's hands)."""
        if not self.can_load:
            raise Refused(f"{self.id} takes no part: {self.alarm or self.execution}, part {self.part}")
        self.part, self.part_done, self._waiting = part, False, seconds

    def unload(self) -> Part:
        """Take the finished part out; raise Refused when there is none."""
        if self.part is None or not self.part_done:
            raise Refused(f"{self.id} has no finished part")
        part, self.part, self.part_done = self.part, None, False
        return part

    @property
    def block(self) -> Block:
        """The NC block that runs, or comes next."""
        return self.program.blocks[min(self._index, len(self.program.blocks) - 1)]

    def _piece(self, left: float) -> float:
        """Return how much of `left` seconds passes before something changes, and let the control act on it."""
        if self.execution != "ACTIVE":
            if self.execution in ("READY", "PROGRAM_COMPLETED") and self.state == "on" and not self.alarm:
                return self._wait(left)
            return left
        rate = self._rate()
        if rate <= 0.0:
            return left
        piece = min(left, max((self._duration - self._phase) / rate, 1e-6))
        self._phase += piece * rate
        return piece

    def _wait(self, left: float) -> float:
        if self._waiting > 0.0:
            piece = min(left, self._waiting)
            self._waiting -= piece
            return piece
        if self.endless:
            self.part = Part(
                f"{self.id}-{self.part_count + 1:06d}", self.program.part, "", round(self.program.stock_kg * 1000)
            )
            self.part_done = False
        if self.part is None or self.part_done or self.mode != "AUTOMATIC":
            return left
        self._start_cycle()
        return min(left, 1e-6)

    def _start_cycle(self) -> None:
        self.execution = "ACTIVE"
        self._started_s, self._energy_at_start = self.at_s, self.energy_mj
        self.hardness = float(1.0 + 0.03 * self.rng.standard_normal())
        self.results = {"size": 0.0, "surface": 0.0, "depth": 0.0}
        self._index = 0
        self._begin()
        self.record("cycle_started", program=self.program.name, part=self.part.serial if self.part else "")

    def _rate(self) -> float:
        """Return how fast a block runs against its plan: the override, 1 for what no override touches."""
        kind = self.block.kind
        if kind == "cut":
            return self.feed_override / 100.0
        return min(self.feed_override, 100.0) / 100.0 if kind == "rapid" else 1.0

    def _begin(self) -> None:
        """Begin the block at `_index`."""
        block = self.block
        self._phase, self._motion, self.cut = 0.0, None, NO_CUT
        self._duration = block.seconds
        if block.target is not None:
            speed = block.feed_mm_min / 60.0 if block.kind == "cut" else RAPID_MM_S
            self._motion = Motion.plan(self.position, block.target, speed)
            self._duration = self._motion.seconds
        elif block.kind == "spindle":
            self.spindle.target_rpm = min(block.rpm * self.spindle_override / 100.0, self.spindle_data.top_rpm)
            self._duration = self.spindle.ramp_s(self.spindle.target_rpm)
            self.coolant.on = block.rpm > 0.0
        elif block.kind == "tool":
            self.spindle.target_rpm = 0.0
            self._duration = block.seconds + self.spindle.ramp_s(0.0)
            self._change_tool(block.tool)

    def _end_block(self) -> None:
        block = self.block
        if block.target is not None:
            self.position = block.target
        if block.finish:
            self._measure(block)
        self._index += 1
        if block.kind == "end":
            self._finish_part()
        else:
            self._begin()

    def _change_tool(self, tool: int) -> None:
        self.tool = tool
        if self.life[tool] >= 1.0:
            self.record("tool_replaced", tool=tool, life=round(self.life[tool], 4))
            self.life[tool] = 0.0

    def _finish_part(self) -> None:
        self.execution = "PROGRAM_COMPLETED"
        self.part_count += 1
        self.cycle_s = self.at_s - self._started_s
        self._waiting = self.load_s if self.endless else 0.0
        self._index = 0
        part = self.part
        if part is None:
            return
        energy = self.energy_mj - self._energy_at_start
        part.operations.append(
            Operation(self.id, self.program.name, self._started_s, self.at_s, energy, self.results["size"],
                      self.results["depth"], self.results["surface"],
                      {number_: round(life, 5) for number_, life in self.life.items()})
        )  # fmt: skip
        made = round(self.program.part_kg * 1000)
        self.chips_g += part.material_g - made
        part.material_g = made
        self.part_done = True
        self.record("part_finished", **part.facts())

    @abstractmethod
    def _measure(self, block: Block) -> None:
        """Note in `results` what a finishing cut truly made."""

    def raise_alarm(self, text: str) -> None:
        """Stop with an alarm, as the controller does."""
        super().raise_alarm(text)
        self.execution = "INTERRUPTED"
        self.spindle.target_rpm, self.coolant.on = 0.0, False

    def _reset(self) -> None:
        """Begin the program anew; the part in the machine is machined again."""
        super()._reset()
        self.execution, self._index = "READY", 0
        self._waiting = self.load_s if self.endless else 0.0

    def set_feed_override(self, value: Value) -> None:
        """Set the feed override, 0 to 150 %."""
        self.feed_override = number("feed_override", value, 0.0, 150.0)

    def set_spindle_override(self, value: Value) -> None:
        """Set the spindle override, 50 to 120 %; it acts at the next S word."""
        self.spindle_override = number("spindle_override", value, 50.0, 120.0)

    def set_program_start(self, _value: Value) -> None:
        """Start or resume the program."""
        if self.state != "on" or self.alarm:
            raise Refused(f"{self.id} does not start: {self.alarm or 'power is ' + self.state}; reset it first")
        if self.execution == "ACTIVE":
            raise Refused(f"{self.id} already runs {self.program.name}")
        if self.execution == "FEED_HOLD":
            self.execution = "ACTIVE"
        else:
            self.mode, self._waiting = "AUTOMATIC", 0.0

    def set_program_stop(self, _value: Value) -> None:
        """Hold the feed."""
        if self.execution != "ACTIVE":
            raise Refused(f"{self.id} runs no program: execution is {self.execution}")
        self.execution = "FEED_HOLD"

    def set_reset(self, _value: Value) -> None:
        """Take an alarm away and begin the program anew; the part in the machine is machined again."""
        if self.execution == "ACTIVE":
            raise Refused(f"{self.id} runs: stop it before a reset")
        self._reset()

    def set_tool_change(self, value: Value) -> None:
        """Put a fresh tool into the place of a number."""
        tool = int(number("tool_change", value, 1, 99))
        if self.execution == "ACTIVE":
            raise Refused(f"{self.id} runs: tools are changed at standstill")
        if tool not in self.tools:
            raise Refused(f"{self.id} has no tool {tool}; have: {', '.join(map(str, self.tools))}")
        self.life[tool] = 0.0
        for code in _IN_TOOL.get(tool, ()):  # a fresh tool ends the faults that sat in the old one
            if code in self.faults and self.faults[code].onset_s is not None:
                self._end(code)

    def _end(self, code: str) -> None:
        super()._end(code)
        for tool in (tool for tool, codes in _IN_TOOL.items() if code in codes and tool in self.life):
            self.life[tool] = 0.0

    def set_coolant(self, value: Value) -> None:
        """Switch the coolant until the program does so with the spindle; a tool that cuts dry wears faster."""
        if value not in ("on", "off"):
            raise Refused(f"coolant is {value!r}: use on or off")
        if value == "on" and (self.state != "on" or self.alarm or self.coolant.level_percent <= 0.0):
            reason = self.alarm or ("power is " + self.state if self.state != "on" else "the tank is empty")
            raise Refused(f"{self.id} has no coolant: {reason}")
        self.coolant.on = value == "on"

    def set_coolant_fill(self, _value: Value) -> None:
        """Fill the coolant tank."""
        self.coolant.fill()

    def set_power(self, value: Value) -> None:
        """Switch the machine: on, standby or off."""
        if value not in ("on", "standby", "off"):
            raise Refused(f"power is {value!r}: use on, standby or off")
        if self.execution == "ACTIVE":
            raise Refused(f"{self.id} runs: stop it before switching")
        self.state = str(value)
        if self.state != "on":
            self.spindle.target_rpm, self.coolant.on = 0.0, False
