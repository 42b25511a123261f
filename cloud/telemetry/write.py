"""The address that gateways write to: that of InfluxDB 2, so that a gateway does not know which store it feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response

from cloud.auth.limiter import network_of
from cloud.auth.proof import is_same
from cloud.deps import GetParts
from cloud.parts import Parts
from cloud.problems import InfluxCode, Problem, responses
from cloud.settings import SecretFileError
from cloud.telemetry.body import MAX_BODY, pieces, whole
from cloud.telemetry.rollup import minutes_bucket
from cloud.telemetry.store import BadLines

Result = TypeVar("Result")
router = APIRouter(prefix="/api/v2", tags=["write"], max_body_size=MAX_BODY)


async def check_store_token(request: Request, parts: GetParts) -> None:
    """Let only a gateway pass: it sends the store's token as `Authorization: Token …` (or Bearer)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        known = await _in_ingest_thread(parts, lambda: parts.store_token)
    except SecretFileError as error:
        raise Problem(
            503,
            "the store token cannot be read",
            "look at SHOPFLOOR_STORE_TOKEN_FILE of the cloud",
            code=InfluxCode.UNAVAILABLE,
        ) from error
    if known is None:
        raise Problem(
            401,
            "this cloud has no store token, so nobody may write",
            "set SHOPFLOOR_STORE_TOKEN_FILE",
            code=InfluxCode.UNAUTHORIZED,
        )
    if scheme.lower() not in ("token", "bearer") or not is_same(token.strip(), known):
        raise Problem(
            401,
            "the store token is missing or wrong",
            "let SHOPFLOOR_STORE_TOKEN_FILE of gateway and cloud hold the same token",
            headers={"WWW-Authenticate": 'Token realm="shopfloor"'},
            code=InfluxCode.UNAUTHORIZED,
        )


@router.post(
    "/write",
    status_code=204,
    response_class=Response,
    dependencies=[Depends(check_store_token)],
    responses={204: {"description": "all lines are stored durably"}, **responses(400, 401, 404, 413, 415, 422, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01 spindle_speed=1200.5 "
                    "1795420800000000000",
                }
            },
        },
        "security": [{"StoreToken": []}],
    },
)
async def write(
    request: Request,
    parts: GetParts,
    org: Annotated[str, Query(max_length=128, examples=["shopfloor"])] = "",
    bucket: Annotated[str, Query(max_length=128, examples=["shopfloor"])] = "",
    precision: Annotated[Literal["ns"], Query(description="only ns: an earlier rounding would merge samples")] = "ns",
) -> Response:
    """Store line protocol; 204 only when all lines are durable. Takes `Content-Encoding: gzip`, of any members.

    Up to 2 MiB (after decompression) all lines are stored or none; more is taken in pieces of 256 KiB, in order. A
    400 tells the first bad line in `line`; its piece and those after it were not stored. 503: send all of it again.
    The bucket `…_1m` takes the minutes of a backup, all or none.
    """
    samples, minutes = parts.settings.store_bucket, minutes_bucket(parts.settings.store_bucket)
    for name, given, known in (
        ("org", org, (parts.settings.store_org,)),
        ("bucket", bucket, (samples, minutes)),
    ):
        if given not in ("", *known):
            raise Problem(404, f"there is no {name} {given!r}", f"use {known[0]!r}", code=InfluxCode.NOT_FOUND)
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("gzip", "identity"):
        raise Problem(415, f"content encoding {encoding!r} is not known", "use gzip or none", code=InfluxCode.INVALID)
    sender = network_of(request.client.host if request.client else "")
    with parts.places.ingest_bodies.part(sender) as part:
        body = bytearray()
        async with parts.places.ingest_bodies.coming(part):
            async for chunk in request.stream():
                part.grow(len(chunk))
                body += chunk
        await _store(parts, sender, bytes(body), is_gzip=encoding == "gzip", is_minutes=bucket == minutes)
    return Response(status_code=204)


async def _store(parts: Parts, sender: str, body: bytes, *, is_gzip: bool, is_minutes: bool) -> None:
    """Store a body; a long one waits after each piece for others, and leaves a thread to short ones."""

    def store_whole() -> bool:
        lines = whole(body, is_gzip=is_gzip)
        if lines is not None:
            (parts.store.write_minutes if is_minutes else parts.store.write)(lines)
        return lines is not None

    async with parts.places.ingest.one(sender):
        is_stored = await _in_ingest_thread(parts, partial(_store_lines, store_whole))
    if is_stored:
        return
    found = pieces(body, is_gzip=is_gzip)
    before = 0

    def store_next() -> int | None:
        if is_minutes:
            parts.store.write_minutes(b"".join(found))  # a minute has several lines, which nothing may part
            return None
        piece = next(found, None)
        if piece is None:
            return None
        parts.store.write(piece)
        return piece.count(b"\n")

    async with parts.places.long_writes.one(sender):
        while True:
            async with parts.places.ingest.one(sender, has_begun=True):
                stored = await _in_ingest_thread(parts, partial(_store_lines, store_next, before))
            if stored is None:
                return
            before += stored


def _store_lines(store: Callable[[], Result], before: int = 0) -> Result:
    """Store lines that come after `before` others; raise Problem 400 for the first bad one."""
    try:
        return store()
    except BadLines as error:
        line = before + error.line
        message = f"line {line}: {error.what}"
        raise Problem(400, message, error.todo, code=InfluxCode.INVALID, line=line, message=message) from error


async def _in_ingest_thread(parts: Parts, call: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(parts.places.ingest_threads, call)
