"""The example in the help of `shopfloor browse` finds something in the simulated factory, and JSON is JSON alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from shopfloor.__main__ import app

SHOPFLOOR = Path(sys.executable).with_name("shopfloor")


@pytest.fixture
def factory(tmp_path: Path, free_ports: int) -> Iterator[dict[str, str]]:
    """A simulated factory that runs; its environment."""
    environ = {**os.environ, "SHOPFLOOR_HOME": str(tmp_path / "home"), "SHOPFLOOR_PORT": str(free_ports)}
    command = [SHOPFLOOR, "simulate", "--write-plant", "plant.yaml"]
    with subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        assert run.stderr is not None
        try:
            while b"the factory runs" not in (line := run.stderr.readline()):
                assert line, "it has ended"
            yield environ
        finally:
            run.terminate()


def test_the_example_of_the_help_finds_something(factory: dict[str, str], tmp_path: Path) -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    command = root.get_command(typer.Context(root), "browse")
    assert command is not None
    [path] = [option for option in command.params if option.name == "path"]
    pattern = re.findall(r"for example '(Machines[^']*)'", str(path.help))[0]  # type: ignore[attr-defined]
    done = browse(factory, tmp_path, pattern, "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["path"] for line in done.stdout.splitlines()]
    assert "Machines/cnc-01/Controller/Program" in found
    assert done.stderr == ""


def test_a_pattern_that_nothing_fits_is_refused_with_the_nearest_name(factory: dict[str, str], tmp_path: Path) -> None:
    done = browse(factory, tmp_path, "Machines/cnc-1/*")
    assert (done.returncode, done.stdout) == (4, "")
    assert "has nothing that fits 'Machines/cnc-1/*'" in done.stderr
    assert "did you mean Machines/cnc-01?" in done.stderr


@pytest.mark.parametrize(
    ("address", "driver", "said"),
    [
        ("foo://127.0.0.1", (), "it begins with http://, https://, "),
        ("http://127.0.0.1:1", (), "http://127.0.0.1:1: http and mtconnect have such addresses"),
        ("opc.tcp://127.0.0.1:1", ("--driver", "opcu"), "did you mean 'opcua'?"),
        ("opc.tcp://127.0.0.1:1", ("--driver", "mtconnect"), "'opc.tcp://127.0.0.1:1' is not the address of an agent"),
    ],
)
def test_a_driver_that_does_not_fit(address: str, driver: tuple[str, ...], said: str) -> None:
    done = subprocess.run([SHOPFLOOR, "browse", address, *driver], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def browse(environ: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    port = int(environ["SHOPFLOOR_PORT"]) + 3
    trust = "security={trust: simulators/opcua.der}"
    return subprocess.run(
        [SHOPFLOOR, "browse", f"opc.tcp://127.0.0.1:{port}", *arguments, "-o", trust],
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("address", ["192.168.0.10", "ftp://192.168.0.10", "opc.tpc://x:4840"])
def test_browse_of_what_is_no_address(run: Any, address: str) -> None:
    done = run("browse", address)
    assert done.returncode == 2
    assert "opc.tcp://" in done.stderr


@pytest.mark.parametrize("option", ["security", "security={", "securty=none"])
def test_browse_with_a_wrong_option(run: Any, option: str) -> None:
    done = run("browse", "opc.tcp://127.0.0.1:4840", "-o", option)
    assert done.returncode == 2
    assert "option" in done.stderr
    assert "Traceback" not in done.stderr


def test_browse_of_a_machine_that_is_not_there(run: Any, free_ports: int) -> None:
    done = run("browse", f"opc.tcp://127.0.0.1:{free_ports}", "-o", "security=none", "--json")
    assert done.returncode == 3
    assert f"127.0.0.1:{free_ports}" in json.loads(done.stderr.splitlines()[-1])["error"]


def test_browse_of_a_broker_that_is_not_there(run: Any, free_ports: int) -> None:
    done = run("browse", f"mqtt://127.0.0.1:{free_ports}", "-o", "timeout_s=1")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"shopfloor: mqtt://127.0.0.1:{free_ports}: nothing listens there. Is the broker on,")
    assert len(done.stderr.splitlines()) == 1  # and no line of a log
