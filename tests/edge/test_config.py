from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

import edge.drivers
from edge.config import PlantFileError, load_plant, parse_plant
from edge.drivers import UnknownDriverError, driver_names, load
from edge.schema import plant_schema

DRIVERS = ", ".join(driver_names())

GOOD = """\
enterprise: demo
site: shanghai
areas:
  machining:
    names: {en: Machining workshop, zh: 机加工车间}
    lines:
      line1:
        machines:
          cnc-01:
            kind: cnc
            driver: opcua
            address: opc.tcp://127.0.0.1:4840
            security: none
            period_s: 0.5
            signals:
              speed: {node: "nsu=urn:x;s=Speed", unit: rpm, low: 0, high: 12000, deadband: 1, period_s: 0.1}
              state: {node: "ns=2;i=7", datatype: string}
  assembly:
    lines:
      line1:
        machines:
          robots:
            kind: robot
            driver: mqtt
            address: mqtt://127.0.0.1:1883
            topic: "factory/{asset}/telemetry"
            signals:
              temperature: {path: "joints[0].temperature", unit: °C}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PlantFileError) as caught:
        parse_plant(text, Path("plant.yaml"))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("events: true", "events: must be a list of `key: value`, not True"),
        ("blocks: {v: {rate: r, rate_hz: 5}}", "blocks.v: state `rate_hz` or `rate`, not both"),
        ("blocks: {v: {rate_hz: 5, scale: 0}}", "blocks.v.scale: 0 makes each value 0"),
        (
            "detectors: [{kind: limit, name: hot, signal: temperature, high: 3, block: c}]",
            "detectors.0.block: no sensor 'c'; there is none under `blocks:`",
        ),
    ],
)
def test_what_cannot_be_is_said_in_the_words_of_the_file(options: str, said: str) -> None:
    assert [line.partition("machines.robots.")[2] for line in problems(f"{GOOD}            {options}\n")] == [said]


def test_a_good_file() -> None:
    plant = parse_plant(GOOD, Path("plant.yaml"))
    first, second = plant.lines
    assert (plant.enterprise, plant.site) == ("demo", "shanghai")
    assert str(first.place) == "machining/line1"
    assert first.node == ("demo:shanghai:machining", "line1")
    asset = first.machines["cnc-01"].asset(first.place, "cnc-01")
    assert asset.kind == "cnc"
    assert [(s.name, s.unit, s.period_s, s.deadband) for s in asset.signals] == [
        ("speed", "rpm", 0.1, 1.0),
        ("state", "", 0.5, 0.0),
    ]
    assert second.machines["robots"].asset_ids("robots") == []
    assert [str(line.place) for line in plant.select(["assembly/line1"])] == ["assembly/line1"]


def test_a_machine_may_tell_events_or_blocks_alone() -> None:
    signals = GOOD[GOOD.rindex("            signals:") :]
    for told in ("events: {alarm: {}}", "blocks: {x: {rate_hz: 100}}"):
        text = GOOD.replace(signals, f"            {told}\n")
        machine = parse_plant(text, Path("plant.yaml")).lines[1].machines["robots"]
        assert machine.asset_ids("robots") == []
        assert jsonschema_rs.validator_for(plant_schema()).is_valid(yaml.safe_load(text))
    assert "no signals" in problems(GOOD.replace(signals, ""))[0]


def test_all_problems_at_once_with_their_lines() -> None:
    text = (
        GOOD.replace("unit: rpm", "untit: rpm")
        .replace("driver: mqtt", "driver: mqt")
        .replace("period_s: 0.5", "perod_s: 0.5")
        .replace("enterprise: demo", "enterprise: Demo")
    )
    assert problems(text) == [
        "plant.yaml:1: enterprise: 'Demo' is not an id: "
        "use 1 to 63 of a-z, 0-9, - and _, the first a letter or a digit",
        "plant.yaml:14: machines.cnc-01: unknown key 'perod_s'; did you mean 'period_s'?",
        "plant.yaml:16: machines.cnc-01.signals.speed: unknown key 'untit'; did you mean 'unit'?",
        f"plant.yaml:24: machines.robots: no driver 'mqt'; have: {DRIVERS}; did you mean 'mqtt'?",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("s=Speed", "Speed", "16: machines.cnc-01.signals.speed.node: 'nsu=urn:x;Speed' is not a node id: write"),
        ("low: 0", "low: 20000", "signals.speed: low (20000) must be less than high (12000)"),
        ("unit: rpm", "unit: rpm, unit: x", "the key 'unit' stands here twice (first on line 16)"),
        ("period_s: 0.1", "period_s: fast", "signals.speed.period_s: must be a valid number"),
        ("datatype: string", "datatype: strng", "unknown value 'strng'; did you mean 'string'?"),
        ("datatype: string", "datatype: string, deadband: 2", "a string has no deadband"),
        ("security: none", "security: Basic256Sha255", "did you mean 'Basic256Sha256'?"),
        ("security: none", "security: {polcy: x}", "unknown key 'polcy'; did you mean 'policy'?"),
        ("security: none", "user: me", "user and password_file belong together"),
        ("opc.tcp://127.0.0.1:4840", "127.0.0.1", "is not an OPC UA address: write opc.tcp://host:port"),
        ("mqtt://127.0.0.1:1883", "http://x", "is not an MQTT address"),
        ("factory/{asset}/telemetry", "factory/{aset}/telemetry", "'{aset}'"),
        ("factory/{asset}/telemetry", "factory/#/x", "'#' can only be the last level"),
        ("joints[0].temperature", "joints[0.temperature", "is not a JMESPath expression"),
        ("kind: cnc", "kind: CNC", "'CNC' is not a kind"),
        ("robots:\n", "cnc-01:\n", "a machine 'cnc-01' stands on line 9 already"),
        ("speed:", "sp eed:", "'sp eed' is not a signal name"),
        ("speed:", "speed.quality:", "names that end in .quality"),
        ("driver: opcua", "kid: opcua", "missing key 'driver'"),
        ("    lines:", "    lins:", "unknown key 'lins'; did you mean 'lines'?"),
    ],
)
def test_each_problem_says_what_was_meant(before: str, after: str, said: str) -> None:
    assert before in GOOD
    found = problems(GOOD.replace(before, after, 1))
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "plant.yaml:1: a plant file begins with"),
        ("a: b: c", "plant.yaml:1: this line cannot have a second `key: value`"),
        ("a:\n\t- b", "plant.yaml:2: a tab stands where YAML wants spaces"),
        ("a: [1, 2", "plant.yaml:1: this is not YAML"),
        ("- a", "plant.yaml:1: a plant file begins with"),
        ("a: &a [*a]", "plant.yaml:1: more than 32 levels deep"),
        ("enterprise: demo\nsite: s\nareas:\n", "plant.yaml:3: areas: is empty"),
        ("enterprise: demo\nareas: {}", "plant.yaml:1: missing key 'site'"),
        ("a: 2020-13-45", "plant.yaml:1: unknown key 'a'"),
    ],
)
def test_what_is_not_a_plant_file(text: str, said: str) -> None:
    assert any(line.startswith(said) for line in problems(text)), problems(text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PlantFileError, match="there is no such file"):
        load_plant(tmp_path / "plant.yaml")


def test_an_unknown_line() -> None:
    with pytest.raises(PlantFileError, match="no line 'machining/line'; did you mean 'machining/line1'"):
        parse_plant(GOOD, Path("plant.yaml")).select(["machining/line"])


def test_words_that_yaml_would_change() -> None:
    plant = parse_plant(GOOD.replace("kind: cnc", "names: {no: Fres, en: 5}").replace("speed:", "on:"), Path("p"))
    machine = plant.lines[0].machines["cnc-01"]
    assert machine.names == {"no": "Fres", "en": "5"}
    assert "on" in machine.signals


def test_the_folder_is_the_registry() -> None:
    files = {path.stem for path in Path(edge.drivers.__file__).parent.iterdir()}
    assert driver_names() == sorted(name for name in files if not name.startswith("_"))
    with pytest.raises(UnknownDriverError, match=f"no driver 'modbsu'; have: {DRIVERS}"):
        load("modbsu")


def test_the_program_says_it_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text(GOOD.replace("unit: rpm", "untit: rpm"), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "edge", str(file)], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == f"{file}:16: machines.cnc-01.signals.speed: unknown key 'untit'; did you mean 'unit'?\n"


def test_the_schema_for_editors_accepts_what_the_program_accepts() -> None:
    check = jsonschema_rs.validator_for(plant_schema())
    assert list(check.iter_errors(yaml.safe_load(GOOD))) == []
    for before, after in (
        ("unit: rpm", "untit: rpm"),
        ("driver: mqtt", "driver: mqt"),
        ("datatype: string", "datatype: s"),
    ):
        assert not check.is_valid(yaml.safe_load(GOOD.replace(before, after)))


def test_a6_a_driver_that_fails_when_it_is_imported_is_a_problem_of_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hasty.py").write_text("raise LookupError('no license')")
    monkeypatch.setattr(edge.drivers, "__path__", [*edge.drivers.__path__, str(tmp_path)])
    with pytest.raises(PlantFileError) as caught:
        parse_plant(GOOD.replace("driver: opcua", "driver: hasty"), tmp_path / "plant.yaml")
    [problem] = caught.value.problems
    assert (problem.line, problem.where) == (11, "machines.cnc-01")
    assert problem.text == "the driver 'hasty' cannot be imported: LookupError: no license"
