"""What each asset said last, and who wants to hear of changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

from cloud.live.asset import NOT_BELIEVED, SILENT, Change, Live, LiveValue, Status, Why, age_s, state_signal_of
from cloud.live.listener import Listener
from cloud.registry.kind import kind_of
from cloud.registry.state import is_stale
from contract.model import Value

QUIET_S: Final = 60.0
SEEN_STEP_MS: Final = 5_000
"""Listeners hear of an asset that says nothing new when it was seen so much later than they know."""


class Hub:
    """The newest state of all assets, and the listeners to tell. Safe to call from any thread."""

    def __init__(
        self,
        *,
        max_listeners: int = 500,
        max_of_user: int = 50,
        max_assets: int = 10_000,
        max_signals: int = 10_000,
        quiet_s: float = QUIET_S,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`quiet_s`: an asset of which nothing has changed for so long is quiet; `clock_ms` gives ms since 1970."""
        self._quiet_s = quiet_s
        self._clock_ms = clock_ms
        self._max_assets = max_assets
        self._max_signals = max_signals
        self._max_listeners = max_listeners
        self._max_of_user = max_of_user
        self._lock = threading.Lock()
        self._assets: dict[str, Live] = {}
        self._silence = SILENT
        self._gone: dict[str, int] = {}  # retired or deleted, since when
        self._deleted: set[str] = set()
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
            live = self._live(asset)
            if live is None:
                return
            changed = {name: value for name, value in (signals or {}).items() if live.signals.get(name) != value}
            if len(live.signals) + len(changed) > self._max_signals:
                self.refused += 1
                changed = {name: value for name, value in changed.items() if name in live.signals}
            is_new = not changed.keys() <= live.signals.keys()
            live.signals.update(changed)
            live.found = state_signal_of(live.kind, live.signals) if is_new else live.found
            live.online = live.online if online is None else online
            live.seen_ms = max((t for t in (live.seen_ms, seen_ms) if t is not None), default=None)
            live.data_ms = max((t for t in (live.data_ms, data_ms) if t is not None), default=None)
            self._tell(asset, live, changed)

    def announce(self, asset: str, kind: str, state_signal: str | None) -> None:
        """Take of which kind an asset is, and which signal tells its state, None for none."""
        with self._lock:
            live = self._live(asset)
            if live is not None:
                live.kind, live.state_signal = kind_of(kind), state_signal
                self._tell(asset, live, {})

    def happened(self, asset: str, event: Mapping[str, Any]) -> None:
        """Tell the listeners an event of an asset, as it is shown."""
        with self._lock:
            for listener in self._listeners:
                if listener.wants(asset):
                    listener.offer_event(event)

    def retire(self, asset: str, since_ms: int) -> None:
        """Take that an asset is no longer a part of the plant since a time (ms since 1970)."""
        with self._lock:
            self._gone[asset] = since_ms
            live = self._live(asset)
            if live is not None:
                live.retired = True
                self._tell(asset, live, {})

    def forget(self, asset: str, since_ms: int) -> None:
        """Take that an asset was deleted: nothing is heard of it until it comes back."""
        with self._lock:
            self._gone[asset] = since_ms
            self._deleted.add(asset)
            self._assets.pop(asset, None)

    def come_back(self, asset: str) -> None:
        """Take that a retired or deleted asset is a part of the plant again."""
        with self._lock:
            self._gone.pop(asset, None)
            self._deleted.discard(asset)
            live = self._assets.get(asset)
            if live is not None:
                live.retired = False
                self._tell(asset, live, {})

    def gone_since(self, asset: str) -> int | None:
        """Return when an asset was retired or deleted (ms since 1970); None: it was not, or it is back."""
        return self._gone.get(asset)

    def explain(self, asset: str, why: Why | None, by: Literal["gateway", "edge"]) -> None:
        """Take why an asset is not there as somebody has it, None: nothing that they know of."""
        with self._lock:
            live = self._live(asset)
            if live is not None:
                live.by_gateway, live.by_edge = (why, live.by_edge) if by == "gateway" else (live.by_gateway, why)
                self._tell(asset, live, {})

    def explain_silence(self, why: Why = SILENT) -> None:
        """Take why nothing is heard of those assets that are stale."""
        with self._lock:
            self._silence = why

    def sweep(self) -> None:
        """Tell the listeners of the assets that stand otherwise by now, because nothing came."""
        with self._lock:
            for asset, live in self._assets.items():
                self._tell(asset, live, {})

    def _live(self, asset: str) -> Live | None:
        live = self._assets.get(asset)
        if live is None:
            if asset in self._deleted:
                return None
            if len(self._assets) >= self._max_assets:
                self.refused += 1
                return None
            live = self._assets[asset] = Live()
        return live

    def _tell(self, asset: str, live: Live, changed: Mapping[str, LiveValue]) -> None:
        """Tell the listeners what they do not know yet; that an asset is still there, only every `SEEN_STEP_MS`."""
        status, told = live.status(self._clock_ms(), self._quiet_s, self._silence), live.told
        if (
            not changed
            and told is not None
            and (status.seen_ms or 0) < (told.seen_ms or 0) + SEEN_STEP_MS
            and status._replace(seen_ms=None, data_ms=None) == told._replace(seen_ms=None, data_ms=None)
        ):
            return
        was_believed = told is not None and told.standing not in NOT_BELIEVED
        if was_believed != (status.standing not in NOT_BELIEVED):
            changed = live.signals
        live.told = status
        change = Change(asset, status, live.shown(changed, status.standing))
        for listener in self._listeners:
            if listener.wants(asset):
                listener.offer(change)

    def listen(self, assets: Collection[str] | None, user: str = "") -> Listener | None:
        """Add a listener to these assets (None: to all), which is first told all that is known.

        None when there are too many, of all or of this user, or the hub is closed.
        """
        listener = Listener(assets, user)
        with self._lock:
            if self._closed or len(self._listeners) >= self._max_listeners:
                return None
            if sum(each.user == user for each in self._listeners) >= self._max_of_user:
                return None
            self._listeners.add(listener)
            now_ms = self._clock_ms()
            known = [
                Change(asset, status, live.shown(live.signals, status.standing))
                for asset, live in self._assets.items()
                if listener.wants(asset)
                for status in [live.status(now_ms, self._quiet_s, self._silence)]
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
        """Return the assets that are offline, or of which nothing is heard: what they said last is stale."""
        now_ms = self._clock_ms()
        with self._lock:
            return frozenset(
                asset
                for asset, live in self._assets.items()
                if not live.online or live.retired or is_stale(age_s(live.seen_ms, now_ms))
            )

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
            return live.status(self._clock_ms(), self._quiet_s, self._silence)

    def knows(self, asset: str) -> bool:
        """Tell whether anything was said of an asset."""
        return asset in self._assets

    def signals(self, asset: str) -> dict[str, LiveValue]:
        """Return the newest values of an asset, as stale when nobody vouches for them."""
        with self._lock:
            live = self._assets.get(asset)
            if live is None:
                return {}
            return live.shown(live.signals, live.status(self._clock_ms(), self._quiet_s, self._silence).standing)


def change_json(
    change: Change, format_ms: Callable[[int], str], shown: Callable[[Value | None], Value | None] | None = None
) -> dict[str, Any]:
    """Return a change as the stream sends it; `shown` makes of a value what its reader understands."""
    status = change.status
    return {
        "asset": change.asset,
        "online": status.online,
        "last_seen": None if status.seen_ms is None else format_ms(status.seen_ms),
        "last_data": None if status.data_ms is None else format_ms(status.data_ms),
        "state_signal": status.state_signal,
        "state": status.state,
        "condition": status.condition,
        "standing": status.standing,
        "fault": status.fault,
        "why": why_json(status.why),
        "signals": {
            name: {"value": shown(value) if shown else value, "quality": quality, "time": format_ms(time_ms)}
            | ({} if said is None else {"status": said})
            for name, (value, quality, time_ms, said) in change.signals.items()
        },
    }


def why_json(why: Why | None) -> dict[str, Any] | None:
    """Return a reason as the API has it."""
    return None if why is None else why._asdict() | {"args": dict(why.args)}
