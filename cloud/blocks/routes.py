"""Blocks: which there are, their numbers, their spectrum, and what is kept of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import orjson
import pyarrow as pa
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from cloud.auth.accounts import Principal
from cloud.auth.rights import Action
from cloud.blocks.blocks import BlocksError, let_go
from cloud.blocks.spectrum import spectrum
from cloud.blocks.tables import BlockRow, KeptBlock
from cloud.deps import Db, GetParts, Now, Reach, need, within
from cloud.parts import Parts
from cloud.problems import Code, Problem, responses
from cloud.telemetry.times import PATTERN, TimeError, format_time, parse_time
from contract.block import Block, Number

router = APIRouter(prefix="/blocks", tags=["blocks"], dependencies=[need(Action.READ)])

MAX_BLOCKS: Final = 1000
ARROW: Final = "application/vnd.apache.arrow.stream"

Time = Annotated[str, Query(pattern=PATTERN, description="ISO 8601, `now` or `-1h` (ms, s, m, h, d, w)")]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["4f1a9c"])]


class BlockView(BaseModel):
    """What a block is: `count` numbers, `rate_hz` of them a second from `start` on."""

    id: str
    asset: str = Field(examples=["cnc-01"])
    sensor: str = Field(examples=["spindle_vibration"])
    start: str = Field(examples=["2026-11-23T08:00:00.250000000Z"])
    end: str
    rate_hz: float = Field(examples=[25600.0])
    unit: str = Field(examples=["m/s2"])
    number: Number = Field(description="how each number stands in a message and in the file")
    scale: float = Field(description="value = number · scale, in `unit`")
    count: int = Field(examples=[16384])
    reason: Literal["request", "detector", "period"] = Field(description="why it was sent")
    time_replaced: bool = Field(description="the time is not the source's")
    kept: bool = Field(description="somebody keeps it, so that it does not make room for newer ones")
    evidence: bool = Field(description="an event stands on it: it goes when no others are left")


class Blocks(BaseModel):
    """A page of blocks, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"blocks": [], "after": ""}]})

    blocks: list[BlockView]
    after: str = Field(description="to be asked for the next page; empty: there is none")


class Numbers(BlockView):
    """A block with its values."""

    values: list[float] = Field(description="in `unit`, `scale` applied")


class Spectrum(BlockView):
    """The amplitudes of a block: single-sided, Hann window, the mean taken out and put in the first place."""

    window: Literal["hann"] = "hann"
    used: int = Field(description="of so many numbers, from the first on, it is made: a power of two")
    step_hz: float = Field(description="amplitude k belongs to the frequency k · step_hz", examples=[1.5625])
    amplitude: list[float] = Field(description="in `unit`; a sine of amplitude 1 at one of the frequencies has 1 there")


def _view(row: BlockRow, mark: KeptBlock | None) -> dict[str, Any]:
    names = ("id", "asset", "sensor", "rate_hz", "unit", "number", "scale", "count", "reason", "time_replaced")
    return {
        **{name: getattr(row, name) for name in names},
        "start": format_time(row.start_ns),
        "end": format_time(row.end_ns),
        "kept": mark is not None and mark.by != "",
        "evidence": mark is not None and mark.is_evidence,
    }


def find_block(db: Session, reach: frozenset[str] | None, id_: str) -> BlockRow:
    """Return what is known of a block; raise Problem 404."""
    row = db.get(BlockRow, id_)
    if row is None or (reach is not None and row.asset not in reach):
        raise Problem(
            404,
            f"there is no block {id_!r}, or it made room for newer ones",
            "see GET /api/v1/blocks for those there are",
            code=Code.UNKNOWN_BLOCK,
            args={"id": id_},
        )
    return row


def read_block(parts: Parts, row: BlockRow) -> Block:
    """Return a block with its numbers; raise Problem 404 when its file is not here."""
    try:
        return parts.blocks.read(row)
    except BlocksError as error:
        raise Problem(
            404, str(error), "ask the cloud that took it", code=Code.UNKNOWN_BLOCK, args={"id": row.id}
        ) from error


