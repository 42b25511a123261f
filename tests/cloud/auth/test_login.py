"""Logging in by password and link, users, tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from cloud.auth import accounts, first_link
from cloud.auth.limiter import FailureLimiter
from cloud.auth.roles import Role
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
    assert answer.json() == {"username": "admin", "role": "admin", "must_set_password": True}
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("shopfloor_8080=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert not parts.settings.login_link.exists()
    assert client.post("/api/v1/auth/link", json={"token": secret}).status_code == 401
    assert client.put("/api/v1/auth/password", json={"new": "short"}, headers=OURS).status_code == 422
    assert client.put("/api/v1/auth/password", json={"new": PASSWORD}, headers=OURS).status_code == 204
    assert client.get("/api/v1/auth/me").json()["must_set_password"] is False
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
    assert client.put("/api/v1/auth/password", json=change | {"current": PASSWORD}).status_code == 204
    assert client.get("/api/v1/auth/me").status_code == 200
    assert other.get("/api/v1/auth/me").status_code == 401
    assert log_in(other, "battery staple") == 200


def test_failed_logins_are_limited_per_name(client: TestClient, admin: TestClient) -> None:
    add_person(admin, password=PASSWORD)
    assert [log_in(client, "wrong") for _ in range(6)] == [401] * 5 + [429]
    answer = client.post("/api/v1/auth/login", json={"username": "li.wei", "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 301
    assert client.post("/api/v1/auth/login", json={"username": "other", "password": "x"}).status_code == 401


def test_a_limiter_forgets_in_time_and_in_number() -> None:
    limiter = FailureLimiter(allowed=2, window_s=60, keys=2)
    limiter.failed("a", 0)
    limiter.failed("a", 10)
    assert [limiter.wait_s("a", at) for at in (10, 59, 60)] == [50, 1, 0]
    limiter.failed("b", 20)
    limiter.failed("c", 20)
    assert limiter.wait_s("a", 20) == 0


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
    assert proofs == {table.name for table in Base.metadata.sorted_tables if "no: " in table.info.get("backup", "")}
