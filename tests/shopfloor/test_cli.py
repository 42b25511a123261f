"""The command line from outside: what it prints, and the exit codes of docs/cli.md."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.drivers import driver_names

SHOPFLOOR = Path(sys.executable).with_name("shopfloor")
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


def test_version(run: Any) -> None:
    done = run("version", "--json")
    assert done.returncode == 0
    assert set(json.loads(done.stdout)) == {"shopfloor", "python"}
    assert run("version").stdout.startswith("shopfloor ")


def test_help_names_every_command(run: Any) -> None:
    done = run("--help")
    assert all(command in done.stdout for command in ("demo", "check", "browse", "watch", "query", "version", "chaos"))


def test_a_command_is_not_kept_waiting_by_the_parts_of_another(run: Any) -> None:
    loaded = run("--version", PYTHONPROFILEIMPORTTIME="1").stderr
    assert "shopfloor.query" in loaded
    parts = ("edge.", "contract.mqtt", "asyncua", "simulators.machine", "shopfloor.chaos")
    assert not any(part in loaded for part in parts)


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


def test_a_wrong_option_is_a_usage_error(run: Any) -> None:
    assert run("query", "history", "cnc-01", "speed", "--points", "0").returncode == 2
    assert run("query", "lost").returncode == 2


def _give_token(tmp_path: Path) -> None:
    (tmp_path / "home" / "secrets").mkdir(parents=True)
    (tmp_path / "home" / "secrets" / "cli-token").write_text("a token of some other plant")
