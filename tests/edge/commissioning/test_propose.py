"""Names, units and entries that are proposed, and how they come into a plant file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.model import Datatype
from edge.apply import BEFORE, ApplyError
from edge.commissioning.plant_file import as_yaml, write
from edge.commissioning.propose import ProposeError, machine_id, names, propose, unit_of
from edge.config import load_plant
from edge.driver import Tag
from edge.entry import Place

PLACE = Place("demo", "here", "hall", "line1")
SPEED = Tag("Machine/Spindle/Speed", "ns=2;s=Speed", Datatype.DOUBLE, 1200.5, unit="rpm", low=0.0, high=12_000.0)
STATE = Tag("Machine/State", "ns=2;s=State", Datatype.STRING, "idle # not a comment\nsecond")
TAGS = [SPEED, STATE]


def named(*paths: str) -> list[str]:
    return names([Tag(path, path) for path in paths])


def test_names_are_as_short_as_they_can_be_and_readable() -> None:
    assert named("M/Spindle/Speed", "M/State") == ["speed", "state"]
    assert named("M/Spindle/Power", "M/Energy/Power", "M/State") == ["spindle_power", "energy_power", "state"]
    assert named("A/X/Temp", "B/X/Temp", "A/Y/Temp") == ["a_x_temp", "b_x_temp", "y_temp"]
    assert named("M/FrontBearingTemperature", "M/PLCState") == ["front_bearing_temperature", "plc_state"]
    assert named("M/Oil/Value", "M/Air/Value") == ["oil_value", "air_value"]
    assert named("plant/温度", "plant/Druck 1 [bar]") == ["wen_du", "druck_1_bar"]
    assert named("holding/100", "coil/7") == ["holding_100", "coil_7"]
    assert named("a b", "a-b") == ["a_b", "a_b_2"]


def test_several_values_of_one_message_are_told_by_where_they_stand_in_it() -> None:
    message = [Tag("plant/robot", "joints[0].temperature"), Tag("plant/robot", "joints[1].temperature")]
    assert names(message) == ["joints_0_temperature", "joints_1_temperature"]
    assert names([Tag("plant/oven", "@")]) == ["oven"]


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=20, unique=True))
def test_any_paths_have_valid_and_distinct_names(paths: list[str]) -> None:
    found = named(*paths)
    assert len(set(found)) == len(paths)
    tags = [Tag(path, f"ns=2;s={index}", Datatype.DOUBLE, 1.0) for index, path in enumerate(paths)]
    try:
        entry = propose("opcua", "opc.tcp://127.0.0.1:4840", {}, tags, about="x\n# y: [").entry
    except ProposeError as error:
        assert "no tag of these can be a signal" in str(error)  # all lie below another
    else:
        as_yaml("m", entry)


@pytest.mark.parametrize(
    ("tag", "unit"),
    [
        (Tag("Oil/Pressure [bar]", ""), "bar"),
        (Tag("Oil/pressure_bar", ""), "bar"),
        (Tag("Spindle", "", description="speed of the spindle (rpm)"), "rpm"),
        (Tag("Oven/Temp_degC", ""), "°C"),
        (Tag("Axis/Status (ok)", ""), ""),
        (Tag("Axis/Position_X", ""), ""),
        (Tag("Station_A", ""), ""),
    ],
)
def test_a_unit_is_proposed_where_name_or_description_states_it(tag: Tag, unit: str) -> None:
    assert unit_of(tag) == unit


def test_an_entry_has_what_is_known_and_nothing_is_writable() -> None:
    found = propose("opcua", "opc.tcp://m:4840", {"security": "none"}, [*TAGS, Tag("Machine/Axes", "ns=2;s=Axes")])
    assert found.entry["signals"] == {
        "speed": {"node": "ns=2;s=Speed", "datatype": "double", "unit": "rpm", "low": 0.0, "high": 12_000.0},
        "state": {"node": "ns=2;s=State", "datatype": "string"},
    }
    assert found.entry["publish_s"] == 0.1
    assert list(found.left_out) == ["Machine/Axes"]
    text = as_yaml("m", found.entry)
    assert "# how often the server sends changes" in text
    assert "# Machine/Spindle/Speed: 1200.5" in text
    assert "# anyone on the network can read and change what passes" in text


def test_properties_of_a_tag_are_no_signals() -> None:
    unit = Tag("Machine/Spindle/Speed/EURange", "ns=2;s=r", Datatype.STRING, "0 to 1")
    found = propose("opcua", "opc.tcp://m:4840", {}, [*TAGS, unit])
    assert list(found.entry["signals"]) == ["speed", "state"]
    assert found.left_out == {unit.path: "a property of another one"}


def test_topics_and_devices_are_written_as_their_drivers_want_them() -> None:
    oven = [Tag("plant/oven", "t"), Tag("plant/oven", "door")]
    one = propose("mqtt", "mqtt://b:1883", {}, [Tag(t.path, t.address, Datatype.DOUBLE, 1.0) for t in oven]).entry
    assert one["topic"] == "plant/oven"
    assert {name: signal["path"] for name, signal in one["signals"].items()} == {"t": "t", "door": "door"}
    two = propose("mqtt", "mqtt://b:1883", {}, [Tag("plant/a", "@", value="x"), Tag("plant/b", "@", value="y")]).entry
    assert two["signals"] == {"a": {"topic": "plant/a"}, "b": {"topic": "plant/b"}}
    agent = [Tag("mill/S/speed", "s1", Datatype.DOUBLE, "1"), Tag("lathe/S/speed", "s2", Datatype.DOUBLE, "2")]
    with pytest.raises(ProposeError, match=r"of 2 devices \(lathe, mill\)"):
        propose("mtconnect", "http://a:5000", {}, agent)
    assert propose("mtconnect", "http://a:5000", {}, agent[:1]).entry["device"] == "mill"


def test_the_id_of_a_machine_is_the_last_level_that_all_tags_share() -> None:
    assert machine_id([Tag("Machines/cnc-01/Speed", ""), Tag("Machines/cnc-01/Axes/X", "")], "h") == "cnc-01"
    assert machine_id([Tag("a/x", ""), Tag("b/x", "")], "192.168.0.10") == "machine-192-168-0-10"


def test_an_entry_goes_into_a_new_file_and_beside_others(tmp_path: Path) -> None:
    file = tmp_path / "new" / "plant.yaml"
    entry = propose("opcua", "opc.tcp://m:4840", {}, TAGS, about="found by hand").entry
    write(file, PLACE, "cnc-1", entry)
    file.write_text(f"# ours\n{file.read_text()}")
    write(file, PLACE, "cnc-2", propose("opcua", "opc.tcp://m:4841", {}, TAGS).entry)
    write(file, Place("x", "y", "hall", "line2"), "cnc-3", propose("opcua", "opc.tcp://m:4842", {}, TAGS).entry)
    write(file, Place("x", "y", "annex", "line9"), "cnc-4", propose("opcua", "opc.tcp://m:4843", {}, TAGS).entry)
    plant = load_plant(file)
    assert (plant.enterprise, plant.site) == ("demo", "here")
    assert {str(line.place): list(line.machines) for line in plant.lines} == {
        "hall/line1": ["cnc-1", "cnc-2"],
        "hall/line2": ["cnc-3"],
        "annex/line9": ["cnc-4"],
    }
    assert "# ours" in file.read_text()
    assert "driver: opcua # found by hand" in file.read_text()
    assert file.with_name(file.name + BEFORE).exists()


def test_a_machine_that_is_there_is_replaced_only_when_that_is_wished(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    entry = propose("opcua", "opc.tcp://m:4840", {}, TAGS).entry
    write(file, PLACE, "cnc-1", entry)
    with pytest.raises(ApplyError, match="has a machine 'cnc-1' already"):
        write(file, PLACE, "cnc-1", entry)
    write(file, PLACE, "cnc-1", propose("opcua", "opc.tcp://other:4840", {}, TAGS).entry, replaces=True)
    assert load_plant(file).lines[0].machines["cnc-1"].address == "opc.tcp://other:4840"


def test_a_file_that_is_wrong_or_names_what_is_not_there_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    secured = propose("opcua", "opc.tcp://m:4840", {"security": {"trust": "no.der"}}, TAGS).entry
    with pytest.raises(ApplyError, match=r"no\.der"):
        write(file, PLACE, "cnc-1", secured)
    assert not file.exists()
    file.write_text("areas: [")
    with pytest.raises(ApplyError, match="cannot be changed"):
        write(file, PLACE, "cnc-1", secured)
    assert file.read_text() == "areas: ["
