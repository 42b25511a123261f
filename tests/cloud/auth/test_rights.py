"""What a role may do, and where."""

from __future__ import annotations

from itertools import pairwise

import pytest
from starlette.testclient import TestClient

from cloud.auth.rights import ACTIONS, Action, Role, actions_of, lowest
from cloud.auth.scope import Place, limits_of
from cloud.parts import Parts
from cloud.registry.learn import learn
from tests.cloud.conftest import BASE, announcement

CNC = Place("cnc-01", "shanghai", "machining", "line1")


def test_the_roles_of_before_may_do_at_least_what_the_one_before_may() -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.MAINTAINER, Role.ENGINEER, Role.ADMIN]
    for lower, higher in pairwise(order):
        assert ACTIONS[lower] < ACTIONS[higher]
        assert higher.includes(lower)
        assert not lower.includes(higher)


def test_each_action_is_one_of_some_role_and_the_admins() -> None:
    assert ACTIONS[Role.ADMIN] == set(Action)
    assert [lowest(action) for action in (Action.READ, Action.WRITE, Action.INJECT, Action.ADMINISTER)] == [
        Role.VIEWER,
        Role.MAINTAINER,
        Role.TRAINER,
        Role.ADMIN,
    ]


@pytest.mark.parametrize(
    ("role", "whole_plant", "may", "may_not"),
    [
        (Role.STUDENT, True, Action.READ, Action.WRITE),
        (Role.STUDENT, False, Action.WRITE, Action.CONFIGURE),
        (Role.MAKER, False, Action.READ, Action.EXPORT),
        (Role.ENGINEER, False, Action.CONFIGURE, Action.ADMINISTER),
        (Role.ADMIN, True, Action.ADMINISTER, None),
        (Role.ADMIN, False, Action.CONFIGURE, Action.ADMINISTER),  # who gives rights could give themselves any
        (Role.TRAINER, True, Action.TEACH, Action.CONFIGURE),
    ],
)
def test_a_part_of_the_plant_gives_a_student_more_and_an_admin_less(
    role: Role, whole_plant: bool, may: Action, may_not: Action | None
) -> None:
    actions = actions_of(role, whole_plant=whole_plant)
    assert may in actions
    assert may_not not in actions


def test_a_maker_may_do_nothing_in_the_whole_plant() -> None:
    assert actions_of(Role.MAKER, whole_plant=True) == set()


@pytest.mark.parametrize(
    ("scopes", "holds"),
    [
        ("plant", True),
        ("asset:cnc-01", True),
        ("asset:cnc-02", False),
        ("asset:cnc-0", False),
        ("area:shanghai/machining", True),
        ("area:beijing/machining", False),
        ("line:shanghai/machining/line1", True),
        ("line:shanghai/machining/line2", False),
        ("line:shanghai/assembly/line1", False),
        ("area:shanghai/assembly asset:cnc-01", True),
        ("", False),
    ],
)
def test_a_scope_holds_an_asset(scopes: str, holds: bool) -> None:
    assert CNC.is_in(scopes.split()) is holds


def test_only_scopes_that_are_not_the_plant_limit() -> None:
    assert limits_of(["plant"], ["plant", "asset:a"]) == ()
    assert limits_of(["asset:a"], ["plant"]) == (frozenset({"asset:a"}),)
    assert limits_of([]) == (frozenset(),)  # no scope is no right


def person(admin: TestClient, **fields: object) -> TestClient:
    """Return a browser of a new user."""
    body = {"username": "li.wei", "role": "engineer", "password": "correct horse", **fields}
    assert admin.post("/api/v1/users", json=body).status_code == 201
    browser = TestClient(admin.app, base_url=BASE)
    assert browser.post("/api/v1/auth/login", json={k: body[k] for k in ("username", "password")}).status_code == 200
    return browser


def seen(browser: TestClient, headers: dict[str, str] | None = None) -> list[str]:
    return sorted(asset["id"] for asset in browser.get("/api/v1/assets", headers=headers or {}).json())


def test_a_scope_counts_at_once_and_follows_an_asset_that_moves(parts: Parts, admin: TestClient) -> None:
    with parts.sessions.begin() as db:
        learn(db, announcement("robot-01", area="assembly"))
    li = person(admin, scopes=["area:shanghai/machining"])
    assert seen(li) == ["cnc-01"]
    assert li.get("/api/v1/auth/me").json()["scopes"] == ["area:shanghai/machining"]
    assert admin.patch("/api/v1/users/li.wei", json={"scopes": ["area:shanghai/assembly"]}).status_code == 200
    assert seen(li) == ["robot-01"]
    with parts.sessions.begin() as db:
        learn(db, announcement("robot-01", area="packaging"))
    assert seen(li) == []
    assert li.post("/api/v1/assets/robot-01/retire").json()["code"] == "unknown_asset"
    assert seen(admin) == ["cnc-01", "robot-01"]


def test_a_token_sees_what_both_its_user_and_itself_may(parts: Parts, admin: TestClient, client: TestClient) -> None:
    with parts.sessions.begin() as db:
        learn(db, announcement("robot-01", area="assembly"))
    li = person(admin, scopes=["area:shanghai/machining"])
    body = {"name": "t", "role": "viewer", "scopes": ["area:shanghai/assembly", "asset:cnc-01"]}
    made = li.post("/api/v1/tokens", json=body).json()
    assert made["scopes"] == ["area:shanghai/assembly", "asset:cnc-01"]
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert seen(client, bearer) == ["cnc-01"]
    admin.patch("/api/v1/users/li.wei", json={"scopes": ["plant"]})
    assert seen(client, bearer) == ["cnc-01", "robot-01"]


def test_a_token_of_a_part_of_the_plant_administers_nobody(admin: TestClient, client: TestClient) -> None:
    made = admin.post("/api/v1/tokens", json={"name": "t", "role": "admin", "scopes": ["asset:cnc-01"]}).json()
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert seen(client, bearer) == ["cnc-01"]
    answer = client.get("/api/v1/users", headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_needed")


def test_a_student_of_the_plant_gets_no_more_by_a_token_of_a_lab(admin: TestClient, client: TestClient) -> None:
    student = person(admin, role="student")
    body = {"name": "t", "role": "student", "scopes": ["asset:cnc-01"]}
    token = student.post("/api/v1/tokens", json=body).json()["token"]
    me = client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert me["actions"] == ["export", "read"]


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        ("admin", ["asset:cnc-01"]),
        ("maker", ["plant"]),
        ("maker", None),
        ("viewer", []),
        ("viewer", ["area:machining"]),
    ],
)
def test_a_scope_that_does_not_fit_is_refused(admin: TestClient, role: str, scopes: list[str] | None) -> None:
    body = {"username": "li.wei", "role": role} | ({} if scopes is None else {"scopes": scopes})
    assert admin.post("/api/v1/users", json=body).status_code == 422
    assert [user["username"] for user in admin.get("/api/v1/users").json() if user["username"] == "li.wei"] == []


def test_a_role_that_does_not_fit_the_scope_of_a_user_is_refused(admin: TestClient) -> None:
    person(admin, scopes=["asset:cnc-01"])
    answer = admin.patch("/api/v1/users/li.wei", json={"role": "admin"})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_scope")
    changed = admin.patch("/api/v1/users/li.wei", json={"role": "admin", "scopes": ["plant"]}).json()
    assert (changed["role"], changed["scopes"]) == ("admin", ["plant"])
