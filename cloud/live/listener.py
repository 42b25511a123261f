"""Who wants to hear of changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from cloud.live.asset import Change

MOST_EVENTS: Final = 1000  # that wait for one listener


class Listener:
    """One open screen: holds what it has not been told yet, at most one value per signal, however slow it is."""

    def __init__(self, assets: Collection[str] | None, user: str = "") -> None:
        self._assets = None if assets is None else frozenset(assets)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._pending: dict[str, Change] = {}
        self._events: deque[Mapping[str, Any]] = deque(maxlen=MOST_EVENTS)
        self._missed = 0
        self.user = user
        self.closed = False

    def wants(self, asset: str) -> bool:
        """Tell whether it asked for an asset; None are all."""
        return self._assets is None or asset in self._assets

    def offer(self, change: Change) -> None:
        """Take a change, from any thread."""
        self._on_loop(self._take, change)

    def offer_event(self, event: Mapping[str, Any]) -> None:
        """Take an event, from any thread; the oldest goes when too many wait."""
        self._on_loop(self._take_event, event)

    def _take_event(self, event: Mapping[str, Any]) -> None:
        self._missed += len(self._events) == MOST_EVENTS
        self._events.append(event)
        self._wake.set()

    def events(self) -> tuple[list[Mapping[str, Any]], int]:
        """Return the events that came since the last time, and how many others are not among them."""
        waiting, missed = list(self._events), self._missed
        self._events.clear()
        self._missed = 0
        return waiting, missed

    def close(self) -> None:
        """Let the waiting `changes` return; `closed` says that no more will come. From any thread."""
        self.closed = True
        self._on_loop(self._wake.set)

    def _on_loop(self, call: Callable[..., None], *args: Any) -> None:
        # a loop that has ended has no listener left to tell
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *args)

    def _take(self, change: Change) -> None:
        waiting = self._pending.get(change.asset)
        signals = change.signals if waiting is None else {**waiting.signals, **change.signals}
        self._pending[change.asset] = change._replace(signals=signals)
        self._wake.set()

    async def changes(self, timeout_s: float, pace_s: float = 0.0) -> list[Change]:
        """Wait for changes, then `pace_s` for more of them; return all, none after the time-out or when closed."""
        try:
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        except TimeoutError:
            return []
        if pace_s and not self.closed:
            await asyncio.sleep(pace_s)
        self._wake.clear()
        waiting, self._pending = list(self._pending.values()), {}
        return waiting
