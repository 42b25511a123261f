"""`shopfloor connect` from an address to a plant file, and `shopfloor check --live` of what it wrote."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.config import load_plant
from tests.edge.conftest import unused_port
from tests.shopfloor.conftest import SHOPFLOOR

SERVER = """
import asyncio, sys
from tests.edge.conftest import machine_server

async def main():
    async with machine_server(int(sys.argv[1])):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an OPC UA server without security."""
    port = unused_port()
    command = [sys.executable, "-c", SERVER, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        yield port
        run.kill()


def test_a_machine_comes_into_a_new_plant_file_and_answers(run: Any, server: int, tmp_path: Path) -> None:
    done = run(
        "connect", f"127.0.0.1:{server}", "--all", "--as", "cnc-9", "--kind", "cnc",
        "--into", "plant.yaml", "--line", "hall/line1", "--yes",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "shopfloor check plant.yaml --live --machine cnc-9" in done.stdout
    assert "left out, as each is without a single value" in done.stderr
    [line] = load_plant(tmp_path / "plant.yaml").lines
    assert list(line.machines["cnc-9"].signals) == ["speed", "load", "count", "state", "running"]
    assert not any(signal.writable for signal in line.machines["cnc-9"].signals.values())
    assert run("check", "plant.yaml").returncode == 0
    live = run("check", "plant.yaml", "--live")
    assert live.returncode == 0, live.stdout + live.stderr
    assert "1 machine: 1 well, 0 not" in live.stdout
    [seen] = json.loads(run("check", "plant.yaml", "--live", "--json").stdout)["machines"]
    assert {each["signal"]: each["value"] for each in seen["signals"]}["speed"] == 1000.0
    again = run("connect", f"127.0.0.1:{server}", "--all", "--as", "cnc-9", "--into", "plant.yaml",
                "--line", "hall/line1", "--yes")  # fmt: skip
    assert again.returncode == 4
    assert "has a machine 'cnc-9' already" in again.stderr


def test_what_is_bad_is_said_for_each_signal_and_ends_with_1(run: Any, server: int, tmp_path: Path) -> None:
    run("connect", f"127.0.0.1:{server}", "--tags", "*/Speed", "--tags", "*/State", "--as", "cnc-9",
        "--into", "plant.yaml", "--line", "hall/line1", "--yes")  # fmt: skip
    file = tmp_path / "plant.yaml"
    file.write_text(file.read_text().replace("Machine/State", "Machine/Stale"))
    done = run("check", "plant.yaml", "--live")
    assert done.returncode == 1
    assert "does not exist" in done.stdout
    assert "1 machine: 0 well, 1 not" in done.stdout
    done = run("check", "plant.yaml", "--live", "--machine", "cnc-8")
    assert done.returncode == 4
    assert "did you mean cnc-9?" in done.stderr


def test_without_a_terminal_it_shows_what_there_is_and_how_to_go_on(run: Any, server: int) -> None:
    done = run("connect", f"127.0.0.1:{server}")
    assert done.returncode == 0
    assert f"1. opc.tcp://127.0.0.1:{server}: an OPC UA server" in done.stdout
    assert "Machine/Speed" in done.stdout
    assert done.stdout.endswith(f"To go on: shopfloor connect 127.0.0.1:{server} --tags '*'\n")
    done = run("connect", f"127.0.0.1:{server}", "--tags", "*/Speed")
    assert "speed: {node: nsu=urn:test:machine;s=Machine/Speed, datatype: double}" in done.stdout
    assert "--into plant.yaml --line hall/line1 --yes" in done.stdout
    told = json.loads(run("connect", f"127.0.0.1:{server}", "--tags", "*/Speed", "--json").stdout)
    assert [each["driver"] for each in told["found"]] == ["opcua"]
    assert told["entry"]["signals"] == {"speed": {"node": "nsu=urn:test:machine;s=Machine/Speed", "datatype": "double"}}
    assert told["next"].startswith("shopfloor connect ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("127.0.0.1:{free}",), 3, "refuses port {free}"),
        (("no-such-machine.invalid",), 3, "no computer of the name"),
        (("a b",), 2, "is no address"),
        (("127.0.0.1:{server}", "--driver", "opcu"), 2, "did you mean 'opcua'?"),
        (("127.0.0.1:{server}", "--driver", "mqtt"), 3, "there is an OPC UA server"),
        (("http://127.0.0.1:{server}",), 4, "it is an OPC UA server"),
        (("127.0.0.1:{server}", "--tags", "*/Sped"), 4, "no tag fits '*/Sped'"),
        (("127.0.0.1:{server}", "--path", "Nothing/*"), 4, "shows no tags at 'Nothing/*'"),
        (("127.0.0.1:{server}", "-o", "sekurity=none"), 2, "unknown key 'sekurity'"),
        (("127.0.0.1:{server}", "-o", "security={{trust: no.der}}"), 2, "there is no file 'no.der'"),
        (("127.0.0.1:{server}", "--as", "CNC 9"), 2, "--as: "),
        (("127.0.0.1:{server}", "--line", "hall"), 2, "is no line"),
        (("127.0.0.1:{server}", "--into", "plant.yaml", "--yes", "--all"), 2, "--into needs --line"),
    ],
)
def test_wrong_turns_end_with_their_code_and_what_to_do(
    run: Any, server: int, free_ports: int, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ports = {"server": server, "free": free_ports}
    done = run("connect", *(word.format(**ports) for word in arguments))
    assert done.returncode == code, done.stdout + done.stderr
    assert said.format(**ports) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_without_a_login_says_what_is_missing(run: Any, nats_broker: Any) -> None:
    done = run("connect", f"127.0.0.1:{nats_broker.port}")
    assert done.returncode == 3
    assert "an MQTT broker that wants a log-in" in done.stdout
    assert "state user and password_file" in done.stderr


def test_on_a_terminal_it_asks_for_what_was_not_said(server: int, tmp_path: Path) -> None:
    answers = ("1-2 */State", "press-7", "press", "y", "mine.yaml", "hall/line1", "y")
    ours, theirs = pty.openpty()
    command = [SHOPFLOOR, "connect", f"127.0.0.1:{server}"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path) as process:
        os.close(theirs)
        os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
        said, end_s = b"", time.monotonic() + 60
        while b"Does it answer?" not in said and time.monotonic() < end_s:
            if select.select([ours], [], [], 1)[0]:
                said += os.read(ours, 1 << 16)
        assert process.wait(20) == 0, said.decode()
    os.close(ours)
    [line] = load_plant(tmp_path / "mine.yaml").lines
    assert {name: (machine.kind, list(machine.signals)) for name, machine in line.machines.items()} == {
        "press-7": ("press", ["speed", "load", "state"])
    }
