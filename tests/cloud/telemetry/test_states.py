"""The states of a machine, whatever tells them; a machine without any has none, and that is no error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from cloud.telemetry.states import States

T = 1_795_420_800
RANGE = "start=2026-11-23T08:00:00Z&end=2026-11-23T09:00:00Z"


@pytest.fixture
def machine(parts: Parts, client: TestClient, announce: Callable[..., Announcement]) -> Callable[..., None]:
    """Register press-01 with one signal."""

    def machine(name: str, datatype: str, *, state: str = "") -> None:
        with parts.sessions.begin() as db:
            learn(db, announce("press-01", kind="press", state=state, signals=[{"name": name, "datatype": datatype}]))

    return machine


def lines(end: str, **said: str) -> str:
    """Return samples of press-01: `s60='"on"'` is 60 s after eight."""
    head = f"press{end},site=shanghai,area=machining,line=line1,asset=press-01"
    at = {key: int(key[1:].replace("_", "-")) for key in said}
    return "".join(f"{head} {value} {(T + at[key]) * 10**9}\n" for key, value in said.items())


def states(viewer: TestClient) -> list[tuple[str, str, str]]:
    answer = viewer.get(f"/api/v1/telemetry/states?asset=press-01&{RANGE}")
    assert answer.status_code == 200, answer.text
    body = States.model_validate(answer.json())
    return [*zip([time[11:19] for time in body.time], map(str, body.state), body.condition, strict=True)]


def test_a_machine_without_state_or_without_values_has_no_states(viewer: TestClient, machine: Any) -> None:
    machine("force", "double")
    assert states(viewer) == []
    history = viewer.get(f"/api/v1/telemetry/history?asset=press-01&signal=force&points=10&{RANGE}")
    assert (history.status_code, [series["time"] for series in history.json()["series"]]) == (200, [[]])
    machine("state", "string")
    assert states(viewer) == []
    missing = viewer.get(f"/api/v1/telemetry/states?asset=nothing&{RANGE}")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_asset")


def test_the_state_that_holds_at_the_start_comes_first_then_each_change(
    viewer: TestClient, machine: Any, write: Callable[[str], None]
) -> None:
    machine("Status", "string")
    said = {"s_7200": "idle", "s_600": "Execute", "s_60": "Execute", "s60": "Execute", "s120": "Held", "s180": "Held"}
    write(lines("_text", **{at: f'Status="{word}"' for at, word in said.items()}))
    assert states(viewer) == [("07:50:00", "Execute", "running"), ("08:02:00", "Held", "interrupted")]


@pytest.mark.parametrize(
    ("datatype", "end", "said", "found"),
    [
        ("boolean", "_bool", {"s0": "busy=true", "s60": "busy=false"}, [("true", "running"), ("false", "stopped")]),
        ("int32", "", {"s0": "busy=3", "s60": "busy=4"}, [("3", "unknown"), ("4", "unknown")]),
    ],
)
def test_a_plant_file_may_name_any_signal_as_the_state(
    viewer: TestClient, machine: Any, write: Callable[[str], None], datatype: str, end: str, said: Any, found: Any
) -> None:
    machine("busy", datatype, state="busy")
    write(lines(end, **said))
    assert [(state, condition) for _, state, condition in states(viewer)] == found


def test_a_state_with_very_many_samples_is_shown_in_buckets(
    viewer: TestClient, machine: Any, write: Callable[[str], None]
) -> None:
    machine("busy", "boolean", state="busy")
    head = "press_bool,site=shanghai,area=machining,line=line1,asset=press-01"
    many = [f"{head} busy={'true' if n < 60_000 else 'false'} {T * 10**9 + n * 50_000_000}" for n in range(110_000)]
    for first in range(0, len(many), 10_000):
        write("\n".join(many[first : first + 10_000]))
    assert [(state, condition) for _, state, condition in states(viewer)][-2:] == [
        ("true", "running"),
        ("false", "stopped"),
    ]


def vouch(node_of: Callable[[str], None], write: Callable[[str], None], heard: dict[int, float]) -> None:
    """Let the edge node of press-01 say, s after eight, for how long it has not heard of it."""
    node_of("Health/press-01/silent_s")
    head = "node,site=shanghai,area=machining,line=line1,asset=line1"
    write("".join(f"{head} Health/press-01/silent_s={age_s} {(T + at) * 10**9}\n" for at, age_s in heard.items()))


@pytest.fixture
def node_of(parts: Parts, announce: Callable[..., Announcement]) -> Callable[[str], None]:
    """Register the edge node of press-01, with a signal."""

    def node_of(signal: str) -> None:
        with parts.sessions.begin() as db:
            learn(db, announce("line1", kind="node", signals=[{"name": signal, "datatype": "double"}]))

    return node_of


def test_a_state_is_not_carried_over_a_time_in_which_the_edge_was_off(
    viewer: TestClient, machine: Any, write: Callable[[str], None], node_of: Any
) -> None:
    machine("state", "string")
    write(lines("_text", s_60='state="ACTIVE"'))
    on = [*range(-60, 600, 5), *range(1020, 3600, 5)]  # off for seven minutes
    vouch(node_of, write, dict.fromkeys(on, 0.0))
    assert states(viewer) == [
        ("07:59:00", "ACTIVE", "running"),
        ("08:09:55", "None", "unknown"),
        ("08:17:00", "ACTIVE", "running"),
    ]


def test_a_machine_that_is_silent_is_in_no_state_while_its_edge_runs_on(
    viewer: TestClient, machine: Any, write: Callable[[str], None], node_of: Any
) -> None:
    machine("state", "string")
    write(lines("_text", s0='state="ACTIVE"', s900='state="ACTIVE"'))
    vouch(node_of, write, {at: float(max(0, at - 300)) if at < 900 else 0.0 for at in range(0, 3600, 5)})
    assert states(viewer)[:3] == [
        ("08:00:00", "ACTIVE", "running"),
        ("08:05:00", "None", "unknown"),
        ("08:15:00", "ACTIVE", "running"),
    ]


def test_what_a_machine_recorded_while_the_edge_was_off_is_known(
    viewer: TestClient, machine: Any, write: Callable[[str], None], node_of: Any, parts: Parts, announce: Any
) -> None:
    signals = [{"name": "state", "datatype": "string"}, {"name": "force", "datatype": "double"}]
    with parts.sessions.begin() as db:
        learn(db, announce("press-01", kind="press", signals=signals))
    write(lines("_text", s0='state="ACTIVE"', s300='state="READY"'))
    write(lines("", **{f"s{at}": f"force={at}" for at in range(0, 1200, 10)}))
    vouch(node_of, write, dict.fromkeys([*range(0, 60, 5), *range(1200, 3600, 5)], 0.0))
    assert states(viewer)[:2] == [("08:00:00", "ACTIVE", "running"), ("08:05:00", "READY", "ready")]


def test_a_value_that_its_source_calls_bad_or_stale_tells_no_state(
    viewer: TestClient, machine: Any, write: Callable[[str], None]
) -> None:
    machine("state", "string")
    write(lines("_text", s0='state="ACTIVE"', s60='state="ACTIVE",state.quality=500i'))
    assert states(viewer) == [("08:00:00", "ACTIVE", "running"), ("08:01:00", "None", "unknown")]
