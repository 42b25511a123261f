"""Templates: a machine model once, many machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edge import apply
from edge.config import PlantFileError, parse_plant
from edge.entry import Place
from edge.schema import plant_schema

PLANT = """enterprise: e
site: s
templates:
  pump:
    parameters: {db: , unit: bar, poll: 2.50}
    driver: s7
    kind: pump
    poll_s: "{poll}"
    names: {en: "Pump {machine}"}
    signals:
      pressure: {address: "DB{db}.DBD0:REAL", unit: "{unit}", high: 10}
      state:
        address: DB{db}.DBW4:INT
        description: "{other} stays"
areas:
  a:
    lines:
      l:
        machines:
          pump-01: {template: pump, address: "s7://127.0.0.1", parameters: {db: 12}}
          pump-02:
            template: pump
            address: s7://127.0.0.2
            parameters: {db: 14, unit: mbar}
            signals:
              pressure: {high: 20, low: 1}
              extra: {address: "MW0:INT"}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PlantFileError) as error:
        parse_plant(text, Path("plant.yaml"))
    return [f"{each.line}: {each.where}: {each.text}" for each in error.value.problems]


def test_machines_take_over_and_override() -> None:
    one, two = parse_plant(PLANT, Path("plant.yaml")).lines[0].machines.values()
    said: Any = one
    assert (said.kind, said.poll_s, said.names["en"]) == ("pump", 2.5, "Pump pump-01")
    assert (said.signals["pressure"].address, said.signals["pressure"].unit) == ("DB12.DBD0:REAL", "bar")
    assert said.signals["state"].description == "{other} stays"
    other: Any = two
    assert list(other.signals) == ["pressure", "state", "extra"]
    pressure = other.signals["pressure"]
    assert (pressure.address, pressure.unit, pressure.low, pressure.high) == ("DB14.DBD0:REAL", "mbar", 1, 20)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("high: 10}", "hihg: 10}", "11: machines.pump-01.signals.pressure: unknown key 'hihg'; did you mean 'high'?"),
        ("DB{db}.DBW4:INT", "DBx{db}", "13: machines.pump-02.signals.state.address: 'DBx14' is no address"),
        ("low: 1}", "low: 30}", "26: machines.pump-02.signals.pressure: low (30) must be less than high (20)"),
        ("driver: s7", "driver: s9", "6: machines.pump-01: no driver 's9'; have: "),
        (
            "template: pump,",
            "template: pmup,",
            "20: machines.pump-01.template: no template 'pmup'; did you mean 'pump'",
        ),
        (
            "parameters: {db: 12}",
            "parameters: {dd: 12}",
            "the template 'pump' has no parameter 'dd'; did you mean 'db'",
        ),
        (", parameters: {db: 12}", "", "20: machines.pump-01.parameters: the template 'pump' wants the parameter 'db'"),
        ("parameters: {db: 12}", "parameters: 3", "20: machines.pump-01.parameters: must be a list of `key: value`"),
        ("parameters: {db: 12}", "parameters: {db: [1]}", "a parameter is a number or a text of 100"),
        ("kind: pump", "template: pump", "the template 'pump' names another one"),
        ("kind: pump", "kind: on", "7: machines.pump-01.kind: on is read as true by YAML"),
    ],
)
def test_an_error_is_told_where_it_stands(old: str, new: str, said: str) -> None:
    assert old in PLANT
    assert any(said in each for each in problems(PLANT.replace(old, new, 1))), problems(PLANT.replace(old, new, 1))


def test_what_is_taken_over_is_bounded() -> None:
    signals = "\n".join(f'      s{at}: {{address: "DB{{db}}.DBD{at}:REAL"}}' for at in range(1000))
    machines = "\n".join(
        f"          p{at}: {{template: pump, address: 's7://127.0.0.1', parameters: {{db: 1}}}}" for at in range(700)
    )
    text = PLANT.replace("    signals:\n", f"    signals:\n{signals}\n", 1) + machines
    assert any("take over more than 600000 keys and values of templates" in each for each in problems(text))


def test_editors_know_templates() -> None:
    jsonschema.validate(yaml.safe_load(PLANT), plant_schema())


def test_a_change_from_afar_keeps_the_template(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(PLANT)
    place = Place("e", "s", "a", "l")
    found = apply.read_machines(path, place)
    entry = found["machines"]["pump-02"]
    entry["parameters"]["db"] = 15
    apply.apply(path, place, "pump-02", entry, found["sha256"])
    said: Any = parse_plant(path.read_text(), path).lines[0].machines["pump-02"]
    assert said.signals["pressure"].address == "DB15.DBD0:REAL"
    assert path.read_text().count("template: pump") == 2

    found = apply.read_machines(path, place)
    with pytest.raises(apply.ApplyError, match="no template 'pmup'; did you mean 'pump'"):
        apply.apply(path, place, "pump-02", entry | {"template": "pmup"}, found["sha256"])


def test_a_file_that_a_template_names_is_not_shown_to_another_address(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    text = PLANT.replace("driver: s7", "driver: opcua\n    user: u\n    password_file: secret")
    text = text.replace('    poll_s: "{poll}"\n', "").replace("s7://", "opc.tcp://").replace("address: ", "node: ")
    text = text.replace("node: opc", "address: opc").replace('node: "opc', 'address: "opc')
    for old, new in (("DB{db}.DBD0:REAL", "ns=2;s={db}"), ("DB{db}.DBW4:INT", "ns=2;s={db}b"), ("MW0:INT", "ns=2;s=x")):
        text = text.replace(old, new)
    path = tmp_path / "plant.yaml"
    path.write_text(text)
    place = Place("e", "s", "a", "l")
    found = apply.read_machines(path, place)
    entry = found["machines"]["pump-01"]
    with pytest.raises(apply.ApplyError, match="gets another address at the edge alone"):
        apply.apply(path, place, "pump-01", entry | {"address": "opc.tcp://6.6.6.6"}, found["sha256"])
    with pytest.raises(apply.ApplyError, match="named at the edge, not from afar"):
        apply.apply(path, place, "pump-03", entry | {"address": "opc.tcp://6.6.6.6"}, found["sha256"])
