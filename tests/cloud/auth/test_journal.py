"""What the log tells of who let whom in."""

from __future__ import annotations

import time

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from cloud.auth.journal import MAX_KEYS, MAX_TOLD, FailedLogins
from cloud.parts import Parts

PASSWORD = "correct horse"


@pytest.fixture
def database_url() -> str:
    return ""


def test_who_changed_whom_is_logged_without_secrets(admin: TestClient, client: TestClient) -> None:
    by = admin.get("/api/v1/auth/me").json()["username"]
    with capture_logs() as logs:
        admin.post("/api/v1/users", json={"username": "li.wei", "role": "viewer", "password": PASSWORD})
        admin.post("/api/v1/users", json={"username": "li.wei", "role": "viewer"})  # refused
        admin.patch("/api/v1/users/li.wei", json={"role": "operator"})
        admin.patch("/api/v1/users/li.wei", json={"disabled": True})
        link = admin.patch("/api/v1/users/li.wei", json={"disabled": False, "new_link": True}).json()["login_link"]
        client.post("/api/v1/auth/link", json={"token": link.partition("#")[2]})
        client.put("/api/v1/auth/password", json={"new": PASSWORD})
        made = admin.post("/api/v1/tokens", json={"name": "grafana"}).json()
        admin.delete(f"/api/v1/tokens/{made['id']}")
        admin.delete("/api/v1/users/li.wei")
    told = [{name: value for name, value in line.items() if name not in ("log_level", "expires")} for line in logs]
    of_token = {"id": made["id"], "name": "grafana", "username": by}
    assert told == [
        {"event": "a user was added", "username": "li.wei", "role": "viewer", "scopes": ["plant"], "by": by},
        {"event": "a user was changed", "username": "li.wei", "role": "operator", "by": by},
        {"event": "a user was changed", "username": "li.wei", "disabled": True, "by": by},
        {"event": "a user was changed", "username": "li.wei", "disabled": False, "new_link": True, "by": by},
        {"event": "a user logged in", "username": "li.wei", "address": "testclient", "by": "link"},
        {"event": "a password was set", "username": "li.wei"},
        {"event": "a token was made", "role": "viewer", "scopes": ["plant"], **of_token},
        {"event": "a token was ended", **of_token, "by": by},
        {"event": "a user was deleted", "username": "li.wei", "role": "operator", "by": by},
    ]
    assert not any(secret in str(logs) for secret in (PASSWORD, made["token"], link.partition("#")[2]))


def test_failed_log_ins_are_told_together_and_bounded() -> None:
    failed = FailedLogins(every_s=0.2)
    with capture_logs() as logs:
        for number in range(MAX_KEYS + 5):
            failed.count(f"address {number}")
        failed.count("address 0")
        deadline = time.monotonic() + 10
        while not logs and time.monotonic() < deadline:
            time.sleep(0.01)
    (line,) = logs
    assert (line["event"], line["number"], line["addresses"]) == (
        "log-ins failed",
        MAX_KEYS + 6,
        MAX_KEYS + 1,
    )
    assert line["reason"].startswith("others: 5, address 0: 2, ")
    assert line["reason"].count(":") == MAX_TOLD


def test_log_ins_are_told_at_once_and_many_together(admin: TestClient, client: TestClient, parts: Parts) -> None:
    admin.post("/api/v1/users", json={"username": "li.wei", "role": "viewer", "password": PASSWORD})
    with capture_logs() as logs:
        for password in (PASSWORD, PASSWORD, "wrong horse", PASSWORD):
            client.post("/api/v1/auth/login", json={"username": "li.wei", "password": password})
        parts.logins._end()  # as if its minute was over
    told = [{name: value for name, value in line.items() if name != "log_level"} for line in logs]
    assert told == [
        {"event": "a user logged in", "username": "li.wei", "address": "testclient", "by": "password"},
        {"event": "users logged in again", "number": 2, "reason": "li.wei from testclient: 2"},
    ]
