"""Logging in by password and link, users, tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update
from starlette.testclient import TestClient

from cloud.auth import accounts, first_link
from cloud.auth.rights import Action, Role
from cloud.auth.tables import LoginLink, User
from cloud.db import Base
from cloud.parts import Parts
from cloud.settings import Settings

PASSWORD = "correct horse"


def add_person(admin: TestClient, username: str = "li.wei", **fields: object) -> dict[str, object]:
    answer = admin.post("/api/v1/users", json={"username": username, "role": "operator", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


def log_in(browser: TestClient, password: str = PASSWORD, **headers: str) -> int:
    body = {"username": "li.wei", "password": password}
    return browser.post("/api/v1/auth/login", json=body, headers=headers).status_code


@pytest.mark.parametrize(
    ("public_url", "cookie"),
    [("", "shopfloor_8080"), ("http://127.0.0.1:9090", "shopfloor_9090"), ("https://plant.example", "shopfloor_8080")],
)
def test_two_plants_on_one_host_have_two_cookies(public_url: str, cookie: str) -> None:
    assert Settings(port=8080, public_url=public_url).cookie == cookie


def test_first_link_is_in_a_private_file_logs_in_once_and_goes(
    client: TestClient, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    first_link.offer(parts.settings, parts.sessions, "http://127.0.0.1:8080", now)
    old = parts.settings.login_link.read_text().strip()
    first_link.offer(parts.settings, parts.sessions, "http://127.0.0.1:8080", now)
    link = parts.settings.login_link.read_text().strip()
    assert capsys.readouterr().out == f"login: {old}\nlogin: {link}\n"
    assert parts.settings.login_link.stat().st_mode & 0o777 == 0o600
    address, secret = link.split("#")
    assert address == "http://127.0.0.1:8080/login"
    assert client.post("/api/v1/auth/link", json={"token": old.split("#")[1]}).status_code == 401
    answer = client.post("/api/v1/auth/link", json={"token": secret})
    assert answer.json() == {
        "username": "admin",
        "role": "admin",
        "actions": sorted(Action),
        "needs": {},
        "roles": list(Role),
        "scopes": ["plant"],
        "must_set_password": True,
    }
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("shopfloor_8080=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert not parts.settings.login_link.exists()
    assert client.post("/api/v1/auth/link", json={"token": secret}).status_code == 401
    for route in ("plant", "users", "tokens", "telemetry/stream", "ledger"):
        refused = client.get(f"/api/v1/{route}")
        assert (refused.status_code, refused.json()["code"]) == (403, "must_set_password")
    assert client.get("/api/v1/auth/me").json()["username"] == "admin"
    assert client.put("/api/v1/auth/password", json={"new": "short"}, headers=OURS).status_code == 422
    assert client.put("/api/v1/auth/password", json={"new": PASSWORD}, headers=OURS).status_code == 204
    assert client.get("/api/v1/auth/me").json()["must_set_password"] is False
    assert client.get("/api/v1/plant").status_code == 200
    first_link.offer(parts.settings, parts.sessions, "http://127.0.0.1:8080", now)
    assert not parts.settings.login_link.exists()


OURS = {"Origin": "http://testserver"}


def test_a_password_logs_in_until_logout(client: TestClient, admin: TestClient) -> None:
    add_person(admin, password=PASSWORD)
    assert log_in(client, "wrong horse") == 401
    assert log_in(client) == 200
    assert client.get("/api/v1/auth/me").json() == {
        "username": "li.wei",
        "role": "operator",
        "actions": ["acknowledge", "export", "read"],
        "needs": {
            "keep": "maintainer",
            "write": "maintainer",
            "configure": "engineer",
            "inject": "trainer",
            "teach": "trainer",
            "administer": "admin",
        },
        "roles": ["viewer", "operator", "student", "maker"],
        "scopes": ["plant"],
        "must_set_password": False,
    }
    assert client.post("/api/v1/auth/logout").status_code == 204
    assert client.get("/api/v1/auth/me").status_code == 401


def test_a_changed_password_needs_the_present_one_and_ends_other_logins(client: TestClient, admin: TestClient) -> None:
    add_person(admin, password=PASSWORD)
    other = TestClient(client.app)
    assert log_in(client) == log_in(other) == 200
    change = {"current": "wrong horse", "new": "battery staple"}
    assert client.put("/api/v1/auth/password", json=change).status_code == 403
    old = dict(client.cookies)
    assert client.put("/api/v1/auth/password", json=change | {"current": PASSWORD}).status_code == 204
    assert TestClient(client.app, cookies=old).get("/api/v1/auth/me").status_code == 401
    assert client.get("/api/v1/auth/me").status_code == 200
    assert other.get("/api/v1/auth/me").status_code == 401
    assert log_in(other, "battery staple") == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_another_web_site_cannot_use_a_browsers_login(
    client: TestClient, admin: TestClient, headers: dict[str, str]
) -> None:
    add_person(admin, password=PASSWORD)
    assert log_in(client, **headers) == 403
    assert log_in(client, **OURS) == 200
    assert client.post("/api/v1/auth/logout", headers=headers).status_code == 403
    assert client.get("/api/v1/auth/me", headers=headers).status_code == 200


def test_a_user_gets_a_link_a_role_and_an_end(client: TestClient, admin: TestClient) -> None:
    made = add_person(admin)
    secret = str(made["login_link"]).removeprefix("/login#")
    assert client.post("/api/v1/auth/link", json={"token": secret}).status_code == 200
    assert client.put("/api/v1/auth/password", json={"new": PASSWORD}).status_code == 204
    assert admin.post("/api/v1/users", json={"username": "li.wei", "role": "viewer"}).status_code == 409
    assert admin.patch("/api/v1/users/li.wei", json={"role": "viewer"}).json()["role"] == "viewer"
    assert client.get("/api/v1/auth/me").json()["role"] == "viewer"
    assert admin.patch("/api/v1/users/li.wei", json={"disabled": True}).status_code == 200
    assert client.get("/api/v1/auth/me").status_code == 401
    assert admin.delete("/api/v1/users/li.wei").status_code == 204
    assert [user["username"][:5] for user in admin.get("/api/v1/users").json()] == ["admin"]


def test_the_last_admin_stays(admin: TestClient) -> None:
    (user,) = admin.get("/api/v1/users").json()
    address = f"/api/v1/users/{user['username']}"
    assert admin.delete(address).status_code == 409
    assert admin.patch(address, json={"role": "viewer"}).status_code == 409
    assert admin.patch(address, json={"disabled": True}).status_code == 409


def token_of(browser: TestClient, role: Role = Role.VIEWER) -> dict[str, str]:
    made = browser.post("/api/v1/tokens", json={"name": "t", "role": role.value}).json()
    return {"Authorization": f"Bearer {made['token']}"}


@pytest.mark.parametrize("end", ["password", "link", "disabled", "deleted"])
def test_what_ends_a_login_ends_tokens_for_good(client: TestClient, admin: TestClient, end: str) -> None:
    add_person(admin, password=PASSWORD)
    log_in(client)
    bearer = token_of(client)
    program = TestClient(client.app)
    assert program.get("/api/v1/plant", headers=bearer).status_code == 200
    address = "/api/v1/users/li.wei"
    match end:
        case "password":
            client.put("/api/v1/auth/password", json={"current": PASSWORD, "new": "battery staple"}).raise_for_status()
        case "link":
            admin.patch(address, json={"new_link": True}).raise_for_status()
        case "disabled":
            admin.patch(address, json={"disabled": True}).raise_for_status()
            admin.patch(address, json={"disabled": False}).raise_for_status()
        case "deleted":
            admin.delete(address).raise_for_status()
            add_person(admin, password=PASSWORD)
    assert program.get("/api/v1/plant", headers=bearer).status_code == 401


def test_a_role_that_falls_takes_higher_tokens_with_it_for_good(client: TestClient, admin: TestClient) -> None:
    add_person(admin, password=PASSWORD)
    log_in(client)
    high, low = token_of(client, Role.OPERATOR), token_of(client, Role.VIEWER)
    for role in ("viewer", "admin"):
        admin.patch("/api/v1/users/li.wei", json={"role": role}).raise_for_status()
    program = TestClient(client.app)
    assert program.get("/api/v1/plant", headers=high).status_code == 401
    assert program.get("/api/v1/auth/me", headers=low).json()["role"] == "viewer"


def test_an_admin_sees_and_ends_the_tokens_of_all(client: TestClient, admin: TestClient) -> None:
    add_person(admin, password=PASSWORD)
    log_in(client)
    bearer = token_of(client)
    (listed,) = [each for each in admin.get("/api/v1/tokens").json() if each["username"] == "li.wei"]
    assert admin.delete(f"/api/v1/tokens/{listed['id']}").status_code == 204
    assert TestClient(client.app).get("/api/v1/plant", headers=bearer).status_code == 401


def test_a_link_replaces_a_password_only_when_a_new_one_is_chosen(
    client: TestClient, admin: TestClient, parts: Parts
) -> None:
    add_person(admin, password=PASSWORD)
    with parts.sessions.begin() as db:
        user = db.scalars(select(User).where(User.username == "li.wei")).one()
        secret = accounts.new_link(db, user, datetime.now(UTC))
    assert client.post("/api/v1/auth/link", json={"token": secret}).json()["must_set_password"] is True
    assert log_in(TestClient(client.app)) == 200
    assert client.put("/api/v1/auth/password", json={"new": "battery staple"}).status_code == 204
    assert log_in(TestClient(client.app)) == 401
    assert log_in(TestClient(client.app), "battery staple") == 200


def test_an_unknown_name_costs_as_much_as_a_known_one(parts: Parts, client: TestClient, admin: TestClient) -> None:
    """Processor time, which other processes do not change."""
    add_person(admin, password=PASSWORD)

    def cost_s(username: str) -> float:
        def once() -> float:
            parts.failures.clear()
            began = time.process_time()
            answer = client.post("/api/v1/auth/login", json={"username": username, "password": "wrong horse"})
            assert answer.status_code == 401
            return time.process_time() - began

        return min(once() for _ in range(7))

    known, unknown = cost_s("li.wei"), cost_s("wei.li")
    assert 0.6 < known / unknown < 1.6


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_two_admins_do_not_end_each_other_at_once(
    parts: Parts, visit: Callable[[Role], TestClient], method: str
) -> None:
    change = {"json": {"role": "engineer"}} if method == "PATCH" else {}
    for _ in range(8):
        with parts.sessions.begin() as db:
            db.execute(delete(User))
        admins = [visit(Role.ADMIN), visit(Role.ADMIN)]
        names = [admin.get("/api/v1/auth/me").json()["username"] for admin in admins]
        ready = threading.Barrier(2)

        def end(admin: TestClient, other: str, ready: threading.Barrier = ready) -> int:
            ready.wait(10)
            return admin.request(method, f"/api/v1/users/{other}", **change).status_code  # type: ignore[arg-type]

        with ThreadPoolExecutor(2) as threads:
            statuses = sorted(threads.map(end, admins, reversed(names)))
        # who was ended before asking is no admin any more
        assert statuses[0] in (200, 204)
        assert statuses[1] in (401, 403, 409)
        with parts.sessions() as db:
            assert len(db.scalars(select(User.id).where(User.role == "admin")).all()) == 1


@pytest.mark.parametrize("stored", ["kept", "$argon2id$v=19$cut off"])
def test_what_is_no_hash_of_a_password_lets_nobody_in(
    parts: Parts, client: TestClient, admin: TestClient, stored: str
) -> None:
    add_person(admin, password=PASSWORD)
    with parts.sessions.begin() as db:
        db.execute(update(User).where(User.username == "li.wei").values(password_hash=stored))
    assert log_in(client) == 401


def test_the_admin_of_last_resort(parts: Parts, client: TestClient) -> None:
    """The first admin; a disabled one comes back; where there is none one is made, without what others knew."""
    now = datetime.now(UTC)
    with parts.sessions.begin() as db:
        first = accounts.last_resort(db, now)
        assert (first.username, first.role) == ("admin", "admin")
        accounts.set_password(db, first, "kept")
        assert accounts.last_resort(db, now).password_hash == "kept"
        second = accounts.add_user(db, "zhang", Role.ADMIN, now)
        first.disabled = True
        db.flush()
        assert accounts.last_resort(db, now) is second
        second.disabled = True
        db.flush()
        assert accounts.last_resort(db, now) is first
        assert (first.disabled, first.password_hash) == (False, None)
        db.delete(second)
        accounts.set_password(db, first, "known to an operator")
        first.role = "operator"
        db.flush()
        assert accounts.last_resort(db, now) is first
        assert (first.role, first.password_hash) == ("admin", None)


def test_a_link_expires(client: TestClient, parts: Parts) -> None:
    now = datetime.now(UTC)
    with parts.sessions.begin() as db:
        secret = accounts.new_link(db, accounts.add_user(db, "late", Role.VIEWER, now), now)
        link = db.scalars(select(LoginLink)).one()
        link.expires = now - timedelta(seconds=1)
    assert client.post("/api/v1/auth/link", json={"token": secret}).status_code == 401


def test_tokens_are_made_shown_once_and_ended(visit: Callable[[Role], TestClient], client: TestClient) -> None:
    operator, other = visit(Role.OPERATOR), visit(Role.OPERATOR)
    assert operator.post("/api/v1/tokens", json={"name": "t", "role": "admin"}).status_code == 403
    made = operator.post("/api/v1/tokens", json={"name": "t", "role": "viewer", "days": 1}).json()
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/api/v1/auth/me", headers=bearer).json()["role"] == "viewer"
    (listed,) = operator.get("/api/v1/tokens").json()
    assert "token" not in listed
    assert other.get("/api/v1/tokens").json() == []
    assert other.delete(f"/api/v1/tokens/{made['id']}").status_code == 404
    assert operator.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert client.get("/api/v1/auth/me", headers=bearer).status_code == 401


def test_no_secret_is_in_the_database(admin: TestClient, parts: Parts) -> None:
    made = add_person(admin, password=PASSWORD)
    token = admin.post("/api/v1/tokens", json={"name": "t"}).json()["token"]
    link = str(admin.patch("/api/v1/users/li.wei", json={"new_link": True}).json()["login_link"]).partition("#")[2]
    with parts.engine.connect() as connection:
        kept = str([row for table in Base.metadata.sorted_tables for row in connection.execute(select(table))])
    secrets = [PASSWORD, token, link, *(value for _, value in admin.cookies.items())]
    assert made["login_link"] is None
    assert [secret for secret in secrets if secret in kept] == []
    with parts.sessions() as db:
        assert db.scalars(select(User).where(User.username == "li.wei")).one().password_hash is None


def test_nothing_that_lets_somebody_in_is_in_a_backup() -> None:
    proofs = {table.name for table in Base.metadata.sorted_tables if "hash" in table.columns}
    assert proofs == {"logins", "login_links", "api_tokens"}
    left_out = {table.name for table in Base.metadata.sorted_tables if "not_in_backup" in table.info}
    assert left_out - proofs == {"blocks", "kept_blocks"}  # of files that are not in it either
    assert proofs <= left_out
