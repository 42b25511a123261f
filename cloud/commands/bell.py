"""Tells who waits for news of commands that there are some."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from sqlalchemy import event
from sqlalchemy.orm import Session

from cloud.patience import Patience

LOOK_S: Final = 1.0
"""Who waits looks so often without a bell, too: another cloud of the same database may have the news."""
MOST_WAITING: Final = 500

T = TypeVar("T")


class Bell:
    """Rings for all who wait; `ring` and `close` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._is_closed = False

    async def until(
        self, look: Callable[[], Awaitable[T]], is_enough: Callable[[T], bool], wait_s: float, patience: Patience
    ) -> T:
        """Look at each ring until it is enough, or `wait_s` have passed; return what was seen last.

        It ends sooner when the client goes, the cloud stops, or more than MOST_WAITING wait.
        """
        loop, rung = asyncio.get_running_loop(), asyncio.Event()
        end_s = loop.time() + wait_s
        mine = loop, rung
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                end_s = 0.0
            self._waiting.add(mine)
        patience.when_ended(self.ring)
        try:
            while True:
                rung.clear()
                seen = await look()
                left_s = end_s - loop.time()
                if is_enough(seen) or left_s <= 0 or patience.ended or self._is_closed:
                    return seen
                with suppress(TimeoutError):
                    await asyncio.wait_for(rung.wait(), min(left_s, LOOK_S))
        finally:
            with self._lock:
                self._waiting.discard(mine)

    def ring(self) -> None:
        """Say that there is news."""
        with self._lock:
            for loop, rung in self._waiting:
                loop.call_soon_threadsafe(rung.set)

    def ring_after(self, db: Session) -> None:
        """Ring when the transaction of a session is committed."""
        event.listen(db, "after_commit", lambda _: self.ring(), once=True)

    def close(self) -> None:
        """Let nobody wait any more."""
        self._is_closed = True
        self.ring()
