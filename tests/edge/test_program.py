"""`python -m edge` as a user starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.birth import BD_SEQ
from contract.topics import Node

PLANT = """\
enterprise: demo
site: here
areas:
  machining:
    lines:
      line1:
        machines:
          cnc-01:
            kind: cnc
            names: {{en: Mill}}
            driver: opcua
            address: {url}
            security: none
            signals:
              speed: {{node: "nsu=urn:test:machine;s=Machine/Speed", unit: rpm, high: 12000}}
              state: {{node: "nsu=urn:test:machine;s=Machine/State"}}
"""
NODE = Node("demo:here:machining", "line1")


@pytest.fixture
def start_edge(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(plant: str, broker: Any) -> subprocess.Popen[bytes]:
        file = tmp_path / "plant.yaml"
        file.write_text(plant, encoding="utf-8")
        environment = os.environ | {
            "SHOPFLOOR_HOME": str(tmp_path / "home"),
            "SHOPFLOOR_MQTT_URL": broker.url,
            "SHOPFLOOR_MQTT_USER": broker.user,
            "SHOPFLOOR_MQTT_PASSWORD_FILE": str(broker.password_file),
        }
        with (tmp_path / "edge.log").open("ab") as log:
            started.append(subprocess.Popen([sys.executable, "-m", "edge", str(file)], env=environment, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def test_a_machine_is_heard_by_the_host(
    serve: Any, broker: Any, hosts: Any, start_edge: Any, tmp_path: Path
) -> None:
    machine = await serve()
    host = await hosts(broker)
    process = start_edge(PLANT.format(url=machine.url), broker)
    await host.wait_for("DDATA", device="cnc-01")

    birth = host.of("DBIRTH", device="cnc-01")[-1]
    assert birth.metric("Properties/Kind").value == "cnc"
    assert birth.metric("speed").properties["engUnit"].value == "rpm"
    assert birth.metric("state").value == "idle"
    await machine.write("Speed", 4321.0)
    await host.wait_for_value("cnc-01", 4321.0)
    await host.wait_for("NDATA")

    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 5) == 0
    death = (await host.wait_for("NDEATH"))[-1]
    assert death.metric(BD_SEQ).value == host.of("NBIRTH")[-1].metric(BD_SEQ).value
    assert "Traceback" not in (tmp_path / "edge.log").read_text()
