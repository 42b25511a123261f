"""`python -m edge` as a user starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
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
STARTED_S = 30.0  # in which a process has started and is heard: a matter of the machine, not of the edge


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
    serve: Any, broker: Any, hosts: Any, start_edge: Any, tmp_path: Path, until: Any
) -> None:
    machine = await serve()
    host = await hosts(broker)
    process = start_edge(PLANT.format(url=machine.url), broker)
    await host.wait_for("DDATA", device="cnc-01")

    birth = host.of("DBIRTH", device="cnc-01")[-1]
    assert birth.metric("Properties/Kind").value == "cnc"
    assert birth.metric("speed").properties["engUnit"].value == "rpm"
    told = ("DBIRTH", "DDATA")
    await until(lambda: "idle" in [m.value for h in host.of(*told, device="cnc-01") for m in h.payload.metrics])
    await machine.write("Speed", 4321.0)
    await host.wait_for_value("cnc-01", 4321.0)
    await host.wait_for("NDATA")

    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 5) == 0
    death = (await host.wait_for("NDEATH"))[-1]
    assert death.metric(BD_SEQ).value == host.of("NBIRTH")[-1].metric(BD_SEQ).value
    assert "Traceback" not in (tmp_path / "edge.log").read_text()


async def test_what_was_under_way_at_a_death_is_read_from_the_history(
    serve: Any, nats_broker: Any, hosts: Any, start_edge: Any, until: Any
) -> None:
    machine = await serve()
    nodes = [machine.nodes["Speed"], machine.nodes["State"]]
    await machine.server.historize_node_data_change(nodes, period=None, count=100)
    host = await hosts(nats_broker)
    process = start_edge(PLANT.format(url=machine.url), nats_broker)
    await until(lambda: "idle" in host.values("cnc-01"), STARTED_S)
    said = datetime.now(UTC)
    await machine.write("Speed", 1.0, time=datetime.now(UTC))
    await host.wait_for_value("cnc-01", 1.0)
    # with the next two signs of life the edge has kept until when it heard the machine
    await host.wait_for("NDATA", count=len(host.of("NDATA")) + 2)
    process.send_signal(signal.SIGSTOP)
    await machine.write("State", "cutting", time=said)
    await machine.write("State", "idle", time=said + timedelta(milliseconds=1))
    process.kill()
    await asyncio.to_thread(process.wait, 5)
    start_edge(PLANT.format(url=machine.url), nats_broker)

    def past() -> list[Any]:
        said = [m.value for heard in host.of("DDATA") for m in heard.payload.metrics if m.is_historical]
        return [value for value in said if isinstance(value, str)]

    # what was said before may come once more
    await until(lambda: past()[-2:] == ["cutting", "idle"], STARTED_S)
