"""The application: what is composed of what, and which addresses there are."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import DataError, OperationalError, TimeoutError

from cloud import docs_page, health, problems, web
from cloud.admission import MAX_BODY
from cloud.capabilities import CAPABILITIES, hears
from cloud.capability import Right
from cloud.documented import DocumentedApp
from cloud.parts import Parts
from cloud.places import busy
from cloud.settings import Settings
from cloud.telemetry.store import StoreError

_log = structlog.get_logger(__name__)

DESCRIPTION = """What people and programs ask about the plant.

Log in with the session cookie of the console, or send an API token as `Authorization: Bearer …`.
A role says what somebody may do: `/auth/me` tells it. Errors are RFC 9457 problem
documents: `code` says what is wrong and never changes, `args` are the values in `detail`, `todo` says what to do.

A login by link may only choose a password: until then all but `/auth` answers 403 with the code `must_set_password`. A
new password, disabling, and a role below its own end a token.
"""

RIGHTS: Final = {
    "GET /api/v1/health": Right("everybody"),
    "GET /api/v1/openapi.json": Right("everybody"),
    "GET /api/v1/docs": Right("everybody"),
    "GET /{page:path}": Right("everybody", "/machines/cnc-01"),
}
"""Who may use the addresses that belong to no capability."""


async def _say_store_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    return problems.answer(
        request,
        problems.Problem(503, str(error), error.todo, code=problems.Code.UNAVAILABLE, headers={"Retry-After": "5"}),
    )


async def _say_database_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OperationalError)
    _log.error("the database does not answer", reason=str(error.orig))
    return problems.answer(
        request,
        problems.Problem(
            503, "the database does not answer", "look at the log; is its disk full, is its server up?",
            code=problems.Code.DATABASE_UNAVAILABLE, headers={"Retry-After": "5"},
        ),
    )  # fmt: skip


async def _say_data_error(request: Request, _error: Exception) -> Response:
    what = "a value of it is one that the database does not take, such as a text with a NUL"
    return problems.answer(
        request, problems.Problem(422, what, "leave it out and send it again", code=problems.Code.INVALID_REQUEST)
    )


async def _say_busy(request: Request, _error: Exception) -> Response:
    return problems.answer(request, busy("database sessions"))


def _operation_id(route: APIRoute) -> str:
    return route.name


def create_app(settings: Settings, parts: Parts | None = None) -> FastAPI:
    """Return the application; it needs `parts` to answer, not to be described."""
    app = DocumentedApp(
        title="shopfloor",
        version=version("shopfloor"),
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        max_body_size=MAX_BODY,
        telemetry={"auto_configure": False},
    )
    app.state.parts = parts
    app.state.hears = hears()
    problems.install(app)
    app.add_exception_handler(StoreError, _say_store_error)
    app.add_exception_handler(OperationalError, _say_database_error)
    app.add_exception_handler(DataError, _say_data_error)
    app.add_exception_handler(TimeoutError, _say_busy)
    for capability in CAPABILITIES:
        for router in capability.outside:
            app.include_router(router)
    # flat, and first what is asked most: the framework looks through all that is before it, twice at each level
    for router in (*(each for one in CAPABILITIES for each in one.routers), health.router, docs_page.router):
        app.include_router(router, prefix="/api/v1", responses=problems.responses(422))
    web.serve_console(app, settings.console)
    return app
