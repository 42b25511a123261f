"""Simulated time: the factory's own clock, and what it is on the wall.

At speed 1 both run alike. At speed 60 a simulated minute passes in a second, and what machines emit is stamped with
wall time, as a real machine would stamp it: nothing that leaves the factory lies in the future. `simulators/pace.py` is
for stamps of simulated time.
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
    late: int = 0
    """How often the factory stood still so long that time was left out."""

    def advance(self, dt: float) -> None:
        """Let `dt` simulated seconds pass."""
        self.elapsed_ns += round(dt * NS)

    def wait_ns(self, wall_ns: int, period_ns: int) -> int:
        """Return how long it is until the next stamp, one period after this one; below 0 it is overdue.

        When that is a period or more, or the wall clock was set back, the time between is left out: a burst would be no
        machine's, and stamps neither stay behind nor lie ahead.
        """
        wait_ns = self.now_ns + period_ns - wall_ns
        if -period_ns < wait_ns <= period_ns:
            return wait_ns
        self.start_ns -= wait_ns
        self.late += 1
        return 0

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return self.elapsed_ns / NS

    @property
    def now_ns(self) -> int:
        """What a machine stamps on what it emits now (ns since 1970, UTC)."""
        return self.start_ns + round(self.elapsed_ns / self.speed)


async def run(tick: Callable[[], Awaitable[None]], clock: Clock, period_s: float, stop: asyncio.Event) -> None:
    """Call `tick`, which advances the clock by a period, when the wall shows its stamp, until `stop` is set."""
    period_ns = round(period_s * NS)
    clock.start_ns = time.time_ns() - period_ns
    while not stop.is_set():
        await tick()
        wait_ns = clock.wait_ns(time.time_ns(), period_ns)
        try:
            await asyncio.wait_for(stop.wait(), max(wait_ns, 0) / NS)
        except TimeoutError:
            continue
