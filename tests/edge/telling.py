"""A machine that says what a test lets it say, on an edge with a real spool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.block import BLOCK, Block, Header, pack, read_block
from contract.event import EVENT, Event, event_id, read_event
from contract.loss import ENTRY
from contract.loss import Entry as Loss
from contract.model import Asset, Value
from contract.sparkplug import Metric, decode
from contract.topics import Node, parse_sparkplug
from edge.budget import BlockBudget
from edge.driver import Counters, Item, Tag, Written
from edge.entry import BlockEntry, Entry, Place, SignalName
from edge.ledger import SIGNALS, EdgeLedger
from edge.node import EdgeNode
from edge.runner import Runner
from spool import Spool

PLACE = Place("demo", "here", "machining", "line1")
NODE = Node.of("demo", "here", "machining", "line1")
LINE = Asset("demo", "here", "machining", "line1", "line1", "node", signals=SIGNALS)


SIGNALS_OF_CNC: dict[str, Any] = {"speed": {}, "execution": {"datatype": "string"}}


def describe(node: EdgeNode) -> None:
    """Let the host know of the line and of its machine."""
    node.describe(LINE, node=True)
    machine = Entry.model_validate({"driver": "teller", "address": "here", "signals": SIGNALS_OF_CNC})
    node.describe(machine.asset(PLACE, "cnc-01"))


class TellingEntry(Entry):
    """A machine whose driver gives blocks."""

    blocks: Mapping[SignalName, BlockEntry] = {}


class Teller:
    """The driver; what was read before is durable when `taken` holds."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._said: asyncio.Queue[Sequence[Item]] = asyncio.Queue()
        self._put = self._read = 0

    def say(self, *items: Item) -> None:
        self._put += 1
        self._said.put_nowait(items)

    @property
    def taken(self) -> bool:
        return self._read > self._put

    async def connect(self) -> None: ...

    async def read(self) -> Sequence[Item]:
        self._read += 1
        return await self._said.get()

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        return Written("refused")

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        yield Tag(path, "speed")

    async def close(self) -> None: ...


class Telling:
    """One machine `cnc-01` on one edge; `again` is the edge after a kill."""

    def __init__(
        self, folder: Path, entry: Mapping[str, Any], *, node: Any = None, spool_bytes: int = 1 << 28, **limits: int
    ) -> None:
        self._folder, self._entry, self._limits = folder, entry, limits
        self.spool = Spool.open(folder / "spool", max_bytes=spool_bytes, linger_s=0.0) if node is None else node._spool
        blocks = BlockBudget(self.spool, **limits)
        self.node = node or EdgeNode(NODE, self.spool, "shopfloor", lambda _topic, _body: False, blocks=blocks)
        describe(self.node)
        self.ledger = EdgeLedger(self.spool, self.node.put, "line1")
        self.ledger.open(0)
        self.machine = Teller()
        settings = {"driver": "teller", "address": "here", "signals": SIGNALS_OF_CNC} | dict(entry)
        self.runner = Runner(
            "cnc-01",
            TellingEntry.model_validate(settings),
            lambda: self.machine,
            place=PLACE,
            outlet=self.node,
            ledger=self.ledger,
            owners={},
        )
        self._task = asyncio.create_task(self.runner.run())

    async def say(self, *items: Item) -> None:
        """Let the machine say something, and wait until it is durable."""
        self.machine.say(*items)
        async with asyncio.timeout(20):
            while not self.machine.taken:
                assert not self._task.done(), self._task.result()
                await asyncio.sleep(0.002)

    async def kill(self) -> None:
        await self.stop()
        self.spool.close()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def again(self) -> Telling:
        await self.kill()
        return Telling(self._folder, self._entry, **self._limits)

    def metrics(self, name: str) -> list[tuple[str, Metric]]:
        """What stands in the spool under a name: device and metric."""
        found = []
        after = 0
        while records := self.spool.read(after):
            after = records[-1].n
            for record in records:
                device = parse_sparkplug(record.topic).device or ""
                found += [(device, metric) for metric in decode(record.body).metrics if metric.name == name]
        return found

    def entries(self) -> list[Loss]:
        """What the edge told of the ledger; of an entry that has grown, the newest."""
        alias, found = self.node._devices[""].alias_of[ENTRY], dict[int, Loss]()
        for record in self.spool.read():
            for metric in decode(record.body).metrics if "NDATA" in record.topic else ():
                if metric.alias == alias:
                    entry = Loss.model_validate_json(str(metric.value))
                    found[entry.id] = entry
        return list(found.values())

    @property
    def events(self) -> list[Event]:
        return [read_event(str(metric.value), device) for device, metric in self.metrics(EVENT)]

    @property
    def blocks(self) -> list[Block]:
        return [read_block(metric, device) for device, metric in self.metrics(BLOCK)]


def event(name: str, state: str = "", *, time_ns: int = 0, **more: Any) -> Event:
    """An event of `cnc-01`, now if no time is stated; of a condition that has its name if it has a state."""
    time_ns = time_ns or time.time_ns()
    facts = {"name": name, "time_ns": time_ns, "state": state, "condition": name if state else ""} | more
    return Event(**{"id": event_id(*facts.values()), "asset": "cnc-01"} | facts)


def block(sensor: str = "vibration", count: int = 16, *, start_ns: int = 0, rate_hz: float = 25_600.0) -> Block:
    """A block of `cnc-01` that was measured until now if no time is stated."""
    start_ns = start_ns or time.time_ns() - round(count * 1e9 / rate_hz)
    id_ = event_id("cnc-01", sensor, start_ns)
    header = Header(id=id_, asset="cnc-01", sensor=sensor, start_ns=start_ns, rate_hz=rate_hz, unit="g", count=count)
    return Block(header=header, data=pack([n / 7 for n in range(count)]))
