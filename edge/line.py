"""Everything that runs for one production line: its spool, its uplink, and a runner for each machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from contract.broker import Broker
from edge import health
from edge.budget import BLOCK_BYTES, BlockBudget
from edge.commissioning.address import Network
from edge.config import Line
from edge.desk import NETWORKS, Desk, PlantSource
from edge.driver import Driver
from edge.drivers import load
from edge.entry import Context, Entry
from edge.guard import Guard
from edge.ids import AssetIds
from edge.ledger import EdgeLedger
from edge.machines import Berths, Changes, Machines
from edge.node import EdgeNode
from edge.runner import EDGE_DOWN, Runner
from edge.uplink import HOST, Uplink
from spool import Spool, SpoolError

_TICK_S: Final = 0.5

_log = structlog.get_logger(__name__)


class UplinkEndedError(RuntimeError):
    """A thread of the uplink has ended: the process must, too."""


class LineService:
    """Serves one line until cancelled, or until it is gone from the plant file and the last of its data is sent."""

    def __init__(
        self,
        line: Line,
        context: Context,
        broker: Broker,
        berths: Berths,
        max_bytes: int,
        *,
        plant: PlantSource | None = None,
        raw_days: int = 0,
        block_bytes: int = BLOCK_BYTES,
        host_id: str = HOST,
        networks: Sequence[Network] = NETWORKS,
    ) -> None:
        """`plant` is the plant file, where commands may change it, `networks` what they may ask."""
        self._line = line
        self._plant = plant
        self._context = context
        self._broker = broker
        self._berths = berths
        self._max_bytes = max_bytes
        self._raw_days = raw_days
        self._block_bytes = block_bytes
        self._host_id = host_id
        self._networks = networks
        self._spool: Spool | None = None
        self._node: EdgeNode | None = None
        self._machines: Machines | None = None  # while it serves
        self._refused: dict[str, health.Health] = {}
        self._gone = asyncio.Event()
        self.is_over = False
        """Whether it ends, as its line is gone."""

    @property
    def line(self) -> Line:
        """What is served now."""
        return self._line

    @property
    def runners(self) -> Mapping[str, Runner]:
        """By machine entry, what serves it now."""
        return {} if self._machines is None else self._machines.runners

    @property
    def spool_path(self) -> Path:
        """Where the spool of this line lies."""
        place = self._line.place
        return self._context.home / "edge" / f"{place.area}.{place.line}.spool"

    async def open(self) -> None:
        """Open the spool; `run` does it if need be. Raises SpoolError."""
        self.spool_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._spool = await asyncio.to_thread(Spool.open, self.spool_path, max_bytes=self._max_bytes)

    async def run(self) -> None:
        """Open the spool and serve; raise SpoolError when it cannot be opened."""
        if self._spool is None:
            await self.open()
        spool = self._spool
        assert spool is not None
        try:
            if spool.salvage is not None:
                _log.warning("the spool was damaged and has been salvaged", salvage=spool.salvage)
            await self._serve(spool)
        finally:
            await asyncio.to_thread(spool.close)

    def change(self, line: Line, anew: Container[str] = ()) -> Changes:
        """Serve the machines that `line` has now; those that have not changed, and are not in `anew`, run on.

        Without machines the line is gone: `run` returns when the host has all of its data. Raises SpoolError, and
        nothing has changed then.
        """
        changes = Changes.between(self._line.machines, line.machines, anew)
        before, refused = self._line, {name: problem.text for name, problem in line.refused.items()}
        is_told = refused == {name: problem.text for name, problem in before.refused.items()}
        if self._node is not None and (changes.started or changes.stopped or not is_told):
            self._describe(self._node, line)
        self._line = line
        if not is_told:
            self._refuse()
        if self._machines is not None:
            self._machines.change(changes, line.machines)
        if line.machines or line.refused:
            self._gone.clear()
        else:
            self._gone.set()
        return changes

    async def _serve(self, spool: Spool) -> None:
        # what it waits for is that the spool is looked through for blocks
        blocks = await asyncio.to_thread(BlockBudget, spool, self._block_bytes)
        uplink = Uplink(self._line.node, spool, self._broker, host=self._host_id, blocks=blocks)
        ledger = EdgeLedger(spool, uplink.node.put, self._line.place.line)
        await asyncio.to_thread(ledger.open, time.time_ns())
        uplink.node.renewed = ledger.renewed
        ids = AssetIds(spool, self._berths.owners)
        context = replace(self._context, ids=ids)
        desk = Desk(self._line.place, context, self._plant, self._networks)
        try:
            async with asyncio.TaskGroup() as tasks:
                make = partial(self._runner, context=context, node=uplink.node, ledger=ledger)
                machines = Machines(make, node=uplink.node, ledger=ledger, berths=self._berths, tasks=tasks)
                self._refuse()
                self._describe(uplink.node, self._line)
                self._node, self._machines = uplink.node, machines
                machines.change(Changes.between({}, self._line.machines), self._line.machines, EDGE_DOWN)
                guard = Guard(spool, uplink.node.reply, machines.runners, desk)
                uplink.node.commanded = guard.take
                uplink.start()
                besides = [
                    tasks.create_task(guard.run(), name="guard"),
                    tasks.create_task(self._tell_health(uplink, spool, ledger, machines)),
                ]
                await self._until_gone(spool, machines)
                self.is_over = True
                for task in besides:
                    task.cancel()
        finally:
            await asyncio.to_thread(uplink.stop)

    async def _until_gone(self, spool: Spool, machines: Machines) -> None:
        """Wait until the line is in the plant file no more, and the host has all that its machines said."""
        while True:
            await self._gone.wait()
            if machines.is_empty and not spool.stats.records:
                return
            await asyncio.sleep(_TICK_S)

    def _runner(
        self, name: str, entry: Entry, away: str, *, context: Context, node: EdgeNode, ledger: EdgeLedger
    ) -> Runner:
        return Runner(
            name,
            entry,
            partial(_driver, name, entry, context),
            place=self._line.place,
            outlet=node,
            ledger=ledger,
            owners=self._berths.owners,
            raw_days=self._raw_days,
            ids=context.ids,
            away=away,
        )

    @staticmethod
    def _describe(node: EdgeNode, line: Line) -> None:
        node.describe(health.node_asset(line.place, [*line.machines, *line.refused]), node=True)

    def _refuse(self) -> None:
        self._refused.clear()
        for name, problem in self._line.refused.items():
            _log.error("a machine is not served", machine=name, line=problem.line, reason=problem.text)
            self._refused[name] = health.Health(trouble=problem.text, code="not_served")

    async def _tell_health(self, uplink: Uplink, spool: Spool, ledger: EdgeLedger, machines: Machines) -> None:
        while True:
            if not uplink.is_alive:
                raise UplinkEndedError(f"the uplink of {self._line.place} has ended")
            if not self._gone.is_set():
                await self._tell(uplink.node, spool, ledger, machines.runners)
            await asyncio.sleep(health.PERIOD_S)

    async def _tell(self, node: EdgeNode, spool: Spool, ledger: EdgeLedger, runners: Mapping[str, Runner]) -> None:
        counters = [runner.counters for runner in runners.values()]
        samples = health.samples(
            spool,
            {name: runner.health for name, runner in runners.items()} | self._refused,
            health.PlantFile() if self._plant is None else self._plant.file,
            dropped=sum(c.dropped + c.rejected for c in counters),
            tasks=len(asyncio.all_tasks()),
            now_ns=time.time_ns(),
            asset=self._line.place.line,
        )
        heard_until = {name: runner.heard_until_ns for name, runner in runners.items()}
        try:
            node.put("", [*samples, ledger.sample(time.time_ns())])
            await asyncio.to_thread(ledger.tick, time.time_ns(), time.monotonic_ns(), heard_until)
        except SpoolError as error:
            _log.debug("no room for the health of the node", reason=str(error))


def _driver(name: str, entry: Entry, context: Context) -> Driver:
    return load(entry.driver).Driver(name, entry, context)
