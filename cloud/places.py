"""How much is done at once, and who waits for it: a hundred clients slow each other, never the plant."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from cloud.patience import Patience
from cloud.problems import Code, Problem

RETRY_S: Final = 2


def busy(what: str) -> Problem:
    """Return the answer to what is too much at once."""
    after = {"Retry-After": str(RETRY_S)}
    todo = "try again in some seconds"
    return Problem(503, f"too much at once: {what}", todo, code=Code.BUSY, args={"what": what}, headers=after)


_Lines = OrderedDict[Hashable, "deque[_Waiting]"]


@dataclass(eq=False, slots=True)
class _Waiting:
    turn: asyncio.Future[None]
    whose: Hashable
    lines: _Lines


class Places:
    """Lets `places` of something be done at once; at most `waiting` more wait, at most `wait_s`.

    Who waits is served in turn: first one of each known client, then one of each other, then the second. When the queue
    is full, the client with the most in it loses its newest. For one event loop.
    """

    def __init__(self, what: str, places: int, waiting: int, wait_s: float) -> None:
        self.what = what
        self._free = places
        self._most = waiting
        self._wait_s = wait_s
        self._known: _Lines = OrderedDict()
        self._others: _Lines = OrderedDict()
        self.waiting = 0
        """How many wait."""
        self.refused = 0
        """How many were refused."""

    @asynccontextmanager
    async def one(self, whose: Hashable = None, *, has_begun: bool = False) -> AsyncIterator[None]:
        """Hold a place; see `take`."""
        await self.take(whose, has_begun=has_begun)
        try:
            yield
        finally:
            self.give_back()

    async def take(
        self,
        whose: Hashable = None,
        patience: Patience | None = None,
        *,
        has_begun: bool = False,
        is_known: bool = False,
    ) -> None:
        """Wait for a place that `give_back` returns; raise Problem 503 `busy`, but not for what `has_begun`.

        It waits no longer than its client's `patience`. One of each client that `is_known` goes before all others.
        """
        if self._free > 0:
            self._free -= 1
            return
        lines = self._known if is_known and whose not in self._known else self._others
        if not has_begun and self.waiting >= self._most:
            self._make_room(None if lines is self._known else whose)
        mine = _Waiting(asyncio.get_running_loop().create_future(), whose, lines)
        lines.setdefault(whose, deque()).append(mine)
        self.waiting += 1
        if patience is not None:
            patience.when_ended(lambda: self._refuse(mine))
        try:
            async with asyncio.timeout(None if has_begun else self._wait_s):
                await mine.turn
        except BaseException as error:
            self._forget(mine)
            if mine.turn.done() and not mine.turn.cancelled() and mine.turn.exception() is None:
                self.give_back()  # it was given while the waiting ended
            if isinstance(error, TimeoutError):
                self.refused += 1
                raise busy(self.what) from error
            raise

    def give_back(self) -> None:
        """Return a place to whose turn it is."""
        while lines := self._known or self._others:
            whose, line = lines.popitem(last=False)
            next_one = line.popleft()
            self.waiting -= 1
            if line:
                lines[whose] = line
            if not next_one.turn.done():
                next_one.turn.set_result(None)
                return
        self._free += 1

    def _make_room(self, whose: Hashable | None) -> None:
        """Refuse one that waits, the newcomer when it has as many as any other; None: whoever comes before all."""
        longest = max(reversed(self._others.values()), key=len, default=None)
        own = 0 if whose is None else len(self._others.get(whose, ())) + 1
        if longest is None or len(longest) <= own:
            self.refused += 1
            raise busy(self.what)
        self._refuse(longest[-1])

    def _refuse(self, waiting: _Waiting) -> None:
        if not waiting.turn.done():
            self.refused += 1
            waiting.turn.set_exception(busy(self.what))
            self._forget(waiting)

    def _forget(self, waiting: _Waiting) -> None:
        line = waiting.lines.get(waiting.whose)
        if line is not None and waiting in line:
            line.remove(waiting)
            self.waiting -= 1
            if not line:
                del waiting.lines[waiting.whose]


class Budget:
    """Bytes that may be in memory at once, of one client at most `share`.

    Under pressure the largest of what is still to come gives way. For one event loop.
    """

    def __init__(self, what: str, most: int, share: int | None = None) -> None:
        self.what = what
        self._left = most
        self._share = most if share is None else share
        self._of: Counter[Hashable] = Counter()
        self._coming: dict[Part, asyncio.Timeout] = {}

    @contextmanager
    def part(self, whose: Hashable = None) -> Iterator[Part]:
        """Give a part that grows, and is given back in the end."""
        part = Part(self, whose)
        try:
            yield part
        finally:
            self.give_back(part)

    @asynccontextmanager
    async def coming(self, part: Part) -> AsyncIterator[None]:
        """Let a part give way during the block; it then ends with Problem 503 `busy`."""
        try:
            async with asyncio.timeout(None) as end:
                self._coming[part] = end
                yield
        except TimeoutError as error:
            raise busy(self.what) from error
        finally:
            self._coming.pop(part, None)

    def take(self, part: Part, size: int) -> None:
        """Let a part grow; raise Problem 503 `busy` when it is the one to give way."""
        while (is_greedy := self._of[part.whose] + size > self._share) or size > self._left:
            among = (each for each in self._coming if each.whose == part.whose or not is_greedy)
            largest = max(among, key=lambda each: each.size, default=part)
            if largest.size <= part.size + size:
                raise busy(self.what)
            self._coming[largest].reschedule(0.0)
            self.give_back(largest)
        self._left -= size
        self._of[part.whose] += size
        part.size += size

    def give_back(self, part: Part) -> None:
        """Take a part back; safe twice."""
        self._coming.pop(part, None)
        self._left += part.size
        self._of[part.whose] -= part.size
        if not self._of[part.whose]:
            del self._of[part.whose]
        part.size = 0


@dataclass(eq=False, slots=True)
class Part:
    """What one body has of a budget."""

    budget: Budget
    whose: Hashable
    size: int = 0

    def grow(self, size: int) -> None:
        """Take more; raise Problem 503 `busy`."""
        self.budget.take(self, size)


LOGINS: Final = 1
QUERIES: Final = 4
OTHERS: Final = 8
EXPORTS: Final = 4
DIAGNOSES: Final = 2
"""Each costs up to a second of a core."""
STREAMS: Final = 3
"""Threads with which live streams look whether their logins still hold."""
THREADS: Final = LOGINS + QUERIES + OTHERS + EXPORTS + DIAGNOSES + STREAMS
"""Threads of the routes: as many as can have work, so that nobody waits for a thread or a database session in one."""
SESSIONS: Final = THREADS + 4
"""Database sessions: one for each thread, and some for what hears the plant."""
INGEST_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class AllPlaces:
    """All that is limited in an application; what gateways write shares nothing with what people ask."""

    logins: Places = field(default_factory=lambda: Places("log-ins", LOGINS, waiting=64, wait_s=1.5))
    queries: Places = field(default_factory=lambda: Places("queries", QUERIES, waiting=1024, wait_s=1.5))
    others: Places = field(default_factory=lambda: Places("requests", OTHERS, waiting=256, wait_s=1.5))
    diagnoses: Places = field(default_factory=lambda: Places("diagnoses", DIAGNOSES, waiting=64, wait_s=2.0))
    bodies: Budget = field(
        default_factory=lambda: Budget("requests with a body", 32 * 1024 * 1024, share=8 * 1024 * 1024)
    )
    ingest: Places = field(default_factory=lambda: Places("writes", INGEST_THREADS, waiting=64, wait_s=5.0))
    long_writes: Places = field(
        default_factory=lambda: Places("long writes", INGEST_THREADS - 1, waiting=16, wait_s=30.0)
    )
    ingest_bodies: Budget = field(
        default_factory=lambda: Budget("bytes to write", 64 * 1024 * 1024, share=40 * 1024 * 1024)
    )
    ingest_threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(INGEST_THREADS, "ingest"))
