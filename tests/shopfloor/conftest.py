from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

SHOPFLOOR = Path(sys.executable).with_name("shopfloor")


@pytest.fixture
def free_ports() -> int:
    """A port of 127.0.0.1 that is free together with the nine behind it (a demo takes several in a row)."""
    for port in random.sample(range(20000, 32000, 10), 200):
        with ExitStack() as stack:
            try:
                for each in range(port, port + 10):
                    stack.enter_context(socket.create_server(("127.0.0.1", each)))
            except OSError:
                continue
            return port
    raise AssertionError("no ten free ports in a row")


@pytest.fixture
def run(tmp_path: Path, free_ports: int) -> Any:
    """Run the command in a home and on a port of its own."""

    def call(*arguments: str | Path, timeout_s: float = 60, **environ: str) -> subprocess.CompletedProcess[str]:
        settings = {"SHOPFLOOR_HOME": str(tmp_path / "home"), "SHOPFLOOR_PORT": str(free_ports), **environ}
        return subprocess.run(
            [SHOPFLOOR, *arguments],
            env={**os.environ, "COLUMNS": "200", **settings},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd=tmp_path,
        )

    return call
