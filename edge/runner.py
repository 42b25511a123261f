"""Keeps one machine connected and moves its samples into the uplink."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

import structlog

from contract.loss import Reason
from contract.model import MAX_TEXT_BYTES, Asset, Datatype, Sample
from contract.topics import TopicError, check_id
from edge.contain import CLOSE_S, CONNECT_S, Contained, Failed, check_sound, outcome
from edge.dating import WORDS, Bounds
from edge.driver import Counters, Driver, DriverError, Lost, NoHistory, Unreachable
from edge.filter import Filter, Read, inferred
from edge.gap import Gap
from edge.health import Health
from edge.ids import MAX_ASSETS, AssetIds
from edge.machine import Machine, Place
from spool import SpoolError

_SHORT_DELAY_S: Final = 0.8
_SHORT_ATTEMPTS: Final = 20
_LONG_DELAY_S: Final = 5.0
_RETRY_SPOOL_S: Final = 1.0
_TICK_S: Final = 0.05
_FIRST_VALUES_S: Final = 2.0  # so long it may take a connection to give each signal's value
_HISTORY_ATTEMPTS: Final = 3  # that may end by a failure of the driver
_MOST_FAILURES: Final = 100  # sorts of them, that are told in full

_DETAILS: Final[dict[Reason, str]] = {
    "overflow": "the source's queue overflowed; it does not say how many values it threw away, at least so many",
    "driver_queue": "messages came faster than they were taken",
    "too_large": f"texts of more than {MAX_TEXT_BYTES} bytes, which no message can hold: their samples have no value",
    "not_understood": "messages, values or assets that do not fit the plant file; the log has an example",
}

_DAY_NS: Final = 86_400_000_000_000

_log = structlog.get_logger(__name__)


class Outlet(Protocol):
    """Where samples go: the uplink."""

    def describe(self, asset: Asset) -> None:
        """Tell what an asset is; again when its signals changed."""

    def offline(self, asset: str) -> None:
        """Tell that an asset is lost."""

    def put(
        self,
        asset: str,
        samples: Sequence[Sample],
        *,
        past: bool = False,
        read: Mapping[str, Read] = ...,
        datatypes: Mapping[str, Datatype] = ...,
    ) -> list[Future[int | None]]:
        """Take samples of an asset, which is online by that; each future ends when its part is durable.

        `past`: they are late, or history that was read; newer ones may have been put before. What is durable with
        these samples: `read`, what has been read by signal, and `datatypes`, those that were taken from first values.

        Raises SpoolError (also through the futures).
        """

    def read_before(self, asset: str) -> dict[str, Read]:
        """Return, by signal, the newest `read` that is durable, also of an earlier run."""

    def datatypes_before(self, asset: str) -> dict[str, Datatype]:
        """Return the newest `datatypes` that are durable, also of an earlier run."""


class Losses(Protocol):
    """Where it is told what did not become a sample; see edge.ledger."""

    def heard_until(self, machine: str) -> int:
        """Return until when a machine was heard by an earlier run of the edge; 0 for never."""

    def enter(
        self,
        source: str,
        reason: Reason,
        start_ns: int,
        end_ns: int,
        *,
        outcome: Literal["lost", "filled", "noted"] = "lost",
        count: int = 0,
        detail: str = "",
    ) -> None:
        """Tell of one thing that happened."""

    def lose(
        self,
        source: str,
        reason: Reason,
        count: int,
        now_ns: int,
        *,
        since_ns: int = 0,
        detail: str = "",
        outcome: Literal["lost", "noted"] = "lost",
    ) -> None:
        """Tell of losses of a sort, or of what else is to be noted, that may go on."""


@dataclass(slots=True)
class _Source:
    """One asset of the machine."""

    asset: Asset
    filter: Filter
    unknown: set[str]  # signals whose datatype neither the plant file nor a value has told yet
    inferred: dict[str, Datatype]  # those that were taken from first values
    has_news: bool = False  # of them
    online: bool = False
    heard_s: float = 0.0  # when it last had data, by a clock that nobody sets


class Runner:
    """One machine: connect, read, filter, hand over; connect again for ever. One task, `run()`.

    Whatever its driver raises is trouble of this machine alone (see edge.contain); errors of the edge itself, of the
    filter or the spool, end `run`.
    """

    def __init__(
        self,
        name: str,
        machine: Machine,
        make: Callable[[], Driver],
        *,
        place: Place,
        outlet: Outlet,
        ledger: Losses,
        owners: dict[str, str],
        raw_days: int = 0,
        ids: AssetIds | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        connect_s: float = CONNECT_S,
        close_s: float = CLOSE_S,
    ) -> None:
        """`make` makes the driver; `connect_s` and `close_s` are how long it may take to connect and to close.

        `raw_days`: for so many days samples are kept (decision 0008), 0: for ever.
        """
        self.name = name
        self.health = Health()
        self._machine = machine
        self._driver = Contained(make, connect_s=connect_s, close_s=close_s)
        self._place = place
        self._outlet = outlet
        self._ledger = ledger
        self._owners = owners  # asset id → machine entry, of the whole plant
        self._raw_days = raw_days
        self._ids = AssetIds() if ids is None else ids
        self._clock_ns = clock_ns
        self._sources: dict[str, _Source] = {}
        self._log = _log.bind(machine=name, address=machine.address)
        self._noted: set[str] = set()
        self._failures: set[str] = set()  # places of those that were told in full
        self._accounted: dict[Reason, int] = {}
        self._flagged = 0  # of the times that the driver has replaced, so many are told
        self._gap: Gap | None = None  # the one that history may still fill

    @property
    def counters(self) -> Counters:
        """What the driver counts."""
        return self._driver.counters

    @property
    def heard_until_ns(self) -> int:
        """Until when the machine was heard, 0 for never; while a gap is being filled, until it began."""
        return self._gap.start_ns if self._gap is not None else self.health.alive_ns

    async def run(self) -> None:
        """Serve the machine until cancelled."""
        for asset in self._machine.asset_ids(self.name):
            self._source(asset)
        attempts = 0
        try:
            while True:
                before = self.health.samples
                await self._serve_once()
                attempts = 0 if self.health.samples > before else attempts + 1
                await asyncio.sleep(_delay_s(attempts))
        finally:
            await self._close()

    async def _serve_once(self) -> None:
        """Connect and read until the machine is lost."""
        try:
            await self._driver.connect()
            self._connected()
            await self._read_on()
        except Unreachable as error:
            if self.health.trouble != str(error):
                self._log.warning("machine cannot be reached; trying on", reason=str(error))
            self._lost(error)
        except Lost as error:
            self.health.losses += 1
            self._log.warning("machine lost", reason=str(error))
            await self._end(error)
        except Failed as error:
            self._failed(error)
            await self._end(error)
        await self._close()

    async def _end(self, why: DriverError | Failed) -> None:
        await self._flush(everything=True)
        self._account()
        self._lost(why)

    async def _close(self) -> None:
        try:
            await self._driver.close()
        except Failed as error:
            self._failed(error)

    def _failed(self, error: Failed) -> None:
        """Tell of a failure of the driver: once with its traceback, then once for each loss of the machine."""
        self.health.failures += 1
        if error.place not in self._failures and len(self._failures) < _MOST_FAILURES:
            self._failures.add(error.place)
            self._log.error("the driver has failed; its machine is tried on", reason=str(error), exc_info=error.error)
        elif self.health.trouble != str(error):
            self._log.warning("the driver has failed again", reason=str(error))

    def _connected(self) -> None:
        if self.health.losses or self.health.trouble:
            self._log.info("machine is back")
        else:
            self._log.info("machine connected")
        trouble = self.health.trouble
        self.health.connected, self.health.trouble = True, ""
        self.health.todo = self.health.code = ""
        now_ns = self._clock_ns()
        self._look_for_gap(now_ns, trouble)
        self.health.alive_ns = now_ns
        for source in self._sources.values():
            source.filter.resume(self._bounds(now_ns))

    def _bounds(self, now_ns: int) -> Bounds:
        """Return what times are held against; who keeps a record tells at each connection what holds then."""
        oldest_ns = (now_ns // _DAY_NS - self._raw_days) * _DAY_NS if self._raw_days else 0
        return Bounds(oldest_ns, holds=self._driver.keeps_history)

    def _look_for_gap(self, now_ns: int, trouble: str) -> None:
        """See from when to when the machine was not heard; if it keeps no record, nobody knows what it said."""
        live = {asset: source.filter.successor(source.asset.signals) for asset, source in self._sources.items()}
        if self._gap is not None:  # history was being read when the machine was lost again
            self._gap.end_ns = now_ns
            for asset, past in self._gap.filters.items():
                past.leave_out(self._sources[asset].filter)
        elif self.health.alive_ns:
            filters = {asset: source.filter for asset, source in self._sources.items()}
            self._gap = Gap(self.health.alive_ns, now_ns, "offline", trouble, filters)
            for past in filters.values():
                past.rewind()
        elif heard_ns := self._ledger.heard_until(self.name) or self._read_until():
            filters = {
                asset: Filter(source.asset.signals, self._outlet.read_before(asset))
                for asset, source in self._sources.items()
            }
            self._gap = Gap(heard_ns, now_ns, "edge_down", "the edge did not run", filters)
            live = {asset: past.successor(self._sources[asset].asset.signals) for asset, past in filters.items()}
        else:
            return
        for asset, source in self._sources.items():
            source.filter = live[asset]

    def _read_until(self) -> int:
        """Return the newest of the source's times that an earlier run has read; 0 for none."""
        read = (each.until_ns for asset in self._sources for each in self._outlet.read_before(asset).values())
        return max(read, default=0)

    async def _fill_gap(self) -> None:
        """Read what the machine recorded in the gap, and tell the ledger how that went."""
        gap = self._gap
        if gap is None:
            return
        missing = "the machine keeps no history that can be read"
        if self._driver.keeps_history:
            try:
                await self._send_record(gap)
                missing = ""
            except NoHistory as error:
                missing = str(error)
            except Failed as error:
                gap.failures += 1
                if gap.failures < _HISTORY_ATTEMPTS:
                    raise
                self._failed(error)
                missing = str(error)
            except Lost:
                return  # the reading notices, too; the next connection asks for all of it again
        for asset, past in gap.filters.items():
            await self._send(self._sources[asset], past.drain(), past=True)
        if missing:
            detail = f"{gap.detail}; {missing}"
            self._ledger.enter(self.name, gap.reason, gap.start_ns, gap.end_ns, detail=detail)
        if gap.filled or not missing:
            detail = f"{gap.detail}; gap filled by history, {gap.filled} samples"
            self._ledger.enter(
                self.name, gap.reason, gap.start_ns, gap.end_ns, outcome="filled", count=gap.filled, detail=detail
            )
        self._gap = None

    async def _send_record(self, gap: Gap) -> None:
        """Send what the machine recorded in the gap; raise NoHistory, Lost or Failed."""
        await self._first_values()
        start_ns, end_ns = gap.window({asset: self._sources[asset].filter for asset in gap.filters})
        if start_ns >= end_ns:
            raise NoHistory("its clock was set back, so it cannot be asked for that time")
        async with aclosing(self._driver.history(start_ns, end_ns)) as record:
            async for samples in record:
                try:
                    await self._send_recorded(samples, gap)
                except Exception:
                    check_sound(samples, self._machine.signals)
                    raise

    async def _send_recorded(self, samples: Sequence[Sample], gap: Gap) -> None:
        for asset, past in gap.filters.items():
            source = self._sources[asset]
            own = past.missing((sample for sample in samples if sample.asset == asset), source.filter)
            newest_ns = max((sample.time_ns for sample in own), default=0)
            live, late = past.update(self._learn(source, own), newest_ns)
            self._tell_too_large(source, past)
            # before it is sent: what a lost line cuts off here has been put all the same, and is not read again
            gap.filled += len(live) + len(late)
            await self._send(source, [*live, *late], past=True)

    async def _first_values(self) -> None:
        """Wait for the value of each signal: what was recorded after it comes over this connection."""
        deadline_s = time.monotonic() + _FIRST_VALUES_S
        while time.monotonic() < deadline_s:
            if all(source.filter.has_all for source in self._sources.values()):
                return
            await asyncio.sleep(_TICK_S)

    def _lost(self, why: DriverError | Failed) -> None:
        self.health.connected, self.health.trouble = False, str(why)
        self.health.todo, self.health.code = why.do, why.code
        for source in self._sources.values():
            self._set_offline(source)

    def _set_offline(self, source: _Source) -> None:
        if source.online:
            source.online = False
            self._outlet.offline(source.asset.id)

    async def _read_on(self) -> None:
        reading = asyncio.create_task(self._driver.read())
        filling = asyncio.create_task(self._fill_gap())
        try:
            while True:
                if filling.done():
                    outcome(filling, "history")
                waits = any(source.filter.waits for source in self._sources.values())
                timeout_s = _TICK_S if waits else self._machine.offline_after_s / 4 or None
                await asyncio.wait((reading,), timeout=timeout_s)
                if reading.done():
                    samples = outcome(reading, "read")
                    try:
                        await self._take(samples)
                    except Exception:
                        check_sound(samples, self._machine.signals)
                        raise
                    self._account()
                    self.health.alive_ns = self._clock_ns()
                    reading = asyncio.create_task(self._driver.read())
                elif waits:
                    await self._flush()
                self._check_silence()
        finally:
            await self._driver.end(reading, filling)

    async def _take(self, samples: Sequence[Sample]) -> None:
        """Filter a batch and wait until the rest of it is durable."""
        now_ns = self._clock_ns()
        by_asset: dict[str, list[Sample]] = {}
        await self._ids.keep()
        for sample in samples:
            by_asset.setdefault(sample.asset, []).append(sample)
        for asset, group in by_asset.items():
            source = self._sources.get(asset) or self._source(asset)
            if source is None:
                self.health.refused += len(group)
                continue
            known = self._learn(source, group)
            passed = source.filter.update(known, now_ns)
            self._tell_too_large(source, source.filter)
            source.heard_s = time.monotonic()
            if source.filter.has_news:
                self.health.last_data_ns = now_ns
            self.health.samples += len(known)
            await self._send(source, passed.live)
            await self._send(source, passed.past, past=True)
            self._tell_oddities(source.filter, asset, now_ns)
        self._say_notes()

    def _tell_oddities(self, found: Filter, asset: str, now_ns: int) -> None:
        """Count, note and enter in the ledger what is odd about times, and what values did not fit."""
        if found.odd_times:
            for sort, count in found.odd_times.items():
                example = found.examples[sort]
                self._note(f"time {sort}", f"{asset}/{example.signal}: {WORDS[sort]} (time_ns {example.time_ns})")
                self._ledger.lose(self.name, "source_time", count, now_ns, detail=WORDS[sort], outcome="noted")
            self.health.times_replaced += found.replaced
            found.odd_times.clear()
            found.replaced = 0
        if found.misfits:
            for signal, count in found.misfits.items():
                value, datatype = found.misfit[signal], found.datatype(signal)
                self._note(
                    f"misfit {signal}",
                    f"{asset}/{signal}: {value!r:.80} is no {datatype}: it is kept as bad, without a value; "
                    "state the `datatype` of the signal in the plant file if it is another",
                )
                self.health.misfits += count
            found.misfits.clear()
        for signal in found.rounded:
            text = "an integer has more digits than a double: it is rounded, and uncertain; state `datatype: int64`"
            self._note(f"rounded {signal}", f"{asset}/{signal}: {text}")
        self.health.rounded += found.rounded.total()
        found.rounded.clear()

    async def _flush(self, *, everything: bool = False) -> None:
        now_ns = self._clock_ns()
        for source in self._sources.values():
            passed = source.filter.drain() if everything else source.filter.flush(now_ns)
            await self._send(source, passed)

    async def _send(self, source: _Source, samples: Sequence[Sample], *, past: bool = False) -> None:
        """Put samples into the spool, for as long as it takes: meanwhile nothing more is read."""
        standing = False
        source.online = source.online or bool(samples)
        read: dict[str, Read] = {}
        if not past and self._driver.keeps_history:
            gap = None if self._gap is None else self._gap.filters.get(source.asset.id)
            read = source.filter.read((sample.signal for sample in samples), gap)
        datatypes = source.inferred if source.has_news else {}
        while samples:
            try:
                for future in self._outlet.put(source.asset.id, samples, past=past, read=read, datatypes=datatypes):
                    if not future.done():
                        await asyncio.wrap_future(future)
                    future.result()
            except SpoolError as error:
                if not standing:
                    self._log.error("reading stands still until the spool takes more", reason=str(error))
                    standing, self.health.trouble = True, str(error)
                await asyncio.sleep(_RETRY_SPOOL_S)
            else:
                source.has_news = source.has_news and not datatypes
                break
        if standing:
            self._log.info("the spool takes data again; reading goes on")
            self.health.trouble = ""

    def _learn(self, source: _Source, samples: Sequence[Sample]) -> Sequence[Sample]:
        """Take the datatypes of signals that stated none from their first values; leave out unknown signals."""
        if not source.unknown:
            return samples
        known, changed = [], False
        signals = {signal.name: signal for signal in source.asset.signals}
        for sample in samples:
            if sample.signal in source.unknown and sample.value is not None:
                source.unknown.discard(sample.signal)
                datatype = source.inferred[sample.signal] = inferred(sample.value)
                source.has_news = True
                signal = replace(signals[sample.signal], datatype=datatype)
                changed |= signal != signals[sample.signal]
                signals[sample.signal] = signal
                source.filter.set_datatype(signal)
                if self._gap is not None and source.asset.id in self._gap.filters:
                    self._gap.filters[source.asset.id].set_datatype(signal)
            known.append(sample)
        if changed:
            source.asset = replace(source.asset, signals=tuple(signals.values()))
            self._outlet.describe(source.asset)
        return known

    def _source(self, asset_id: str) -> _Source | None:
        """Return what is known of an asset, made at its first appearance; None for one that cannot be ours."""
        if asset_id in self._sources:
            return self._sources[asset_id]
        if len(self._sources) >= MAX_ASSETS:
            self._note("assets", f"more than {MAX_ASSETS} assets: data of {asset_id} is left out; narrow the topic")
            return None
        try:
            check_id(asset_id)
        except TopicError as error:
            self._note("asset id", f"{str(error)[:300]}: data of this asset is left out")
            return None
        owner = self._owners.setdefault(asset_id, self.name)
        if owner != self.name:
            self._note(f"asset {asset_id}", f"the asset {asset_id} belongs to {owner} already: its data is left out")
            return None
        asset = replace(self._machine.asset(self._place, asset_id), label=self._ids.label(asset_id))
        unknown = {name for name, entry in self._machine.signals.items() if entry.datatype is None}
        before = self._outlet.datatypes_before(asset_id)
        inferred = {name: datatype for name, datatype in before.items() if name in unknown}
        signals = tuple(replace(each, datatype=inferred.get(each.name, each.datatype)) for each in asset.signals)
        asset = replace(asset, signals=signals)
        self._outlet.describe(asset)
        filter_ = Filter(signals, bounds=self._bounds(self._clock_ns()))
        self._sources[asset_id] = _Source(asset, filter_, unknown - inferred.keys(), inferred)
        return self._sources[asset_id]

    def _check_silence(self) -> None:
        limit_s = self._machine.offline_after_s
        for source in self._sources.values():
            if limit_s and source.online and time.monotonic() - source.heard_s > limit_s:
                self._log.warning("no data", asset=source.asset.id, silent_s=limit_s)
                self._set_offline(source)
                source.filter.resume(self._bounds(self._clock_ns()))

    def _account(self) -> None:
        """Tell the ledger what the driver has counted since the last time."""
        counters = self._driver.counters
        counted: dict[Reason, int] = {
            "overflow": counters.overflows,
            "driver_queue": counters.dropped,
            "not_understood": counters.rejected + self.health.refused + self.health.misfits,
            "too_large": self.health.too_large,
        }
        for reason, total in counted.items():
            new = total - self._accounted.get(reason, 0)
            if new:
                now_ns, since_ns = self._clock_ns(), self.health.alive_ns
                self._ledger.lose(self.name, reason, new, now_ns, since_ns=since_ns, detail=_DETAILS[reason])
        self._accounted = counted
        if flagged := counters.times_replaced - self._flagged:
            self._flagged = counters.times_replaced
            self.health.times_replaced += flagged
            detail = "the source gave none that can be its own; the driver took another one"
            self._ledger.lose(self.name, "source_time", flagged, self._clock_ns(), detail=detail, outcome="noted")

    def _tell_too_large(self, source: _Source, through: Filter) -> None:
        for signal, size in through.too_large:
            self.health.too_large += 1
            text = f"a text of {size} bytes is left out, {MAX_TEXT_BYTES} fit into a message"
            self._note(f"too large {source.asset.id} {signal}", f"{signal} of {source.asset.id}: {text}")

    def _say_notes(self) -> None:
        for sort, text in self._driver.counters.notes.items():
            self._note(sort, text)

    def _note(self, sort: str, text: str) -> None:
        if sort not in self._noted and len(self._noted) < MAX_ASSETS:
            self._noted.add(sort)
            self._log.warning(text)


def _delay_s(attempts: int) -> float:
    """Return how long to wait: short while a machine may just be restarting, then longer and longer, with jitter."""
    doublings = min(max(0, attempts - _SHORT_ATTEMPTS), 10)
    return min(_SHORT_DELAY_S * 2.0**doublings, _LONG_DELAY_S) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
