"""Errors as RFC 9457 problem documents: what is wrong, where, and what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(examples=["query.start"])
    what: str = Field(examples=["'yesterdy' is not a time"])


class ProblemDocument(BaseModel):
    """The body of every error answer (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no asset 'cnc-9'"])
    todo: str = Field("", description="what to do about it", examples=["see GET /api/v1/assets for the known ones"])
    instance: str = Field("", examples=["/api/v1/assets/cnc-9"])
    errors: list[FieldProblem] = []


class Problem(Exception):
    """Raised anywhere below a route: it becomes the answer. `extra` are further members of the document."""

    def __init__(
        self, status: int, detail: str, todo: str = "", *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
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
        "todo": problem.todo,
        "instance": request.url.path,
        **problem.extra,
    }
    body = orjson.dumps(document, default=str)
    return Response(body, problem.status, media_type=MEDIA_TYPE, headers=problem.headers)


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


async def _say(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(request, error)


async def _say_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"where": _where(e["loc"]), "what": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{e['where']}: {e['what']}" for e in errors)
    return answer(request, Problem(422, detail, "correct what `errors` names and send it again", errors=errors))


_TODO = {
    404: "see GET /api/v1/openapi.json for the addresses there are",
    405: "use a method that the Allow header names",
    413: "send less at once",
}


async def _say_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    todo = _TODO.get(error.status_code, "")
    return answer(request, Problem(error.status_code, str(error.detail), todo, headers=dict(error.headers or {})))


async def _say_unexpected(request: Request, error: Exception) -> Response:
    # Starlette raises the error again behind this answer, and the server logs it with its traceback
    return answer(request, Problem(500, "the server met an error of its own", "its log has the traceback; report it"))


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
                problem = Problem(413, "the body is longer than this address takes", _TODO[413])
                await answer(Request(scope), problem)(scope, receive, send)

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
