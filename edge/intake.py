"""What comes from a machine, on its way to the spool: which asset it is of, its datatypes, what passes, what is odd."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from contract.block import Block
from contract.event import Event
from contract.model import MAX_TEXT_BYTES, Sample
from contract.topics import TopicError, check_id
from edge.blocks import Blocks
from edge.computed import Computed
from edge.conversion import Conversions
from edge.dating import WORDS, Bounds
from edge.detector import TICK_S, Detectors
from edge.driver import Item, Refreshed
from edge.entry import Entry, Place, SignalEntry
from edge.events import MACHINE, Events
from edge.filter import Filter
from edge.health import Health
from edge.ids import MAX_ASSETS, AssetIds
from edge.ledger import EdgeLedger
from edge.notes import Notes
from edge.outlet import Outlet
from edge.read import Read
from edge.source import Source
from edge.way import Way

_DAY_NS: Final = 86_400_000_000_000

_log = structlog.get_logger(__name__)


class Intake:
    """The assets of one machine entry. Raises nothing of what a spool may refuse: it waits until the spool takes it."""

    def __init__(
        self,
        name: str,
        entry: Entry,
        health: Health,
        *,
        place: Place,
        outlet: Outlet,
        ledger: EdgeLedger,
        owners: dict[str, str],
        raw_days: int,
        ids: AssetIds,
        clock_ns: Callable[[], int],
    ) -> None:
        self.sources: dict[str, Source] = {}
        self.keeps_history = False  # whether the machine may have a record of its own
        self._name = name
        self._entry = entry
        self._health = health
        self._place = place
        self._outlet = outlet
        self._ledger = ledger
        self._owners = owners  # asset id → machine entry, of the whole plant
        self._raw_days = raw_days
        self._ids = ids
        self._clock_ns = clock_ns
        self.notes = Notes()
        self.conversions = Conversions.made(entry.signals, self.notes)
        self._log = _log.bind(machine=name, address=entry.address)
        self._way = Way(name, outlet=outlet, ledger=ledger, health=health, notes=self.notes, address=entry.address)
        self._events = Events(self._way)
        self._blocks = Blocks(entry.blocks, self._way)
        self._orphans: list[tuple[str, str]] = []  # assets, and who told of their conditions and tells no more
        self._looked_s = 0.0

    @property
    def signals(self) -> Mapping[str, SignalEntry]:
        """The signals of its assets, as the plant file or the driver says."""
        return self._entry.signals

    def know(self, found: Mapping[str, SignalEntry]) -> None:
        """Take the signals that the driver has found for those of the machine, from now on."""
        if found == self._entry.signals:
            return
        self._entry = self._entry.model_copy(update={"signals": dict(found)})
        self.conversions = Conversions.made(found, self.notes)
        for source in self.sources.values():
            source.know(self._entry.asset(self._place, source.asset.id).signals)
            self._outlet.describe(source.asset)

    @property
    def detects(self) -> bool:
        """Whether detectors look at what comes, which wait for delays."""
        return bool(self._entry.detectors)

    @property
    def waits(self) -> bool:
        """Whether samples wait for the end of their period."""
        return any(source.filter.waits for source in self.sources.values())

    async def take(self, items: Sequence[Item]) -> None:
        """Filter a batch and wait until the rest of it is durable; raise TypeError for what is no item."""
        now_ns = self._clock_ns()
        await self._ids.keep()
        by_asset, others = _by_asset(items)
        told, blocks = self._others(others, by_asset, now_ns) if others else ([], {})
        if blocks:
            self._health.last_data_ns = now_ns
        for asset, raw in by_asset.items():
            source = self.sources.get(asset) or self.source(asset)
            if source is None:
                self._health.refused += len(raw)
                continue
            source.heard_s = time.monotonic()
            said = self.conversions.converted(raw)
            if source.computed is not None:
                said = [*said, *source.computed.update(said, now_ns)]
            if source.detectors is not None:
                found = source.detectors.update(said, blocks.get(asset, ()), now_ns)
                said.extend(found.samples)
                told += found.events
            await self._take_samples(source, said, now_ns)
        if blocks:
            due = self._blocks.due(block for of_asset in blocks.values() for block in of_asset)
            await self._blocks.send(due, "period", now_ns)
        if told:
            await self._take_events(told, now_ns)

    async def _take_samples(self, source: Source, samples: Sequence[Sample], now_ns: int) -> None:
        self._learn(source, samples)
        passed = source.filter.update(samples, now_ns)
        self._tell_too_large(source, source.filter)
        if source.filter.has_news:
            self._health.last_data_ns = max(self._health.last_data_ns, source.filter.news_ns)
        self._health.samples += len(samples)
        if passed.live:
            await self.send(source, passed.live)
        if passed.past:
            await self.send(source, passed.past, past=True)
        self._tell_oddities(source.filter, source.asset.id, now_ns)

    def _others(
        self, others: Sequence[Item], by_asset: dict[str, list[Sample]], now_ns: int
    ) -> tuple[list[Event | Refreshed], dict[str, list[Block]]]:
        """Return what a batch tells of events, and its new blocks by asset; assets with any are in `by_asset` then."""
        told: list[Event | Refreshed] = []
        blocks: dict[str, list[Block]] = {}
        for item in others:
            asset = item.header.asset if isinstance(item, Block) else item.asset
            if not self._is_ours(asset):
                continue
            by_asset.setdefault(asset, [])
            if isinstance(item, Block):
                if fresh := self._blocks.check([item], now_ns):
                    blocks.setdefault(asset, []).extend(fresh)
            elif isinstance(item, Event | Refreshed):
                told.append(item)
        return told, blocks

    async def _take_events(self, told: Sequence[Event | Refreshed], now_ns: int) -> None:
        """Keep events, and before each the blocks that its evidence names."""
        for event in told:
            if isinstance(event, Event) and event.evidence:
                named = self._blocks.named(event.asset, (each.block for each in event.evidence if each.block))
                await self._blocks.send(named, "detector", now_ns)
        before = self._health.events
        await self._events.take(told, now_ns)
        if self._health.events > before:
            self._health.last_data_ns = now_ns

    @property
    def is_due(self) -> bool:
        """Whether it is time to `look`."""
        return bool(self._orphans) or (self.detects and time.monotonic() - self._looked_s >= TICK_S)

    async def look(self) -> None:
        """See what time alone brings: the ends of delays, and of conditions of which nobody tells any more."""
        self._looked_s, now_ns = time.monotonic(), self._clock_ns()
        while self._orphans:
            await self._events.clear(*self._orphans.pop(), now_ns)
        for source in list(self.sources.values()):
            if source.detectors is None or not source.online:
                continue
            found = source.detectors.update((), (), now_ns)
            if found.samples:
                await self._take_samples(source, found.samples, now_ns)
            if found.events:
                await self._take_events(found.events, now_ns)

    async def send_blocks(self, asset: str, sensor: str, start_ns: int | None = None, end_ns: int | None = None) -> int:
        """Send the blocks of a sensor that are held of a time (ns), without one the newest; return how many."""
        return await self._blocks.send(self._blocks.held(asset, sensor, start_ns, end_ns), "request", self._clock_ns())

    def _is_ours(self, asset: str) -> bool:
        """Note a sign of life that is no sample; return whether it is of an asset of ours."""
        source = self.sources.get(asset) or self.source(asset)
        if source is None:
            self._health.refused += 1
            return False
        source.heard_s = time.monotonic()
        source.online = True
        return True

    def recorded(self, source: Source, past: Filter, samples: Iterable[Sample]) -> list[Sample]:
        """Return what of samples that the machine recorded passes `past`, which counts them as read: send it."""
        own = self.conversions.converted(past.missing(samples, source.filter))
        newest_ns = max((sample.time_ns for sample in own), default=0)
        self._learn(source, own)
        live, late = past.update(own, newest_ns)
        self._tell_too_large(source, past)
        return [*live, *late]

    async def flush(self, *, everything: bool = False) -> None:
        """Send what waited for the end of its period; `everything`: whatever its period, the machine is lost."""
        now_ns = self._clock_ns()
        for source in self.sources.values():
            passed = source.filter.drain() if everything else source.filter.flush(now_ns)
            await self.send(source, passed)

    async def send(self, source: Source, samples: Sequence[Sample], *, past: bool = False) -> None:
        """Put samples into the spool, for as long as it takes: meanwhile nothing more is read."""
        if not samples:
            return
        source.online = True
        read: dict[str, Read] = {}
        if not past and self.keeps_history:
            read = source.filter.read((sample.signal for sample in samples), source.past)
        datatypes = source.inferred if source.has_news else {}
        put = partial(self._outlet.put, source.asset.id, samples, past=past, read=read, datatypes=datatypes)
        await self._way.put(put)
        source.has_news = source.has_news and not datatypes

    def resume(self, now_ns: int) -> None:
        """Begin to read after a loss."""
        for source in self.sources.values():
            if source.computed is not None:
                source.computed.forget()
            source.filter.resume(self._bounds(now_ns))

    def lost(self) -> None:
        """Tell that the machine is lost, with all its assets."""
        for source in self.sources.values():
            self._set_offline(source)

    async def retire(self) -> None:
        """End all conditions of its assets that are active."""
        for asset in self.sources:
            for source in self._events.sources(asset):
                await self._events.clear(asset, source, self._clock_ns())

    def check_silence(self) -> None:
        """Tell of assets that have said nothing for longer than the machine allows."""
        limit_s = self._entry.offline_after_s
        for source in self.sources.values():
            if limit_s and source.online and time.monotonic() - source.heard_s > limit_s:
                self._log.warning("no data", asset=source.asset.id, silent_s=limit_s)
                self._set_offline(source)
                source.filter.resume(self._bounds(self._clock_ns()))

    def _set_offline(self, source: Source) -> None:
        if source.online:
            source.online = False
            self._outlet.offline(source.asset.id)

    def _bounds(self, now_ns: int) -> Bounds:
        """Return what times are held against; who keeps a record tells at each connection what holds then."""
        oldest_ns = (now_ns // _DAY_NS - self._raw_days) * _DAY_NS if self._raw_days else 0
        return Bounds(oldest_ns, holds=self.keeps_history)

    def source(self, asset_id: str) -> Source | None:
        """Return what is known of an asset, made at its first appearance; None for one that cannot be ours."""
        if asset_id in self.sources:
            return self.sources[asset_id]
        if len(self.sources) >= MAX_ASSETS:
            self.notes.tell(
                "assets", f"more than {MAX_ASSETS} assets: data of {asset_id} is left out; narrow the topic"
            )
            return None
        try:
            check_id(asset_id)
        except TopicError as error:
            self.notes.tell("asset id", f"{str(error)[:300]}: data of this asset is left out")
            return None
        owner = self._owners.setdefault(asset_id, self._name)
        if owner != self._name:
            text = f"the asset {asset_id} belongs to {owner} already: its data is left out"
            self.notes.tell("owner", text, asset_id)
            return None
        asset = replace(self._entry.asset(self._place, asset_id), label=self._ids.label(asset_id))
        unknown = {name for name, entry in self._entry.quantities.items() if entry.stated is None}
        before = self._outlet.datatypes_before(asset_id)
        inferred = {name: datatype for name, datatype in before.items() if name in unknown}
        signals = tuple(replace(each, datatype=inferred.get(each.name, each.datatype)) for each in asset.signals)
        asset = replace(asset, signals=signals)
        self._outlet.describe(asset)
        filter_ = Filter(signals, bounds=self._bounds(self._clock_ns()))
        active = partial(self._events.active, asset_id)
        detectors = Detectors(self._entry.detectors, asset, self._health, active) if self.detects else None
        stated = {name: each.stated for name, each in self._entry.quantities.items() if each.stated is not None}
        expressions = self._entry.expressions()
        computed = Computed(asset_id, expressions, stated, self.notes) if expressions else None
        self.sources[asset_id] = Source(asset, filter_, unknown - inferred.keys(), inferred, detectors, computed)
        there = {MACHINE, *(entry.name for entry in self._entry.detectors)}
        self._orphans += [(asset_id, source) for source in self._events.sources(asset_id) - there]
        return self.sources[asset_id]

    def _learn(self, source: Source, samples: Sequence[Sample]) -> None:
        if source.learn(samples):
            self._outlet.describe(source.asset)

    def _tell_oddities(self, found: Filter, asset: str, now_ns: int) -> None:
        """Count, note and enter in the ledger what is odd about times, and what values did not fit."""
        if found.odd_times:
            for sort, count in found.odd_times.items():
                self._ledger.lose(self._name, "source_time", count, now_ns, detail=WORDS[sort], outcome="noted")
            for (sort, signal), example in found.examples.items():
                text = f"{asset}/{signal}: {WORDS[sort]} (time_ns {example.time_ns})"
                self.notes.tell(f"time {sort}", text, f"{asset}/{signal}")
            self._health.times_replaced += found.replaced
            found.examples.clear()
            found.odd_times.clear()
            found.replaced = 0
        if found.misfits:
            for signal, count in found.misfits.items():
                value, datatype = found.misfit[signal], found.datatype(signal)
                self.notes.tell(
                    "misfit",
                    f"{asset}/{signal}: {value!r:.80} is no {datatype}: it is kept as bad, without a value; "
                    "state the `datatype` of the signal in the plant file if it is another",
                    f"{asset}/{signal}",
                )
                self._health.misfits += count
            found.misfits.clear()
        for signal in found.rounded:
            text = "an integer has more digits than a double: it is rounded, and uncertain; state `datatype: int64`"
            self.notes.tell("rounded", f"{asset}/{signal}: {text}", f"{asset}/{signal}")
        self._health.rounded += found.rounded.total()
        found.rounded.clear()

    def _tell_too_large(self, source: Source, through: Filter) -> None:
        for signal, size in through.too_large:
            self._health.too_large += 1
            text = f"a text of {size} bytes is left out, {MAX_TEXT_BYTES} fit into a message"
            self.notes.tell("too large", f"{signal} of {source.asset.id}: {text}", f"{source.asset.id}/{signal}")


def _by_asset(items: Sequence[Item]) -> tuple[dict[str, list[Sample]], list[Item]]:
    """Return the samples of a batch by asset, and what else is in it; raise TypeError for what is no item."""
    by_asset: dict[str, list[Sample]] = {}
    others: list[Item] = []
    asset: str | None = None
    samples: list[Sample] = []
    for item in items:
        if item.__class__ is Sample:
            if item.asset != asset:
                asset = item.asset
                samples = by_asset.setdefault(asset, [])
            samples.append(item)
        elif isinstance(item, Event | Refreshed | Block):
            others.append(item)
        else:
            raise TypeError(f"{item!r:.80} is no sample, no event and no block")
    return by_asset, others
