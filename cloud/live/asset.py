"""What is known of an asset at a moment, and how it then is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cloud.registry.kind import ANY, Condition, Kind, text_of
from cloud.registry.state import Seen, Standing, standing_of
from contract.model import Datatype, Quality, Value


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
NOT_BELIEVED: Final = frozenset({"offline", "stale", "retired"})
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
class Live:
    """All that is known of an asset."""

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
        if standing not in NOT_BELIEVED:
            return dict(signals)
        return {name: value._replace(quality=int(Quality.STALE)) for name, value in signals.items()}

    def status(self, now_ms: int, quiet_s: float, silence: Why) -> Status:
        """Return how it is; `silence` says why nothing may be heard of it."""
        state_signal = self.state_signal or self.found
        state = None if state_signal is None else text_of(self._read(state_signal))
        condition, fault = self.kind.condition_of(state), self.kind.fault_of(self._read, state)
        seen_s, changed_s = age_s(self.seen_ms, now_ms), age_s(self.data_ms, now_ms)
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


def age_s(time_ms: int | None, now_ms: int) -> float | None:
    """Return how long ago (s) a time was; None: it never was."""
    return None if time_ms is None else (now_ms - time_ms) / 1000


def state_signal_of(kind: Kind, signals: Mapping[str, LiveValue]) -> str | None:
    """Return the signal that tells the state of an asset that has not said what it is."""
    types = {str: Datatype.STRING, bool: Datatype.BOOLEAN, int: Datatype.INT64}
    return kind.state_signal((name, types.get(type(each.value), Datatype.DOUBLE)) for name, each in signals.items())
