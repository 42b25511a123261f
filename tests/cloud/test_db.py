"""What is remembered of the database, and how soon it is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from cloud import db
from cloud.auth import accounts
from cloud.auth.rights import Role
from cloud.auth.tables import ApiToken, Login, User
from cloud.parts import Parts
from cloud.places import SESSIONS

RETENTION = "/api/v1/telemetry/retention"


@pytest.fixture
def remembered(parts: Parts) -> db.Remembered[str, str]:
    return db.Remembered(parts.sessions, most=2, lasts_s=1000.0)


def test_a_committed_change_is_seen_at_once(parts: Parts, remembered: db.Remembered[str, str]) -> None:
    assert remembered.read("a", lambda: "old") == "old"
    assert remembered.read("a", lambda: "new") == "old"
    with parts.sessions.begin() as session:
        accounts.add_user(session, "li.wei", Role.VIEWER, datetime.now(UTC))
        session.flush()
        assert remembered.known("a") == "old"
    assert remembered.known("a") is None
    assert remembered.read("a", lambda: "new") == "new"
    with parts.sessions.begin() as session:
        session.execute(update(User).values(disabled=True))
    assert remembered.known("a") is None


def test_what_was_read_before_a_change_is_not_remembered_after_it(
    parts: Parts, remembered: db.Remembered[str, str]
) -> None:
    def read() -> str:
        with parts.sessions.begin() as session:
            accounts.add_user(session, "li.wei", Role.VIEWER, datetime.now(UTC))
        return "read before the change"

    assert remembered.read("a", read) == "read before the change"
    assert remembered.known("a") is None


def test_only_so_much_is_remembered_and_nothing_of_nothing(remembered: db.Remembered[str, str]) -> None:
    for key in "abc":
        remembered.read(key, lambda: "x")
    assert [remembered.known(key) for key in "abc"] == [None, "x", "x"]
    assert remembered.read("d", lambda: None) is None
    assert remembered.read("d", lambda: "found") == "found"


def test_what_is_remembered_does_not_last(parts: Parts) -> None:
    remembered: db.Remembered[str, str] = db.Remembered(parts.sessions, lasts_s=0.0)
    remembered.read("a", lambda: "old")
    assert remembered.read("a", lambda: "new") == "new"


def test_who_is_known_needs_no_session(viewer: TestClient, parts: Parts) -> None:
    assert viewer.get(RETENTION).status_code == 200
    held = [parts.engine.connect() for _ in range(SESSIONS)]
    try:
        assert viewer.get(RETENTION).status_code == 200
    finally:
        for connection in held:
            connection.close()


def end_by_logout(viewer: TestClient, _admin: TestClient, _name: str) -> None:
    assert viewer.post("/api/v1/auth/logout").status_code == 204


def end_by_disabling(_viewer: TestClient, admin: TestClient, name: str) -> None:
    assert admin.patch(f"/api/v1/users/{name}", json={"disabled": True}).status_code == 200


def end_by_deletion(_viewer: TestClient, admin: TestClient, name: str) -> None:
    assert admin.delete(f"/api/v1/users/{name}").status_code == 204


@pytest.mark.parametrize("end", [end_by_logout, end_by_disabling, end_by_deletion])
def test_a_login_ends_at_once(
    viewer: TestClient, admin: TestClient, parts: Parts, end: Callable[[TestClient, TestClient, str], None]
) -> None:
    cookies = dict(viewer.cookies)
    name = viewer.get("/api/v1/auth/me").json()["username"]
    end(viewer, admin, name)
    again = TestClient(viewer.app, base_url=str(viewer.base_url), cookies=cookies)
    assert again.get("/api/v1/auth/me").status_code == 401
    with parts.sessions() as session:
        assert session.query(Login).count() == 1  # the admin's


def test_a_lowered_role_and_an_ended_token_count_at_once(admin: TestClient, client: TestClient, parts: Parts) -> None:
    made = admin.post("/api/v1/tokens", json={"name": "script", "role": "admin"}).json()
    token = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/api/v1/users", headers=token).status_code == 200
    with parts.sessions.begin() as session:
        session.query(User).update({"role": Role.VIEWER.value})
    assert client.get("/api/v1/users", headers=token).status_code == 403
    with parts.sessions.begin() as session:
        session.query(ApiToken).delete()
    assert client.get("/api/v1/users", headers=token).status_code == 401
