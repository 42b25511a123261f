"""Simulated time: the factory's own clock, and what it is on the wall.

At speed 1 both run alike. At speed 60 a simulated minute passes in a second, and what machines emit is stamped with
wall time, as a real machine would stamp it: nothing that leaves the factory lies in the future.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

NS: Final = 1_000_000_000


@dataclass(slots=True)
class Clock:
    """`start_ns` is the wall time (ns since 1970, UTC) of the start, `speed` simulated seconds per second."""

    start_ns: int
    speed: float = 1.0
    elapsed_ns: int = 0

    def advance(self, dt: float) -> None:
        """Let `dt` simulated seconds pass."""
        self.elapsed_ns += round(dt * NS)

    def keep_up(self, wall_ns: int, slack_ns: int) -> None:
        """Skip the time in which the factory stood still: its stamps are never more than `slack_ns` behind the wall."""
        behind_ns = wall_ns - self.now_ns
        if behind_ns > slack_ns:
            self.start_ns += behind_ns

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return self.elapsed_ns / NS

    @property
    def now_ns(self) -> int:
        """What a machine stamps on what it emits now (ns since 1970, UTC)."""
        return self.start_ns + round(self.elapsed_ns / self.speed)


async def run(tick: Callable[[], Awaitable[None]], period_s: float, stop: asyncio.Event) -> int:
    """Call `tick` every `period_s` wall seconds until `stop` is set.

    Return how many ticks came late by a period or more.

    A late tick is not made up for by a burst: the schedule starts anew, so simulated time falls behind, never runs
    ahead.
    """
    late = 0
    due = time.monotonic()
    while not stop.is_set():
        await tick()
        due += period_s
        wait = due - time.monotonic()
        if wait <= -period_s:
            late += 1
            due = time.monotonic()
        try:
            await asyncio.wait_for(stop.wait(), max(wait, 0.0))
        except TimeoutError:
            continue
    return late
