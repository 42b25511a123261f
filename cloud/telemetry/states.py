"""The states that a machine was in: the band above its charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from cloud.auth.roles import Role
from cloud.deps import Db, GetParts, GetStore, Now, need
from cloud.problems import Code, Problem, responses
from cloud.registry.state import Condition, condition_of, text_of
from cloud.registry.tables import AssetRow
from cloud.telemetry.exact import values
from cloud.telemetry.routes import MAX_JSON_ROWS, AssetName, End, Start, query_of
from cloud.telemetry.store import Query, Store, TooManyRows
from cloud.telemetry.times import format_time
from contract.model import Datatype, Value

router = APIRouter(prefix="/telemetry", tags=["telemetry"], dependencies=[need(Role.VIEWER)])

LOOK_BACK_NS: Final = 86_400 * 10**9
"""So long before the start the state may have begun that holds there."""
POINTS: Final = 10_000
"""Buckets of a state that is a number or a boolean, and has more samples than that many."""


class States(BaseModel):
    """The states of an asset as columns of equal length, in order of time: each holds until the next one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "asset": "cnc-01",
                    "state_signal": "execution",
                    "start": "2026-11-23T07:00:00.000000000Z",
                    "end": "2026-11-23T08:00:00.000000000Z",
                    "time": ["2026-11-23T06:59:12.000000000Z"],
                    "state": ["ACTIVE"],
                    "condition": ["running"],
                }
            ]
        }
    )

    asset: str
    state_signal: str | None = Field(description="the signal that tells its state; null: it has none, nor any states")
    start: str
    end: str
    time: list[str] = Field(description="when a state began; the first, which holds at `start`, up to a day before it")
    state: list[str | None] = Field(description="null: the source had no value")
    condition: list[Condition]


@router.get("/states", responses=responses(401, 403, 404, 413, 422, 503))
def states(
    *, db: Db, parts: GetParts, samples: GetStore, now: Now, asset: AssetName, start: Start = "-1h", end: End = "now"
) -> States:
    """Return the states of an asset; none for an asset that has no signal for it."""
    row = db.get(AssetRow, asset)
    if row is None:
        raise Problem(
            404,
            f"there is no asset {asset!r}",
            "see GET /api/v1/assets for the known ones",
            code=Code.UNKNOWN_ASSET,
            args={"asset": asset},
        )
    signal = parts.hub.status(asset).state_signal or row.state_signal
    wanted = [] if signal is None else [signal]
    query = query_of(now, asset, wanted, start, end)
    is_boolean = any(s.name == signal and s.datatype == Datatype.BOOLEAN for s in row.signals)
    found: list[tuple[int, str | None]] = []
    if signal is not None:
        before = replace(query, start_ns=max(0, query.start_ns - LOOK_BACK_NS))
        for time_ns, value in _said(samples, before):
            state = text_of(bool(value) if is_boolean and isinstance(value, float) else value)
            if found and found[-1][1] == state:
                continue
            if time_ns <= query.start_ns:
                found.clear()
            found.append((time_ns, state))
    return States(
        asset=asset,
        state_signal=signal,
        start=format_time(query.start_ns),
        end=format_time(query.end_ns),
        time=[format_time(time_ns) for time_ns, _ in found],
        state=[state for _, state in found],
        condition=[condition_of(state) for _, state in found],
    )


def _said(store: Store, query: Query) -> Iterator[tuple[int, Value | None]]:
    """Give what the signal said, in order of time, of minutes what it said last; raise Problem 413."""
    for batch in store.minutes(query):
        columns = zip(_ns(batch["time"]), batch["text"].to_pylist(), batch["last"].to_pylist(), strict=True)
        yield from ((time_ns, last if text is None else text) for time_ns, text, last in columns)
    try:
        raw = store.samples(query, MAX_JSON_ROWS)
    except TooManyRows as error:
        buckets = store.buckets(query, -(-(query.end_ns - query.start_ns) // POINTS))
        if not len(buckets):
            raise Problem(
                413,
                f"there are more than {MAX_JSON_ROWS} samples "
                f"from {format_time(query.start_ns)} to {format_time(query.end_ns)}",
                "ask for a shorter time",
                code=Code.TOO_MANY_SAMPLES,
                args={
                    "limit": MAX_JSON_ROWS,
                    "start": format_time(query.start_ns),
                    "end": format_time(query.end_ns),
                },
            ) from error
        yield from zip(_ns(buckets["time"]), buckets["last"].to_pylist(), strict=True)
    else:
        yield from zip(_ns(raw["time"]), values(raw), strict=True)


def _ns(times: pa.Array | pa.ChunkedArray) -> list[int]:
    found: list[int] = pc.cast(times, pa.int64()).to_pylist()
    return found
