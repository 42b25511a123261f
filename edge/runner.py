"""Keeps one machine connected and moves its samples into the uplink."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

import structlog

from contract.loss import Reason
from contract.model import MAX_TEXT_BYTES, Asset, Value
from edge import probe
from edge.contain import CLOSE_S, CONNECT_S, WRITE_S, Contained, Failed, check_sound, outcome
from edge.detector import TICK_S
from edge.driver import Counters, Driver, DriverError, Item, Lost, Unreachable, Written
from edge.entry import Entry, Place
from edge.gaps import Gaps
from edge.health import Health
from edge.ids import AssetIds
from edge.intake import Intake
from edge.ledger import EdgeLedger
from edge.outlet import Outlet

_SHORT_DELAY_S: Final = 0.8
_SHORT_ATTEMPTS: Final = 20
_LONG_DELAY_S: Final = 5.0
_TICK_S: Final = 0.05
_MOST_FAILURES: Final = 100  # sorts of them, that are told in full

_REST_S: Final = 1.0  # so long a machine that is stopped is read on, for what its driver holds
_STOP_S: Final = 10.0  # so long it may take until all of that is in the spool
EDGE_DOWN: Final = "the edge did not run"
CHANGED: Final = "its entry in the plant file was changed"

_DETAILS: Final[dict[Reason, str]] = {
    "overflow": "the source's queue overflowed; it does not say how many values it threw away, at least so many",
    "driver_queue": "messages came faster than they were taken",
    "too_large": f"texts of more than {MAX_TEXT_BYTES} bytes, which no message can hold: their samples have no value",
    "not_understood": "messages, values or assets that do not fit the plant file; the log has an example",
}

_UNREADABLE: Final = "what it sends cannot be read. "
_READ: Final = "The edge's log has an example: are `payload`, `encoding` and the paths of its entry right?"

_log = structlog.get_logger(__name__)


class Runner:
    """One machine: connect, read, filter, hand over; connect again for ever. One task, `run()`.

    Whatever its driver raises is trouble of this machine alone (see edge.contain); errors of the edge itself, of the
    filter or the spool, end `run`.
    """

    def __init__(
        self,
        name: str,
        entry: Entry,
        make: Callable[[], Driver],
        *,
        place: Place,
        outlet: Outlet,
        ledger: EdgeLedger,
        owners: dict[str, str],
        raw_days: int = 0,
        ids: AssetIds | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        connect_s: float = CONNECT_S,
        close_s: float = CLOSE_S,
        away: str = EDGE_DOWN,
    ) -> None:
        """`make` makes the driver; `connect_s` and `close_s` are how long it may take to connect and to close.

        `raw_days`: for so many days samples are kept (decision 0008), 0: for ever. `away` says why the machine was not
        read before.
        """
        self.name = name
        self.health = Health()
        self._make = make
        self._entry = entry
        self._driver = Contained(make, connect_s=connect_s, close_s=close_s)
        self._ledger = ledger
        self._clock_ns = clock_ns
        self._ids = AssetIds() if ids is None else ids
        self._intake = Intake(
            name,
            entry,
            self.health,
            place=place,
            outlet=outlet,
            ledger=ledger,
            owners=owners,
            raw_days=raw_days,
            ids=self._ids,
            clock_ns=clock_ns,
        )
        self._gaps = Gaps(
            name,
            entry,
            driver=self._driver,
            intake=self._intake,
            outlet=outlet,
            ledger=ledger,
            failed=self._failed,
            away=away,
        )
        self._stopping = asyncio.Event()
        self._stop_s = 0.0  # when to end, by a clock that nobody sets
        self._running: asyncio.Task[Any] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._log = _log.bind(machine=name, address=entry.address)
        self._failures: set[str] = set()  # places of those that were told in full
        self._accounted: dict[Reason, int] = {}
        self._listened_ns = 0  # when something came, or the connection was made
        self._rejected = 0  # of what the driver could not understand, so much is from before the last read
        self._said = [0, 0]  # so many notes of the intake and of the driver are logged
        self._flagged = 0  # of the times that the driver has replaced, so many are told

    @property
    def counters(self) -> Counters:
        """What the driver counts."""
        return self._driver.counters

    @property
    def heard_until_ns(self) -> int:
        """Until when the machine was heard, 0 for never; while a gap is being filled, until it began.

        A broker that is connected brings all there is: silence is heard, too.
        """
        start_ns = self._gaps.start_ns
        if start_ns is not None:
            return start_ns
        return self._clock_ns() if self.health.connected and not self._driver.is_direct else self._listened_ns

    async def send_blocks(self, asset: str, sensor: str, start_ns: int | None = None, end_ns: int | None = None) -> int:
        """Send the blocks of a sensor that are held of a time (ns since 1970), without one the newest.

        Return how many there are and there was room for, once they are durable.
        """
        return await self._intake.send_blocks(asset, sensor, start_ns, end_ns)

    def asset(self, id_: str) -> Asset | None:
        """Return an asset of the machine as it is known now."""
        source = self._intake.sources.get(id_)
        return None if source is None else source.asset

    async def write(self, asset: str, signal: str, value: Value, limit_s: float = WRITE_S) -> Written:
        """Set one signal within `limit_s`, at most WRITE_S. Never raises; ends in time (see edge.contain)."""
        if not self.health.connected:
            return Written("failed", self.health.trouble or "the machine is not connected")
        try:
            raw = self._intake.conversions.raw(signal, value)
        except ValueError as error:
            return Written("refused", f"{signal}: {error}")
        written = await self._driver.write(asset, signal, raw, min(limit_s, WRITE_S))
        return written._replace(value=self._intake.conversions.value(signal, written.value))

    async def browse(self, path: str) -> dict[str, Any]:
        """Return what the machine offers at `path` (see edge.probe); raise DriverError."""
        return await probe.browse(self._make, path)

    @property
    def assets(self) -> list[str]:
        """The ids of its assets that are known."""
        return list(self._intake.sources)

    def stop(self) -> None:
        """Let `run` end: what the driver holds is read first, and what waits is sent, within some seconds."""
        self._stop_s = time.monotonic() + _REST_S
        self._stopping.set()
        if self._running is None:
            return
        if self.health.connected:
            self._patience = asyncio.get_running_loop().call_later(_STOP_S, self._running.cancel)
        else:  # nothing was read that is not sent
            self._running.cancel()

    async def retire(self) -> None:
        """End the conditions of its assets that are active: nobody tells of them any more. After `run` has ended."""
        await self._intake.retire()

    async def run(self) -> None:
        """Serve the machine until cancelled or stopped."""
        self._running = asyncio.current_task()
        assert self._running is not None
        for asset in self._entry.asset_ids(self.name) or self._ids.known(self.name):
            self._intake.source(asset)
        attempts = 0
        try:
            while not self._stopping.is_set():
                before = self.health.samples
                await self._serve_once()
                attempts = 0 if self.health.samples > before else attempts + 1
                if not self._stopping.is_set():
                    await asyncio.sleep(_delay_s(attempts))
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            self._running.uncancel()
            self._intake.lost()
        finally:
            if self._patience is not None:
                self._patience.cancel()
            await self._gaps.stop()
            await self._close()

    async def _serve_once(self) -> None:
        """Connect and read until the machine is lost or stopped."""
        try:
            await self._driver.connect()
            self._connected()
            await self._read_on()
            if not self._driver.is_direct:
                self._listened_ns = self._clock_ns()
            await self._end(Lost(CHANGED))
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
        else:
            return  # it is stopped, and `run` closes
        await self._close()

    async def _end(self, why: DriverError) -> None:
        await self._intake.flush(everything=True)
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
        self.health.connected = True
        self._not_troubled()
        now_ns = self._clock_ns()
        if found := self._driver.found:
            self._intake.know(found)
        self._intake.keeps_history = self._driver.keeps_history
        self._gaps.look(self._listened_ns, now_ns, trouble)
        self._listened_ns = now_ns
        if self._driver.is_direct:
            self.health.alive_ns = now_ns
        self._intake.resume(now_ns)

    def _not_troubled(self) -> None:
        self.health.trouble = self.health.todo = ""
        self.health.code = "overdue" if self._entry.offline_after_s else ""  # why it is offline while nothing comes

    def _heard(self, items: Sequence[Item]) -> None:
        """Take a batch for a sign of life; one of which nothing could be read is none, and trouble."""
        self._listened_ns = self._clock_ns()
        before, self._rejected = self._rejected, self._driver.counters.rejected
        if items or self._rejected == before:
            self.health.alive_ns = self._listened_ns
            if items and self.health.code == "unreadable":
                self._not_troubled()
        else:
            self.health.trouble, self.health.todo = _UNREADABLE + _READ, _READ
            self.health.code = "unreadable"

    def _lost(self, why: DriverError) -> None:
        self.health.connected, self.health.trouble = False, str(why)
        self.health.todo, self.health.code = why.do, why.code
        self._intake.lost()

    async def _read_on(self) -> None:
        """Read until the machine is lost, or `stop` was called and the driver holds no more."""
        stopping = asyncio.create_task(self._stopping.wait())
        reading = asyncio.create_task(self._driver.read())
        filling = asyncio.create_task(self._gaps.fill())
        try:
            while True:
                if filling.done():
                    outcome(filling, "history")
                await asyncio.wait((reading, stopping), timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done() and not reading.done():
                    await asyncio.wait((reading,), timeout=_TICK_S)
                    if not reading.done():
                        return
                if reading.done():
                    items = outcome(reading, "read")
                    try:
                        await self._intake.take(items)
                    except Exception:
                        check_sound(items, self._intake.signals)
                        raise
                    self._account()
                    self._say_notes()
                    self._heard(items)
                    if stopping.done() and time.monotonic() > self._stop_s:
                        return
                    reading = asyncio.create_task(self._driver.read())
                elif self._intake.waits:
                    await self._intake.flush()
                if self._intake.is_due:
                    await self._intake.look()
                self._intake.check_silence()
        finally:
            stopping.cancel()
            await self._driver.end(reading, filling)

    @property
    def _patience_s(self) -> float | None:
        """How long to wait for a batch until there may be something else to do; None: for ever."""
        if self._intake.waits:
            return _TICK_S
        waits = [limit_s for limit_s in (self._entry.offline_after_s / 4, TICK_S * self._intake.detects) if limit_s]
        return min(waits, default=None)

    def _say_notes(self) -> None:
        for index, notes in enumerate((self._intake.notes, self._driver.counters.notes)):
            if len(notes) > self._said[index]:
                for text in islice(notes.values(), self._said[index], None):
                    self._log.warning(text)
                self._said[index] = len(notes)

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
                now_ns, since_ns = self._clock_ns(), self._listened_ns
                self._ledger.lose(self.name, reason, new, now_ns, since_ns=since_ns, detail=_DETAILS[reason])
        self._accounted = counted
        if flagged := counters.times_replaced - self._flagged:
            self._flagged = counters.times_replaced
            self.health.times_replaced += flagged
            detail = "the source gave none that can be its own; the driver took another one"
            self._ledger.lose(self.name, "source_time", flagged, self._clock_ns(), detail=detail, outcome="noted")


def _delay_s(attempts: int) -> float:
    """Return how long to wait: short while a machine may just be restarting, then longer and longer, with jitter."""
    doublings = min(max(0, attempts - _SHORT_ATTEMPTS), 10)
    return min(_SHORT_DELAY_S * 2.0**doublings, _LONG_DELAY_S) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
