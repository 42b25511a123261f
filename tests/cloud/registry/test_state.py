"""What the state of a machine is, whatever its signals are called, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from cloud.live.asset import LiveValue
from cloud.live.hub import Hub
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.kind import ANY, text_of
from cloud.registry.learn import learn
from contract.model import Datatype, Value

NOW_MS = 1_795_420_800_000


@pytest.mark.parametrize(
    ("signals", "stated", "found"),
    [
        ("force:double", "", None),
        ("state:string execution:string", "", "execution"),
        ("Status:string", "", "Status"),
        ("Controller/Execution:string state:string", "", "Controller/Execution"),
        ("a/state:string state:string", "", "state"),
        ("mode:double", "", None),  # a measured number is no state
        ("mode:int32", "", "mode"),
        ("running:boolean execution:string", "running", "running"),
        ("running:boolean execution:string", "gone", "execution"),  # a birth that leaves signals out
        ("level:double", "level", "level"),
    ],
)
def test_the_signal_that_tells_the_state(signals: str, stated: str, found: str | None) -> None:
    names = [each.split(":") for each in signals.split()]
    assert ANY.state_signal(((name, Datatype(datatype)) for name, datatype in names), stated) == found


@pytest.mark.parametrize(
    ("value", "text", "condition"),
    [
        ("ACTIVE", "ACTIVE", "running"),
        ("Feed Hold", "Feed Hold", "interrupted"),
        ("PROGRAM_COMPLETED", "PROGRAM_COMPLETED", "ready"),
        ("Execute", "Execute", "running"),  # PackML
        ("Held", "Held", "interrupted"),
        ("stopped", "stopped", "stopped"),
        ("UNAVAILABLE", "UNAVAILABLE", "unknown"),
        ("Vorwärmen", "Vorwärmen", "unknown"),
        (True, "true", "running"),
        (False, "false", "stopped"),
        (3, "3", "unknown"),
        (3.0, "3", "unknown"),
        (2.5, "2.5", "unknown"),
        ("", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_what_a_state_means(value: Value | None, text: str | None, condition: str) -> None:
    assert (text_of(value), ANY.condition_of(text_of(value))) == (text, condition)


@pytest.mark.parametrize(
    ("signals", "fault"),
    [
        ({}, None),
        ({"alarm": "E-204 spindle"}, "E-204 spindle"),
        ({"alarm": "None"}, None),
        ({"emergency_stop": "TRIGGERED"}, "emergency_stop"),
        ({"protective_stop": True}, "protective_stop"),
        ({"condition": "FAULT"}, "condition"),
        ({"state": "Aborted"}, "Aborted"),
    ],
)
def test_what_is_wrong_is_said_in_the_machines_own_words(signals: dict[str, Any], fault: str | None) -> None:
    assert ANY.fault_of(signals.get, signals.get("state")) == fault


@pytest.mark.parametrize(
    ("online", "seen_s", "changed_s", "signals", "standing"),
    [
        (True, 0, 0, {"force": 1.0}, "unknown"),
        (True, 0, 0, {"state": "running"}, "running"),
        (True, 0, 9, {"state": "running"}, "running"),
        (True, 0, 11, {"state": "running"}, "quiet"),
        (True, 0, 11, {"force": 1.0}, "quiet"),
        (True, 0, 11, {"state": "paused"}, "interrupted"),
        (True, 61, 61, {"state": "running"}, "stale"),
        (True, 0, 0, {"state": "running", "alarm": "E1"}, "fault"),
        (False, 0, 0, {"state": "running", "alarm": "E1"}, "offline"),
    ],
)
def test_how_a_machine_stands(
    online: bool, seen_s: int, changed_s: int, signals: dict[str, Any], standing: str
) -> None:
    hub = Hub(quiet_s=10, clock_ms=lambda: NOW_MS)
    values = {name: LiveValue(value, 192, NOW_MS - changed_s * 1000) for name, value in signals.items()}
    seen_ms, data_ms = NOW_MS - seen_s * 1000, NOW_MS - changed_s * 1000
    hub.update("a", online=online, seen_ms=seen_ms, data_ms=data_ms, signals=values)
    assert hub.status("a").standing == standing


async def test_a_screen_is_told_when_a_machine_falls_silent() -> None:
    now_ms = NOW_MS
    hub = Hub(quiet_s=10, clock_ms=lambda: now_ms)
    hub.update("a", online=True, seen_ms=now_ms, data_ms=now_ms, signals={"state": LiveValue("run", 192, now_ms)})
    listener = hub.listen(None)
    assert listener is not None
    assert [change.status.standing for change in await listener.changes(5.0)] == ["running"]
    for after_s, standing in ((11, "quiet"), (61, "stale")):
        now_ms = NOW_MS + after_s * 1000
        hub.sweep()
        hub.sweep()
        assert [change.status.standing for change in await listener.changes(5.0)] == [standing]


def test_a_machine_without_any_state_is_sound(
    viewer: TestClient, parts: Parts, announce: Callable[..., Announcement]
) -> None:
    with parts.sessions.begin() as db:
        learn(db, announce("press-01", kind="press", signals=[{"name": "force", "unit": "kN"}]))
        learn(db, announce("oven-01", state="heating", signals=[{"name": "heating", "datatype": "boolean"}]))
    now_ms = parts.hub._clock_ms()
    parts.hub.announce("oven-01", "oven", "heating")
    for asset, signals in (("press-01", {"force": 12.5}), ("oven-01", {"heating": True})):
        values = {name: LiveValue(value, 192, now_ms) for name, value in signals.items()}
        parts.hub.update(asset, online=True, seen_ms=now_ms, data_ms=now_ms, signals=values)
    told = {
        asset: [viewer.get(f"/api/v1/assets/{asset}").json()[name] for name in ("state_signal", "state", "standing")]
        for asset in ("press-01", "oven-01")
    }
    assert told == {"press-01": [None, None, "unknown"], "oven-01": ["heating", "true", "running"]}
