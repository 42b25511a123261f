"""The times in which a machine was not heard: what its own record says of them, and what the ledger is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal

from contract.model import Sample
from edge.contain import Contained, Failed, check_sound
from edge.driver import Lost, NoHistory
from edge.entry import Entry
from edge.filter import Filter
from edge.intake import Intake
from edge.ledger import EdgeLedger
from edge.outlet import Outlet
from edge.source import Source

_UNDER_WAY_NS: Final = 10_000_000_000  # so old may be what the machine had said and what had not come to us
_FIRST_VALUES_S: Final = 2.0  # so long it may take a connection to give each signal's value
_TICK_S: Final = 0.05
_ATTEMPTS: Final = 3  # that may end by a failure of the driver


@dataclass(slots=True)
class _Gap:
    """From when to when and why the machine was not heard, by the edge's clock.

    `kept`: what the machine said then comes by itself. `filled`: so many samples were read from the record.
    `failures`: so often the driver failed at it. `sending` puts samples into the spool that count as read: it goes on
    when the line is lost.
    """

    start_ns: int
    end_ns: int
    reason: Literal["offline", "edge_down"]
    detail: str
    kept: bool = True
    filled: int = 0
    failures: int = 0
    sending: asyncio.Task[None] | None = None


class Gaps:
    """At most one gap of a machine is open: the one that its record may still fill.

    While it is, the sources of `intake` have in `past` their filters as they were when it began. What was read in
    between, over a connection that was lost before the gap was filled, is known to these.
    """

    def __init__(
        self,
        name: str,
        entry: Entry,
        *,
        driver: Contained,
        intake: Intake,
        outlet: Outlet,
        ledger: EdgeLedger,
        failed: Callable[[Failed], None],
        away: str,
    ) -> None:
        """`failed` is told of a failure of the driver after which it is not asked again.

        `away` says why the machine was not read before this run of it.
        """
        self._name = name
        self._entry = entry
        self._driver = driver
        self._intake = intake
        self._outlet = outlet
        self._ledger = ledger
        self._failed = failed
        self._away = away
        self._gap: _Gap | None = None

    @property
    def start_ns(self) -> int | None:
        """When the gap began that is open; None when none is."""
        return None if self._gap is None else self._gap.start_ns

    def look(self, alive_ns: int, now_ns: int, trouble: str) -> None:
        """See, at a connection, from when to when the machine was not heard: `alive_ns` is when it last was, or 0."""
        sources = self._intake.sources
        live = {asset: source.filter.successor(source.asset.signals) for asset, source in sources.items()}
        if self._gap is not None:  # history was being read when the machine was lost again
            self._gap.end_ns = now_ns
            for source in sources.values():
                if source.past is not None:
                    source.past.leave_out(source.filter)
        elif alive_ns:
            self._gap = _Gap(alive_ns, now_ns, "offline", trouble)
            for source in sources.values():
                source.past = source.filter
                source.past.rewind()
        elif heard_ns := self._ledger.heard_until(self._name) or self._read_until():
            self._gap = _Gap(heard_ns, now_ns, "edge_down", self._away)
            for asset, source in sources.items():
                source.past = Filter(source.asset.signals, self._outlet.read_before(asset))
                live[asset] = source.past.successor(source.asset.signals)
        else:
            return
        self._gap.kept = self._gap.kept and self._driver.kept
        for asset, source in sources.items():
            source.filter = live[asset]

    def _read_until(self) -> int:
        """Return the newest of the source's times that an earlier run has read; 0 for none."""
        sources = self._intake.sources
        return max((each.until_ns for asset in sources for each in self._outlet.read_before(asset).values()), default=0)

    async def fill(self) -> None:
        """Read what the machine recorded in the gap, and tell the ledger how that went; raise Failed."""
        gap = self._gap
        if gap is None:
            return
        if gap.sending is not None:
            await asyncio.shield(gap.sending)
        missing = "the machine keeps no history that can be read"
        if self._driver.keeps_history:
            try:
                await self._read_record(gap)
                missing = ""
            except NoHistory as error:
                missing = str(error)
            except Failed as error:
                gap.failures += 1
                if gap.failures < _ATTEMPTS:
                    raise
                self._failed(error)
                missing = str(error)
            except Lost:
                return  # the reading notices, too; the next connection asks for all of it again
        for source in self._intake.sources.values():
            if source.past is not None:
                await self._send(gap, source, source.past.drain())
        self._close(gap, missing)

    async def stop(self) -> None:
        """End what is under way; what is not durable by then counts as read for nobody."""
        if self._gap is not None and self._gap.sending is not None:
            self._gap.sending.cancel()
            await asyncio.wait((self._gap.sending,))

    def _close(self, gap: _Gap, missing: str) -> None:
        """Tell the ledger of a gap in which something is `missing`, if that is why, and forget it."""
        if gap.kept:
            detail = f"{gap.detail}; the broker has kept what was published at QoS 1, as far as its limits go"
            self._ledger.enter(self._name, gap.reason, gap.start_ns, gap.end_ns, outcome="noted", detail=detail)
        elif missing:
            detail = f"{gap.detail}; {missing}"
            self._ledger.enter(self._name, gap.reason, gap.start_ns, gap.end_ns, detail=detail)
        if gap.filled or not missing:
            detail = f"{gap.detail}; gap filled by history, {gap.filled} samples"
            self._ledger.enter(
                self._name, gap.reason, gap.start_ns, gap.end_ns, outcome="filled", count=gap.filled, detail=detail
            )
        self._gap = None
        for source in self._intake.sources.values():
            source.past = None

    async def _read_record(self, gap: _Gap) -> None:
        """Send what the machine recorded in the gap; raise NoHistory, Lost or Failed."""
        await self._first_values()
        start_ns, end_ns = self._window(gap)
        if start_ns >= end_ns:
            raise NoHistory("its clock was set back, so it cannot be asked for that time")
        async with aclosing(self._driver.history(start_ns, end_ns)) as record:
            async for samples in record:
                try:
                    await self._send_recorded(samples, gap)
                except Exception:
                    check_sound(samples, self._intake.signals)
                    raise

    def _window(self, gap: _Gap) -> tuple[int, int]:
        """Return from when to before when, by the source's clock, something may be missing before what is live."""
        sources = [source for source in self._intake.sources.values() if source.past is not None]
        read_ns = max((each.past.before_ns for each in sources if each.past is not None), default=0) or gap.start_ns
        end_ns = max((each.filter.begun_ns for each in sources), default=0)
        if not all(each.filter.has_all for each in sources):
            end_ns = max(end_ns, gap.end_ns)
        return min(gap.start_ns, read_ns) - _UNDER_WAY_NS, end_ns + 1

    async def _send_recorded(self, samples: Sequence[Sample], gap: _Gap) -> None:
        for asset, source in self._intake.sources.items():
            if source.past is not None:
                own = self._intake.recorded(source, source.past, (each for each in samples if each.asset == asset))
                gap.filled += len(own)
                await self._send(gap, source, own)

    async def _send(self, gap: _Gap, source: Source, samples: Sequence[Sample]) -> None:
        gap.sending = asyncio.create_task(self._intake.send(source, samples, past=True))
        await asyncio.shield(gap.sending)

    async def _first_values(self) -> None:
        """Wait for the value of each signal: what was recorded after it comes over this connection."""
        deadline_s = time.monotonic() + _FIRST_VALUES_S
        while time.monotonic() < deadline_s:
            if all(source.filter.has_all for source in self._intake.sources.values()):
                return
            await asyncio.sleep(_TICK_S)
