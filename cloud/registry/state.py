"""The state of a machine: which of its signals tells it, what the word means, and how the machine stands by all of it.

The one rule for registry, live stream and screens. A machine need not have a state: it stands well all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, Field

from contract.model import Datatype, Value

Condition = Literal["running", "ready", "interrupted", "stopped", "unknown"]
Standing = Literal[
    "fault", "offline", "stale", "interrupted", "stopped", "quiet", "running", "ready", "unknown", "retired"
]

STATE_NAMES: Final = ("execution", "state", "status", "mode")
"""Signals (or last parts of their names) that tell the state of a machine whose plant file does not say which does."""
STALE_S: Final = 60.0
"""So long nothing may be heard of a machine, not even that it has nothing to say, until its state is not believed."""

_TELLING: Final = frozenset(Datatype) - {Datatype.FLOAT, Datatype.DOUBLE, Datatype.DATETIME}
_CONDITIONS: Final[dict[Condition, str]] = {
    # MTConnect Execution; PackML StateCurrent; what controllers say otherwise
    "running": "active executing execute running run producing started in_production processing completing "
    "true on busy working",
    "ready": "ready idle program_completed complete completed standby waiting_for_job resetting starting",
    "interrupted": "interrupted feed_hold wait optional_stop program_stopped program_optional_stop held holding hold "
    "unholding suspended suspending unsuspending paused pause waiting blocked starved",
    "stopped": "stopped stopping stop aborted aborting clearing fault faulted error alarm failed emergency "
    "estop e_stop protective_stop false off",
    "unknown": "unavailable unknown",
}
_CONDITION_OF: Final = {word: condition for condition, words in _CONDITIONS.items() for word in words.split()}
_FAULT_WORDS: Final = frozenset(
    {"aborted", "aborting", "fault", "faulted", "error", "alarm", "failed"}
    | {"emergency", "estop", "e_stop", "protective_stop"}
)
_FAULT_SIGNALS: Final = {
    # MTConnect EmergencyStop and Condition; stop signals of robots
    "emergency_stop": frozenset({"triggered", "true", "1"}),
    "protective_stop": frozenset({"triggered", "true", "1"}),
    "condition": frozenset({"fault"}),
}
_NO_ALARM: Final = frozenset({"", "none", "normal", "ok", "0"})


class WhyView(BaseModel):
    """Why an asset is offline or stale, and what to do about it."""

    code: str = Field(description="stable, for programs", examples=["unreachable"])
    args: dict[str, str] = Field(description="what a sentence for this code speaks of", examples=[{}])
    text: str = Field(examples=["opc.tcp://127.0.0.1:4840: nothing listens there"])
    do: str = Field(description="what to do; empty: nothing is known", examples=["is the machine on?"])


class Seen(NamedTuple):
    """What is known of a machine at a time. The ages are in s, None: never; `fault` is in its own words, or None."""

    online: bool
    seen_s: float | None
    changed_s: float | None
    condition: Condition
    fault: str | None = None
    retired: bool = False


def state_signal(signals: Iterable[tuple[str, Datatype]], stated: str | None = None) -> str | None:
    """Return the signal that tells the state: the `stated` one if there is such a signal, else the first by name."""
    tells = dict(signals)
    if stated in tells:
        return stated
    by_name: dict[str, str] = {}
    for name, datatype in tells.items():
        if datatype in _TELLING:
            for key in (name.lower(), "/" + name.rsplit("/", 1)[-1].lower()):
                by_name.setdefault(key, name)
    return next((by_name[key] for name in STATE_NAMES for key in (name, "/" + name) if key in by_name), None)


def text_of(value: Value | None) -> str | None:
    """Return a state as text; a whole number has no decimals, None (or an empty text) is no state."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None else str(value) or None


def _word(text: str) -> str:
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def condition_of(text: str | None) -> Condition:
    """Return what the word of a state means; unknown for one that is not in the table, and for numbers."""
    return "unknown" if text is None else _CONDITION_OF.get(_word(text), "unknown")


def fault_of(read: Callable[[str], Value | None], state: str | None) -> str | None:
    """Return what is wrong with a machine: its `alarm`, the word of its state, or the signal that says it; or None."""
    alarm = read("alarm")
    if isinstance(alarm, str) and alarm.strip().lower() not in _NO_ALARM:
        return alarm.strip()
    if state is not None and _word(state) in _FAULT_WORDS:
        return state
    for signal, words in _FAULT_SIGNALS.items():
        if (text_of(read(signal)) or "").lower() in words:
            return signal
    return None


def is_stale(seen_s: float | None) -> bool:
    """Tell whether what was said so long ago (None: never) is not believed any more."""
    return seen_s is not None and seen_s > STALE_S


def standing_of(seen: Seen, quiet_s: float) -> Standing:
    """Return how a machine stands, the worst first; it is quiet when nothing has changed for more than `quiet_s`."""
    if seen.retired:
        return "retired"
    if not seen.online:
        return "offline"
    if is_stale(seen.seen_s):
        return "stale"
    if seen.fault is not None:
        return "fault"
    if seen.condition in ("interrupted", "stopped"):
        return seen.condition
    return "quiet" if seen.changed_s is not None and seen.changed_s > quiet_s else seen.condition
