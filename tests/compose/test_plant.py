"""What an edge in a container does until its plant file is there and right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shopfloor.compose.plant import PAUSE_S, changes, problems

PLANT = """\
enterprise: acme
site: pune
areas:
  hall:
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
HOST = Path("./plant/plant.yaml")


def test_errors_name_the_file_as_the_host_knows_it(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    assert problems(file, HOST).startswith("there is no plant file: put yours at plant/plant.yaml on the host")
    file.write_text(PLANT.replace("kind:", "knid:"))
    assert problems(file, HOST).startswith("plant/plant.yaml:9: machines.press-1: unknown key 'knid'")
    file.write_text(PLANT)
    assert problems(file, HOST) == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_is_closed_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    assert "must be open to user" in problems(tmp_path / "plant.yaml", HOST)


def test_what_is_wrong_is_said_once_and_again_when_it_has_changed() -> None:
    looks = iter(["no file", "no file", "no file", "line 3", "line 3", ""])
    pauses: list[float] = []
    assert list(changes(lambda: next(looks), pauses.append)) == ["no file", "line 3"]
    assert pauses == [PAUSE_S] * 5


def test_it_becomes_the_command_as_soon_as_the_file_is_right(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    command = [sys.executable, "-m", "shopfloor.compose.plant", str(file), "--", "echo", "the edge"]
    environ = {**os.environ, "SHOPFLOOR_PLANT": "/srv/plant"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "put yours at /srv/plant/plant.yaml" in process.stderr.readline()
        assert "waiting for /srv/plant/plant.yaml" in process.stderr.readline()
        file.write_text(PLANT)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "the edge\n")


def test_without_a_command_it_says_how_it_is_called() -> None:
    said = subprocess.run([sys.executable, "-m", "shopfloor.compose.plant", "x"], capture_output=True, check=False)
    assert said.returncode == 2
