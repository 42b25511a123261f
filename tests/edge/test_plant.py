"""A plant file that changes while its machines run: the difference is applied, and nothing else is touched."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

import edge.drivers
from contract.broker import Broker
from contract.command import Apply, Browse
from contract.event import EVENT, read_event
from edge.config import load_plant
from edge.entry import Context
from edge.line import LineService
from edge.plant import PlantService
from tests.edge.test_contain import mtconnect, told
from tests.edge.test_guard import Edge as Process

PLUGINS = Path(__file__).with_name("plugins")
NOTICED_S = 3.0
"""Within two seconds a change is noticed; the third is the machine's that tests."""

Lines = dict[str, dict[str, Any]]


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A driver more, whose `close` may hang."""
    monkeypatch.setattr(edge.drivers, "__path__", [*edge.drivers.__path__, str(PLUGINS)])
    module = importlib.import_module("edge.drivers.faulty")
    module.IS_HEALED.clear()
    yield module
    module.IS_HEALED.set()


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


class Edge:
    """All lines of a plant file, as the program serves them."""

    def __init__(self, folder: Path, broker: Any, lines: Lines) -> None:
        self.file = folder / "plant.yaml"
        self.write(lines)
        account = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
        context = Context(folder / "home", folder)
        self.plant = PlantService(load_plant(self.file), [])
        self.plant.make = lambda line: LineService(line, context, account, self.plant.berths, 1 << 28, plant=self.plant)
        self.running = asyncio.create_task(self.plant.run())

    def write(self, lines: Lines, site: str = "here", head: str = "") -> None:
        entries = {line: {"machines": machines} for line, machines in lines.items()}
        plant = {"enterprise": "demo", "site": site, "areas": {"hall": {"lines": entries}}}
        self.file.write_text(head + yaml.safe_dump(plant, sort_keys=False))

    async def stop(self) -> None:
        self.plant.stop()
        assert await self.running == 0


@pytest.fixture
async def edges(tmp_path: Path) -> AsyncIterator[Callable[..., Edge]]:
    """Start edges that end with the test: `edges(broker, {"line1": {"cnc-01": {…}}})`."""
    started: list[Edge] = []

    def start(broker: Any, lines: Lines) -> Edge:
        started.append(Edge(tmp_path, broker, lines))
        return started[-1]

    yield start
    for each in started:
        await each.stop()


def opcua(server: Any, **signals: Any) -> dict[str, Any]:
    nodes = {name: {"node": f"nsu=urn:test:machine;s=Machine/{name.title()}"} | each for name, each in signals.items()}
    return {"driver": "opcua", "address": server.url, "security": "none", "signals": nodes}


async def test_a_changed_machine_restarts_alone(
    serve: Any, observe: Any, nats_broker: Any, hosts: Any, edges: Any, until: Any
) -> None:
    host, neighbor, agent = await hosts(nats_broker), await serve(), await observe()
    still = opcua(neighbor, speed={})
    service = edges(nats_broker, {"line1": {"cnc-01": mtconnect(agent.url, program={}), "cnc-02": still}})
    await until(lambda: host.of("DBIRTH", device="cnc-01") and 1000.0 in born(host, "cnc-02", "speed"))
    deaths = len(host.of("DDEATH", device="cnc-02"))
    connections = list(neighbor.server.bserver.clients)
    epoch = service.plant._services["hall/line1"][0]._spool.epoch

    said: list[float] = []

    async def speak() -> None:
        for n in range(150):  # 50 Hz for three seconds
            said.append(2000.0 + n)
            await neighbor.write("Speed", said[-1])
            await asyncio.sleep(0.02)

    speaking = asyncio.create_task(speak())
    await until(lambda: len(said) > 10)
    service.write({"line1": {"cnc-01": mtconnect(agent.url, program={"description": "NC"}), "cnc-02": still}})
    changed_s = time.monotonic()
    await until(lambda: "NC" in described(host, "cnc-01", "program"), NOTICED_S)
    assert time.monotonic() - changed_s < NOTICED_S
    await agent.say("program", "O77")
    await host.wait_for_value("cnc-01", "O77")
    await speaking
    await host.wait_for_value("cnc-02", said[-1])
    assert [value for value in host.values("cnc-02") if value in said] == said
    assert [*map(id, neighbor.server.bserver.clients)] == [*map(id, connections)]
    assert len(host.of("DDEATH", device="cnc-02")) == deaths
    assert service.plant._services["hall/line1"][0]._spool.epoch == epoch
    await until(lambda: told(host, "Health/plant_file") == service.plant.file.sha256[:12])


def born(host: Any, device: str, signal: str) -> list[Any]:
    births = host.of("DBIRTH", device=device)
    return [metric.value for birth in births for metric in birth.payload.metrics if metric.name == signal]


def described(host: Any, device: str, signal: str) -> list[Any]:
    found = [m for birth in host.of("DBIRTH", device=device) for m in birth.payload.metrics if m.name == signal]
    return [metric.properties["description"].value for metric in found if "description" in metric.properties]


async def test_machines_and_lines_come_and_go(
    observe: Any, nats_broker: Any, hosts: Any, edges: Any, until: Any
) -> None:
    host, first, second = await hosts(nats_broker), await observe(), await observe()
    one, two = mtconnect(first.url, program={}), mtconnect(second.url, program={})
    service = edges(nats_broker, {"line1": {"cnc-01": one}})
    await until(lambda: host.of("DDATA", "DBIRTH", device="cnc-01"))

    service.write({"line1": {"cnc-01": one, "cnc-02": two}, "line2": {"cnc-03": two}})
    assert await service.plant.follow() == {"started": ["cnc-02", "cnc-03"], "stopped": [], "changed": []}
    await second.say("program", "O2")
    await until(lambda: all("O2" in heard(host, name) for name in ("cnc-02", "cnc-03")))
    await until(lambda: told(host, "Health/cnc-02/connected"))

    service.write({"line1": {"cnc-01": one, "mill": two}})
    assert await service.plant.follow() == {"started": ["mill"], "stopped": ["cnc-02", "cnc-03"], "changed": []}
    await second.say("program", "O3")
    await until(lambda: "O3" in heard(host, "mill"))
    await host.wait_for("DDEATH", device="cnc-02")
    await until(lambda: [each.topic.node.edge_node for each in host.of("NDEATH")] == ["line2"])
    births = len(host.of("NBIRTH"))
    host.ask_for_rebirth(host.of("NBIRTH")[0].topic.node)
    await host.wait_for("NBIRTH", count=births + 1)
    since = host.heard.index(host.of("NBIRTH")[births])
    await until(lambda: {each.device for each in host.heard[since:] if each.kind == "DBIRTH"} == {"cnc-01", "mill"})
    assert "Health/cnc-02/connected" not in [metric.name for metric in host.of("NBIRTH")[-1].payload.metrics]

    service.write({"line1": {"cnc-01": one, "mill": two}, "line2": {"cnc-03": two}})  # its spool is free again
    await service.plant.follow()
    await second.say("program", "O4")
    await until(lambda: "O4" in heard(host, "cnc-03"))


def heard(host: Any, device: str) -> list[Any]:
    return [m.value for each in host.of("DBIRTH", "DDATA", device=device) for m in each.payload.metrics]


async def test_conditions_end_with_their_machine_and_outlive_a_change(
    serve: Any, nats_broker: Any, hosts: Any, edges: Any, until: Any
) -> None:
    host, server = await hosts(nats_broker), await serve()
    limit = {"kind": "limit", "name": "fast", "signal": "speed", "high": 500.0}
    one, two = opcua(server, speed={}) | {"detectors": [limit]}, opcua(server, load={})
    service = edges(nats_broker, {"line1": {"cnc-01": one, "cnc-02": two}})
    await until(lambda: conditions(host, "cnc-01") == ["active"])
    service.write({"line1": {"cnc-01": one | {"kind": "cnc"}, "cnc-02": two}})
    await service.plant.follow()
    await until(lambda: "cnc" in born(host, "cnc-01", "Properties/Kind"))
    await server.write("Speed", 2000.0)
    await host.wait_for_value("cnc-01", 2000.0)
    assert conditions(host, "cnc-01") == ["active"]

    service.write({"line1": {"cnc-02": two}})
    await service.plant.follow()
    await until(lambda: conditions(host, "cnc-01") == ["active", "cleared"])


def conditions(host: Any, device: str) -> list[str]:
    told = [m for each in host.of("DDATA", device=device) for m in each.payload.metrics if m.name == EVENT]
    return [read_event(metric.value, device).state for metric in told]


async def test_what_waits_for_the_end_of_its_period_is_sent_before_the_machine_is_let_go(
    observe: Any, nats_broker: Any, hosts: Any, edges: Any, until: Any
) -> None:
    host, agent = await hosts(nats_broker), await observe()
    slow = mtconnect(agent.url, program={"period_s": 3600}, mode={})
    service = edges(nats_broker, {"line1": {"cnc-01": slow, "cnc-02": mtconnect(agent.url, mode={})}})
    await until(lambda: host.of("DBIRTH", device="cnc-01"))
    for word in ("O1", "O2"):
        await agent.say("program", word)
        await agent.say("mode", word)
        await host.wait_for_value("cnc-01", word)
    assert host.values("cnc-01").count("O2") == 1
    service.write({"line1": {"cnc-02": mtconnect(agent.url, mode={})}})
    await service.plant.follow()
    await until(lambda: host.values("cnc-01").count("O2") == 2)  # of the mode, and of the program


async def test_a_machine_that_moves_to_another_line_is_asked_by_one(
    observe: Any, nats_broker: Any, hosts: Any, edges: Any, until: Any
) -> None:
    host, agent = await hosts(nats_broker), await observe()
    one, other = mtconnect(agent.url, program={}), mtconnect(agent.url, mode={})
    service = edges(nats_broker, {"line1": {"cnc-01": one, "cnc-02": other}, "line2": {"cnc-03": other}})
    await until(lambda: host.of("DBIRTH", device="cnc-01"))
    service.write({"line1": {"cnc-02": other}, "line2": {"cnc-03": other, "cnc-01": one}})
    await until(lambda: "line2" in [each.topic.node.edge_node for each in host.of("DBIRTH", device="cnc-01")])
    await agent.say("program", "O9")
    await until(lambda: "O9" in heard(host, "cnc-01"))
    assert service.plant.berths.owners["cnc-01"] == "cnc-01"


async def test_a_bad_file_is_refused_and_told_while_the_old_one_runs(
    observe: Any, nats_broker: Any, hosts: Any, edges: Any, until: Any, log: list[Any]
) -> None:
    host, agent = await hosts(nats_broker), await observe()
    one = mtconnect(agent.url, program={})
    service = edges(nats_broker, {"line1": {"cnc-01": one}})
    await until(lambda: told(host, "Health/plant_file"))
    ran = service.file.read_text()
    for wrong, why in [
        (ran.replace("program", "prog ram"), "prog ram"),
        ("", "begins with"),
        (ran.replace("here", "there"), "`site`"),
        ("\tx", "plant.yaml"),
    ]:
        service.file.write_text(wrong)
        await until(lambda why=why: why in service.plant.file.trouble, NOTICED_S)
        os.utime(service.file)
        assert "trouble" in await service.plant.follow()
    service.file.unlink()
    await until(lambda: "there is no such file" in service.plant.file.trouble, NOTICED_S)
    await until(lambda: "there is no such file" in (told(host, "Health/plant_file_trouble") or ""))
    refusals = [entry for entry in log if "is not applied" in entry["event"]]
    assert len(refusals) == 5  # once each, however often it is looked at
    await agent.say("program", "O5")
    await host.wait_for_value("cnc-01", "O5")
    births = len(host.of("NBIRTH", "DBIRTH"))

    service.file.write_text(ran)
    await until(lambda: not service.plant.file.trouble, NOTICED_S)
    service.write({"line1": {"cnc-01": one, "cnc-02": one}})
    await host.wait_for("DBIRTH", device="cnc-02")
    assert len(host.of("NBIRTH", "DBIRTH")) > births


async def test_comments_templates_and_order_touch_nothing(
    observe: Any, nats_broker: Any, hosts: Any, edges: Any, until: Any
) -> None:
    host, agent = await hosts(nats_broker), await observe()
    one, two = mtconnect(agent.url, program={}, mode={}), mtconnect(agent.url, program={})
    service = edges(nats_broker, {"line1": {"cnc-01": one, "cnc-02": two}})
    await until(lambda: told(host, "Health/cnc-01/connected") and told(host, "Health/cnc-02/connected"))
    await agent.say("program", "O5")
    await until(lambda: all("O5" in heard(host, name) for name in ("cnc-01", "cnc-02")))
    births = len(host.of("NBIRTH", "DBIRTH", "DDEATH"))
    turned = dict(reversed(one.items())) | {"signals": dict(reversed(one["signals"].items()))}
    mill = {key: value for key, value in two.items() if key != "address"}
    templated = {"template": "mill", "address": two["address"]}
    head = f"# the hall\n{yaml.safe_dump({'templates': {'mill': mill}})}"
    service.write({"line1": {"cnc-02": templated, "cnc-01": turned}}, head=head)
    assert await service.plant.follow() == {"started": [], "stopped": [], "changed": []}
    await agent.say("program", "O6")
    await until(lambda: all("O6" in host.values(name) for name in ("cnc-01", "cnc-02")))
    assert len(host.of("NBIRTH", "DBIRTH", "DDEATH")) == births
    await until(lambda: told(host, "Health/plant_file") == service.plant.file.sha256[:12])


async def test_ten_changes_within_a_second_end_in_the_last(
    observe: Any, nats_broker: Any, hosts: Any, edges: Any, until: Any
) -> None:
    host, agent = await hosts(nats_broker), await observe()
    service = edges(nats_broker, {"line1": {"cnc-01": mtconnect(agent.url, program={})}})
    await until(lambda: host.of("DBIRTH", device="cnc-01"))
    for n in range(10):
        service.write({"line1": {"cnc-01": mtconnect(agent.url, program={"description": f"change {n}"})}})
        if n % 2:
            await service.plant.follow()
        await asyncio.sleep(0.05)
    await until(lambda: "change 9" in described(host, "cnc-01", "program")[-1:])
    await agent.say("program", "O7")
    await until(lambda: "O7" in heard(host, "cnc-01"))
    machines = service.plant._services["hall/line1"][0]._machines
    await until(lambda: len(machines._serving) == 1)


async def test_a_driver_that_hangs_in_close_holds_up_nobody(
    observe: Any, nats_broker: Any, hosts: Any, edges: Any, faulty: Any, until: Any
) -> None:
    host, agent = await hosts(nats_broker), await observe()
    stuck = {"driver": "faulty", "address": "none", "fails": "hang", "signals": {"speed": {"datatype": "double"}}}
    one = mtconnect(agent.url, program={})
    service = edges(nats_broker, {"line1": {"stuck": stuck, "cnc-01": one}})
    await until(lambda: host.values("stuck") and host.of("DBIRTH", device="cnc-01"))
    changed = mtconnect(agent.url, program={"description": "NC"})
    service.write({"line1": {"stuck": stuck | {"kind": "press"}, "cnc-01": changed}})
    assert (await service.plant.follow())["changed"] == ["stuck", "cnc-01"]
    await until(lambda: "NC" in described(host, "cnc-01", "program"), NOTICED_S)
    await agent.say("program", "O8")
    await until(lambda: "O8" in heard(host, "cnc-01"), NOTICED_S)
    await until(lambda: "press" in born(host, "stuck", "Properties/Kind"), 20)  # behind the limits of close
    faulty.IS_HEALED.set()


PLANT = """\
enterprise: demo
site: here
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
              speed: {{node: "nsu=urn:test:machine;s=Machine/Speed"}}
