"""Cutting tools as assets, as a tool table has them: which tool sits where, and how many parts it has made.

What a tool is truly worn, no controller knows: it is not here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from simulators.machine import SimulatedMachine
from simulators.machines._control import ToolController
from simulators.physics.cutting import Tool

LIMIT: Final = 1024
"""Assets of an agent; the oldest go first."""


@dataclass(slots=True)
class ToolAsset:
    """A cutting tool that is, or was, in a machine."""

    id: str
    device: str
    tool: Tool
    serial: int
    time_ns: int
    parts: int = 0
    removed: bool = False


@dataclass(slots=True)
class ToolTable:
    """The tools of one machine: a new asset each time that a fresh tool takes a place."""

    machine: SimulatedMachine
    device: str
    assets: OrderedDict[str, ToolAsset]
    _life: dict[int, float] = field(default_factory=dict)
    _in: dict[int, ToolAsset] = field(default_factory=dict)
    _parts: int = 0

    def update(self, time_ns: int) -> Iterator[tuple[str, str]]:
        """Look at the machine; yield (asset_changed or asset_removed, id) for what has happened."""
        machine = self.machine
        if not isinstance(machine, ToolController):
            return
        made, self._parts = machine.part_count - self._parts, machine.part_count
        for number, tool in machine.tools.items():
            life = machine.life[number]
            old = self._in.get(number)
            if old is None or life < self._life[number]:
                if old is not None:
                    old.removed, old.time_ns = True, time_ns
                    yield "asset_removed", old.id
                yield "asset_changed", self._put(tool, 1 if old is None else old.serial + 1, time_ns).id
            elif made > 0:
                old.parts, old.time_ns = old.parts + made, time_ns
                yield "asset_changed", old.id
            self._life[number] = life

    def _put(self, tool: Tool, serial: int, time_ns: int) -> ToolAsset:
        name = f"{self.machine.id}-T{tool.number}-{serial}"
        asset = self._in[tool.number] = self.assets[name] = ToolAsset(name, self.device, tool, serial, time_ns)
        while len(self.assets) > LIMIT:
            self.assets.popitem(last=False)
        return asset
