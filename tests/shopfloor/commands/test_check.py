"""What `shopfloor check` finds in a plant file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.drivers import driver_names

PLANT = """\
enterprise: demo
site: shanghai
areas:
  machining:
    lines:
      line1:
        machines:
          press-1:
            kind: press
            driver: mqtt
            address: mqtt://127.0.0.1:1883
            topic: machines/press-1
            signals:
              force: {path: force, unit: kN}
"""


def test_check_says_that_a_plant_file_is_right(run: Any, tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_text(PLANT)
    done = run("check", "plant.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "machining/line1: 1 machine, 1 signal\n" in done.stdout
    done = run("check", "plant.yaml", "--json")
    assert json.loads(done.stdout) == {
        "file": "plant.yaml",
        "ok": True,
        "lines": [{"line": "machining/line1", "machines": 1, "signals": 1}],
        "made_at_first_start": [],
    }


def test_check_names_file_line_and_what_was_meant_for_every_problem(run: Any, tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_text(PLANT.replace("unit:", "untit:").replace("kind:", "knid:"))
    done = run("check", "plant.yaml")
    assert done.returncode == 2
    assert "plant.yaml:9: machines.press-1: unknown key 'knid'; did you mean 'kind'?" in done.stderr
    assert "plant.yaml:14: machines.press-1.signals.force: unknown key 'untit'; did you mean 'unit'?" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("check", "plant.yaml", "--json")
    assert done.returncode == 2
    assert [problem["line"] for problem in json.loads(done.stdout)["problems"]] == [9, 14]


def test_a8_check_says_how_many_signals_a_machine_can_have(run: Any, tmp_path: Path) -> None:
    plant = yaml.safe_load(PLANT)
    [machine] = plant["areas"]["machining"]["lines"]["line1"]["machines"].values()
    machine["signals"] = {f"{n:0128}": {"path": "force"} for n in range(7000)}
    (tmp_path / "plant.yaml").write_text(yaml.safe_dump(plant))
    done = run("check", "plant.yaml")
    assert done.returncode == 2
    assert "machines.press-1: 7000 signals are too many: to announce them takes up to" in done.stderr
    assert "a message has at most 899900" in done.stderr
    assert json.loads(run("check", "plant.yaml", "--json").stdout)["ok"] is False


def test_g2_check_finds_files_that_are_not_there(run: Any, tmp_path: Path) -> None:
    with_user = "address: mqtt://127.0.0.1\n            user: edge\n            password_file: secrets/edge"
    (tmp_path / "plant.yaml").write_text(PLANT.replace("address: mqtt://127.0.0.1:1883", with_user))
    done = run("check", "plant.yaml")
    assert done.returncode == 2
    assert "plant.yaml:13: machines.press-1.password_file: there is no file 'secrets/edge'" in done.stderr
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "edge").write_text("a password")
    assert run("check", "plant.yaml").returncode == 0


def test_check_takes_files_that_the_demo_makes_for_there(run: Any, tmp_path: Path) -> None:
    with_user = "address: mqtt://127.0.0.1\n            user: edge\n            password_file: home/secrets/mqtt-edge"
    (tmp_path / "plant.yaml").write_text(PLANT.replace("address: mqtt://127.0.0.1:1883", with_user))
    done = run("check", "plant.yaml")
    assert done.returncode == 0, done.stderr
    assert "plant.yaml is right" in done.stdout
    assert done.stderr == "home/secrets/mqtt-edge is not there yet: the platform makes it at its first start\n"
    assert json.loads(run("check", "plant.yaml", "--json").stdout)["made_at_first_start"] == ["home/secrets/mqtt-edge"]
    elsewhere = run("check", "plant.yaml", SHOPFLOOR_HOME="other")
    assert elsewhere.returncode == 2
    assert "there is no file 'home/secrets/mqtt-edge'" in elsewhere.stderr


def test_where_the_platform_was_never_started_its_secrets_are_still_to_be_made(run: Any, tmp_path: Path) -> None:
    with_ca = "address: mqtts://127.0.0.1\n            ca_file: home/secrets/ca.pem"
    (tmp_path / "plant.yaml").write_text(PLANT.replace("address: mqtt://127.0.0.1:1883", with_ca))
    assert run("check", "plant.yaml").returncode == 0
    (tmp_path / "home" / "secrets").mkdir(parents=True)
    done = run("check", "plant.yaml")
    assert done.returncode == 2
    assert "there is no file 'home/secrets/ca.pem'" in done.stderr


def test_a_word_that_resembles_none_is_not_taken_for_one(run: Any, tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_text(PLANT.replace("unit: kN", "nope: kN, node: x"))
    done = run("check", "plant.yaml")
    assert done.returncode == 2
    assert "unknown key 'nope'; have: " in done.stderr


def test_check_of_an_unknown_driver_names_the_known_ones(run: Any, tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_text(PLANT.replace("driver: mqtt", "driver: mqqt"))
    done = run("check", "plant.yaml")
    assert done.returncode == 2
    assert f"no driver 'mqqt'; have: {', '.join(driver_names())}; did you mean 'mqtt'?" in done.stderr


@pytest.mark.parametrize("command", [("demo", "--plant"), ("check",)])
def test_a_plant_file_that_is_not_there(run: Any, command: tuple[str, ...]) -> None:
    done = run(*command, "no.yaml")
    assert done.returncode == 2
    assert "no.yaml: there is no such file" in done.stderr
    assert "Traceback" not in done.stderr
