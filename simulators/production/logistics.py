"""Orders become bar stock, blanks, operations, inspected parts, units and boxes.

Every part is in one place at any time and belongs to one order: units and boxes hold parts of one order only, and scrap
is made again for the order that it was for. Material is counted in whole grams, so that what came in is exactly what is
in stock, in process, chips, scrap and shipped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from simulators.journal import Journal
from simulators.machine import NS, SimulatedMachine
from simulators.machines._control import ToolController
from simulators.machines.agv import Agv, Trip
from simulators.machines.measuring import Measuring
from simulators.machines.robot import Job, Robot
from simulators.production.part import Part
from simulators.production.roles import Plan, ProductionError

KERF_G: Final = 60
"""What the saw turns into chips per blank."""
DELIVERY_G: Final = 600_000
PALLET: Final = 4
PATIENCE_S: Final = 600.0
PARTS: Final = 10_000
_RACK, _TABLE = 1, 4


@dataclass(slots=True)
class Order:
    """A customer's order of `quantity` units: started with its first part, completed with its last box."""

    id: str
    quantity: int
    released_s: float
    started_s: float | None = None
    completed_s: float | None = None
    shipped: int = 0
    scrap: int = 0


@dataclass(slots=True)
class Unit:
    """An assembled unit: its parts by kind."""

    serial: str
    order: str
    parts: dict[str, Part]

    @property
    def material_g(self) -> int:
        """Its weight in g."""
        return sum(part.material_g for part in self.parts.values())


@dataclass(slots=True)
class _Stores:
    """Where parts are when no machine has them."""

    waiting: dict[str, deque[Part]]
    finished: deque[tuple[float, Part]] = field(default_factory=deque)
    moving: list[Part] = field(default_factory=list)
    to_measure: deque[Part] = field(default_factory=deque)
    good: dict[str, list[Part]] = field(default_factory=dict)
    scrap: list[Part] = field(default_factory=list)
    to_pack: deque[Unit] = field(default_factory=deque)
    units_moving: list[Unit] = field(default_factory=list)
    boxes: dict[str, list[Unit]] = field(default_factory=dict)
    """The open box of each order."""


