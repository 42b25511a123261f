"""Everything that runs for one production line: its spool, its uplink, and a runner for each machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from contract.broker import Broker
from edge import health
from edge.budget import BLOCK_BYTES, BlockBudget
from edge.commissioning.address import Network
from edge.config import Line
from edge.desk import NETWORKS, Desk
from edge.driver import Driver
from edge.drivers import load
from edge.entry import Context, Entry
from edge.guard import Guard
from edge.ids import AssetIds
from edge.ledger import EdgeLedger
from edge.runner import Runner
from edge.uplink import HOST, Uplink
from spool import Spool, SpoolError

_log = structlog.get_logger(__name__)


class UplinkEndedError(RuntimeError):
    """A thread of the uplink has ended: the process must, too."""


class LineService:
    """Serves one line until cancelled."""

    def __init__(
        self,
        line: Line,
        context: Context,
        broker: Broker,
        owners: dict[str, str],
        max_bytes: int,
        *,
        plant: Path | None = None,
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
        self._owners = owners
        self._max_bytes = max_bytes
        self._raw_days = raw_days
        self._block_bytes = block_bytes
        self._host_id = host_id
        self._networks = networks
        self._runners: dict[str, Runner] = {}
        self._refused: dict[str, health.Health] = {}

    @property
    def spool_path(self) -> Path:
        """Where the spool of this line lies."""
        place = self._line.place
        return self._context.home / "edge" / f"{place.area}.{place.line}.spool"

    async def run(self) -> None:
        """Open the spool and serve; raise SpoolError when it cannot be opened."""
        self.spool_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        spool = await asyncio.to_thread(Spool.open, self.spool_path, max_bytes=self._max_bytes)
        try:
            if spool.salvage is not None:
                _log.warning("the spool was damaged and has been salvaged", salvage=spool.salvage)
            await self._serve(spool)
        finally:
            await asyncio.to_thread(spool.close)

    async def _serve(self, spool: Spool) -> None:
        # what it waits for is that the spool is looked through for blocks
        blocks = await asyncio.to_thread(BlockBudget, spool, self._block_bytes)
        uplink = Uplink(self._line.node, spool, self._broker, host=self._host_id, blocks=blocks)
        self._refuse()
        everything = [*self._line.machines, *self._refused]
        uplink.node.describe(health.node_asset(self._line.place, everything), node=True)
        ledger = EdgeLedger(spool, uplink.node.put, self._line.place.line)
        await asyncio.to_thread(ledger.open, time.time_ns())
        uplink.node.renewed = ledger.renewed
        ids = AssetIds(spool, self._owners)
        context = replace(self._context, ids=ids)
        for name, machine in self._line.machines.items():
            self._runners[name] = Runner(
                name,
                machine,
                partial(_driver, name, machine, context),
                place=self._line.place,
                outlet=uplink.node,
                ledger=ledger,
                owners=self._owners,
                raw_days=self._raw_days,
                ids=ids,
            )
        guard = Guard(
            spool, uplink.node.reply, self._runners, Desk(self._line.place, context, self._plant, self._networks)
        )
        uplink.node.commanded = guard.take
        uplink.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(guard.run(), name="guard")
                for name, runner in self._runners.items():
                    tasks.create_task(runner.run(), name=f"machine {name}")
                tasks.create_task(self._tell_health(uplink, spool, ledger))
        finally:
            await asyncio.to_thread(uplink.stop)

    def _refuse(self) -> None:
        for name, problem in self._line.refused.items():
            _log.error("a machine is not served", machine=name, line=problem.line, reason=problem.text)
            self._refused[name] = health.Health(trouble=problem.text, code="not_served")

    async def _tell_health(self, uplink: Uplink, spool: Spool, ledger: EdgeLedger) -> None:
        while True:
            if not uplink.is_alive:
                raise UplinkEndedError(f"the uplink of {self._line.place} has ended")
            machines = {name: runner.health for name, runner in self._runners.items()} | self._refused
            counters = [runner.counters for runner in self._runners.values()]
            samples = health.samples(
                spool,
                machines,
                dropped=sum(c.dropped + c.rejected for c in counters),
                tasks=len(asyncio.all_tasks()),
                now_ns=time.time_ns(),
                asset=self._line.place.line,
            )
            heard_until = {name: runner.heard_until_ns for name, runner in self._runners.items()}
            try:
                uplink.node.put("", [*samples, ledger.sample(time.time_ns())])
                await asyncio.to_thread(ledger.tick, time.time_ns(), time.monotonic_ns(), heard_until)
            except SpoolError as error:
                _log.debug("no room for the health of the node", reason=str(error))
            await asyncio.sleep(health.PERIOD_S)


def _driver(name: str, entry: Entry, context: Context) -> Driver:
    return load(entry.driver).Driver(name, entry, context)
