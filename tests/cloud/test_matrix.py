"""Every route × role × credential: a route without a row here fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import update
from starlette.routing import Mount
from starlette.testclient import TestClient

from cloud.app import create_app
from cloud.auth import accounts, proof
from cloud.auth.roles import Role
from cloud.auth.tables import ApiToken, Login, User
from cloud.parts import Parts
from cloud.settings import Settings
from tests.cloud.conftest import GATEWAY_TOKEN

PASSWORD = "correct horse"
STORED = proof.hash_password(PASSWORD)
HISTORY = "asset=cnc-01&signal=feed"


class Row(NamedTuple):
    """Who may: everybody, who writes to the store, a gateway, a role (by cookie or token), or a role by cookie only."""

    who: Literal["everybody", "store", "gateway"] | Role
    address: str = ""
    body: object = None
    person: bool = False


ROWS: dict[str, Row] = {
    "GET /api/v1/health": Row("everybody"),
    "GET /api/v1/openapi.json": Row("everybody"),
    "GET /api/v1/docs": Row("everybody"),
    "GET /{page:path}": Row("everybody", "/machines/cnc-01"),
    "POST /api/v1/auth/login": Row("everybody", body={"username": "nobody", "password": "wrong"}),
    "POST /api/v1/auth/link": Row("everybody", body={"token": "wrong"}),
    "POST /api/v1/auth/logout": Row(Role.VIEWER),
    "GET /api/v1/auth/me": Row(Role.VIEWER),
    "PUT /api/v1/auth/password": Row(Role.VIEWER, body={"current": PASSWORD, "new": "battery staple"}, person=True),
    "GET /api/v1/users": Row(Role.ADMIN),
    "POST /api/v1/users": Row(Role.ADMIN),
    "PATCH /api/v1/users/{username}": Row(Role.ADMIN, "/api/v1/users/nobody", {}),
    "DELETE /api/v1/users/{username}": Row(Role.ADMIN, "/api/v1/users/nobody"),
    "GET /api/v1/tokens": Row(Role.VIEWER, person=True),
    "POST /api/v1/tokens": Row(Role.VIEWER, body={"name": "new"}, person=True),
    "DELETE /api/v1/tokens/{token_id}": Row(Role.VIEWER, "/api/v1/tokens/9999", person=True),
    "GET /api/v1/plant": Row(Role.VIEWER),
    "GET /api/v1/assets": Row(Role.VIEWER),
    "GET /api/v1/assets/{asset}": Row(Role.VIEWER, "/api/v1/assets/cnc-01"),
    "POST /api/v1/assets/{asset}/retire": Row(Role.ENGINEER, "/api/v1/assets/nothing/retire"),
    "POST /api/v1/assets/{asset}/unretire": Row(Role.ENGINEER, "/api/v1/assets/nothing/unretire"),
    "DELETE /api/v1/assets/{asset}": Row(Role.ADMIN, "/api/v1/assets/nothing?confirm=nothing"),
    "GET /api/v1/ledger": Row(Role.VIEWER),
    "GET /api/v1/telemetry/last": Row(Role.VIEWER),
    "GET /api/v1/telemetry/history": Row(Role.VIEWER, f"/api/v1/telemetry/history?{HISTORY}"),
    "GET /api/v1/telemetry/export": Row(Role.VIEWER, f"/api/v1/telemetry/export?{HISTORY}"),
    "GET /api/v1/telemetry/states": Row(Role.VIEWER, "/api/v1/telemetry/states?asset=cnc-01"),
    "GET /api/v1/telemetry/retention": Row(Role.VIEWER),
    "GET /api/v1/telemetry/series": Row(Role.VIEWER),
    "GET /api/v1/telemetry/stream": Row(Role.VIEWER),
    "GET /api/v1/events": Row(Role.VIEWER),
    "GET /api/v1/blocks": Row(Role.VIEWER),
    "GET /api/v1/blocks/{block}": Row(Role.VIEWER, "/api/v1/blocks/b1"),
    "POST /api/v1/blocks/{block}/keep": Row(Role.ENGINEER, "/api/v1/blocks/b1/keep"),
    "DELETE /api/v1/blocks/{block}/keep": Row(Role.ENGINEER, "/api/v1/blocks/b1/keep"),
    "POST /api/v1/chain": Row("gateway"),
    "POST /api/v2/write": Row("store"),
}
# what an allowed request may answer when its object does not exist, or its password is wrong
PASSES = {200, 201, 204, 404, 503}


def routes() -> Iterator[str]:
    """Give every route of the application, also those that the OpenAPI document does not show."""
    for context in iter_route_contexts(create_app(Settings()).routes):
        assert not isinstance(context, Mount), "a mounted application would be served without a row"
        for method in context.methods or ():
            if method != "HEAD":
                yield f"{method} {context.path}"


def test_every_route_has_a_row() -> None:
    assert sorted(routes()) == sorted(ROWS)


Ask = Callable[..., int]
Credentials = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def parts(shared_parts: Parts) -> Parts:
    shared_parts.hub.close()  # so that a stream is refused (503) to whoever passes, and does not last
    return shared_parts


@pytest.fixture(scope="module")
def ask(parts: Parts) -> Ask:
    """Send the request of a row with credentials; return the status."""
    app = create_app(parts.settings, parts)

    def ask(route: str, *, cookie: str = "", authorization: str = "") -> int:
        method, path = route.split(" ")
        row = ROWS[route]
        headers = {"Authorization": authorization} if authorization else {}
        if cookie:
            headers["Cookie"] = f"{parts.settings.cookie}={cookie}"
        body = row.body
        if route == "POST /api/v1/users":
            body = {"username": proof.digest(proof.new_secret())[:12], "role": "viewer"}
        parts.failures.clear()
        return (
            TestClient(app, base_url="http://testserver")
            .request(method, row.address or path, json=body, headers=headers)
            .status_code
        )

    return ask


@pytest.fixture(scope="module")
def credentials(parts: Parts) -> Credentials:
    """Return a cookie and a token of a new user of a role, valid for so long."""

    def make(role: Role, lasts: timedelta = timedelta(hours=1), *, disabled: bool = False) -> tuple[str, str]:
        now = datetime.now(UTC)
        cookie, token = proof.new_secret(), proof.new_secret(accounts.TOKEN_PREFIX)
        with parts.sessions.begin() as db:
            user = accounts.add_user(db, f"user-{proof.digest(cookie)[:20]}", role, now)
            user.disabled, user.password_hash = disabled, STORED
            db.add(Login(hash=proof.digest(cookie), user_id=user.id, expires=now + lasts))
            row = {"name": "t", "role": Role.ADMIN.value, "user_id": user.id, "created": now, "expires": now + lasts}
            db.add(ApiToken(hash=proof.digest(token), **row))
        return cookie, token

    return make


@pytest.fixture(scope="module")
def wrong(credentials: Credentials, parts: Parts) -> dict[str, dict[str, str]]:
    expired = credentials(Role.ADMIN, timedelta(seconds=-1))
    disabled = credentials(Role.ADMIN, disabled=True)
    return {
        "none": {},
        "wrong cookie": {"cookie": "wrong"},
        "wrong token": {"authorization": "Bearer wrong"},
        "wrong scheme": {"authorization": f"Basic {parts.cli_token}"},
        "expired cookie": {"cookie": expired[0]},
        "expired token": {"authorization": f"Bearer {expired[1]}"},
        "cookie of a disabled user": {"cookie": disabled[0]},
        "token of a disabled user": {"authorization": f"Bearer {disabled[1]}"},
    }


@pytest.mark.parametrize("route", ROWS)
def test_nobody_and_wrong_and_ended_credentials_pass_only_public_routes(
    route: str, ask: Ask, wrong: dict[str, dict[str, str]], parts: Parts
) -> None:
    row = ROWS[route]
    if row.who != "gateway":
        wrong = wrong | {"gateway token": {"authorization": f"Bearer {GATEWAY_TOKEN}"}}
    if row.who != "store":
        wrong = wrong | {"store token": {"authorization": f"Bearer {parts.store_token}"}}
    is_login = route in ("POST /api/v1/auth/login", "POST /api/v1/auth/link")
    expected = PASSES if row.who == "everybody" and not is_login else {401}
    answers = {name: ask(route, **sent) for name, sent in wrong.items()}
    assert {name: status for name, status in answers.items() if status not in expected} == {}


@pytest.mark.parametrize("route", [route for route, row in ROWS.items() if isinstance(row.who, Role)])
def test_a_role_passes_its_routes_and_no_others(route: str, ask: Ask, credentials: Credentials, parts: Parts) -> None:
    row = ROWS[route]
    assert isinstance(row.who, Role)
    for role in Role:
        cookie, token = credentials(role)
        by_cookie = PASSES if role.includes(row.who) else {403}
        # the token says admin: it can do what its user can, not more
        assert ask(route, authorization=f"Bearer {token}") in ({403} if row.person else by_cookie)
        assert ask(route, cookie=cookie) in by_cookie
    command_line_may = Role.ENGINEER.includes(row.who) and not row.person
    assert ask(route, authorization=f"Bearer {parts.cli_token}") in (PASSES if command_line_may else {403})


def test_a_gateway_needs_its_token(ask: Ask, credentials: Credentials, parts: Parts) -> None:
    cookie, token = credentials(Role.ADMIN)
    route = "POST /api/v1/chain"
    assert ask(route, cookie=cookie) == ask(route, authorization=f"Bearer {token}") == 401
    assert ask(route, authorization=f"Bearer {parts.cli_token}") == 401
    assert ask(route, authorization=f"Bearer {GATEWAY_TOKEN}") == 200


def test_a_write_needs_the_store_token(ask: Ask, credentials: Credentials, parts: Parts) -> None:
    cookie, token = credentials(Role.ADMIN)
    route = "POST /api/v2/write"
    assert ask(route, cookie=cookie) == ask(route, authorization=f"Bearer {token}") == 401
    assert ask(route, authorization=f"Bearer {parts.cli_token}") == 401
    assert ask(route, authorization=f"Token {parts.store_token}") == 204
    assert ask(route, authorization=f"Bearer {parts.store_token}") == 204


def test_a_role_that_is_taken_away_ends_at_once(ask: Ask, credentials: Credentials, parts: Parts) -> None:
    cookie, _ = credentials(Role.ADMIN)
    assert ask("GET /api/v1/users", cookie=cookie) == 200
    with parts.sessions.begin() as db:
        db.execute(update(User).values(role=Role.VIEWER.value))
    assert ask("GET /api/v1/users", cookie=cookie) == 403
