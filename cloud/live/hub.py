"""What each asset said last, and who wants to hear of changes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from contract.model import Value

STATE_SIGNALS: Final = ("execution", "state", "status", "mode")
"""Signals (or last parts of their names) whose text is the state of an asset, the first that it has."""
SEEN_STEP_MS: Final = 5_000
"""Listeners hear of an asset that says nothing new when it was seen so much later than they know."""


class LiveValue(NamedTuple):
    """A value as the unified namespace has it; `time_ms` since 1970, UTC; `status` None: the source said none."""

    value: Value | None
    quality: int
    time_ms: int
    status: int | None = None


class Change(NamedTuple):
    """What changed of an asset; the times are those of `Status`."""

    asset: str
    online: bool
    seen_ms: int | None
    signals: Mapping[str, LiveValue]
    data_ms: int | None = None


@dataclass(slots=True)
class _Live:
    online: bool = False
    is_told: bool = False  # whether it is online
    seen_ms: int | None = None
    data_ms: int | None = None
    told_ms: int = 0  # the time of `seen_ms` that listeners know
    signals: dict[str, LiveValue] = field(default_factory=dict)

    @property
    def state(self) -> str | None:
        by_word = {name.rsplit("/", 1)[-1].lower(): value.value for name, value in self.signals.items()}
        return next((text for word in STATE_SIGNALS if isinstance(text := by_word.get(word), str)), None)


class Status(NamedTuple):
    """How an asset is.

    `seen_ms` is when its gateway last had something from it, or its edge node's word that it is there, and `data_ms`
    when there was last anything new of it; None when it never was.
    """

    online: bool
    state: str | None
    seen_ms: int | None
    data_ms: int | None = None


class Listener:
    """One open screen: holds what it has not been told yet, at most one value per signal, however slow it is."""

    def __init__(self, assets: Sequence[str], user: str = "") -> None:
        self._assets = frozenset(assets)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._pending: dict[str, Change] = {}
        self.user = user
        self.closed = False

    def wants(self, asset: str) -> bool:
        """Tell whether it asked for an asset; it gets all when it named none."""
        return not self._assets or asset in self._assets

    def offer(self, change: Change) -> None:
        """Take a change, from any thread."""
        self._on_loop(self._take, change)

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


class Hub:
    """The newest state of all assets, and the listeners to tell. Safe to call from any thread."""

    def __init__(
        self,
        *,
        max_listeners: int = 500,
        max_of_user: int = 50,
        max_assets: int = 10_000,
        max_signals: int = 10_000,
    ) -> None:
        self._max_assets = max_assets
        self._max_signals = max_signals
        self._max_listeners = max_listeners
        self._max_of_user = max_of_user
        self._lock = threading.Lock()
        self._assets: dict[str, _Live] = {}
        self._listeners: set[Listener] = set()
        self._closed = False
        self.refused = 0
        """Changes that were not taken, because there were too many assets or signals."""

    def update(
        self,
        asset: str,
        *,
        online: bool | None = None,
        seen_ms: int | None = None,
        data_ms: int | None = None,
        signals: Mapping[str, LiveValue] | None = None,
    ) -> None:
        """Take news of an asset, and tell the listeners what changed."""
        with self._lock:
            live = self._assets.get(asset)
            if live is None:
                if len(self._assets) >= self._max_assets:
                    self.refused += 1
                    return
                live = self._assets[asset] = _Live()
            changed = {name: value for name, value in (signals or {}).items() if live.signals.get(name) != value}
            if len(live.signals) + len(changed) > self._max_signals:
                self.refused += 1
                changed = {name: value for name, value in changed.items() if name in live.signals}
            turned = online is not None and online != live.online
            live.signals.update(changed)
            live.online = live.online if online is None else online
            live.is_told = live.is_told or online is not None
            live.seen_ms = max((t for t in (live.seen_ms, seen_ms) if t is not None), default=None)
            live.data_ms = max((t for t in (live.data_ms, data_ms) if t is not None), default=None)
            if not changed and not turned and (live.seen_ms or 0) < live.told_ms + SEEN_STEP_MS:
                return
            live.told_ms = live.seen_ms or 0
            change = Change(asset, live.online, live.seen_ms, changed, live.data_ms)
            listeners = [listener for listener in self._listeners if listener.wants(asset)]
        for listener in listeners:
            listener.offer(change)

    def listen(self, assets: Sequence[str], user: str = "") -> Listener | None:
        """Add a listener, which is first told all that is known.

        None when there are too many, of all or of this user, or the hub is closed.
        """
        listener = Listener(assets, user)
        with self._lock:
            if self._closed or len(self._listeners) >= self._max_listeners:
                return None
            if sum(each.user == user for each in self._listeners) >= self._max_of_user:
                return None
            self._listeners.add(listener)
            known = [
                Change(asset, live.online, live.seen_ms, dict(live.signals), live.data_ms)
                for asset, live in self._assets.items()
                if listener.wants(asset)
            ]
        for change in known:
            listener.offer(change)
        return listener

    def close(self) -> None:
        """End all listeners; there are no new ones."""
        with self._lock:
            self._closed = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener.close()

    def leave(self, listener: Listener) -> None:
        """Remove a listener; safe twice."""
        with self._lock:
            self._listeners.discard(listener)

    def offline(self) -> frozenset[str]:
        """Return the assets of which is known that they are offline: what they said last is stale."""
        with self._lock:
            return frozenset(asset for asset, live in self._assets.items() if live.is_told and not live.online)

    @property
    def listeners(self) -> int:
        """How many listeners there are."""
        return len(self._listeners)

    def status(self, asset: str) -> Status:
        """Return how an asset is."""
        with self._lock:
            live = self._assets.get(asset)
            if live is None:
                return Status(False, None, None)
            return Status(live.online, live.state, live.seen_ms, live.data_ms)

    def signals(self, asset: str) -> dict[str, LiveValue]:
        """Return the newest values of an asset."""
        with self._lock:
            live = self._assets.get(asset)
            return {} if live is None else dict(live.signals)


def change_json(
    change: Change, format_ms: Callable[[int], str], shown: Callable[[Value | None], Value | None] | None = None
) -> dict[str, Any]:
    """Return a change as the stream sends it; `shown` makes of a value what its reader understands."""
    return {
        "asset": change.asset,
        "online": change.online,
        "last_seen": None if change.seen_ms is None else format_ms(change.seen_ms),
        "last_data": None if change.data_ms is None else format_ms(change.data_ms),
        "signals": {
            name: {"value": shown(value) if shown else value, "quality": quality, "time": format_ms(time_ms)}
            | ({} if status is None else {"status": status})
            for name, (value, quality, time_ms, status) in change.signals.items()
        },
    }
