"""Errors as RFC 9457 problem documents: what is wrong, where, and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS: Final = 20
"""So many things that are wrong with one request are told."""


class Code(StrEnum):
    """What is wrong, for programs and translations: it never changes. Behind it: its `args`."""

    # of any address
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_ADDRESS = "unknown_address"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LONG = "body_too_long"
    REFUSED = "refused"  # what the web framework refuses by itself
    BUSY = "busy"  # what
    UNAVAILABLE = "unavailable"  # the store of the samples
    DATABASE_UNAVAILABLE = "database_unavailable"
    DATABASE_LOCKED = "database_locked"
    INTERNAL_ERROR = "internal_error"
    # who asks
    NOT_LOGGED_IN = "not_logged_in"
    LOGIN_ENDED = "login_ended"
    FOREIGN_SITE = "foreign_site"  # site
    MUST_SET_PASSWORD = "must_set_password"  # noqa: S105  # username
    ROLE_NEEDED = "role_needed"  # role, username, has
    SCOPE_NEEDED = "scope_needed"  # username
    PERSON_NEEDED = "person_needed"
    WRONG_NAME_OR_PASSWORD = "wrong_name_or_password"  # noqa: S105
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    LINK_ENDED = "link_ended"
    TOO_MANY_FAILURES = "too_many_failures"  # wait_s
    # users and tokens
    UNKNOWN_USER = "unknown_user"  # username
    USER_EXISTS = "user_exists"  # username
    TOO_MANY_USERS = "too_many_users"  # limit
    LAST_ADMIN = "last_admin"  # username
    WRONG_SCOPE = "wrong_scope"  # role
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105  # id
    TOKEN_ROLE = "token_role"  # noqa: S105  # username, role
    TOO_MANY_TOKENS = "too_many_tokens"  # username, limit
    # machines and their samples
    UNKNOWN_ASSET = "unknown_asset"  # asset
    ASSET_ONLINE = "asset_online"  # asset
    NOT_CONFIRMED = "not_confirmed"  # asset
    UNKNOWN_SIGNAL = "unknown_signal"  # asset, signals
    WRONG_TIME = "wrong_time"  # name, what
    EMPTY_RANGE = "empty_range"  # start, end
    TOO_MANY_SAMPLES = "too_many_samples"  # limit, start, end
    UNKNOWN_BLOCK = "unknown_block"  # id
    TOO_MUCH_KEPT = "too_much_kept"
    UNKNOWN_COMMAND = "unknown_command"  # id
    NO_TRAINER = "no_trainer"
    TRAINER_AWAY = "trainer_away"  # what
    TRAINER_REFUSED = "trainer_refused"  # what
    UNKNOWN_FINDING = "unknown_finding"  # id
    UNKNOWN_BASELINE = "unknown_baseline"  # asset
    TOO_LITTLE_TO_LEARN = "too_little_to_learn"  # asset
    TOO_MANY_POINTS = "too_many_points"  # points, signals, limit, most


class InfluxCode(StrEnum):
    """What clients of InfluxDB 2 know: only /api/v2 answers these."""

    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not found"
    TOO_LARGE = "request too large"
    UNAVAILABLE = "unavailable"


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(examples=["query.start"])
    what: str = Field(examples=["'yesterdy' is not a time"])
    code: str = Field("", description="what kind of mistake it is", examples=["string_too_long"])
    args: dict[str, Any] = Field({}, description="what stands in `what`", examples=[{"max_length": 64}])


class ProblemDocument(BaseModel):
    """The body of every error answer (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no asset 'cnc-9'"])
    code: str = Field(description="what is wrong; it never changes", examples=["unknown_asset"])
    args: dict[str, Any] = Field({}, description="what stands in `detail`", examples=[{"asset": "cnc-9"}])
    todo: str = Field("", description="what to do about it", examples=["see GET /api/v1/assets for the known ones"])
    instance: str = Field("", examples=["/api/v1/assets/cnc-9"])
    errors: list[FieldProblem] = []


class Problem(Exception):
    """Raised anywhere below a route: it becomes the answer.

    `args` are the values that stand in `detail`, `extra` further members of the document.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        todo: str = "",
        *,
        code: Code | InfluxCode,
        args: Mapping[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.values = dict(args or {})
        self.detail = detail
        self.todo = todo
        self.headers = headers or {}
        self.extra = extra


def answer(request: Request, problem: Problem) -> Response:
    """Return the answer that says a problem."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "args": problem.values,
        "todo": problem.todo,
        "instance": request.url.path,
        **problem.extra,
    }
    # not orjson, which refuses half a surrogate pair: what was asked may hold one
    body = json.dumps(document, default=str)
    return Response(body, problem.status, media_type=MEDIA_TYPE, headers=problem.headers)


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


async def _say(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(request, error)


async def _say_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": _where(e["loc"]), "what": e["msg"], "code": e["type"], "args": e.get("ctx", {})}
        for e in error.errors()[:MAX_ERRORS]
    ]
    detail = "; ".join(f"{e['where']}: {e['what']}" for e in errors)
    todo = "correct what `errors` names and send it again"
    return answer(request, Problem(422, detail, todo, code=Code.INVALID_REQUEST, errors=errors))


_KNOWN: Final = {
    404: (Code.UNKNOWN_ADDRESS, "see GET /api/v1/openapi.json for the addresses there are"),
    405: (Code.METHOD_NOT_ALLOWED, "use a method that the Allow header names"),
    413: (Code.BODY_TOO_LONG, "send less at once"),
}


async def _say_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, todo = _KNOWN.get(error.status_code, (Code.REFUSED, ""))
    headers = dict(error.headers or {})
    return answer(request, Problem(error.status_code, str(error.detail), todo, code=code, headers=headers))


async def _say_unexpected(request: Request, error: Exception) -> Response:
    # Starlette raises the error again behind this answer, and the server logs it with its traceback
    todo = "its log has the traceback; report it"
    return answer(request, Problem(500, "the server met an error of its own", todo, code=Code.INTERNAL_ERROR))


def too_long() -> Problem:
    """Return the answer to a body that is longer than its address takes."""
    code, todo = _KNOWN[413]
    return Problem(413, "the body is longer than this address takes", todo, code=code)


class TooLongBodies:
    """Makes a problem document of the plain answer with which a too long body is refused before any route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with that one answer replaced."""
        is_replaced = False

        async def send_document(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start" and message["status"] == 413:
                is_replaced = Headers(raw=message["headers"]).get("content-type", "").startswith("text/plain")
            if not is_replaced:
                await send(message)
            elif message["type"] == "http.response.start":
                await answer(Request(scope), too_long())(scope, receive, send)

        await self.app(scope, receive, send_document if scope["type"] == "http" else send)


def install(app: FastAPI) -> None:
    """Let the application answer every error with a problem document."""
    app.add_exception_handler(Problem, _say)
    app.add_exception_handler(RequestValidationError, _say_invalid)
    app.add_exception_handler(HTTPException, _say_http)
    app.add_exception_handler(Exception, _say_unexpected)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries for the problems that a route can answer."""
    return {
        status: {
            "model": ProblemDocument,
            "description": HTTPStatus(status).phrase,
        }
        for status in statuses
    }
