"""The address that gateways bring to what is no sample: events, blocks, replies, the ledger."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

import orjson
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from cloud.auth.proof import is_same
from cloud.chain.message import Hear, Message, RefusedError
from cloud.deps import GetHears, GetParts
from cloud.parts import Parts
from cloud.problems import Code, Problem, responses
from cloud.settings import SecretFileError, read_secret

MAX_BODY: Final = 1024 * 1024
"""Of a body, before and after decompression."""
MAX_LINES: Final = 1000
_KINDS: Final = frozenset({"kind", "node", "asset"})
_WWW: Final = {"WWW-Authenticate": 'Bearer realm="shopfloor gateway"'}


class RefusedLine(BaseModel):
    """A line that was not taken, and would not be if it came again."""

    line: int = Field(description="its number, from 1", examples=[3])
    reason: str = Field(examples=["there is no kind of message 'song'"])


class Taken(BaseModel):
    """What became of the lines of a request: all that are not refused are durable."""

    refused: list[RefusedLine] = []


async def check_gateway(request: Request, parts: GetParts) -> None:
    """Let only a gateway pass: it sends its token as `Authorization: Bearer …`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        known = await run_in_threadpool(read_secret, parts.settings.cloud_token_file)
    except SecretFileError as error:
        raise Problem(
            503,
            "the gateway's token cannot be read",
            "look at SHOPFLOOR_CLOUD_TOKEN_FILE of the cloud",
            code=Code.UNAVAILABLE,
        ) from error
    if known is None or scheme.lower() != "bearer" or not is_same(token.strip(), known):
        raise Problem(
            401,
            "the gateway's token is missing or wrong",
            "let SHOPFLOOR_CLOUD_TOKEN_FILE of gateway and cloud hold the same",
            code=Code.NOT_LOGGED_IN,
            headers=_WWW,
        )


router = APIRouter(prefix="/chain", tags=["chain"], dependencies=[Depends(check_gateway)])


@router.post(
    "",
    responses=responses(400, 401, 413, 415, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"kind": "event", "node": "demo:shanghai:machining/line1", "asset": "cnc-01", '
                    '"event": {"id": "4f1a", "asset": "cnc-01", "name": "door", "time_ns": 1795420800000000000}}',
                }
            },
        },
        "security": [{"GatewayToken": []}],
    },
)
async def bring(request: Request, parts: GetParts, hears: GetHears) -> Taken:
    """Keep what a gateway brings: one JSON object a line, at most 1000 lines and 1 MiB; gzip is taken.

    200 means that all lines are durable but those in `refused`, which are no use to send again. To send what was taken
    again is harmless. Any other answer: nothing was kept, send all of it again.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("gzip", "identity"):
        raise Problem(415, f"content encoding {encoding!r} is not known", "use gzip or none", code=Code.INVALID_REQUEST)
    body = await request.body()
    return await run_in_threadpool(_keep, parts, hears, _unpacked(body) if encoding == "gzip" else body)


def _keep(parts: Parts, hears: Mapping[str, Hear], body: bytes) -> Taken:
    """Keep all lines in one transaction; a capability refuses before it writes anything of a line."""
    lines = body.removesuffix(b"\n").split(b"\n")
    if len(lines) > MAX_LINES:
        raise Problem(413, f"there are more than {MAX_LINES} lines", "send fewer at once", code=Code.BODY_TOO_LONG)
    refused = []
    with parts.sessions.begin() as db:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                message = _read(line)
                hears.get(message.kind, _refuse)(parts, db, message)
            except RefusedError as error:
                refused.append(RefusedLine(line=number, reason=str(error)[:1000]))
    return Taken(refused=refused)


def _refuse(_parts: Parts, _db: Session, message: Message) -> None:
    raise RefusedError(f"there is no kind of message {message.kind!r} here")


def _read(line: bytes) -> Message:
    try:
        said = orjson.loads(line)
        kind, node, asset = said["kind"], said["node"], said["asset"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise RefusedError(f"it is no JSON object with kind, node and asset ({type(error).__name__})") from error
    if not all(isinstance(each, str) and len(each) <= 256 and "\0" not in each for each in (kind, node, asset)):
        raise RefusedError("kind, node and asset are texts of at most 256 characters")
    return Message(kind, node, asset, {name: value for name, value in said.items() if name not in _KINDS})


def _unpacked(body: bytes) -> bytes:
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        lines = reader.decompress(body, MAX_BODY + 1)
    except zlib.error as error:
        raise Problem(400, f"the gzip body is damaged: {error}", "send it again", code=Code.INVALID_REQUEST) from error
    if len(lines) > MAX_BODY:
        raise Problem(413, f"the body holds more than {MAX_BODY} bytes", "send less at once", code=Code.BODY_TOO_LONG)
    if not reader.eof:
        raise Problem(400, "the gzip body is cut off", "send it again", code=Code.INVALID_REQUEST)
    if reader.unused_data:
        what = "something stands behind the gzip body"
        raise Problem(400, what, "send all lines in one member", code=Code.INVALID_REQUEST)
    return lines