"""


@pytest.fixture
def processes(tmp_path: Path, until: Any) -> Iterator[Callable[..., Process]]:
    """Edges as programs: `processes(broker, host, url)`."""
    made: list[Process] = []

    def make(broker: Any, host: Any, url: str) -> Process:
        made.append(Process(tmp_path, broker, host, until))
        made[-1].file.write_text(PLANT.format(url=url))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None:
            each.process.kill()
            each.process.wait()


async def test_a_command_and_a_signal_apply_at_once_and_a_kill_amid_is_made_good(
    serve: Any, nats_broker: Any, hosts: Any, processes: Any, until: Any
) -> None:
    host, server = await hosts(nats_broker), await serve()
    process = processes(nats_broker, host, server.url)
    await process.start()
    await until(lambda: host.of("DBIRTH", device="cnc-01"), 20)
    before = (await process.ask(Browse(), asset="")).result
    entry = before["machines"]["cnc-01"]
    done = await process.ask(Apply(based_on=before["sha256"], machine="cnc-02", entry=entry), asset="")
    assert {key: done.result[key] for key in ("started", "stopped", "changed")} == {
        "started": ["cnc-02"],
        "stopped": [],
        "changed": [],
    }
    await host.wait_for("DBIRTH", device="cnc-02")

    process.file.write_text(process.file.read_text().replace("cnc-02", "cnc-03"))
    process.process.send_signal(signal.SIGHUP)
    await host.wait_for("DBIRTH", device="cnc-03")
    await host.wait_for("DDEATH", device="cnc-02")

    sha256 = (await process.ask(Browse(), asset="")).result["sha256"]
    id_ = process.send(Apply(based_on=sha256, machine="cnc-04", entry=entry), asset="")
    await until(lambda: "cnc-04" in process.file.read_text())
    await process.kill()
    await process.start()
    await until(lambda: host.of("DBIRTH", device="cnc-04"), 20)
    assert (await process.reply(id_)).outcome in ("unknown", "done")
    assert "# the mill" in process.file.read_text()
