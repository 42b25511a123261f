"""The example in the help of `shopfloor browse` finds something in the simulated factory, and JSON is JSON alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
    [path] = [option for option in root.commands["browse"].params if option.name == "path"]
    pattern = re.findall(r"for example '(Machines[^']*)'", str(path.help))[0]  # type: ignore[attr-defined]
    port = int(factory["SHOPFLOOR_PORT"]) + 3
    trust = "security={trust: simulators/opcua.der}"
    done = subprocess.run(
        [SHOPFLOOR, "browse", f"opc.tcp://127.0.0.1:{port}", pattern, "-o", trust, "--json"],
        env=factory,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["path"] for line in done.stdout.splitlines()]
    assert "Machines/cnc-01/Controller/Program" in found
    assert done.stderr == ""
