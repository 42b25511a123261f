"""The plant file is changed from afar: its comments stay, and it is right or as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from edge.apply import ApplyError, apply, read_machines
from edge.config import load_plant
from edge.entry import Place

PLACE = Place("demo", "here", "hall", "line1")
PLANT = """\
# the plant of here
enterprise: demo
site: here
areas:
  hall:
    lines:
      line1:
        machines:
          # what came first
          cnc-01:   # the old mill
            driver: opcua
            address: opc.tcp://127.0.0.1:4840   # at the door
            security: none
            signals:
              # measured
              speed: {node: "ns=2;s=Speed", unit: rpm}  # of the spindle
              load: {node: 'ns=2;s=Load'}

          # a robot
          robot-01:
            driver: opcua
            address: opc.tcp://127.0.0.1:4841
            security: none
            signals: {angle: {node: "ns=2;s=A"}}  # in degrees
      # the other line
      line2:
        machines:
          cnc-02: {driver: opcua, address: "opc.tcp://127.0.0.1:4842", security: none, signals: {a: {node: "ns=2;s=A"}}}
# the end
"""
ROBOT = {
    "driver": "opcua",
    "address": "opc.tcp://127.0.0.1:4850",
    "security": "none",
    "names": {"en": "on"},
    "signals": {"on": {"node": "ns=2;s=On", "low": 0, "high": 1.5}},
}


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    file = tmp_path / "plant.yaml"
    file.write_text(PLANT)
    return file


def change(file: Path, machine: str, entry: Any, place: Place = PLACE) -> list[tuple[str, str]]:
    """Change a machine; return the lines that went and that came."""
    before = file.read_text().splitlines()
    new = apply(file, place, machine, entry, hashlib.sha256(file.read_bytes()).hexdigest())
    assert new == hashlib.sha256(file.read_bytes()).hexdigest()
    load_plant(file)
    after = file.read_text().splitlines()
    gone = [("-", line.strip()) for line in before if line not in after]
    return gone + [("+", line.strip()) for line in after if line not in before]


def test_only_what_changes_is_written_and_every_comment_stays(plant: Path) -> None:
    entry = read_machines(plant, PLACE)["machines"]["cnc-01"]
    entry["address"] = "opc.tcp://127.0.0.1:4999"
    entry["signals"]["speed"]["unit"] = "1/min"
    assert change(plant, "cnc-01", entry) == [
        ("-", "address: opc.tcp://127.0.0.1:4840   # at the door"),
        ("-", 'speed: {node: "ns=2;s=Speed", unit: rpm}  # of the spindle'),
        ("+", "address: opc.tcp://127.0.0.1:4999   # at the door"),
        ("+", 'speed: {node: "ns=2;s=Speed", unit: 1/min} # of the spindle'),
    ]
    assert plant.with_name("plant.yaml.before").read_text() == PLANT
    assert plant.with_name("plant.yaml").stat().st_mode == plant.stat().st_mode


def test_the_same_entry_changes_nothing(plant: Path) -> None:
    for machine, entry in read_machines(plant, PLACE)["machines"].items():
        assert change(plant, machine, entry) == []
    assert plant.read_text() == PLANT


def test_a_machine_comes_and_goes(plant: Path) -> None:
    came = change(plant, "robot-02", ROBOT)
    assert {sign for sign, _ in came} == {"+"}
    assert ("+", 'en: "on"') in came  # a word, not true
    assert read_machines(plant, PLACE)["machines"]["robot-02"] == ROBOT
    assert {sign for sign, _ in change(plant, "robot-02", None)} == {"-"}
    assert plant.read_text() == PLANT
    gone = change(plant, "cnc-01", None)
    assert ("-", "# a robot") not in gone
    assert ("-", "# what came first") not in gone
    assert list(read_machines(plant, PLACE)["machines"]) == ["robot-01"]


def test_a_signal_goes_with_its_own_comment_alone(plant: Path) -> None:
    entry = read_machines(plant, PLACE)["machines"]["cnc-01"]
    del entry["signals"]["load"]
    assert change(plant, "cnc-01", entry) == [("-", "load: {node: 'ns=2;s=Load'}")]


def test_what_a_windows_editor_wrote_stays_so(plant: Path) -> None:
    plant.write_bytes(b"\xef\xbb\xbf" + PLANT.replace("\n", "\r\n").encode())
    entry = read_machines(plant, PLACE)["machines"]["cnc-01"] | {"names": {"zh": "铣床"}}
    assert {sign for sign, _ in change(plant, "cnc-01", entry)} == {"+"}
    content = plant.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\n") == content.count(b"\r\n")


@pytest.mark.parametrize(
    ("machine", "entry", "why"),
    [
        ("robot-02", {**ROBOT, "driver": "opcau"}, "opcau"),
        ("robot-02", {**ROBOT, "signals": {}}, "no signals"),
        ("cnc-02", ROBOT, "ids are unique"),
        ("Robot 2", ROBOT, "Robot 2"),
        ("robot-02", "song", "machines.robot-02"),
        ("robot-02", {**ROBOT, "user": "x", "password_file": "secrets/cloud-token"}, "named at the edge"),
        ("cnc-01", {**ROBOT, "security": {"policy": "Basic256Sha256", "trust": "secrets/x"}}, "named at the edge"),
        ("robot-03", None, "there is no machine 'robot-03'"),
    ],
)
def test_what_would_not_be_right_is_refused(plant: Path, machine: str, entry: Any, why: str) -> None:
    with pytest.raises(ApplyError, match=why):
        change(plant, machine, entry)
    assert plant.read_text() == PLANT


def test_a_file_that_has_moved_is_refused_and_its_hash_told(plant: Path) -> None:
    based_on = read_machines(plant, PLACE)["sha256"]
    plant.write_text(PLANT + "# mine\n")
    with pytest.raises(ApplyError, match=hashlib.sha256(plant.read_bytes()).hexdigest()):
        apply(plant, PLACE, "cnc-01", None, based_on)
    assert plant.read_text() == PLANT + "# mine\n"


def test_a_way_of_writing_that_cannot_be_kept_is_refused(plant: Path) -> None:
    line2 = Place("demo", "here", "hall", "line2")
    text = PLANT.replace("          cnc-02: {", "          {cnc-02: {").replace("}}}\n# the end", "}}}}\n# the end")
    plant.write_text(text)
    with pytest.raises(ApplyError, match="by hand"):
        change(plant, "cnc-02", ROBOT, line2)
    assert plant.read_text() == text


def test_the_last_machine_of_a_line_stays(plant: Path) -> None:
    with pytest.raises(ApplyError):
        change(plant, "cnc-02", None, Place("demo", "here", "hall", "line2"))
    assert plant.read_text() == PLANT


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, plant: Path) -> None:
    plant.with_name(".plant.yaml.new").mkdir()
    with pytest.raises(ApplyError, match="cannot be written"):
        change(plant, "cnc-01", None)
    assert plant.read_text() == PLANT
