"""The address that gateways write to: that of InfluxDB 2, so that a gateway does not know which store it feeds."""

from __future__ import annotations

import zlib
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from cloud.auth.proof import is_same
from cloud.deps import GetParts
from cloud.problems import InfluxCode, Problem, responses
from cloud.settings import SecretFileError
from cloud.telemetry.rollup import minutes_bucket
from cloud.telemetry.store import BadLines

MAX_BODY: Final = 16 * 1024 * 1024
MAX_LINES: Final = 64 * 1024 * 1024
"""Of the body after decompression."""

router = APIRouter(prefix="/api/v2", tags=["write"], max_body_size=MAX_BODY)


def check_store_token(request: Request, parts: GetParts) -> None:
    """Let only a gateway pass: it sends the store's token as `Authorization: Token …` (or Bearer)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        known = parts.store_token
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


def gunzip(body: bytes, limit: int) -> bytes:
    """Return what a gzip body holds; raise Problem 400 when it is damaged, 413 when it holds more than `limit`."""
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        lines = unzip.decompress(body, limit)
        too_long = bool(unzip.unconsumed_tail) and bool(unzip.decompress(unzip.unconsumed_tail, 1))
    except zlib.error as error:
        raise Problem(400, f"the gzip body is damaged: {error}", "send it again", code=InfluxCode.INVALID) from error
    if too_long:
        raise Problem(413, f"the body holds more than {limit} bytes", "send smaller batches", code=InfluxCode.TOO_LARGE)
    if not unzip.eof:
        raise Problem(400, "the gzip body is cut off", "send it again", code=InfluxCode.INVALID)
    return lines


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
    """Store line protocol, all lines or none; 204 only when they are durable. Takes `Content-Encoding: gzip`.

    A 400 tells the first bad line in `line`. 503: nothing of it was stored, send it again. The bucket `…_1m` takes the
    minutes of a backup.
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
    body = await request.body()
    lines = await run_in_threadpool(gunzip, body, MAX_LINES) if encoding == "gzip" else body
    try:
        await run_in_threadpool(parts.store.write_minutes if bucket == minutes else parts.store.write, lines)
    except BadLines as error:
        raise Problem(
            400, str(error), error.todo, code=InfluxCode.INVALID, line=error.line, message=str(error)
        ) from error
    return Response(status_code=204)
