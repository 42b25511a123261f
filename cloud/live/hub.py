"""What each asset said last, and who wants to hear of changes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from cloud.registry.kind import ANY, Condition, Kind, kind_of, text_of
from cloud.registry.state import Seen, Standing, is_stale, standing_of
from contract.model import Datatype, Quality, Value

QUIET_S: Final = 60.0
MOST_EVENTS: Final = 1000  # that wait for one listener
SEEN_STEP_MS: Final = 5_000
"""Listeners hear of an asset that says nothing new when it was seen so much later than they know."""


class LiveValue(NamedTuple):
    """A value as the unified namespace has it; `time_ms` since 1970, UTC; `status` None: the source said none."""

    value: Value | None
    quality: int
    time_ms: int
    status: int | None = None


class Why(NamedTuple):
    """Why an asset is offline or stale: `code` for programs, `args` for their sentences, `text` and what to `do`."""

    code: str
    text: str
    do: str = ""
    args: Mapping[str, str] = {}


DIED: Final = "died"
"""The code of a gateway that knows no more than that the edge node of an asset has no contact with it."""
_WAITS: Final = frozenset({"no_data", "unreadable"})
"""The codes of an edge node that is connected to the address of an asset, and has nothing from it that it can read."""
SILENT: Final = Why(
    "silent",
    "nothing was heard of it, not even that nothing has changed",
    "see whether the machine is on and its edge runs; the edge's log says what it hears of it",
)
_NOT_BELIEVED: Final = frozenset({"offline", "stale", "retired"})
"""Standings in which nobody vouches for what an asset said last: it is shown as stale."""


class Status(NamedTuple):
    """How an asset is.

    `seen_ms` is when its gateway last had something from it, or its edge node's word that it is there, and `data_ms`
    when there was last anything new of it; None when it never was.
    """

    online: bool
    state: str | None
    seen_ms: int | None
    data_ms: int | None = None
    state_signal: str | None = None
    condition: Condition = "unknown"
    standing: Standing = "offline"
    fault: str | None = None
    why: Why | None = None


class Change(NamedTuple):
    """What changed of an asset: how it is now, and the signals that are new."""

    asset: str
    status: Status
    signals: Mapping[str, LiveValue]


@dataclass(slots=True)
class _Live:
    online: bool = False
    seen_ms: int | None = None
    data_ms: int | None = None
    told: Status | None = None  # what listeners know
    signals: dict[str, LiveValue] = field(default_factory=dict)
    state_signal: str | None = None  # as it was announced
    found: str | None = None  # among the values
    kind: Kind = ANY
    retired: bool = False
    by_gateway: Why | None = None
    by_edge: Why | None = None

    def why(self, standing: Standing, silence: Why) -> Why | None:
        """Return why it stands so: of a machine that has died its edge node knows more than the gateway."""
        if standing == "stale":
            return self.by_edge if self.by_edge is not None and silence.code == SILENT.code else silence
        if standing != "offline":
            return None
        return (self.by_edge if self._knows_edge else None) or self.by_gateway

    @property
    def _knows_edge(self) -> bool:
        return self.by_gateway is None or self.by_gateway.code == DIED

    @property
    def is_mute(self) -> bool:
        """Whether it has said something once, and its edge node waits at its address for more."""
        waits = self.by_edge is not None and self.by_edge.code in _WAITS
        return waits and self._knows_edge and self.seen_ms is not None

    def shown(self, signals: Mapping[str, LiveValue], standing: Standing) -> dict[str, LiveValue]:
        """Return values of it as they are believed."""
        if standing not in _NOT_BELIEVED:
            return dict(signals)
        return {name: value._replace(quality=int(Quality.STALE)) for name, value in signals.items()}

    def status(self, now_ms: int, quiet_s: float, silence: Why) -> Status:
        state_signal = self.state_signal or self.found
        state = None if state_signal is None else text_of(self._read(state_signal))
        condition, fault = self.kind.condition_of(state), self.kind.fault_of(self._read, state)
        seen_s, changed_s = _age_s(self.seen_ms, now_ms), _age_s(self.data_ms, now_ms)
        standing = standing_of(Seen(self.online, seen_s, changed_s, condition, fault, self.retired), quiet_s)
        # whether the edge node was started before or after its last word makes no difference
        standing = "stale" if standing == "offline" and self.is_mute else standing
        why = self.why(standing, silence)
        return Status(
            self.online, state, self.seen_ms, self.data_ms, state_signal, condition, standing, fault, why
        )  # fmt: skip

    def _read(self, signal: str) -> Value | None:
        value = self.signals.get(signal)
        return None if value is None else value.value


def _age_s(time_ms: int | None, now_ms: int) -> float | None:
    return None if time_ms is None else (now_ms - time_ms) / 1000


def _state_signal(kind: Kind, signals: Mapping[str, LiveValue]) -> str | None:
    """Return the signal that tells the state of an asset that has not said what it is."""
    types = {str: Datatype.STRING, bool: Datatype.BOOLEAN, int: Datatype.INT64}
    return kind.state_signal((name, types.get(type(each.value), Datatype.DOUBLE)) for name, each in signals.items())


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
        self._assets: dict[str, _Live] = {}
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
            live.found = _state_signal(live.kind, live.signals) if is_new else live.found
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

    def _live(self, asset: str) -> _Live | None:
        live = self._assets.get(asset)
        if live is None:
            if asset in self._deleted:
                return None
            if len(self._assets) >= self._max_assets:
                self.refused += 1
                return None
            live = self._assets[asset] = _Live()
        return live

    def _tell(self, asset: str, live: _Live, changed: Mapping[str, LiveValue]) -> None:
        """Tell the listeners what they do not know yet; that an asset is still there, only every `SEEN_STEP_MS`."""
        status, told = live.status(self._clock_ms(), self._quiet_s, self._silence), live.told
        if (
            not changed
            and told is not None
            and (status.seen_ms or 0) < (told.seen_ms or 0) + SEEN_STEP_MS
            and status._replace(seen_ms=None, data_ms=None) == told._replace(seen_ms=None, data_ms=None)
        ):
            return
        was_believed = told is not None and told.standing not in _NOT_BELIEVED
        if was_believed != (status.standing not in _NOT_BELIEVED):
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
                if not live.online or live.retired or is_stale(_age_s(live.seen_ms, now_ms))
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
