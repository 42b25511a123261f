"""Simulated time that is stamped: as fast as those who read can follow, from a time in the past until it is now."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from simulators.clock import Clock
from simulators.face import Face
from simulators.machine import NS

SETTLE_S: Final = 10.0
"""So long (wall time) nothing is sent when everybody seems to listen, and when all is sent: a broker does not tell."""
_TELL_S: Final = 10.0
_LOOK_S: Final = 0.005
_FULL: Final = 1.0


@dataclass(slots=True)
class Span:
    """From when until when (ns since 1970, UTC) machines stamp; no `until_ns` is now, which goes on meanwhile."""

    from_ns: int
    until_ns: int | None = None

    @property
    def end_ns(self) -> int:
        """The end; never later than now."""
        now_ns = time.time_ns()
        return now_ns if self.until_ns is None else min(self.until_ns, now_ns)


@dataclass(slots=True)
class Race:
    """Moves a factory through a span; nothing is sent before everybody has room for it."""

    faces: Sequence[Face]
    clock: Clock
    span: Span
    settle_s: float = SETTLE_S
    _began_s: float = field(init=False, default=0.0)
    _told_s: float = field(init=False, default=0.0)

    async def run(self, tick: Callable[[], Awaitable[None]], period_s: float, stop: asyncio.Event) -> None:
        """Call `tick`, which advances the clock by `period_s`, until the span is over and sent, or `stop` is set."""
        period_ns = round(period_s * NS)
        if not await self._heard(stop):
            return
        self._began_s = time.monotonic()
        while self.clock.now_ns + period_ns <= self.span.end_ns:
            if not await self._below(_FULL, stop):
                return
            await tick()
            self._tell()
        await self._below(0.0, stop)
        await _wait(stop, self.settle_s)
        self._tell(last=True)

    async def _heard(self, stop: asyncio.Event) -> bool:
        """Wait until nobody is missing; return False when it shall stop."""
        while missing := [text for face in self.faces if (text := face.missing())]:
            if time.monotonic() - self._told_s >= _TELL_S:
                self._say("waiting: " + "; ".join(missing))
            if await _wait(stop, 0.2):
                return False
        return not await _wait(stop, self.settle_s)

    async def _below(self, full: float, stop: asyncio.Event) -> bool:
        """Wait until less waits to be read than `full` of what may (0: nothing); return False when it shall stop."""
        while max(face.backlog() for face in self.faces) > (0.0 if full == 0.0 else full - 1e-9):
            if await _wait(stop, _LOOK_S):
                return False
            self._tell()
        return not stop.is_set()

    def _tell(self, *, last: bool = False) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s < _TELL_S and not last:
            return
        past_s = self.clock.time_s
        all_s = (self.span.end_ns - self.span.from_ns) / NS
        rate = past_s / max(now_s - self._began_s, 1e-9)
        when = datetime.fromtimestamp(self.clock.now_ns / NS, UTC).isoformat(timespec="seconds")
        left_s = max(0.0, all_s - past_s) / max(rate, 1e-9)
        missing = "; ".join(text for face in self.faces if (text := face.missing()))
        waits = f"; waiting: {missing}" if missing else ""
        self._say(
            f"{min(100.0, 100.0 * past_s / all_s):5.1f} %  {when}  {rate:.0f} times as fast  {left_s:.0f} s left{waits}"
        )

    def _say(self, text: str) -> None:
        self._told_s = time.monotonic()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """Wait, at most until `stop` is set; return whether it is."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
