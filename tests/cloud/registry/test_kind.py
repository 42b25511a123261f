"""Kinds of machines, as their files have them."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cloud.registry import kind
from cloud.registry.kind import ANY, KINDS, kind_of

ICONS = Path(kind.__file__).parents[1] / "console" / "src" / "components" / "icons.ts"


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_names_in_both_languages_and_an_icon_that_the_console_draws(name: str) -> None:
    known = KINDS[name]
    assert known.names.keys() == {"en", "zh"}
    assert f'  {known.icon}: "' in ICONS.read_text()
    assert {
        word for words in known.states.values() for word, names in words.items() if set(names) != {"en", "zh"}
    } == set()


@pytest.mark.parametrize("name", KINDS)
def test_no_word_of_a_state_means_two_things(name: str) -> None:
    words = [word for each in KINDS[name].states.values() for word in each]
    assert sorted(words) == sorted(set(words))
    assert KINDS[name].fault_states <= set(words)


@pytest.mark.parametrize(
    ("kind", "signals", "found"),
    [
        ("cnc", "part_count:int64 power:double feed_rate:double spindle_speed:double x:double",
         "spindle_speed feed_rate power part_count"),
        ("cnc", "Spindle/Speed:double execution:string", "Spindle/Speed"),
        ("press", "joint1_temperature:double joint2_temperature:double", "joint1_temperature"),  # one of each family
        ("press", "a:double b:double door_open:boolean c:float d:int32 e:double", "a b c d"),
        ("meter", "voltage_l1:double power:double energy:double power_factor:double frequency:double",
         "power power_factor energy voltage_l1"),
        ("meter", "", ""),
    ],
)  # fmt: skip
def test_the_few_numbers_to_look_at_first(kind: str, signals: str, found: str) -> None:
    announced = [(name, datatype) for name, datatype in (each.split(":") for each in signals.split())]
    assert kind_of(kind).key_signals_of(announced) == found.split()


def test_the_api_tells_how_to_draw_a_kind_and_what_its_words_mean(viewer: TestClient) -> None:
    told = viewer.get("/api/v1/kinds").json()
    assert told["kinds"].keys() == KINDS.keys()
    assert told["any"]["icon"] == ANY.icon
    cnc = told["kinds"]["cnc"]
    assert (cnc["icon"], cnc["names"]["zh"]) == ("cnc", "数控机床")
    assert cnc["states"]["feed_hold"] == {"condition": "interrupted", "names": {"en": "Feed hold", "zh": "进给保持"}}
    asset = viewer.get("/api/v1/assets/cnc-01").json()
    assert asset["key_signals"] == ["spindle_speed", "feed"]
    assert asset["conditions"].keys() == cnc["states"].keys()


def test_a_word_of_a_kind_means_what_its_own_file_says() -> None:
    common = {"running": {"busy": {}}, "stopped": {"off": {}}}
    assert kind._merged(common, {"ready": {"off": {}}}) == {
        "running": {"busy": {}},
        "stopped": {},
        "ready": {"off": {}},
    }
