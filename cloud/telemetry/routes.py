"""Last values, history and export."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from cloud.auth.rights import Action
from cloud.deps import Db, GetParts, GetStore, Now, Reach, need, unknown_asset, within
from cloud.parts import Parts
from cloud.problems import Code, Problem, responses
from cloud.registry.tables import AssetRow, SignalRow
from cloud.streaming import PatientStream, in_thread
from cloud.telemetry import export, store
from cloud.telemetry.exact import shown
from cloud.telemetry.models import AskIntegers, History, Integers, LastColumns, Resolution, Retention, SeriesColumns
from cloud.telemetry.rollup import MINUTE_NS
from cloud.telemetry.times import MAX_NS, PATTERN, TimeError, format_time, iso, parse_time

router = APIRouter(prefix="/telemetry", tags=["telemetry"], dependencies=[need(Action.READ)])

MAX_POINTS: Final = 10_000
MAX_SIGNALS: Final = 50
MAX_JSON_ROWS: Final = 100_000
MAX_ARROW_ROWS: Final = 1_000_000
MAX_BUCKETS: Final = 100_000
"""Of all signals of one request."""
ARROW: Final = "application/vnd.apache.arrow.stream"

Assets = Annotated[list[str], Query(max_length=500, description="assets; none: all", examples=[["cnc-01"]])]
AssetName = Annotated[str, Query(min_length=1, max_length=64, examples=["cnc-01"])]
Signals = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=128)]],
    Query(min_length=1, max_length=MAX_SIGNALS, examples=[["spindle_speed"]]),
]
Start = Annotated[
    str, Query(pattern=PATTERN, description="ISO 8601, `now` or `-1h` (ms, s, m, h, d, w)", examples=["-1h"])
]
End = Annotated[str, Query(pattern=PATTERN, description="like start; not included", examples=["now"])]


def _now_ns(now: datetime) -> int:
    return int(now.timestamp() * 1e6) * 1000


async def get_query(
    *, now: Now, asset: AssetName, signal: Signals, start: Start = "-1h", end: End = "now"
) -> store.Query:
    """Return what is asked for; raise Problem 422 for a wrong time."""
    return query_of(now, asset, signal, (start, end))


def query_of(now: datetime, asset: str, signals: Sequence[str], between: tuple[str, str]) -> store.Query:
    """Return a query; raise Problem 422 for a wrong time."""
    start, end = between
    times = []
    for name, text in (("start", start), ("end", end)):
        try:
            times.append(parse_time(text, _now_ns(now)))
        except TimeError as error:
            errors = [{"where": f"query.{name}", "what": str(error)}]
            args = {"name": name, "what": str(error)}
            raise Problem(
                422, f"query.{name}: {error}", "correct the time", code=Code.WRONG_TIME, args=args, errors=errors
            ) from error
    if times[0] >= times[1]:
        raise Problem(
            422,
            f"start ({start}) is not before end ({end})",
            "exchange them, or choose an earlier start",
            code=Code.EMPTY_RANGE,
            args={"start": start, "end": end},
        )
    return store.Query(asset, tuple(dict.fromkeys(signals)), *times)


GetQuery = Annotated[store.Query, Depends(get_query)]
Announced = dict[str, tuple[str, str]]
"""Datatype and unit of the signals of an asset."""


def _announced(parts: Parts, asset: str) -> Announced:
    def look() -> Announced:
        with parts.sessions() as db:
            rows = select(SignalRow.name, SignalRow.datatype, SignalRow.unit).where(SignalRow.asset_id == asset)
            return {name: (datatype, unit) for name, datatype, unit in db.execute(rows)}

    return parts.signals.read(asset, look) or {}


def check_known(parts: Parts, query: store.Query) -> Announced:
    """Return what is announced of the asset; raise Problem 404 when it or a signal is unknown."""
    announced = _announced(parts, query.asset)
    if announced and announced.keys() >= set(query.signals):
        return announced
    # what is no longer announced may be stored all the same
    stored = {series.signal for series in parts.store.series([query.asset])}
    unknown = [name for name in query.signals if name not in announced and name not in stored]
    if not announced and not stored:
        with parts.sessions() as db:
            if db.get(AssetRow, query.asset) is None:
                raise unknown_asset(query.asset)
    if unknown:
        raise Problem(
            404,
            f"asset {query.asset!r} has no signal {', '.join(map(repr, unknown))}",
            f"see GET /api/v1/telemetry/series?asset={query.asset} for what is stored of it",
            code=Code.UNKNOWN_SIGNAL,
            args={"asset": query.asset, "signals": unknown},
        )
    return announced


def _json(document: object) -> Response:
    # validated by tests against the model, not for each answer: that would be a hundred times slower
    return Response(orjson.dumps(document), media_type="application/json")


def _units(parts: Parts, assets: Sequence[str]) -> dict[tuple[str, str], str]:
    def look() -> dict[tuple[str, str], str]:
        rows = select(SignalRow.asset_id, SignalRow.name, SignalRow.unit)
        if assets:
            rows = rows.where(SignalRow.asset_id.in_(assets))
        with parts.sessions() as db:
            return {(asset, name): unit for asset, name, unit in db.execute(rows)}

    return (parts.units.read("", look) or {}) if not assets else look()


@router.get("/last", response_model=LastColumns, responses=responses(401, 403, 422, 503))
def last(
    parts: GetParts,
    samples: GetStore,
    now: Now,
    reach: Reach,
    *,
    asset: Assets = [],  # noqa: B006  (FastAPI copies it)
    integers: AskIntegers = "number",
) -> Response:
    """Return the newest sample of every signal of the assets; what an asset said that is offline is stale (500)."""
    wanted = within(reach, asset)
    table = store.LAST.empty_table() if wanted == [] else samples.last(wanted or [])
    body = parts.last.json(
        table, _units(parts, wanted or []), parts.hub.offline(), integers, _now_ns(now), keep=wanted is None
    )
    return Response(body, media_type="application/json")


@router.get("/series", responses=responses(401, 403, 422, 503))
def series(db: Db, samples: GetStore, reach: Reach, asset: Assets = []) -> SeriesColumns:  # noqa: B006  (FastAPI copies it)
    """Return what is stored: also of signals and assets that nobody announces any more."""
    announced = {(asset, name) for asset, name in db.execute(select(SignalRow.asset_id, SignalRow.name))}
    wanted = within(reach, asset)
    stored = [] if wanted == [] else samples.series(wanted or [])
    return SeriesColumns(
        **{name: [getattr(one, name) for one in stored] for name in store.Stored._fields},
        announced=[(one.asset, one.signal) in announced for one in stored],
    )


def _by_signal(table: pa.Table, signals: Sequence[str]) -> dict[str, pa.Table]:
    if len(signals) == 1:
        return {signals[0]: table}
    return {signal: table.filter(pc.equal(table["signal"], signal)) for signal in signals}


def _raw(parts: GetParts, query: store.Query, limit: int) -> pa.Table:
    try:
        return parts.store.samples(query, limit)
    except store.TooManyRows as error:
        raise _too_many(query, limit) from error


def _too_many(query: store.Query, limit: int) -> Problem:
    start, end = format_time(query.start_ns), format_time(query.end_ns)
    return Problem(
        413,
        f"there are more than {limit} samples from {start} to {end}",
        "ask for `points`, a shorter time, fewer signals, or use /api/v1/telemetry/export",
        code=Code.TOO_MANY_SAMPLES,
        args={"limit": limit, "start": start, "end": end},
    )


def _texts_of(query: store.Query, datatypes: Mapping[str, str], buckets: pa.Table) -> tuple[str, ...]:
    """Return the signals that are texts, among them those of which nobody says the type and that have no number."""
    numbers = set(pc.unique(buckets["signal"]).to_pylist())
    return tuple(
        name
        for name in query.signals
        if datatypes.get(name) == "string" or (name not in datatypes and name not in numbers)
    )


def _texts(parts: GetParts, query: store.Query, limit: int) -> pa.Table:
    """Return texts as RAW: the newest of each minute, then every sample."""
    found = [store.RAW.empty_table()]
    for batch in parts.store.minutes(query):
        texts = pa.Table.from_batches([batch]).filter(pc.is_valid(batch["text"])).select(["signal", "time", "text"])
        columns = {name: pa.nulls(len(texts), store.RAW.field(name).type) for name in store.RAW.names}
        columns |= {"quality": pa.repeat(pa.scalar(store.GOOD, pa.int16()), len(texts))}
        columns |= {name: texts[name] for name in texts.column_names}
        found.append(pa.table(columns, schema=store.RAW))
        limit -= len(texts)
        if limit < 0:
            raise _too_many(query, MAX_JSON_ROWS)
    return pa.concat_tables([*found, _raw(parts, query, limit)])


def _in_minutes(query: store.Query, width_ns: int) -> tuple[store.Query, int]:
    """Return the whole minutes that hold a time, and the least number of them that a bucket has."""
    start_ns = query.start_ns // MINUTE_NS * MINUTE_NS
    end_ns = min(-(-query.end_ns // MINUTE_NS) * MINUTE_NS, MAX_NS)
    width_ns = -(-min(width_ns, MAX_NS - MINUTE_NS) // MINUTE_NS) * MINUTE_NS  # one of all time is still 64 bits
    return replace(query, start_ns=start_ns, end_ns=end_ns), width_ns


def _resolution(query: store.Query, since_ns: int) -> Resolution:
    return "raw" if since_ns <= query.start_ns else "minute" if since_ns >= query.end_ns else "mixed"


def _bucket_width(query: store.Query, points: int) -> int:
    width_ns = -(-(query.end_ns - query.start_ns) // points)
    signals = len(query.signals)
    if points * signals > MAX_BUCKETS:
        most = MAX_BUCKETS // signals
        raise Problem(
            422,
            f"{points} points of {signals} signals are more than {MAX_BUCKETS}",
            f"ask for at most {most} points",
            code=Code.TOO_MANY_POINTS,
            args={"points": points, "signals": signals, "limit": MAX_BUCKETS, "most": most},
        )
    return width_ns


@router.get(
    "/history",
    response_model=History,
    responses={
        200: {"content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}},
        **responses(401, 403, 404, 413, 422, 503),
    },
)
async def history(
    *,
    parts: GetParts,
    query: GetQuery,
    points: Annotated[
        int | None, Query(ge=1, le=MAX_POINTS, description="number of buckets; none: raw samples", examples=[600])
    ] = None,
    format: Annotated[
        Literal["json", "arrow"],
        Query(description="arrow: an Arrow IPC stream with the columns in rows of all signals"),
    ] = "json",
    integers: AskIntegers = "number",
) -> Response:
    """Return the history of signals: raw samples, or minimum, mean, maximum, last and count per bucket.

    Where samples are not kept any more buckets are of minutes: `start`, `end` and `bucket_s` then are whole minutes.
    """
    announced = parts.signals.known(query.asset)
    if points is None and format == "json" and announced is not None:
        await asyncio.sleep(0)  # with its place held: as many as there are places in one turn of the loop, then others
        raw = parts.store.at_hand(query)
        if raw is not None:  # nearly all questions: a thread for each would cost more than the answer
            return _as_json(query, announced, raw, integers, kept=_kept(query, query.start_ns))
    return await run_in_threadpool(_history, parts, query, points, format, integers)


def _history(
    parts: Parts, query: store.Query, points: int | None, format: Literal["json", "arrow"], integers: Integers
) -> Response:
    signals = check_known(parts, query)
    limit = MAX_JSON_ROWS if format == "json" else MAX_ARROW_ROWS
    since_ns = parts.store.raw_since()
    if points is None:
        width_ns, buckets, raw = None, None, _raw(parts, query, limit)
    else:
        width_ns = _bucket_width(query, points)
        if since_ns > query.start_ns:
            query, width_ns = _in_minutes(query, width_ns)
        buckets = parts.store.buckets(query, width_ns)
        texts = _texts_of(query, {name: datatype for name, (datatype, _) in signals.items()}, buckets)
        raw = store.RAW.empty_table()
        if texts and format == "json":
            raw = _texts(parts, replace(query, signals=texts), limit)
    kept = _kept(query, since_ns)
    if format == "arrow":
        table = raw if buckets is None else buckets
        return _arrow(table.replace_schema_metadata({k: v or "" for k, v in kept.items()}))
    return _as_json(query, signals, raw, integers, kept=kept, buckets=buckets, width_ns=width_ns)


def _kept(query: store.Query, since_ns: int) -> dict[str, str | None]:
    resolution = _resolution(query, since_ns)
    return {"resolution": resolution, "raw_since": None if resolution == "raw" else format_time(since_ns)}


def _as_json(
    query: store.Query,
    announced: Announced,
    raw: pa.Table,
    integers: Integers,
    *,
    kept: Mapping[str, str | None],
    buckets: pa.Table | None = None,
    width_ns: int | None = None,
) -> Response:
    head = {
        "asset": query.asset,
        "start": format_time(query.start_ns),
        "end": format_time(query.end_ns),
        "bucket_s": None if width_ns is None else width_ns / 1e9,
        **kept,
    }
    units = {name: unit for name, (_, unit) in announced.items()}
    return _json({**head, "series": _series(query, units, buckets, raw, integers)})


@router.get("/retention", responses=responses(401, 403, 503))
def retention(parts: GetParts) -> Retention:
    """Return how long samples are kept, and since when there are any."""
    settings = parts.settings
    return Retention(
        raw_days=settings.raw_days, minute_days=settings.minute_days, raw_since=format_time(parts.store.raw_since())
    )


def _series(
    query: store.Query, units: dict[str, str], buckets: pa.Table | None, raw: pa.Table, integers: Integers
) -> list[dict[str, Any]]:
    series: list[dict[str, Any]] = []
    in_raw = _by_signal(raw, query.signals)
    in_buckets = {} if buckets is None else _by_signal(buckets, query.signals)
    for signal in query.signals:
        head = {"signal": signal, "unit": units.get(signal, "")}
        rows, numbers = in_raw[signal], in_buckets.get(signal)
        if numbers is None or len(rows):
            series.append({"kind": "raw", **head, "time": iso(rows["time"]), **shown(rows, integers)})
        else:
            columns = {name: numbers[name].to_pylist() for name in ("min", "mean", "max", "last", "count")}
            series.append({"kind": "buckets", **head, "time": iso(numbers["time"]), **columns})
    return series


def _arrow(table: pa.Table) -> Response:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Response(sink.getvalue().to_pybytes(), media_type=ARROW)


@router.get(
    "/export",
    dependencies=[need(Action.EXPORT)],
    response_class=PatientStream,
    responses={
        200: {
            "description": "a file with the columns asset, signal, time, value, quality, status; a Parquet file has "
            "value (a number, or the double nearest to it), text, boolean, int64 and uint64. Of minutes with asset, "
            "signal, time, min, mean, max, last, count",
            "headers": {
                "Raw-Since": {
                    "description": "where raw samples begin; of what was before there are minutes",
                    "schema": {"type": "string"},
                }
            },
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                export.PARQUET: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **responses(401, 403, 404, 422, 503),
    },
)
def export_samples(
    parts: GetParts,
    query: GetQuery,
    format: Annotated[Literal["csv", "parquet"], Query()] = "csv",
    resolution: Annotated[
        Literal["raw", "minute"],
        Query(description="raw: the samples; minute: what is left of those before `Raw-Since`"),
    ] = "raw",
) -> PatientStream:
    """Export all samples of signals as a file, however many there are, or the minutes that are left of older ones."""
    check_known(parts, query)
    raw_since = format_time(parts.store.raw_since())
    parts.exports.take()
    pieces = export.pieces(parts.store, query, format, resolution, done=parts.exports.give_back)
    name = f"{query.asset}_{format_time(query.start_ns)[:19].replace(':', '')}Z.{format}"
    return PatientStream(
        in_thread(pieces),
        send_timeout_s=export.SEND_TIMEOUT_S,
        media_type="text/csv; charset=utf-8" if format == "csv" else export.PARQUET,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Raw-Since": raw_since},
    )