class Logistics:
    """Moves material between machines; machines move themselves."""

    def __init__(self, plan: Plan, machines: Mapping[str, SimulatedMachine], journal: Journal) -> None:
        self.plan = plan
        self.journal = journal
        self.time_ns = 0
        self.tools = {
            name: _of(machines, name, ToolController)
            for route in plan.route.values()
            for stage in route
            for name in stage
        }
        self.tenders = {tool: _of(machines, robot, Robot) for tool, robot in plan.tending.items()}
        self.agv = _of(machines, plan.transport, Agv)
        self.station = _of(machines, plan.measuring, Measuring)
        self.assembler = _of(machines, plan.assembly, Robot)
        self.packer = _of(machines, plan.packing, Robot)
        for machine in (*self.tools.values(), *self.tenders.values(), self.agv, self.assembler, self.packer):
            machine.endless = False
        self.stores = _Stores({name: deque() for name in self.tools})
        self.stores.good = {kind: [] for kind in plan.route}
        self.orders: dict[str, Order] = {}
        self.parts: dict[str, Part] = {}
        """The newest PARTS parts by serial number, wherever they have gone; the journal has all."""
        self.received_g = self.stock_g = 0
        self.saw_chips_g = 0
        self.shipped_g = 0
        self.made = {"blanks": 0, "good": 0, "scrap": 0, "units": 0, "boxes": 0}
        self._next_order_s = 0.0
        self._tended: set[str] = set()
        self._assembling = False

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return self.time_ns / NS

    def step(self, dt: float) -> None:
        """Let `dt` pass and move what can be moved. Call it after the machines."""
        self.time_ns += round(dt * NS)
        if self.time_s >= self._next_order_s:
            self._next_order_s += self.plan.every_s
            self.release(self.plan.quantity)
        for name, tool in self.tools.items():
            self._tend(name, tool)
        self._transport()
        self._measure()
        self._assemble()
        self._pack()

    def _say(self, asset: str, event: str, **facts: Any) -> None:
        self.journal.write(self.time_s, asset, event, **facts)

    # ---- orders and blanks ---------------------------------------------------------------------------------------

    def release(self, quantity: int) -> None:
        """Take an order of `quantity` units, and cut its blanks."""
        order = Order(f"order-{len(self.orders) + 1:05d}", quantity, self.time_s)
        self.orders[order.id] = order
        self._say("production", "order_released", order=order.id, quantity=order.quantity)
        for _ in range(order.quantity):
            for kind in self.plan.route:
                self._saw(kind, order.id)

    def _saw(self, kind: str, order: str) -> None:
        """Cut a blank off the bar; a new delivery comes when the bar stock ends."""
        first = self.plan.route[kind][0]
        weight = round(self.tools[first[0]].program.stock_kg * 1000)
        if self.stock_g < weight + KERF_G:
            self.stock_g += DELIVERY_G
            self.received_g += DELIVERY_G
            self._say("production", "delivery", grams=DELIVERY_G)
        self.stock_g -= weight + KERF_G
        self.saw_chips_g += KERF_G
        self.made["blanks"] += 1
        part = Part(f"{kind}-{self.made['blanks']:06d}", kind, order, weight)
        self.parts[part.serial] = part
        if len(self.parts) > PARTS:
            del self.parts[next(iter(self.parts))]
        self._say("production", "blank_cut", serial=part.serial, kind=kind, order=order, grams=weight)
        self._queue(first, part)

    def _queue(self, stage: tuple[str, ...], part: Part) -> None:
        """Let a part wait where the fewest do."""
        self.stores.waiting[min(stage, key=lambda name: len(self.stores.waiting[name]))].append(part)

    # ---- machines ------------------------------------------------------------------------------------------------

    def _tend(self, name: str, tool: ToolController) -> None:
        robot = self.tenders.get(name)
        done = tool.part is not None and tool.part_done
        wanted = tool.can_load and bool(self.stores.waiting[name])
        if name in self._tended or not (done or wanted):
            return
        if robot is None:
            if done:
                self._forward(name, tool.unload())
            else:
                self._load(tool, self.stores.waiting[name].popleft(), tool.load_s)
        elif robot.job is None and not robot.alarm:
            self._tended.add(name)
            robot.assign(self._unloading(name, tool) if done else self._loading(name, tool))

    def _load(self, tool: ToolController, part: Part, seconds: float) -> None:
        """Put a part into a machine; with its first part an order is started."""
        tool.load(part, seconds)
        order = self.orders[part.order]
        if order.started_s is None:
            order.started_s = self.time_s
            self._say("production", "order_started", order=order.id, serial=part.serial, machine=tool.id)

    def _unloading(self, name: str, tool: ToolController) -> Job:
        held: list[Part] = []

        def grip() -> None:
            held.append(tool.unload())
            self.stores.moving.append(held[0])

        def release() -> None:
            self.stores.moving.remove(held[0])
            self._forward(name, held[0])
            self._tended.discard(name)

        weight = tool.part.material_g / 1000.0 if tool.part else 0.0
        return Job(f"unload {name}", _TABLE, _RACK, weight, grip, release)

    def _loading(self, name: str, tool: ToolController) -> Job:
        held: list[Part] = []

        def grip() -> None:
            held.append(self.stores.waiting[name].popleft())
            self.stores.moving.append(held[0])

        def release() -> None:
            self.stores.moving.remove(held[0])
            self._tended.discard(name)
            if tool.can_load:
                self._load(tool, held[0], 2.0)
            else:  # an alarm came in between: the part goes back
                self.stores.waiting[name].appendleft(held[0])

        return Job(f"load {name}", _RACK, _TABLE, self.stores.waiting[name][0].material_g / 1000.0, grip, release)

    def _forward(self, name: str, part: Part) -> None:
        """Send a part to the next machine of its route, or to the pallet for inspection."""
        route = self.plan.route[part.kind]
        at = next(i for i, stage in enumerate(route) if name in stage)
        if at + 1 < len(route):
            self._queue(route[at + 1], part)
        else:
            self.stores.finished.append((self.time_s, part))

    # ---- transport and inspection --------------------------------------------------------------------------------

    def _transport(self) -> None:
        finished = self.stores.finished
        if not finished or not self.agv.is_free:
            return
        if len(finished) < PALLET and self.time_s - finished[0][0] < PATIENCE_S:
            return
        pallet = [part for _, part in finished]
        finished.clear()
        self.stores.moving.extend(pallet)

        def arrive() -> None:
            for part in pallet:
                self.stores.moving.remove(part)
                self.stores.to_measure.append(part)

        load = sum(part.material_g for part in pallet) / 1000.0 + 25.0
        self.agv.assign(Trip(f"pallet of {len(pallet)}", (20.0, 5.0), (40.0, 15.0), load, arrive))

    def _measure(self) -> None:
        station = self.station
        if station.part is not None and station.part_done:
            part, station.part = station.part, None
            self.made["good" if part.quality == "good" else "scrap"] += 1
            if part.quality == "good":
                self.stores.good[part.kind].append(part)
            else:
                self.stores.scrap.append(part)
                self.orders[part.order].scrap += 1
                self._saw(part.kind, part.order)  # made again
        if station.part is None and self.stores.to_measure:
            part = self.stores.to_measure.popleft()
            last = self.tools[self.plan.route[part.kind][-1][0]].program
            station.load(part, last.tolerance_mm * 1000.0)

    # ---- assembly and packing ------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        good = self.stores.good
        if self._assembling or not _is_free(self.assembler):
            return
        complete = set.intersection(*({part.order for part in parts} for parts in good.values()))
        if not complete:
            return
        order = min(complete)  # the oldest
        held: list[Unit] = []

        def grip() -> None:
            parts = {kind: next(part for part in good[kind] if part.order == order) for kind in good}
            for kind, part in parts.items():
                good[kind].remove(part)
            self.made["units"] += 1
            held.append(Unit(f"unit-{self.made['units']:06d}", order, parts))
            self.stores.units_moving.append(held[0])

        def release() -> None:
            self.stores.units_moving.remove(held[0])
            self.stores.to_pack.append(held[0])
            serials = {kind: part.serial for kind, part in held[0].parts.items()}
            self._say(self.assembler.id, "unit_assembled", serial=held[0].serial, order=order, parts=serials)
            self._assembling = False

        self._assembling = True
        self.assembler.assign(Job("assemble", 2, 5, 6.0, grip, release))

    def _pack(self) -> None:
        if not self.stores.to_pack or not _is_free(self.packer):
            return
        held: list[Unit] = []

        def grip() -> None:
            held.append(self.stores.to_pack.popleft())
            self.stores.units_moving.append(held[0])

        def release() -> None:
            self.stores.units_moving.remove(held[0])
            order, box = self.orders[held[0].order], self.stores.boxes.setdefault(held[0].order, [])
            box.append(held[0])
            if len(box) == min(self.plan.box, order.quantity - order.shipped):
                self._ship(order, self.stores.boxes.pop(order.id))

        self.packer.assign(Job("pack", 0, 3, 6.0, grip, release))

    def _ship(self, order: Order, box: list[Unit]) -> None:
        """Close a box that is full, or holds the rest of its order."""
        self.made["boxes"] += 1
        self.shipped_g += sum(unit.material_g for unit in box)
        order.shipped += len(box)
        name, units = f"box-{self.made['boxes']:05d}", [unit.serial for unit in box]
        self._say(self.packer.id, "box_closed", box=name, order=order.id, units=units)
        if order.shipped == order.quantity:
            order.completed_s = self.time_s
            seconds = round(self.time_s - order.released_s, 3)
            self._say("production", "order_completed", order=order.id, seconds=seconds)

    # ---- accounts ------------------------------------------------------------------------------------------------

    def in_process(self) -> list[Part]:
        """Return every part that is neither scrap nor shipped, wherever it is."""
        stores = self.stores
        parts = [part for waiting in stores.waiting.values() for part in waiting]
        parts += [part for _, part in stores.finished]
        parts += [*stores.moving, *stores.to_measure]
        parts += [part for good in stores.good.values() for part in good]
        parts += [tool.part for tool in self.tools.values() if tool.part is not None]
        if self.station.part is not None:
            parts.append(self.station.part)
        boxed = [unit for box in stores.boxes.values() for unit in box]
        for unit in (*stores.to_pack, *stores.units_moving, *boxed):
            parts += unit.parts.values()
        return parts

    def balance(self) -> dict[str, Any]:
        """Return the accounts.

        In g, `received = stock + in process + chips + scrap + shipped`; of each order and kind of part,
        `quantity = shipped + to_make`.
        """
        in_process = self.in_process()
        to_make = Counter((part.order, part.kind) for part in in_process)
        return {
            "received_g": self.received_g,
            "stock_g": self.stock_g,
            "in_process_g": sum(part.material_g for part in in_process),
            "chips_g": self.saw_chips_g + sum(tool.chips_g for tool in self.tools.values()),
            "scrap_g": sum(part.material_g for part in self.stores.scrap),
            "shipped_g": self.shipped_g,
            "parts_in_process": len(in_process),
            "made": dict(self.made),
            "orders": {
                order.id: asdict(order) | {"to_make": {kind: to_make[order.id, kind] for kind in self.plan.route}}
                for order in self.orders.values()
            },
        }


def _is_free(robot: Robot) -> bool:
    return robot.job is None and not robot.alarm


def _of(machines: Mapping[str, SimulatedMachine], name: str, kind: type[Any]) -> Any:
    machine = machines.get(name)
    if not isinstance(machine, kind):
        raise ProductionError(f"production: {name!r} is not a {kind.__name__.lower()} of this factory")
    return machine
