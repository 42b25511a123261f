"""What `shopfloor demo` says when it cannot start."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any


def test_demo_with_a_port_in_use(run: Any, free_ports: int) -> None:
    with socket.create_server(("127.0.0.1", free_ports + 1)):
        done = run("demo", "--no-console")
    assert done.returncode == 2
    assert f"port {free_ports + 1} (MQTT broker) on 127.0.0.1 is in use" in done.stderr
    assert f"SHOPFLOOR_PORT={free_ports + 100} shopfloor demo" in done.stderr


def test_demo_with_a_home_that_cannot_be(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("demo", "--no-console", SHOPFLOOR_HOME=str(tmp_path / "file" / "home"))
    assert done.returncode == 2
    assert "SHOPFLOOR_HOME" in done.stderr
