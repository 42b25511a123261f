"""What happened, and what holds now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.auth.rights import Action
from cloud.deps import Db, Now, Reach, need, within
from cloud.events.events import Asked, CursorError, find
from cloud.events.tables import EventRow
from cloud.problems import Code, Problem, responses
from cloud.telemetry.times import PATTERN, TimeError, format_time, parse_time
from contract.event import State
from contract.model import Value

router = APIRouter(prefix="/events", tags=["events"], dependencies=[need(Action.READ)])

MAX_EVENTS = 1000

Time = Annotated[
    str, Query(pattern=PATTERN, description="ISO 8601, `now` or `-1h` (ms, s, m, h, d, w)", examples=["-1d"])
]


class EvidenceView(BaseModel):
    """Which data an event stands on: a signal over a time, or a block by its id."""

    signal: str = Field(examples=["spindle_speed"])
    block: str
    start: str
    end: str


class EventView(BaseModel):
    """Something that happened."""

    id: str = Field(description="unique for its asset", examples=["4f1a9c"])
    asset: str = Field(examples=["cnc-01"])
    name: str = Field(examples=["Coolant low"])
    time: str = Field(description="ISO 8601, UTC", examples=["2026-11-23T08:00:00.250000000Z"])
    state: State = Field(description="of the condition; empty for what just happens")
    condition: str = Field(description="what holds for a time, by the source's own name; empty for what just happens")
    severity: int = Field(description="1 to 1000 (OPC UA part 9)", examples=[500])
    texts: dict[str, str] = Field(description='by language; "" where the source does not say which')
    values: dict[str, Value]
    evidence: list[EvidenceView]
    source: str = Field(description="who tells it: the machine, or a detector", examples=["machine"])
    time_replaced: bool = Field(description="the time is not the source's")


class Events(BaseModel):
    """A page of events, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": [], "after": ""}]})

    events: list[EventView]
    after: str = Field(description="to be asked for the next page; empty: there is none")


def view(row: EventRow) -> EventView:
    """Return an event as it is shown."""
    evidence = [
        EvidenceView(
            signal=each["signal"],
            block=each["block"],
            start=format_time(each["start_ns"]),
            end=format_time(each["end_ns"]),
        )
        for each in row.evidence
    ]
    names = ("id", "asset", "name", "state", "condition", "severity", "texts", "values", "source", "time_replaced")
    said = {name: getattr(row, name) for name in names}
    return EventView(**said, time=format_time(row.time_ns), evidence=evidence)


@router.get("", responses=responses(401, 403, 422))
def events(
    *,
    db: Db,
    now: Now,
    reach: Reach,
    asset: Annotated[list[str], Query(max_length=500, description="assets; none: all", examples=[["cnc-01"]])] = [],  # noqa: B006  (FastAPI copies it)
    state: Annotated[list[State], Query(max_length=4, description="none: any")] = [],  # noqa: B006
    condition: Annotated[str, Query(max_length=200)] = "",
    severity: Annotated[int, Query(ge=1, le=1000, description="the least")] = 1,
    start: Annotated[Time | None, Query()] = None,
    end: Annotated[Time | None, Query(description="like start; not included")] = None,
    active: Annotated[bool, Query(description="only the newest event of each condition that holds now")] = False,
    after: Annotated[str, Query(max_length=400, description="what the page before said")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 100,
) -> Events:
    """Return events, the newest first, page by page."""
    now_ns = int(now.timestamp() * 1e6) * 1000
    times = {}
    for name, text in (("start_ns", start), ("end_ns", end)):
        try:
            times[name] = None if text is None else parse_time(text, now_ns)
        except TimeError as error:
            args = {"name": name.removesuffix("_ns"), "what": str(error)}
            raise Problem(422, f"{args['name']}: {error}", code=Code.WRONG_TIME, args=args) from error
    wanted = within(reach, asset)
    if wanted == []:
        return Events(events=[], after="")
    asked = Asked(wanted or [], state, condition, severity, active=active, **times)
    try:
        found, more = find(db, asked, after, limit)
    except CursorError as error:
        raise Problem(422, str(error), "begin without `after`", code=Code.INVALID_REQUEST) from error
    return Events(events=[view(row) for row in found], after=more)
