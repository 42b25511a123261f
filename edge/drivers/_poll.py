"""The pace of a device that is asked, and one request at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Poll:
    """Turns to ask a device, one each `period_s` (seconds); turns that were missed are not made up for.

    Whoever asks or sets anything beside them holds `line` meanwhile: many devices answer one request at a time.
    """

    def __init__(self, period_s: float) -> None:
        self.line = asyncio.Lock()
        self._period_s = period_s
        self._next_s = 0.0  # by a clock that nobody sets

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the next turn, then hold the line."""
        now_s = time.monotonic()
        due_s = max(self._next_s, now_s)
        self._next_s = due_s + self._period_s
        await asyncio.sleep(due_s - now_s)
        async with self.line:
            yield
