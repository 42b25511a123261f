"""What happened, and what holds now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.auth.rights import Action
from cloud.deps import Db, Now, Reach, need, within
from cloud.events.events import Asked, CursorError, find
from cloud.events.view import EventView, view
from cloud.problems import Code, Problem, responses
from cloud.telemetry.times import PATTERN, TimeError, parse_time
from contract.event import State

router = APIRouter(prefix="/events", tags=["events"], dependencies=[need(Action.READ)])

MAX_EVENTS = 1000

Time = Annotated[
    str, Query(pattern=PATTERN, description="ISO 8601, `now` or `-1h` (ms, s, m, h, d, w)", examples=["-1d"])
]


class Events(BaseModel):
    """A page of events, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": [], "after": ""}]})

    events: list[EventView]
    after: str = Field(description="to be asked for the next page; empty: there is none")


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
