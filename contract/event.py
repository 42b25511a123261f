"""Events: what happened to an asset at one time, and how they travel.

An event is the string metric `Spool/Event` of its asset's device, JSON, in a DDATA of its own that names the metric
(no alias): spooled, acknowledged and kept like samples. A node of another maker that declares the metric in its births
and sends the same JSON is heard, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.model import Value
from contract.sparkplug import Code, Metric

EVENT: Final = "Spool/Event"
MAX_EVENT_BYTES: Final = 64 * 1024

TimeNs = Annotated[int, Field(ge=0, lt=2**63)]
State = Literal["", "active", "cleared", "acknowledged"]


class EventError(ValueError):
    """What tells no event; says why."""


class Evidence(BaseModel):
    """Which data an event stands on: a signal over a time, or a block by its id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signal: Annotated[str, Field(max_length=128)] = ""
    block: Annotated[str, Field(max_length=64)] = ""
    start_ns: TimeNs
    end_ns: TimeNs


class Event(BaseModel):
    """Something that happened: an alarm, a detection, a finished part.

    `id` names it: what comes again under the same id is the same event (`event_id` makes one from the source's facts).
    A `condition` holds for a time: each of its events has its name and a `state`; what just happens has neither.
    `severity` is 1 to 1000 (OPC UA part 9). `texts` go by language, "" where the source does not say which. `source`
    says who tells it: "machine", or a detector. `time_replaced`: `time_ns` is not the source's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    asset: Annotated[str, Field(max_length=63)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    time_ns: TimeNs
    state: State = ""
    condition: Annotated[str, Field(max_length=200)] = ""
    severity: Annotated[int, Field(ge=1, le=1000)] = 1
    texts: Annotated[Mapping[str, Annotated[str, Field(max_length=2000)]], Field(max_length=20)] = {}
    values: Annotated[Mapping[str, Value], Field(max_length=100)] = {}
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=20)] = ()
    source: Annotated[str, Field(max_length=63)] = "machine"
    time_replaced: bool = False


def event_id(*facts: object) -> str:
    """Return an id that is the same whenever the same facts of a source are told again."""
    return hashlib.blake2b("\x1f".join(map(str, facts)).encode(errors="replace"), digest_size=16).hexdigest()


def event_metric(event: Event) -> Metric:
    """Return the metric that carries an event; its device says the asset. Raises EventError when it is too long."""
    text = event.model_dump_json(exclude={"asset"}, exclude_defaults=True)
    if len(text.encode()) > MAX_EVENT_BYTES:
        raise EventError(f"the event {event.name!r} has more than {MAX_EVENT_BYTES} bytes")
    return Metric(EVENT, None, Code.STRING, text, event.time_ns)


def read_event(text: str, asset: str) -> Event:
    """Return the event of an asset that a metric carries; raise EventError."""
    try:
        fields = _Told.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise EventError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return Event(**{**dict(fields), "asset": asset})


class _Told(Event):
    """An event as it travels."""

    asset: Annotated[str, Field(max_length=0)] = ""
