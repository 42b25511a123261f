"""Lists of tags in and out, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

PLANT = """\
enterprise: demo
site: here
areas:
  hall:
    lines:
      line1:
        machines:
          pump-01:
            driver: modbus
            address: modbus://127.0.0.1
            signals:
              running: {register: coil/0}   # of the motor
              pressure: {register: holding/9}
"""
LIST = "name;register;scale\npressure;40101;0,1\nlevel;tank 7;\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plant.yaml").write_text(PLANT)
    (tmp_path / "list.csv").write_text(LIST)
    return tmp_path


def machines(folder: Path) -> Any:
    return yaml.safe_load((folder / "plant.yaml").read_text())["areas"]["hall"]["lines"]["line1"]["machines"]


def test_a_list_is_shown_and_what_is_left_is_told(run: Any, folder: Path) -> None:
    done = run("tags", "import", "list.csv", "--driver", "modbus")
    assert done.returncode == 0
    assert "register: holding/100, scale: 0.1" in done.stdout
    assert "1 signal taken, 1 left; --into plant.yaml" in done.stdout
    assert "left: line 3: level: register: 'tank 7' is no register" in done.stderr
    assert (folder / "plant.yaml").read_text() == PLANT
    found = json.loads(run("tags", "import", "list.csv", "--driver", "modbus", "--json").stdout)
    assert found["signals"] == {"pressure": {"register": "holding/100", "scale": 0.1}}
    assert [each["line"] for each in found["left"]] == [3]


def test_a_list_is_written_into_a_machine_and_comes_out_equal(run: Any, folder: Path) -> None:
    done = run("tags", "import", "list.csv", "-d", "modbus", "--into", "plant.yaml", "--machine", "pump-01")
    assert done.returncode == 0, done.stderr
    assert machines(folder)["pump-01"]["signals"]["pressure"] == {"register": "holding/100", "scale": 0.1}
    assert "# of the motor" in (folder / "plant.yaml").read_text()
    for name in ("out.csv", "out.xlsx"):
        assert run("tags", "export", "plant.yaml", "--to", name).returncode == 0
        found = json.loads(run("tags", "import", name, "-d", "modbus", "--json").stdout)
        assert (found["signals"], found["left"]) == (machines(folder)["pump-01"]["signals"], [])


def test_a_new_machine_is_made(run: Any, folder: Path) -> None:
    into = ("tags", "import", "list.csv", "-d", "modbus", "--into", "plant.yaml", "--machine", "pump-02")
    done = run(*into, "--line", "hall/line1")
    assert (done.returncode, "a new one needs --address" in done.stderr) == (2, True)
    assert run(*into, "--address", "modbus://127.0.0.2").returncode == 0
    assert machines(folder)["pump-02"]["address"] == "modbus://127.0.0.2"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("import", "nothing.csv", "-d", "modbus"), 2, "nothing.csv cannot be read: No such file"),
        (("import", "list.csv", "-d", "modbsu"), 2, "did you mean 'modbus'?"),
        (("import", "list.csv", "-d", "modbus", "--format", "l5y"), 2, "did you mean 'l5x'?"),
        (("import", "plant.yaml", "-d", "modbus"), 2, "a table needs a column `name`"),
        (
            ("import", "list.csv", "-d", "s7", "--into", "plant.yaml", "--machine", "pump-01"),
            4,
            "has the driver modbus",
        ),
        (("import", "list.csv", "-d", "modbus", "--into", "plant.yaml"), 2, "--machine ID"),
        (("export", "plant.yaml", "--to", "x.ods"), 2, "a list is .csv or .xlsx"),
        (("export", "plant.yaml", "--to", "x.csv", "--machine", "pump"), 4, "did you mean pump-01?"),
    ],
)
def test_what_is_wrong_is_said(run: Any, folder: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = run("tags", *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert (folder / "plant.yaml").read_text() == PLANT