@router.get("", responses=responses(401, 403, 422))
def blocks(
    *,
    db: Db,
    now: Now,
    reach: Reach,
    asset: Annotated[list[str], Query(max_length=500, description="assets; none: all", examples=[["cnc-01"]])] = [],  # noqa: B006  (FastAPI copies it)
    sensor: Annotated[str, Query(max_length=128)] = "",
    start: Annotated[Time | None, Query()] = None,
    end: Annotated[Time | None, Query(description="like start; not included")] = None,
    after: Annotated[str, Query(max_length=100, description="what the page before said")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_BLOCKS)] = 100,
) -> Blocks:
    """Return which blocks there are, the newest first, page by page."""
    rows = (
        select(BlockRow, KeptBlock)
        .outerjoin(KeptBlock, KeptBlock.id == BlockRow.id)
        .order_by(BlockRow.start_ns.desc(), BlockRow.id.desc())
    )
    if (wanted := within(reach, asset)) is not None:
        rows = rows.where(BlockRow.asset.in_(wanted))
    if sensor:
        rows = rows.where(BlockRow.sensor == sensor)
    if start is not None:
        rows = rows.where(BlockRow.start_ns >= _time_ns("start", start, now))
    if end is not None:
        rows = rows.where(BlockRow.start_ns < _time_ns("end", end, now))
    if after:
        start_ns, _, id_ = after.partition("-")
        if not start_ns.isdecimal() or int(start_ns) >= 2**63:
            raise Problem(422, f"{after!r} is no place to go on", "begin without `after`", code=Code.INVALID_REQUEST)
        rows = rows.where(tuple_(BlockRow.start_ns, BlockRow.id) < tuple_(int(start_ns), id_))
    found = db.execute(rows.limit(limit + 1)).all()
    last = found[limit - 1][0] if len(found) > limit else None
    return Blocks(
        blocks=[BlockView(**_view(row, mark)) for row, mark in found[:limit]],
        after="" if last is None else f"{last.start_ns}-{last.id}",
    )


def _time_ns(name: str, text: str, now: datetime) -> int:
    try:
        return parse_time(text, int(now.timestamp() * 1e6) * 1000)
    except TimeError as error:
        args = {"name": name, "what": str(error)}
        raise Problem(422, f"{name}: {error}", code=Code.WRONG_TIME, args=args) from error


@router.get(
    "/{block}",
    response_class=Response,
    responses={
        200: {"description": "numbers or a spectrum as JSON, or an Arrow stream", "model": Numbers | Spectrum},
        **responses(401, 403, 404, 422),
    },
)
def block(
    *,
    db: Db,
    parts: GetParts,
    reach: Reach,
    block: Id,
    as_: Annotated[Literal["numbers", "arrow", "spectrum"], Query(alias="as")] = "numbers",
) -> Response:
    """Return a block: its numbers, a table of Arrow with its header in the metadata, or its spectrum."""
    row = find_block(db, reach, block)
    read = read_block(parts, row)
    view = _view(row, db.get(KeptBlock, block))
    values = [number * row.scale for number in read.numbers()]
    if as_ == "arrow":
        return Response(_arrow(read, values), media_type=ARROW)
    if as_ == "spectrum":
        used, amplitude = spectrum(values)
        view |= {"window": "hann", "used": used, "step_hz": row.rate_hz / used, "amplitude": amplitude}
    else:
        view["values"] = values
    return Response(orjson.dumps(view), media_type="application/json")


def _arrow(read: Block, values: list[float]) -> bytes:
    schema = pa.schema([("value", pa.float64())], metadata={"block": read.header.model_dump_json()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table({"value": pa.array(values, pa.float64())}, schema=schema))
    return bytes(sink.getvalue())


@router.post("/{block}/keep", status_code=204, responses=responses(401, 403, 404, 409))
def keep(
    *, db: Db, parts: GetParts, now: Now, reach: Reach, me: Annotated[Principal, need(Action.KEEP)], block: Id
) -> None:
    """Keep a block: it does not make room for newer ones. Half of the room may be kept."""
    try:
        parts.blocks.spare(db, find_block(db, reach, block), me.username, now)
    except BlocksError as error:
        raise Problem(
            409, str(error), "let others go: DELETE /api/v1/blocks/…/keep", code=Code.TOO_MUCH_KEPT
        ) from error


@router.delete("/{block}/keep", status_code=204, dependencies=[need(Action.KEEP)], responses=responses(401, 403, 404))
def let_block_go(db: Db, reach: Reach, block: Id) -> None:
    """Keep a block no longer; it goes when newer ones need its room."""
    find_block(db, reach, block)
    let_go(db, block)
