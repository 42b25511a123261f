"""How a machine stands, by its state and by all else that is known of it.

The one rule for registry, live stream and screens; what its signals and their words mean is data of its kind. A machine
need not have a state: it stands well all the same.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, Field

from cloud.registry.kind import Condition

Standing = Literal[
    "fault", "offline", "stale", "interrupted", "stopped", "quiet", "running", "ready", "unknown", "retired"
]

STALE_S: Final = 60.0
"""So long nothing may be heard of a machine, not even that it has nothing to say, until its state is not believed."""


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
