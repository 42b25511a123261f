"""The command line from outside: what it prints, and the exit codes of docs/cli.md."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def test_version(run: Any) -> None:
    done = run("version", "--json")
    assert done.returncode == 0
    assert set(json.loads(done.stdout)) == {"shopfloor", "python"}
    assert run("version").stdout.startswith("shopfloor ")


def test_help_names_every_command(run: Any) -> None:
    done = run("--help")
    assert all(command in done.stdout for command in ("demo", "check", "browse", "watch", "query", "version", "chaos"))


def test_a_command_is_not_kept_waiting_by_the_parts_of_another(run: Any) -> None:
    loaded = run("query", "last", PYTHONPROFILEIMPORTTIME="1").stderr
    assert set(re.findall(r"shopfloor\.commands\.(\w+)", loaded)) == {"query"}
    parts = ("edge.", "contract.mqtt", "asyncua", "simulators.machine", "shopfloor.chaos")
    assert not any(part in loaded for part in parts)


def test_a_query_without_a_plant_says_how_to_start_one(run: Any, tmp_path: Path) -> None:
    done = run("query", "last")
    assert done.returncode == 4
    assert "cli-token" in done.stderr
    assert "SHOPFLOOR_HOME" in done.stderr


def test_a_query_to_a_plant_that_is_stopped(run: Any, tmp_path: Path) -> None:
    _give_token(tmp_path)
    done = run("query", "last", "--json")
    assert done.returncode == 3
    error = json.loads(done.stderr)
    assert "nothing answers at http://127.0.0.1:" in error["error"]
    assert "shopfloor demo" in error["hint"]


@contextmanager
def answering(port: int, status: int, body: bytes, kind: str = "application/json") -> Iterator[list[str]]:
    """Some other program that speaks HTTP on the port of the plant."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "exit_code", "words"),
    [
        (200, b"<html>a router</html>", 3, "does not answer as it should"),
        (404, b'{"title": "Not Found", "detail": "no asset \'x\'"}', 4, "no asset 'x'"),
        (401, b'{"title": "Unauthorized"}', 4, "SHOPFLOOR_HOME"),
        (403, b"", 4, "403"),
        (503, b'{"detail": "the store is full"}', 3, "the store is full"),
    ],
)
def test_answers_that_are_none(
    run: Any, tmp_path: Path, free_ports: int, status: int, body: bytes, exit_code: int, words: str
) -> None:
    _give_token(tmp_path)
    with answering(free_ports, status, body):
        done = run("query", "last")
    assert done.returncode == exit_code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_port(run: Any) -> None:
    done = run("query", "last", SHOPFLOOR_PORT="http")
    assert done.returncode == 2
    assert "SHOPFLOOR_PORT is 'http'" in done.stderr


def test_a_wrong_option_is_a_usage_error(run: Any) -> None:
    assert run("query", "history", "cnc-01", "speed", "--points", "0").returncode == 2
    assert run("query", "lost").returncode == 2


def _give_token(tmp_path: Path) -> None:
    (tmp_path / "home" / "secrets").mkdir(parents=True)
    (tmp_path / "home" / "secrets" / "cli-token").write_text("a token of some other plant")
