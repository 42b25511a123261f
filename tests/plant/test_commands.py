"""Commands from the API to a machine and back: cloud, gateway, edge, a real broker, a real OPC UA server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from contract.broker import Broker
from tests.cloud.chain.bring import block, event
from tests.edge.conftest import MachineServer, machine_server, unused_port
from tests.gateway.wire import FakeStore, wait_for
from tests.plant.test_events import CLI, CLOUD, ON_NATS, Plant, login, store

__all__ = ["login", "store"]

LINE = "demo:shanghai:machining/line1"
NODE = "shanghai-machining-line1"
"""The edge node itself, as an asset."""
PLANT = """\
enterprise: demo
site: shanghai
areas:
  machining:
    lines:
      line1:
        machines:
          cnc-01:   # the mill
            driver: opcua
            address: {url}
            security: none
            signals:
              speed: {{node: "nsu=urn:test:machine;s=Machine/Speed", writable: true, low: 0, high: 12000, unit: rpm}}
              state: {{node: "nsu=urn:test:machine;s=Machine/State"}}
"""


class Chain(Plant):
    """The three programs between the API and a machine."""

    def start_edge(self, url: str) -> None:
        (self.folder / "plant.yaml").write_text(PLANT.format(url=url))
        environ = {
            "SHOPFLOOR_HOME": str(self.folder / "home"),
            "SHOPFLOOR_MQTT_URL": self.login.url,
            "SHOPFLOOR_MQTT_USER": str(self.login.user),
            "SHOPFLOOR_MQTT_PASSWORD_FILE": str(self.login.password_file),
        }
        with (self.folder / "edge.log").open("ab") as log:
            self.processes["edge"] = subprocess.Popen(
                [sys.executable, "-m", "edge", str(self.folder / "plant.yaml")],
                env=os.environ | environ,
                stdout=log,
                stderr=log,
            )

    def send(self, asset: str, body: Any) -> Any:
        """Send a wish; return the command, or the problem."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/assets/{asset}/commands",
            orjson.dumps({"expires_s": 20} | body),
            {"Authorization": f"Bearer {CLI}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return orjson.loads(answer.read())
        except urllib.error.HTTPError as error:
            return orjson.loads(error.read())

    def ended(self, id_: str) -> Any:
        """Return a command that has ended, by a reply or without one."""
        told = {}
        for _ in range(20):
            told = self.get(f"/commands/{id_}?wait_s=4")
            if told["state"] not in ("queued", "sent"):
                return told
        raise AssertionError(told)

    def ask(self, asset: str, body: Any) -> Any:
        return self.ended(self.send(asset, body)["id"])

    def shopfloor(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line at this plant."""
        token = self.folder / "home" / "secrets" / "cli-token"
        token.parent.mkdir(exist_ok=True)
        token.write_text(CLI)
        environ = {"SHOPFLOOR_HOME": str(self.folder / "home"), "SHOPFLOOR_PORT": str(self.port), "COLUMNS": "200"}
        command = [sys.executable, "-m", "shopfloor", *arguments]
        return subprocess.run(
            command, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=False
        )

    def tell(self, *lines: dict[str, Any]) -> None:
        """Say something to the cloud, as the gateway does."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/chain",
            b"\n".join(map(orjson.dumps, lines)),
            {"Authorization": f"Bearer {CLOUD}", "Content-Type": "application/x-ndjson"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert orjson.loads(answer.read()) == {"refused": []}

    def knows(self, asset: str) -> bool:
        try:
            return bool(self.get(f"/assets/{asset}")["signals"])
        except OSError:
            return False


@pytest.fixture
async def machine() -> AsyncIterator[MachineServer]:
    async with machine_server(unused_port()) as server:
        yield server


@pytest.fixture
async def chain(
    tmp_path: Path,
    login: Broker,
    store: FakeStore,
    machine: MachineServer,
) -> AsyncIterator[Chain]:
    chain = Chain(tmp_path, login, store)
    chain.start("cloud")
    chain.start("gateway")
    chain.start_edge(machine.url)
    await asyncio.to_thread(wait_for, lambda: chain.knows("cnc-01"), 60)
    yield chain
    for process in chain.processes.values():
        process.kill()
        process.wait()


def speed(value: float) -> dict[str, Any]:
    return {"verb": "write", "signal": "speed", "value": value}


def steps(told: Any) -> list[tuple[str, str, str]]:
    return [(step["step"], step["by"], step["outcome"]) for step in told["steps"]]


@ON_NATS
async def test_a_signal_is_written_from_the_api_and_read_back(chain: Chain, machine: MachineServer) -> None:
    told = await asyncio.to_thread(chain.ask, "cnc-01", speed(4321))
    assert (told["state"], told["value"]) == ("done", 4321.0)
    assert await machine.nodes["Speed"].read_value() == 4321.0
    assert steps(told) == [("queued", "command-line", ""), ("sent", "gateway", ""), ("replied", LINE, "done")]
    assert [each["id"] for each in (await asyncio.to_thread(chain.get, "/commands"))["commands"]] == [told["id"]]


@ON_NATS
async def test_what_must_not_be_is_refused_with_a_reason(chain: Chain, machine: MachineServer) -> None:
    assert (await asyncio.to_thread(chain.send, "cnc-99", speed(1)))["code"] == "unknown_asset"
    for fields, why in (({"signal": "state", "value": "x"}, "not writable"), ({}, "0 to 12000 rpm")):
        told = await asyncio.to_thread(chain.ask, "cnc-01", speed(12001) | fields)
        assert (told["state"], why in told["reason"]) == ("refused", True), told
    assert await machine.nodes["Speed"].read_value() == 1000.0


@ON_NATS
async def test_a_command_expires_where_it_cannot_go_on(chain: Chain, machine: MachineServer) -> None:
    chain.kill("gateway")
    lost = await asyncio.to_thread(chain.send, "cnc-01", speed(1) | {"expires_s": 0.5})
    assert (await asyncio.to_thread(chain.ended, lost["id"]))["state"] == "expired"
    waits = await asyncio.to_thread(chain.send, "cnc-01", speed(2) | {"expires_s": 60})
    chain.start("gateway")
    assert (await asyncio.to_thread(chain.ended, waits["id"]))["state"] == "done"
    chain.kill("edge")
    told = await asyncio.to_thread(chain.ask, "cnc-01", speed(3))
    assert (told["state"], "not online" in told["reason"]) == ("failed", True), told
    assert await machine.nodes["Speed"].read_value() == 2.0


@ON_NATS
async def test_a_plant_entry_is_looked_at_and_changed_from_the_api(chain: Chain) -> None:
    looked = (await asyncio.to_thread(chain.ask, NODE, {"verb": "browse"}))["result"]
    entry = looked["machines"]["cnc-01"] | {"kind": "cnc"}
    change = {"verb": "apply", "based_on": looked["sha256"], "machine": "cnc-01", "entry": entry}
    assert (await asyncio.to_thread(chain.ask, NODE, change))["state"] == "done"
    text = (chain.folder / "plant.yaml").read_text()
    assert "# the mill" in text
    assert "kind: cnc" in text
    assert (await asyncio.to_thread(chain.ask, NODE, change))["state"] == "refused"
    tags = (await asyncio.to_thread(chain.ask, "cnc-01", {"verb": "browse", "path": "Machine/*"}))["result"]["tags"]
    assert {"Machine/Speed", "Machine/Count"} <= {tag["path"] for tag in tags}


@ON_NATS
async def test_a_signal_is_written_from_the_command_line(chain: Chain, machine: MachineServer) -> None:
    def write(*arguments: str) -> tuple[int, str]:
        done = chain.shopfloor("write", "cnc-01", *arguments)
        return done.returncode, done.stdout + done.stderr

    assert await asyncio.to_thread(write, "speed", "4321") == (0, "cnc-01 speed 4321 rpm\n")
    code, said = await asyncio.to_thread(write, "speed", "-5")
    assert (code, "out of its range, from 0 to 12000 rpm" in said) == (4, True)
    code, said = await asyncio.to_thread(write, "spede", "5")
    assert (code, "did you mean speed?" in said) == (4, True)
    chain.kill("gateway")
    code, said = await asyncio.to_thread(write, "speed", "5", "--expires", "0.5")
    assert (code, "expired" in said) == (3, True)
    listed = await asyncio.to_thread(chain.shopfloor, "commands", "cnc-01", "--json")
    assert [orjson.loads(line)["state"] for line in listed.stdout.splitlines()] == ["expired", "refused", "done"]
    assert "write speed 4321" in (await asyncio.to_thread(chain.shopfloor, "commands")).stdout
    assert await machine.nodes["Speed"].read_value() == 4321.0


@ON_NATS
async def test_what_happened_is_read_from_the_command_line(chain: Chain) -> None:
    def read(*arguments: str) -> tuple[int, str]:
        done = chain.shopfloor(*arguments)
        return done.returncode, done.stdout + done.stderr

    chain.tell(
        event("e1", name="Part finished", values={"serial": "A-7"}),
        event("e2", 1.0, name="Coolant low", condition="coolant", state="active", severity=700, texts={"en": "Fill"}),
        block("b1", [1.0, 2.0], sensor="spindle"),
    )
    code, said = await asyncio.to_thread(read, "events", "cnc-01")
    assert (code, "serial=A-7" in said, "Coolant low: Fill" in said) == (0, True, True)
    code, said = await asyncio.to_thread(read, "events", "--active", "--severity", "700", "--json")
    assert [orjson.loads(line)["name"] for line in said.splitlines()] == ["Coolant low"]
    assert await asyncio.to_thread(read, "events", "--start", "2027-01-01") == (0, "no events\n")
    code, said = await asyncio.to_thread(read, "blocks", "--sensor", "spindle")
    assert (code, "b1" in said) == (0, True)
    code, said = await asyncio.to_thread(read, "blocks", "cnc-01", "--send")
    assert (code, "name one asset, and --sensor" in said) == (2, True)
    code, said = await asyncio.to_thread(read, "blocks", "cnc-01", "--sensor", "spindle", "--send")
    assert (code, "no block of 'spindle' is held" in said) == (1, True)
    code, said = await asyncio.to_thread(read, "blocks", "cnc-01", "--sensor", "spindel", "--send")
    assert (code, "did you mean spindle?" in said) == (1, True)
