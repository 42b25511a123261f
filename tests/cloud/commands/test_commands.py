"""Commands: given to a gateway once, and ended by a reply, or without one in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from cloud.auth import accounts
from cloud.auth.rights import Role
from cloud.commands import commands
from cloud.commands.commands import GRACE_NS, SECOND_NS
from cloud.commands.tables import CommandRow
from cloud.parts import Parts
from contract.command import Reply, Write
from tests.cloud.chain.bring import LINE, bring, line
from tests.cloud.conftest import BASE, GATEWAY_TOKEN

Visit = Callable[[Role], TestClient]
DO = Write(signal="s", value=1)
GATEWAY = {"Authorization": f"Bearer {GATEWAY_TOKEN}"}


@pytest.fixture
def maintainer(visit: Visit) -> TestClient:
    return visit(Role.MAINTAINER)


def wish(client: TestClient, value: Any = 80.0, asset: str = "cnc-01", **fields: Any) -> Any:
    body = {"verb": "write", "signal": "feed_override", "value": value} | fields
    return client.post(f"/api/v1/assets/{asset}/commands", json=body)


def fetch(client: TestClient, *nodes: str, wait_s: float = 0.0) -> list[dict[str, Any]]:
    answer = client.post(
        "/api/v1/chain/commands", json={"nodes": list(nodes or (LINE,)), "wait_s": wait_s}, headers=GATEWAY
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def reply(command: str, outcome: str, **fields: Any) -> dict[str, Any]:
    return line("reply", "line1", reply={"command_id": command, "outcome": outcome, "time_ns": 5} | fields)


def record(client: TestClient, id_: str) -> list[tuple[str, str]]:
    """Return the steps of a command, and how each ended it."""
    answer = client.get(f"/api/v1/commands/{id_}").json()
    return [(step["step"], step["outcome"]) for step in answer["steps"]]


def test_a_command_is_queued_sent_once_and_replied(client: TestClient, maintainer: TestClient) -> None:
    given = wish(maintainer)
    assert given.status_code == 202, given.text
    id_ = given.json()["id"]
    [sent] = fetch(client)
    assert (sent["node"], sent["command"]["id"], sent["command"]["asset"]) == (LINE, id_, "cnc-01")
    assert sent["command"]["do"] == {"verb": "write", "signal": "feed_override", "value": 80.0}
    assert sent["command"]["expires_ns"] - sent["command"]["created_ns"] == 10 * SECOND_NS
    assert fetch(client) == []
    told = reply(id_, "done", value=80.0)
    assert bring(client, told) == []
    assert bring(client, told) == []  # again: harmless
    ended = maintainer.get(f"/api/v1/commands/{id_}").json()
    assert (ended["state"], ended["value"]) == ("done", 80.0)
    author = ended["author"]
    assert [(s["step"], s["by"], s["outcome"]) for s in ended["steps"]] == [
        ("queued", author, ""),
        ("sent", "gateway", ""),
        ("replied", LINE, "done"),
    ]
    assert author.startswith("maintainer-")


def test_a_gateway_is_given_the_commands_of_its_nodes_alone(client: TestClient, maintainer: TestClient) -> None:
    wish(maintainer)
    assert fetch(client, "demo:shanghai:assembly/line2") == []
    assert len(fetch(client)) == 1


def test_two_gateways_that_ask_at_once_are_given_different_ones(client: TestClient, maintainer: TestClient) -> None:
    for value in range(20):
        wish(maintainer, value)
    given: list[str] = []
    threads = [
        threading.Thread(target=lambda: given.extend(each["command"]["id"] for each in fetch(client))) for _ in "1234"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == len(set(given)) == 20


def test_a_gateway_that_waits_is_given_a_command_at_once(
    address: str, client: TestClient, maintainer: TestClient
) -> None:
    fetch(client)  # two threads must not make the same route for the first time
    answers: list[Any] = []

    def ask() -> None:
        body = {"nodes": [LINE], "wait_s": 20}
        answers.append(httpx2.post(f"{address}/api/v1/chain/commands", json=body, headers=GATEWAY, timeout=30).json())

    waiting = threading.Thread(target=ask)
    waiting.start()
    given = wish(maintainer, expires_s=60).json()
    begun = time.monotonic()
    waiting.join(20)
    assert [each["command"]["id"] for each in answers[0]] == [given["id"]]
    assert time.monotonic() - begun < 10


def test_who_waits_takes_nobodys_place(address: str, maintainer: TestClient, parts: Parts) -> None:
    """There are 8 places for such requests; who finds none for 1.5 s is refused."""
    id_ = wish(maintainer).json()["id"]
    cookies = dict(maintainer.cookies)

    def ask(wait_s: int) -> int:
        with httpx2.Client(base_url=address, cookies=cookies, timeout=30) as client:
            return client.get(f"/api/v1/commands/{id_}", params={"wait_s": wait_s}).status_code

    waiting = [threading.Thread(target=ask, args=(4,)) for _ in range(12)]
    for each in waiting:
        each.start()
    end_s = time.monotonic() + 20
    while parts.bell.waiting < 8 and time.monotonic() < end_s:
        time.sleep(0.01)
    assert ask(0) == 200
    for each in waiting:
        each.join()


def test_who_waits_for_the_end_is_told_of_it(client: TestClient, maintainer: TestClient) -> None:
    id_ = wish(maintainer).json()["id"]
    fetch(client)
    told = threading.Thread(target=lambda: bring(client, reply(id_, "refused", reason="it is not writable")))
    told.start()
    ended = maintainer.get(f"/api/v1/commands/{id_}?wait_s=20").json()
    told.join()
    assert (ended["state"], ended["reason"]) == ("refused", "it is not writable")


def test_what_no_gateway_fetches_expires_and_what_was_sent_is_unknown(parts: Parts, client: TestClient) -> None:
    with parts.sessions.begin() as db:
        for id_, node in (("a" * 8, "n1"), ("b" * 8, "n2")):
            command = commands.command_of("cnc-01", "zhang", 0, 10, DO)
            commands.give(db, node, command.model_copy(update={"id": id_}))
        assert [c.id for _, c in commands.take(db, ["n2"], SECOND_NS)] == ["b" * 8]
        assert commands.take(db, ["n1"], 10 * SECOND_NS) == []
        assert commands.end_overdue(db, 10 * SECOND_NS - 1) == 0
        assert commands.end_overdue(db, 10 * SECOND_NS) == 1
        assert commands.end_overdue(db, 10 * SECOND_NS + GRACE_NS - 1) == 0
        assert commands.end_overdue(db, 10 * SECOND_NS + GRACE_NS) == 1
        found, _ = commands.find(db, commands.Asked(), "", 10)
        assert sorted((row.id[0], row.state) for row in found) == [("a", "expired"), ("b", "unknown")]


def test_a_late_reply_corrects_and_both_stand_in_the_record(
    parts: Parts, client: TestClient, viewer: TestClient
) -> None:
    with parts.sessions.begin() as db:
        command = commands.command_of("cnc-01", "zhang", 0, 10, DO)
        commands.give(db, LINE, command)
        commands.take(db, [LINE], SECOND_NS)
    id_ = command.id
    assert viewer.get(f"/api/v1/commands/{id_}").json()["state"] == "unknown"
    assert bring(client, reply(id_, "done", value=1.0)) == []
    assert viewer.get(f"/api/v1/commands/{id_}").json()["state"] == "done"
    steps = [("queued", ""), ("sent", ""), ("ended", "unknown"), ("replied", "done")]
    assert record(viewer, id_) == steps
    # that somebody does not know changes no verdict
    assert bring(client, reply(id_, "unknown", reason="the edge was killed")) == []
    assert viewer.get(f"/api/v1/commands/{id_}").json()["state"] == "done"
    assert record(viewer, id_) == [*steps, ("replied", "unknown")]


def test_a_reply_of_another_node_or_to_nothing_is_refused(client: TestClient, maintainer: TestClient) -> None:
    id_ = wish(maintainer).json()["id"]
    fetch(client)
    stranger = {**reply(id_, "done"), "node": "demo:shanghai:assembly/line2"}
    assert [number for number, _ in bring(client, stranger, reply("0" * 16, "done"), reply(id_, "song"))] == [1, 2, 3]
    assert record(maintainer, id_) == [("queued", ""), ("sent", "")]


@pytest.mark.parametrize(
    ("role", "verb", "status"),
    [
        (Role.VIEWER, "write", 403),
        (Role.OPERATOR, "write", 403),
        (Role.MAINTAINER, "write", 202),
        (Role.MAINTAINER, "send_block", 202),
        (Role.MAINTAINER, "detect", 403),
        (Role.MAINTAINER, "propose", 403),
        (Role.MAINTAINER, "browse", 403),
        (Role.MAINTAINER, "apply", 403),
        (Role.ENGINEER, "detect", 202),
        (Role.ENGINEER, "propose", 202),
        (Role.ENGINEER, "browse", 202),
        (Role.ENGINEER, "apply", 202),
    ],
)
def test_each_verb_needs_its_right(visit: Visit, role: Role, verb: str, status: int) -> None:
    bodies = {
        "write": {"signal": "feed_override", "value": 1},
        "send_block": {"sensor": "vibration"},
        "detect": {"address": "192.168.7.7"},
        "propose": {"machine": "cnc-09", **FREE, "tags": [{"path": "Speed", "address": "ns=2;s=Speed"}]},
        "browse": {},
        "apply": {"based_on": "0" * 64, "machine": "cnc-01", "entry": None},
    }
    answer = visit(role).post("/api/v1/assets/cnc-01/commands", json={"verb": verb, **bodies[verb]})
    assert answer.status_code == status, answer.text


FREE = {"driver": "opcua", "address": "opc.tcp://192.168.7.7:4840"}
ENTRY = {"based_on": "0" * 64, "machine": "cnc-01", "entry": None}


@pytest.mark.parametrize(
    ("scope", "verb", "body", "status"),
    [
        ("asset:cnc-01", "browse", {}, 202),
        ("asset:cnc-01", "browse", FREE, 403),
        ("asset:cnc-01", "detect", {"address": "192.168.7.7"}, 403),
        ("asset:cnc-01", "apply", ENTRY, 403),
        ("line:shanghai/machining/line1", "browse", FREE, 202),
        ("line:shanghai/machining/line1", "detect", {"address": "192.168.7.7"}, 202),
        ("line:shanghai/machining/line1", "apply", ENTRY, 202),
    ],
)
def test_what_reaches_beside_a_machine_needs_its_line(
    parts: Parts, client: TestClient, scope: str, verb: str, body: dict[str, Any], status: int
) -> None:
    now = datetime.now(UTC)
    with parts.sessions.begin() as db:
        user = accounts.add_user(db, "li.wei", Role.ENGINEER, now, scopes=[scope])
        cookie = accounts.start_login(db, user, now)
    engineer = TestClient(client.app, base_url=BASE, cookies={parts.settings.cookie: cookie})
    answer = engineer.post("/api/v1/assets/cnc-01/commands", json={"verb": verb, **body})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("fields", [{"expires_s": 61}, {"expires_s": 0}, {"verb": "explode"}, {"value": None}])
def test_a_wish_that_cannot_be_is_refused(maintainer: TestClient, fields: dict[str, Any]) -> None:
    assert wish(maintainer, **fields).status_code == 422


def test_an_unknown_asset_and_an_unknown_command_are_said(maintainer: TestClient) -> None:
    assert wish(maintainer, asset="cnc-99").json()["code"] == "unknown_asset"
    assert maintainer.get("/api/v1/commands/12345678").json()["code"] == "unknown_command"


def give_many(parts: Parts, author: str) -> None:
    with parts.sessions.begin() as db:
        for _ in range(commands.MOST_OPEN // 2):
            commands.give(db, LINE, commands.command_of("cnc-01", author, time.time_ns(), 60, DO))


def test_too_many_that_wait_for_one_node_are_refused(maintainer: TestClient, parts: Parts) -> None:
    give_many(parts, "zhang")
    assert wish(maintainer).status_code == 202  # one author leaves room for others
    give_many(parts, "li.wei")
    answer = wish(maintainer)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")


def test_one_author_cannot_take_all_the_room_of_a_node(visit: Visit, maintainer: TestClient, parts: Parts) -> None:
    give_many(parts, wish(maintainer).json()["author"])
    assert wish(maintainer).json()["code"] == "busy"
    assert wish(visit(Role.MAINTAINER)).status_code == 202


def test_a_command_that_cannot_be_shown_hides_no_other(maintainer: TestClient, parts: Parts) -> None:
    odd, good = (wish(maintainer, value).json()["id"] for value in (1, 2))
    with parts.sessions.begin() as db:
        db.execute(update(CommandRow).where(CommandRow.id == odd).values(do={"verb": "of a version to come"}))
    assert [each["id"] for each in maintainer.get("/api/v1/commands").json()["commands"]] == [good]


def test_the_record_is_read_page_by_page(maintainer: TestClient) -> None:
    given = [wish(maintainer, value).json()["id"] for value in range(5)]
    first = maintainer.get("/api/v1/commands?limit=3&asset=cnc-01").json()
    rest = maintainer.get("/api/v1/commands", params={"limit": 3, "after": first["after"]}).json()
    assert [each["id"] for each in first["commands"] + rest["commands"]] == given[::-1]
    assert rest["after"] == ""
    assert maintainer.get("/api/v1/commands?state=done").json()["commands"] == []
    for wrong in ("song", "WzkyMjMzNzIwMzY4NTQ3NzU4MDgsICJhIl0"):
        assert maintainer.get(f"/api/v1/commands?after={wrong}").status_code == 422


def test_old_commands_are_forgotten(parts: Parts) -> None:
    with parts.sessions.begin() as db:
        command = commands.command_of("cnc-01", "zhang", 5, 10, DO)
        commands.give(db, LINE, command)
        assert commands.forget(db, 5) == 0
        assert commands.forget(db, 6) == 1
        with pytest.raises(commands.UnknownCommandError):
            commands.answer(db, LINE, Reply(command_id=command.id, outcome="done"), 7)
        assert commands.steps(db, [command.id]) == {}
