"""Events: found by what is asked, page by page; of each condition it is known whether it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from cloud.events.events import Retention
from cloud.parts import Parts
from tests.cloud.chain.bring import NOON_NS, SECOND_NS, bring, condition, event


def ids(client: TestClient, query: str = "") -> list[str]:
    answer = client.get(f"/api/v1/events?{query}")
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["events"]]


def test_an_event_is_told_as_it_came(client: TestClient, viewer: TestClient) -> None:
    said: dict[str, Any] = {
        "name": "Spindle overload",
        "severity": 800,
        "condition": "overload",
        "state": "active",
        "texts": {"en": "overload", "zh": "过载"},
        "values": {"load": 1.5, "program": "P7", "door": True, "count": 2**63},
        "evidence": [{"signal": "spindle_load", "start_ns": NOON_NS, "end_ns": NOON_NS + SECOND_NS}],
        "source": "limit",
        "time_replaced": True,
    }
    assert bring(client, event("e1", 0.25, **said)) == []
    (told,) = viewer.get("/api/v1/events").json()["events"]
    evidence = [
        {
            "signal": "spindle_load",
            "block": "",
            "start": "2026-11-23T08:00:00.000000000Z",
            "end": "2026-11-23T08:00:01.000000000Z",
        }
    ]
    here = {"id": "e1", "asset": "cnc-01", "time": "2026-11-23T08:00:00.250000000Z", "evidence": evidence}
    assert told == said | here


def test_a_nul_costs_no_event(client: TestClient, viewer: TestClient) -> None:
    alarm = condition("e1", 0.0, "active", texts={"en": "too\0hot"}, values={"co\0de": "47\0"})
    assert bring(client, alarm, condition("e2", 1.0, "cleared", texts={"en": "\0"})) == []
    cleared, told = viewer.get("/api/v1/events").json()["events"]
    assert (told["texts"], told["values"]) == ({"en": "too\ufffdhot"}, {"co\ufffdde": "47\ufffd"})
    assert cleared["texts"] == {"en": "\ufffd"}


def test_events_are_found_by_what_is_asked(client: TestClient, viewer: TestClient) -> None:
    bring(
        client,
        event("door", 1),
        condition("hot", 2, "active", "temperature", severity=600),
        condition("cool", 3, "cleared", "temperature", severity=600),
        event("other", 4, "cnc-02", severity=10),
    )
    assert ids(viewer) == ["other", "cool", "hot", "door"]
    assert ids(viewer, "asset=cnc-01&asset=cnc-03") == ["cool", "hot", "door"]
    assert ids(viewer, "state=cleared&state=active") == ["cool", "hot"]
    assert ids(viewer, "condition=temperature&severity=600") == ["cool", "hot"]
    assert ids(viewer, "start=2026-11-23T08:00:02Z&end=2026-11-23T08:00:04Z") == ["cool", "hot"]
    assert viewer.get("/api/v1/events?start=yesterdy").json()["code"] == "wrong_time"
    assert viewer.get("/api/v1/events?state=odd").status_code == 422


def test_pages_hold_each_event_once_while_new_ones_come(client: TestClient, viewer: TestClient) -> None:
    bring(client, *(event(f"e{n:02}", n // 3) for n in range(20)))  # several at one time
    found, after = list[str](), ""
    for page in range(4):
        answer = viewer.get("/api/v1/events", params={"limit": 6, "after": after}).json()
        found += [each["id"] for each in answer["events"]]
        after = answer["after"]
        bring(client, event(f"new{page}", 100 + page))
    assert found == [f"e{n:02}" for n in reversed(range(20))]
    assert after == ""
    for wrong in ("x", "WyJhIl0", "bnVsbA", "WzkyMjMzNzIwMzY4NTQ3NzU4MDgsICJhIiwgImIiXQ"):
        assert viewer.get(f"/api/v1/events?after={wrong}").status_code == 422


@pytest.mark.parametrize(
    ("said", "active"),
    [
        ("1 active", "1"),
        ("1 active, 2 cleared", ""),
        ("1 active, 2 active", "2"),
        ("1 active, 2 acknowledged", "2"),
        ("1 active, 3 cleared, 2 active", ""),  # a backlog behind what is live
        ("1 active, 3 acknowledged, 2 cleared", ""),
        ("3 acknowledged, 1 active", "3"),
        ("1 active, 2 cleared, 3 acknowledged", ""),
        ("1 active, 2 cleared, 3 active", "3"),
        ("2 active, 2 cleared", ""),  # of one time the later word counts
    ],
)
def test_a_condition_holds_by_its_newest_word(client: TestClient, viewer: TestClient, said: str, active: str) -> None:
    words = [word.split() for word in said.split(", ")]
    lines = [condition(f"e{second}{state}", float(second), state) for second, state in words]
    for each in (*lines, lines[0]):  # and a repeat
        assert bring(client, each) == []
    assert [id_[1] for id_ in ids(viewer, "active=true")] == list(active)


def test_old_events_go_but_not_those_of_a_condition_that_holds(
    client: TestClient, viewer: TestClient, parts: Parts
) -> None:
    day = 86_400.0
    bring(
        client,
        event("old", -10 * day),
        condition("gone", -11 * day, "active", "gone"),
        condition("cleared", -10 * day, "cleared", "gone"),
        condition("holds", -10 * day, "active", "holds"),
        event("new", -8 * day),
    )
    now = datetime.fromtimestamp(NOON_NS // SECOND_NS, UTC)
    with parts.sessions.begin() as db:
        Retention(0).apply(db, now, 1000.0)
        retention = Retention(9)
        retention.apply(db, now, 1000.0)
    assert ids(viewer) == ["new", "holds"]
    assert ids(viewer, "active=true") == ["holds"]


def test_a_plant_has_so_many_events_and_no_more(client: TestClient, viewer: TestClient, parts: Parts) -> None:
    bring(client, condition("holds", 0, "active"), *(event(f"e{n}", n) for n in range(1, 6)))
    with parts.sessions.begin() as db:
        Retention(0, most=4).apply(db, datetime.now(UTC), 1000.0)
    assert ids(viewer) == ["e5", "e4", "e3", "holds"]
