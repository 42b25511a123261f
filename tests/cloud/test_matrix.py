"""Every route × role × credential: a route without a row here fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import update
from starlette.routing import Mount
from starlette.testclient import TestClient

from cloud.app import RIGHTS, create_app
from cloud.auth import accounts, proof
from cloud.auth.rights import ACTIONS, Action, Role, actions_of
from cloud.auth.scope import PLANT
from cloud.auth.tables import ApiToken, Login, User
from cloud.capabilities import CAPABILITIES
from cloud.diagnosis.findings import take
from cloud.diagnosis.tables import FindingRow
from cloud.parts import Parts
from cloud.registry.learn import learn
from cloud.settings import Settings
from tests.cloud.chain import bring
from tests.cloud.conftest import GATEWAY_TOKEN, announcement
from tests.cloud.diagnosis.said import COMPUTED, report, suspicion
from tests.cloud.ledger.test_ledger import told

PASSWORD = "correct horse"
STORED = proof.hash_password(PASSWORD)


ROWS = {**RIGHTS, **{address: right for one in CAPABILITIES for address, right in one.rights.items()}}
# what an allowed request may answer when its object does not exist, or its password is wrong
PASSES = {200, 201, 202, 204, 404, 503}


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
def said() -> dict[str, str]:
    """What was last answered to the request of each row."""
    return {}


@pytest.fixture(scope="module")
def ask(parts: Parts, said: dict[str, str]) -> Ask:
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
        if route == "PUT /api/v1/auth/password":
            body = {"current": PASSWORD, "new": "battery staple"}
        parts.failures.clear()
        answer = TestClient(app, base_url="http://testserver").request(
            method, row.address or path, json=body, headers=headers
        )
        said[route] = answer.text
        return answer.status_code

    return ask


@pytest.fixture(scope="module")
def credentials(parts: Parts) -> Credentials:
    """Return a cookie and a token of a new user of a role, valid for so long."""

    def make(
        role: Role, lasts: timedelta = timedelta(hours=1), *, disabled: bool = False, scope: str = PLANT
    ) -> tuple[str, str]:
        now = datetime.now(UTC)
        cookie, token = proof.new_secret(), proof.new_secret(accounts.TOKEN_PREFIX)
        with parts.sessions.begin() as db:
            user = accounts.add_user(db, f"user-{proof.digest(cookie)[:20]}", Role.VIEWER, now)
            user.role, user.scopes, user.disabled, user.password_hash = role.value, [scope], disabled, STORED
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


OF_ROLES = {route: row.who for route, row in ROWS.items() if isinstance(row.who, Action)}


@pytest.mark.parametrize("scope", [PLANT, "area:shanghai/machining"])
@pytest.mark.parametrize("route", OF_ROLES)
def test_a_role_passes_what_it_may_do_and_nothing_else(
    route: str, ask: Ask, credentials: Credentials, parts: Parts, scope: str
) -> None:
    for role in Role:
        may = OF_ROLES[route] in actions_of(role, whole_plant=scope == PLANT)
        refused = {403} if scope == PLANT else {403, 404}  # an asset that is not in the scope is looked for first
        expected = PASSES if may else refused
        cookie, token = credentials(role, scope=scope)
        # the token says admin and the plant: it can do what its user can, not more
        assert ask(route, authorization=f"Bearer {token}") in expected
        assert ask(route, cookie=cookie) in expected
    expected = PASSES if OF_ROLES[route] in ACTIONS[Role.ENGINEER] else {403}
    assert ask(route, authorization=f"Bearer {parts.cli_token}") in expected


@pytest.mark.parametrize("route", [route for route, row in ROWS.items() if row.who == "somebody"])
def test_whoever_is_logged_in_passes_and_a_token_only_where_no_person_is_needed(
    route: str, ask: Ask, credentials: Credentials, parts: Parts
) -> None:
    by_token = {403} if ROWS[route].person else PASSES
    for role in Role:
        cookie, token = credentials(role)
        assert ask(route, authorization=f"Bearer {token}") in by_token
        assert ask(route, cookie=cookie) in PASSES
    assert ask(route, authorization=f"Bearer {parts.cli_token}") in by_token


OF_NO_ASSET = {
    "GET /api/v1/diagnosis/rules",
    "GET /api/v1/diagnosis/statistics",
    "GET /api/v1/kinds",
    "GET /api/v1/telemetry/retention",
    "GET /api/v1/telemetry/stream",
    "GET /api/v1/training",
    "GET /api/v1/training/machines",
    "GET /api/v1/training/scenarios",
}
"""What tells of no asset; of a stream, which does not last here, see tests/cloud/live/test_stream.py, of simulated
machines, which are not here, tests/cloud/training/test_desk.py.

Statistics count only findings of what is in the scope: tests/cloud/diagnosis/test_routes.py."""


@pytest.fixture(scope="module")
def spoken(parts: Parts) -> None:
    """Let the asset have something of all that the cloud keeps."""
    client = TestClient(create_app(parts.settings, parts), base_url="http://testserver")
    line = b"cnc,site=shanghai,area=machining,line=line1,asset=cnc-01 feed=1.5 1795420800000000000"
    token = {"Authorization": f"Token {parts.store_token}"}
    assert client.post("/api/v2/write", content=line, headers=token).status_code == 204
    wish = {"verb": "write", "signal": "program", "value": "O1"}
    by_cli = {"Authorization": f"Bearer {parts.cli_token}"}
    assert client.post("/api/v1/assets/cnc-01/commands", json=wish, headers=by_cli).status_code == 202
    lines = (bring.event("e1"), bring.block("b1", [1.0]), bring.line("ledger", ledger=told().model_dump(mode="json")))
    assert bring.bring(client, *lines) == []
    with parts.sessions.begin() as db:
        learn(db, announcement("robot-77", area="assembly"))
        take(db, report(suspicion()), COMPUTED)
        db.execute(update(FindingRow).values(id="f1"))


@pytest.mark.usefixtures("spoken")
@pytest.mark.parametrize("route", [route for route, who in OF_ROLES.items() if who is not Action.ADMINISTER])
def test_what_is_out_of_scope_does_not_exist(
    route: str, ask: Ask, said: dict[str, str], credentials: Credentials
) -> None:
    everything, _ = credentials(Role.ADMIN)
    role = Role.ENGINEER if OF_ROLES[route] in ACTIONS[Role.ENGINEER] else Role.TRAINER
    ours, _ = credentials(role, scope="area:shanghai/machining")
    others, _ = credentials(role, scope="asset:robot-77")
    nobodys, _ = credentials(role, scope="asset:gone")
    if route in OF_NO_ASSET:
        return
    is_named = "{" in route or "asset=" in ROWS[route].address
    if route.startswith("GET") and not is_named:
        for cookie, is_told in ((everything, True), (ours, True), (others, False), (nobodys, False)):
            assert ask(route, cookie=cookie) == 200
            assert ("cnc-01" in said[route]) is is_told
    else:
        assert ask(route, cookie=others) == ask(route, cookie=nobodys) == 404
        assert ask(route, cookie=ours) == ask(route, cookie=everything)


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
