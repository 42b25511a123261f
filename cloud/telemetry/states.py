"""The states that a machine was in: the band above its charts.

A state holds until the next one, and only while somebody vouches for it: the edge node tells every few seconds when it
last heard of the machine. Where it tells of nothing for longer than STALE_S (edge or machine were off, or the line to
it), and nothing of the machine was stored either, nobody knows the state: there is a gap. An edge node that is not ours
does not vouch: the states of its machines hold until the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from cloud.auth.rights import Action
from cloud.deps import GetParts, GetStore, Now, need
from cloud.parts import Parts
from cloud.problems import Code, Problem, responses
from cloud.registry.kind import ANY, Condition, kind_of, text_of
from cloud.registry.state import STALE_S
from cloud.registry.tables import AssetRow, SignalRow
from cloud.telemetry.exact import values
from cloud.telemetry.routes import MAX_JSON_ROWS, AssetName, End, Start, check_known, query_of
from cloud.telemetry.store import Query, Store, TooManyRows
from cloud.telemetry.times import format_time
from contract.model import Datatype, Quality, Value, base_quality

router = APIRouter(prefix="/telemetry", tags=["telemetry"], dependencies=[need(Action.READ)])

LOOK_BACK_NS: Final = 86_400 * 10**9
"""So long before the start the state may have begun that holds there."""
POINTS: Final = 10_000
"""Buckets of a state that is a number or a boolean, and has more samples than that many."""
MOST_GAPS: Final = 50
"""Of so many gaps, the newest, it is looked whether samples of the machine fill them."""
_STALE_NS: Final = round(STALE_S * 1e9)
_MINUTE_NS: Final = 60 * 10**9
_HEARD, _SAYS, _GAP = range(3)
"""What happens at a time, in this order: a gap ends, the machine says its state, a gap begins."""


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
    state: list[str | None] = Field(
        description="null: nobody knows it from here on: the source had no value, or nothing was heard of the asset"
    )
    condition: list[Condition]


@router.get("/states", responses=responses(401, 403, 404, 413, 422, 503))
def states(
    *, parts: GetParts, samples: GetStore, now: Now, asset: AssetName, start: Start = "-1h", end: End = "now"
) -> States:
    """Return the states of an asset; none for an asset that has no signal for it."""
    with parts.sessions() as db:
        row = db.get(AssetRow, asset)
    signal = parts.hub.status(asset).state_signal or (None if row is None else row.state_signal)
    query = query_of(now, asset, [] if signal is None else [signal], (start, end))
    announced = check_known(parts, query)
    is_boolean = announced.get(signal or "", ("", ""))[0] == Datatype.BOOLEAN
    found: list[tuple[int, str | None]] = []
    if signal is not None:
        before = replace(query, start_ns=max(0, query.start_ns - LOOK_BACK_NS))
        said = [
            (time_ns, text_of(bool(value) if is_boolean and isinstance(value, float) else value))
            for time_ns, value in _said(samples, before)
        ]
        until_ns = min(query.end_ns, round(now.timestamp() * 1e9))
        vouched = [] if row is None else _vouched(parts, samples, row, before)
        gaps = _unheard([*vouched, *(time_ns for time_ns, _ in said if vouched and time_ns > vouched[0])], until_ns)
        gaps = _unfilled(samples, replace(query, signals=tuple(announced)), gaps)
        found = _changes(said, gaps, query.start_ns)
    kind = ANY if row is None else kind_of(row.kind)
    return States(
        asset=asset,
        state_signal=signal,
        start=format_time(query.start_ns),
        end=format_time(query.end_ns),
        time=[format_time(time_ns) for time_ns, _ in found],
        state=[state for _, state in found],
        condition=[kind.condition_of(state) for _, state in found],
    )


def _changes(
    said: Iterable[tuple[int, str | None]], gaps: Iterable[tuple[int, int]], start_ns: int
) -> list[tuple[int, str | None]]:
    """Return when the state became another one, None where a gap begins; the first is what holds at the start."""
    events = sorted(
        [
            *((time_ns, _SAYS, text) for time_ns, text in said),
            *((begin_ns, _GAP, None) for begin_ns, _ in gaps),
            *((end_ns, _HEARD, None) for _, end_ns in gaps),
        ],
        key=lambda event: event[:2],
    )
    found: list[tuple[int, str | None]] = []
    state: str | None = None
    for time_ns, kind, text in events:
        state = text if kind == _SAYS else state
        shown = None if kind == _GAP else state
        if found and (found[-1][0] == time_ns or time_ns <= start_ns):
            begun_ns, before = found.pop()
            found.append((begun_ns if before == shown else time_ns, shown))
        elif (found and found[-1][1] != shown) or (not found and kind == _SAYS):
            found.append((time_ns, shown))
    return found


def _vouched(parts: Parts, store: Store, row: AssetRow, query: Query) -> list[int]:
    """Return when the asset was heard as its edge node tells, in order of time; nothing when none of ours is behind it.

    Where a machine has several assets the node tells of them together: then only that it was there itself.
    """
    with parts.sessions() as db:
        node = db.scalar(select(AssetRow.id).filter_by(edge_node=row.edge_node, kind="node"))
        name = f"Health/{row.label or row.id}/silent_s"
        own = None if node is None else db.get(SignalRow, (node, name))
    if node is None:
        return []
    asked = replace(query, asset=node, signals=(name if own else "Health/tasks",))
    table, width_ns, column = None, 0, "value"
    if query.start_ns >= store.raw_since():
        with suppress(TooManyRows):
            table = store.samples(asked, MAX_JSON_ROWS)
    if table is None:
        width_ns, column = max(_MINUTE_NS, -(-(query.end_ns - query.start_ns) // POINTS)), "last"
        table = store.buckets(asked, width_ns)
    ages_s = table[column].to_pylist() if own else [0.0] * len(table)
    heard = {
        time_ns + offset_ns - round(age_s * 1e9)
        for time_ns, age_s in zip(_ns(table["time"]), ages_s, strict=True)
        if age_s is not None and age_s >= 0
        for offset_ns in {0, max(0, width_ns - 1)}
    }
    return sorted(heard)


def _unheard(heard: Iterable[int], until_ns: int) -> list[tuple[int, int]]:
    """Return from when to when nothing was heard for longer than STALE_S, the last time until `until_ns`."""
    times_ns = sorted(heard)
    ends = [*times_ns, max(until_ns, times_ns[-1])] if times_ns else []
    return [(begin_ns, end_ns) for begin_ns, end_ns in pairwise(ends) if end_ns - begin_ns > _STALE_NS]


def _unfilled(store: Store, query: Query, gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what is left of gaps in which a machine's own record, read later, tells how it was."""
    left = [gap for gap in gaps if gap[1] > query.start_ns]
    found = left[:-MOST_GAPS]
    for begin_ns, end_ns in left[-MOST_GAPS:]:
        buckets = store.buckets(replace(query, start_ns=begin_ns + 1, end_ns=end_ns), _STALE_NS // 4)
        found += _unheard([begin_ns, *_ns(buckets["time"]), end_ns], end_ns)
    return found


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
        known = (base_quality(quality) in (Quality.GOOD, Quality.UNCERTAIN) for quality in raw["quality"].to_pylist())
        columns = zip(_ns(raw["time"]), values(raw), known, strict=True)
        yield from ((time_ns, value if is_known else None) for time_ns, value, is_known in columns)


def _ns(times: pa.Array | pa.ChunkedArray) -> list[int]:
    found: list[int] = pc.cast(times, pa.int64()).to_pylist()
    return found
