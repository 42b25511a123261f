"""What is asked about diagnosis: findings, reports of any time, feedback, baselines, and all of it once more."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update
from starlette.testclient import TestClient

from cloud.auth.rights import Role
from cloud.blocks.tables import BlockRow
from cloud.diagnosis import findings, rules
from cloud.diagnosis.acquisition import SECOND_NS
from cloud.diagnosis.tables import FindingRow
from cloud.diagnosis.words import name_of
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from tests.cloud.chain.bring import NOON_NS, block, bring
from tests.cloud.diagnosis.said import COMPUTED, report, suspicion
from tests.cloud.diagnosis.test_service import SIGNALS, Plant, turn

HERE = "/api/v1/diagnosis"


def get(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(f"{HERE}/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tell(parts: Parts, *reports: Any) -> None:
    with parts.sessions.begin() as db:
        for each in reports:
            findings.take(db, each, COMPUTED)


@pytest.mark.usefixtures("client")
def test_a_finding_is_told_with_its_evidence_and_its_words(viewer: TestClient, parts: Parts) -> None:
    tell(parts, report(suspicion(0.8)))
    (found,) = get(viewer, "findings")["findings"]
    assert found | {"words": {}, "id": ""} == {
        "id": "",
        "asset": "cnc-01",
        "fault": "coolant_filter",
        "component": "coolant filter",
        "level": "machine",
        "rule": "coolant_filter",
        "version": 1,
        "confidence": 0.8,
        "urgency": "weeks",
        "first_seen": "2026-11-23T08:00:00.000000000Z",
        "last_seen": "2026-11-23T08:00:00.000000000Z",
        "ended": None,
        "since": "2026-11-23T07:50:00.000000000Z",
        "evidence": [
            {
                "what": "below",
                "signal": "coolant_pressure",
                "sensor": "",
                "block": "",
                "event": "",
                "line": "",
                "start": None,
                "end": None,
                "value": 2.0,
                "expected": 4.0,
                "unit": "bar",
                "sigmas": -9.0,
                "weight": 4.0,
            }
        ],
        "against": [],
        "life": None,
        "no_life": "learning",
        "alternatives": [],
        "words": {},
        "feedback": {"confirmed": 0, "wrong": 0, "not_useful": 0},
        "window": {
            "start": "2026-11-23T06:00:00.000000000Z",
            "end": "2026-11-23T08:00:00.000000000Z",
            "step_s": 10.0,
        },
        "data": "available",
    }
    assert found["words"]["en"]["title"] == "Coolant filter clogged"
    assert all(found["words"]["zh"].values())


@pytest.mark.usefixtures("client")
def test_findings_are_found_by_what_is_asked_page_by_page(viewer: TestClient, parts: Parts) -> None:
    of_sensor = suspicion(fault="sensor_stuck", level="sensor", component="feed")
    tell(parts, *(report(suspicion(fault=f"f{n}"), minute=n) for n in range(5)), report(of_sensor, minute=8))
    faults = lambda **query: [each["fault"] for each in get(viewer, "findings", **query)["findings"]]  # noqa: E731
    assert faults(open=True) == ["sensor_stuck", "f4"]
    assert faults(open=False) == ["f3", "f2", "f1", "f0"]
    assert faults(level="sensor") == ["sensor_stuck"]
    assert faults(asset="cnc-02") == []
    assert faults(start="2026-11-23T08:03:00Z", end="2026-11-23T08:08:00Z") == ["f4", "f3"]
    seen, after = list[str](), ""
    while page := get(viewer, "findings", limit=4, after=after):
        seen += [each["fault"] for each in page["findings"]]
        if not (after := page["after"]):
            break
    assert seen == ["sensor_stuck", "f4", "f3", "f2", "f1", "f0"]
    assert viewer.get(f"{HERE}/findings?after=x").status_code == 422
    assert viewer.get(f"{HERE}/findings/none").json()["code"] == "unknown_finding"


@pytest.mark.usefixtures("client")
def test_what_people_say_of_findings_goes_into_the_statistics(
    visit: Callable[[Role], TestClient], parts: Parts
) -> None:
    tell(parts, report(suspicion()), report(suspicion(fault="b", rule="b"), asset="cnc-02"))
    operator, other = visit(Role.OPERATOR), visit(Role.OPERATOR)
    (found,) = get(operator, "findings", asset="cnc-01")["findings"]
    say = lambda who, verdict: who.post(f"{HERE}/findings/{found['id']}/feedback", json={"verdict": verdict})  # noqa: E731
    say(operator, "wrong")
    assert say(operator, "confirmed").json()["feedback"] == {"confirmed": 1, "wrong": 0, "not_useful": 0}
    assert say(other, "not_useful").json()["feedback"] == {"confirmed": 1, "wrong": 0, "not_useful": 1}
    assert say(operator, "odd").status_code == 422
    assert get(operator, "statistics") == [
        {"rule": "b", "findings": 1, "confirmed": 0, "wrong": 0, "not_useful": 0},
        {"rule": "coolant_filter", "findings": 1, "confirmed": 1, "wrong": 0, "not_useful": 1},
    ]


def test_who_sees_one_area_sees_what_is_found_there(
    admin: TestClient, visit: Callable[[Role], TestClient], parts: Parts, announce: Callable[..., Announcement]
) -> None:
    with parts.sessions.begin() as db:
        learn(db, announce("robot-77", area="assembly"))
    tell(parts, report(suspicion()), report(suspicion(fault="b", rule="b"), asset="robot-77"))
    viewer = visit(Role.VIEWER)
    name = viewer.get("/api/v1/auth/me").json()["username"]
    assert admin.patch(f"/api/v1/users/{name}", json={"scopes": ["area:shanghai/assembly"]}).status_code == 200
    assert [each["asset"] for each in get(viewer, "findings")["findings"]] == ["robot-77"]
    assert [each["asset"] for each in get(viewer, "health")["assets"]] == ["robot-77"]
    assert [each["rule"] for each in get(viewer, "statistics")] == ["b"]
    (hidden,) = get(admin, "findings", asset="cnc-01")["findings"]
    assert viewer.get(f"{HERE}/findings/{hidden['id']}").status_code == 404
    assert viewer.get(f"{HERE}/findings/{hidden['id']}/verify").status_code == 404


@pytest.fixture
def plant(parts: Parts, announce: Callable[..., Announcement], write: Callable[[str], None]) -> Plant:
    """A machine that ran well for an hour, and then had little coolant for half an hour: it was found."""
    with parts.sessions.begin() as db:
        learn(db, announce(signals=SIGNALS))
    plant = Plant(parts, write)
    live = plant.start()
    plant.run(65)
    turn(plant, live)
    for _ in range(6):
        plant.run(5, blocked=0.6)
        turn(plant, live)
    assert [row.fault for row in plant.findings()] == ["coolant_filter"]
    return plant


def test_a_finding_comes_out_again_byte_by_byte_until_its_data_change(plant: Plant, viewer: TestClient) -> None:
    (row,) = plant.findings()
    verified = get(viewer, f"findings/{row.id}/verify")
    assert verified == {"id": row.id, "data": "available", "same": True, "agrees": True, "differences": []}
    assert get(viewer, f"findings/{row.id}")["data"] == "available"
    late_ns = row.end_ns - 5 * SECOND_NS
    plant.write(f"cnc,site=shanghai,area=machining,line=line1,asset=cnc-01 coolant_flow=11 {late_ns}")
    verified = get(viewer, f"findings/{row.id}/verify")
    assert (verified["data"], verified["same"]) == ("changed", False)
    assert get(viewer, f"findings/{row.id}")["data"] == "changed"


def test_a_finding_whose_blocks_have_gone_says_that_its_data_expired(
    plant: Plant, viewer: TestClient, client: TestClient
) -> None:
    (row,) = plant.findings()
    bring(client, block("b1", [1.0]))
    with plant.parts.sessions.begin() as db:
        db.execute(update(FindingRow).values(blocks=["b1"]))
    assert get(viewer, "findings")["findings"][0]["data"] == "available"
    with plant.parts.sessions.begin() as db:
        db.execute(delete(BlockRow))
    assert get(viewer, "findings")["findings"][0]["data"] == "expired"
    verified = get(viewer, f"findings/{row.id}/verify")
    assert (verified["data"], verified["same"]) == ("expired", None)


@pytest.fixture
def young(parts: Parts, announce: Callable[..., Announcement], write: Callable[[str], None]) -> Plant:
    """A plant that has run for twenty minutes."""
    with parts.sessions.begin() as db:
        learn(db, announce(signals=[*SIGNALS, {"name": "alarm", "datatype": "string"}]))
    plant = Plant(parts, write)
    plant.run(20)
    return plant


def health_of(plant: Plant, viewer: TestClient) -> dict[str, Any]:
    """Let the machine have a turn of the service that the API asks; return what it says then."""
    live = plant.parts.diagnosis
    live._now_ns = plant.now_ns
    turn(plant, live)
    (told,) = get(viewer, "health")["assets"]
    return told  # type: ignore[no-any-return]


def test_how_far_learning_is_is_told_and_what_it_waits_for(young: Plant, viewer: TestClient) -> None:
    told = health_of(young, viewer)
    learning = told["learning"]
    assert (told["health"], told["learned"], learning["waits_for"]) == ("learning", learning["progress"], "")
    assert 0.3 < learning["progress"] < 0.34
    assert learning["since"][:15] == "2026-11-23T08:0"
    assert "08:59" <= learning["until"][11:16] <= "09:01"  # an hour of running
    assert get(viewer, "assets/cnc-01", at="2026-11-23T08:20:00Z")["learning"] == learning
    young.running = "STOPPED"
    young.run(10)
    learning = health_of(young, viewer)["learning"]
    assert (learning["until"], learning["waits_for"]) == (None, "running")
    young.running = "ACTIVE"
    young.run(45)
    health_of(young, viewer)
    young.run(1)
    told = health_of(young, viewer)
    assert (told["health"], told["learned"], told["learning"]) == ("ok", 1.0, None)


def test_a_machine_that_its_own_alarm_has_stopped_is_critical(young: Plant, viewer: TestClient) -> None:
    assert health_of(young, viewer)["alarm"] == ""
    tags = "site=shanghai,area=machining,line=line1,asset=cnc-01"
    young.write(f'cnc_text,{tags} alarm="COOLANT LOW" {young.now_ns() + 1}')
    young.run(1)
    told = health_of(young, viewer)
    assert (told["health"], told["alarm"]) == ("warning", "COOLANT LOW")  # it runs
    young.running = "INTERRUPTED"
    young.run(1)
    assert health_of(young, viewer)["health"] == "critical"


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("fault", "baseline", "why"),
    [("coolant_filter", "", "learning"), ("coolant_filter", "b1", "no_trend"), ("tool_breakage", "b1", "no_limit")],
)
def test_a_finding_without_a_remaining_life_says_why(
    viewer: TestClient, parts: Parts, fault: str, baseline: str, why: str
) -> None:
    tell(parts, report(suspicion(fault=fault)).model_copy(update={"baseline": baseline}))
    (found,) = get(viewer, "findings")["findings"]
    assert (found["life"], found["no_life"]) == (None, why)


def test_a_report_explains_now_and_the_past(plant: Plant, viewer: TestClient) -> None:
    now = get(viewer, "assets/cnc-01", at="2026-11-23T09:35:00Z", hours=1.5)
    assert [each["fault"] for each in now["findings"]] == ["coolant_filter"]
    assert now["findings"][0]["words"]["en"]["action"]
    assert now["window"] == {
        "start": "2026-11-23T08:05:00.000000000Z",
        "end": "2026-11-23T09:35:00.000000000Z",
        "step_s": 10.0,
    }
    past = get(viewer, "assets/cnc-01", at="2026-11-23T09:04:00Z", hours=1)
    assert (past["findings"], past["baseline"]) == ([], now["baseline"])
    assert past["looked_at"]
    assert viewer.get(f"{HERE}/assets/none").status_code == 404
    assert viewer.get(f"{HERE}/assets/cnc-01?at=yesterdy").json()["code"] == "wrong_time"


def test_what_is_usual_can_be_learned_anew(plant: Plant, visit: Callable[[Role], TestClient]) -> None:
    engineer = visit(Role.ENGINEER)
    before = get(engineer, "assets/cnc-01/baseline")
    assert before["by"] == ""
    assert {"coolant_flow", "coolant_pressure"} <= set(before["signals"])
    wish = {"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T09:30:00Z"}
    answer = engineer.post(f"{HERE}/assets/cnc-01/baseline", json=wish)
    assert answer.status_code == 200, answer.text
    assert get(engineer, "assets/cnc-01/baseline") == answer.json()
    assert answer.json()["id"] != before["id"]
    assert answer.json()["by"] == engineer.get("/api/v1/auth/me").json()["username"]
    short = {"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T08:10:00Z"}
    assert engineer.post(f"{HERE}/assets/cnc-01/baseline", json=short).json()["code"] == "too_little_to_learn"
    turned = {"start": wish["end"], "end": wish["start"]}
    assert engineer.post(f"{HERE}/assets/cnc-01/baseline", json=turned).json()["code"] == "empty_range"


def test_health_says_how_each_asset_is_and_how_the_diagnosis_does(plant: Plant, viewer: TestClient) -> None:
    health = get(viewer, "health")
    (one,) = health["assets"]
    assert (one["asset"], one["health"], one["learned"]) == ("cnc-01", "watch", 1.0)
    assert one["worst"]["fault"] == "coolant_filter"


def test_an_envelope_spectrum_has_the_lines_of_the_bearing_at_the_speed_of_its_time(
    viewer: TestClient, client: TestClient, parts: Parts, announce: Callable[..., Announcement],
    write: Callable[[str], None],
) -> None:  # fmt: skip
    bearing = {"outer": 3.585, "inner": 5.415, "ball": 2.357, "cage": 0.3983}
    with parts.sessions.begin() as db:
        learn(db, announce(sensors={"vibration": {"speed": "spindle_speed", "bearings": [bearing]}}))
    tags = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01"
    write(f"{tags} spindle_speed=1500 {NOON_NS - 5 * SECOND_NS}\n{tags} spindle_speed=1800 {NOON_NS + 60 * SECOND_NS}")
    outer_hz, rate = 3.585 * 25, 8192.0
    strikes = [
        math.exp(-((t * outer_hz) % 1) * 12) * math.sin(2 * math.pi * 2500 * t)
        for t in (n / rate for n in range(16384))
    ]
    bring(client, block("b1", strikes, rate_hz=rate), block("b2", [1.0] * 4, 1))
    told = get(viewer, "blocks/b1/envelope")
    assert told["rpm"] == 1500
    assert {line["name"]: line["hz"] for line in told["lines"]} == pytest.approx(
        {"shaft": 25.0, "outer": outer_hz, "inner": 135.375, "ball": 117.85, "cage": 9.9575}
    )
    highest = max(range(len(told["amplitude"])), key=told["amplitude"].__getitem__)
    assert highest * told["step_hz"] == pytest.approx(outer_hz, abs=told["step_hz"])
    assert viewer.get(f"{HERE}/blocks/b2/envelope").status_code == 422
    assert viewer.get(f"{HERE}/blocks/none/envelope").json()["code"] == "unknown_block"


def test_each_rule_is_told_with_its_names(viewer: TestClient) -> None:
    told = viewer.get("/api/v1/diagnosis/rules").json()
    assert told["tool_breakage"]["title"] == {"en": rules.load()["tool_breakage"].title.en, "zh": "刀具断裂"}
    assert told.keys() == rules.load().keys()


def test_a_component_of_several_places_has_a_name_in_both_languages() -> None:
    words = name_of("tool_holder_imbalance", "holder of tool 3")
    assert (words["en"].component, words["zh"].component) == ("holder of tool 3", "3号刀的刀柄")
    assert name_of("sensor_drift", "spindle_load")["zh"].component == "spindle_load"
    assert name_of("link_loss", "link")["zh"].component == "通信链路"
