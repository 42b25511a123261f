"""What each image is built from: its lock file names all that its processes import, in the versions that are tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = {
    "edge-gateway": [
        "contract",
        "spool",
        "vibration",
        "edge",
        "gateway",
        "shopfloor.compose.provision",
    ],
    "simulators": ["simulators"],
    "cloud": ["contract", "vibration", "cloud", "shopfloor.backup", "shopfloor.compose.influx"],
}
"""By image: packages (of which every module is imported) and modules."""
FOLDERS = {"edge-gateway": {"cloud", "simulators"}, "simulators": {"cloud", "edge"}, "cloud": {"gateway", "simulators"}}
"""By image: packages of ours that are not in it."""

IMAGE = """
import importlib, pkgutil, sys
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions

absent, installed = (set(each.split(",")) for each in sys.argv[1:3])
for package, names in packages_distributions().items():
    if not {name.lower().replace("_", "-").replace(".", "-") for name in names} & {*installed, "shopfloor"}:
        absent.add(package)

class Image:
    finders = tuple(sys.meta_path)
    find_distributions = staticmethod(PathFinder.find_distributions)

    def find_spec(self, name, *where):
        if name.partition(".")[0] not in absent:
            return next(filter(None, (finder.find_spec(name, *where) for finder in self.finders)), None)

sys.meta_path[:] = [Image()]
"""
"""Make Python find what an image has of packages (sys.argv[1]: those of ours that it has not, [2]: its lock file's)."""
IMPORT_ALL = """
for name in sys.argv[3:]:
    module = importlib.import_module(name)
    for each in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}."):
        if ".migrations." not in each.name:  # Alembic runs them
            importlib.import_module(each.name)
"""


def test_what_the_images_copy_is_not_ignored() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    copied = {source.partition("/")[0] for line in lines for source in line.split()[:-1]}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied <= let_in


def pinned(lock: str) -> dict[str, str]:
    """Return the versions that a lock file names."""
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def in_image(image: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the packages that an image has."""
    given = (",".join(FOLDERS[image]), ",".join(pinned(f"requirements-{image}.lock")), *arguments)
    command = (sys.executable, "-c", IMAGE + program, *given)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("image", PROCESSES)
def test_the_processes_of_an_image_import_nothing_that_its_lock_file_does_not_name(image: str) -> None:
    done = in_image(image, IMPORT_ALL, *PROCESSES[image])
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("image", ["edge-gateway", "cloud"])
def test_an_image_has_what_the_commands_need_that_it_lists(image: str) -> None:
    done = in_image(image, "from shopfloor.commands import command_names, load; [*map(load, command_names())]")
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_backup_where_the_cloud_is_not_says_what_to_do() -> None:
    backup = "sys.argv[:] = ['shopfloor', 'backup', '-']; from shopfloor.__main__ import main; main()"
    done = in_image("edge-gateway", backup)
    assert done.returncode == 2
    assert "shopfloor[cloud]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("image", PROCESSES)
def test_an_image_has_the_versions_that_the_tests_run_with(image: str) -> None:
    tested, built = pinned("requirements.lock"), pinned(f"requirements-{image}.lock")
    assert {name: tested.get(name) for name in built} == built


def test_no_database_and_no_web_server_is_beside_a_machine() -> None:
    assert not {"duckdb", "pyarrow", "sqlalchemy", "fastapi", "uvicorn"} & set(pinned("requirements-edge-gateway.lock"))


def test_no_machine_s_protocol_is_in_the_cloud() -> None:
    assert not {"asyncua", "pymodbus", "python-snap7", "jmespath"} & set(pinned("requirements-cloud.lock"))
