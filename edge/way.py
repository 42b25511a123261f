"""The way of what a machine says: into the spool, for as long as that takes, and what is odd about it to the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar

import structlog

from edge.dating import WORDS, Sort
from edge.health import Health
from edge.ledger import EdgeLedger
from edge.notes import Notes
from edge.outlet import Outlet
from spool import SpoolError

_RETRY_SPOOL_S: Final = 1.0

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class Way:
    """What the parts of an intake share; `name` is the machine entry's."""

    def __init__(
        self, name: str, *, outlet: Outlet, ledger: EdgeLedger, health: Health, notes: Notes, address: str = ""
    ) -> None:
        self.name = name
        self.outlet = outlet
        self.ledger = ledger
        self.health = health
        self.notes = notes
        self._log = _log.bind(machine=name, address=address)

    async def put(self, put: Callable[[], Iterable[Future[int | None]]]) -> None:
        """Wait until what `put` puts is durable; put it again when the spool refuses. A repeat must be harmless."""
        standing = ""
        try:
            while True:
                try:
                    for future in put():
                        if not future.done():
                            await asyncio.wrap_future(future)
                        future.result()
                except SpoolError as error:
                    if not standing:
                        self._log.error("reading stands still until the spool takes more", reason=str(error))
                        standing = self.health.trouble = str(error)
                    await asyncio.sleep(_RETRY_SPOOL_S)
                else:
                    break
            if standing:
                self._log.info("the spool takes data again; reading goes on")
        finally:
            if standing and self.health.trouble == standing:
                self.health.trouble = ""

    async def put_each(self, items: Sequence[_T], put: Callable[[_T], Future[int | None]]) -> None:
        """Wait until each item is durable that `put` puts; what is durable already is not put again."""
        kept: dict[int, Future[int | None]] = {}

        def missing() -> list[Future[int | None]]:
            for index, item in enumerate(items):
                before = kept.get(index)
                if before is None or (before.done() and before.exception() is not None):
                    kept[index] = put(item)
            return list(kept.values())

        await self.put(missing)

    def time_replaced(self, what: str, sort: Sort, time_ns: int, now_ns: int) -> None:
        """Tell that an event or a block has the time of its arrival, as its own cannot be one."""
        self.notes.tell(f"time {sort}", f"{what}: {WORDS[sort]} (time_ns {time_ns})", what)
        self.ledger.lose(self.name, "source_time", 1, now_ns, detail=WORDS[sort], outcome="noted")
        self.health.times_replaced += 1
