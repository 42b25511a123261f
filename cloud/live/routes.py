"""The live stream."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from cloud.auth.accounts import Principal
from cloud.auth.rights import Action
from cloud.deps import GetParts, Reach, find_principal, need, proofs_of, reach_of, within
from cloud.live.hub import change_json
from cloud.live.listener import Listener
from cloud.parts import Parts
from cloud.places import busy
from cloud.problems import responses
from cloud.streaming import PatientStream
from cloud.telemetry.exact import for_javascript
from cloud.telemetry.models import AskIntegers, Integers, StateEvent
from cloud.telemetry.times import format_time

router = APIRouter(prefix="/telemetry", tags=["telemetry"])

PING_S: Final = 10.0
PACE_S: Final = 0.1


class EventStream(PatientStream):
    """Server-sent events."""

    media_type = "text/event-stream"


def _format_ms(time_ms: int) -> str:
    return format_time(time_ms * 1_000_000)


def event(name: str, data: object) -> bytes:
    """Return one server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def _is_as_before(parts: Parts, cookie: str | None, bearer: str | None, reach: frozenset[str] | None) -> bool:
    """Tell whether somebody may see the same as before; else they have to ask again."""
    me = find_principal(parts, cookie, bearer, datetime.now(UTC))
    return me is not None and Action.READ in me.actions and reach_of(parts, me) == reach


async def _events(
    parts: Parts, listener: Listener, is_as_before: Callable[[], bool], integers: Integers
) -> AsyncIterator[bytes]:
    """Give events until the hub closes or a right ends: a stream may outlive that by `stream_recheck_s` at most."""
    checked = time.monotonic()
    shown = for_javascript if integers == "text" else None
    try:
        yield b"retry: 2000\n\n"
        while not listener.closed:
            changes = await listener.changes(PING_S, PACE_S)
            if time.monotonic() - checked > parts.settings.stream_recheck_s:
                checked = time.monotonic()
                if not await run_in_threadpool(is_as_before):
                    return
            happened, missed = listener.events()
            said = [event("state", change_json(change, _format_ms, shown)) for change in changes]
            said += [event("missed", {"events": missed})] if missed else []
            said += [event("event", each) for each in happened]
            yield b"".join(said) or b": ping\n\n"
    finally:
        parts.hub.leave(listener)


@router.get(
    "/stream",
    response_class=EventStream,
    responses={
        200: {
            "description": "server-sent events. `state` has data as below: first comes all that is known, then what "
            "changes, at most one value per signal every 0.1 s. `event` has the data of an event of `/events`, once it "
            "is kept; `missed` says how many of them did not come here. A comment at least every 10 s",
            "model": StateEvent,
        },
        **responses(401, 403, 503),
    },
)
async def stream(
    *,
    request: Request,
    parts: GetParts,
    me: Annotated[Principal, need(Action.READ)],
    reach: Reach,
    asset: Annotated[
        list[str], Query(max_length=200, description="assets to hear of; none: all", examples=[["cnc-01"]])
    ] = [],  # noqa: B006  (FastAPI copies it)
    integers: AskIntegers = "number",
) -> EventStream:
    """Stream live values. A client that does not read for 5 s is let go."""
    listener = parts.hub.listen(within(reach, asset), me.username)
    if listener is None:
        raise busy("live streams, of all or of this user")
    cookie, bearer = proofs_of(request, parts.settings)
    return EventStream(
        _events(parts, listener, partial(_is_as_before, parts, cookie, bearer, reach), integers),
        send_timeout_s=parts.settings.stream_send_timeout_s,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        media_type=EventStream.media_type,
    )
