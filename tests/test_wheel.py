"""What an installation gets: every module and file of the packages that run, and nothing of those who develop them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"contract", "spool", "vibration", "edge", "gateway", "cloud", "simulators", "shopfloor"}
NOT_READ = {"cloud/migrations/script.py.mako", "contract/sparkplug_b.proto"}
"""What other files are made from."""


@pytest.mark.timeout(180)
def test_the_wheel_holds_all_that_runs_and_nothing_else(tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    tree = {file for file in tracked if not file.startswith("cloud/console/")}
    for file in tree:
        copy = tmp_path / "tree" / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy)
    command = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", ".")
    subprocess.run([*command, "--wheel-dir", tmp_path], cwd=tmp_path / "tree", check=True)
    [wheel] = tmp_path.glob("*.whl")
    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {file for file in tree if file.partition("/")[0] in PACKAGES} - NOT_READ
