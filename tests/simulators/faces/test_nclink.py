"""NC-Link, as an agent that is not ours hears and asks it over a broker."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import pytest_asyncio
from paho.mqtt.enums import CallbackAPIVersion

from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.face import Face, Setting
from simulators.faces.nclink import path_of
from simulators.factory import Factory
from simulators.fault import LinkFault
from simulators.machines._control import ToolController

NOW_MS = 1_700_000_000_000
FACTORY = """
enterprise: demo
site: test
areas: {hall: {lines: {line1: {machines: {mill: {kind: cnc, face: nclink}, arm: {kind: robot, face: nclink}}}}}}
"""


class Agent:
    """A bare paho client, and the factory that it listens to."""

    def __init__(self, factory: Factory, face: Face, url: str) -> None:
        self.factory, self.face = factory, face
        self.heard: list[tuple[str, Any]] = []
        self.now_ms = NOW_MS
        self.ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: [client.subscribe("#", 1)]
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = lambda _c, _u, m: self.heard.append((m.topic, json.loads(m.payload or b"null")))
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.loop_start()

    @property
    def mill(self) -> ToolController:
        machine = self.factory.machines["mill"]
        assert isinstance(machine, ToolController)
        return machine

    async def tick(self) -> None:
        self.now_ms += 200
        self.factory.step(0.2)
        await self.face.emit(self.now_ms * 1_000_000)

    async def hear(self, topic: str) -> Any:
        """Let the factory run until something comes on a topic."""
        async with asyncio.timeout(10):
            while not (found := [body for name, body in self.heard if name == topic]):
                await self.tick()
                await asyncio.sleep(0.02)
        self.heard = [each for each in self.heard if each[0] != topic]
        return found[0]

    async def ask(self, request: str, answer: str, **body: Any) -> Any:
        self._client.publish(request, json.dumps(body), qos=1).wait_for_publish(5)
        return await self.hear(answer)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest_asyncio.fixture
async def agent(tmp_path: Path, broker: str) -> AsyncIterator[Agent]:
    factory = factories.parse(FACTORY)
    (face,) = build_faces(factory, Setting(tmp_path, mqtt_url=broker))
    agent = Agent(factory, face, broker)
    assert await asyncio.to_thread(agent.ready.wait, 10)
    await face.start()
    assert (await agent.hear("Register/Request"))["sn"] == "mill"
    yield agent
    await face.stop()
    agent.close()


async def test_samples_come_in_columns(agent: Agent) -> None:
    sample = await agent.hear("Sample/mill/ch1")
    assert (sample["interval"], sample["uploadInterval"]) == (200, 1000)
    assert int(sample["beginTime"]) % 200 == 0
    assert len(sample["paths"]) == len(sample["data"]) == len(agent.mill.signals)
    assert {len(column["data"]) for column in sample["data"]} == {5}
    columns = {path: column["data"] for path, column in zip(sample["paths"], sample["data"], strict=True)}
    first = columns["/SEQUENCE"][0]
    assert columns["/SEQUENCE"] == list(range(first, first + 5))
    following = await agent.hear("Sample/mill/ch1")
    assert int(following["beginTime"]) == int(sample["beginTime"]) + 1000


async def test_a_gap_ends_a_column(agent: Agent) -> None:
    await agent.hear("Sample/mill/ch1")
    for _ in range(2):
        await agent.tick()
    agent.mill.link_faults.append(LinkFault("silent", agent.mill.time_s, 2.0))
    sample = await agent.hear("Sample/mill/ch1")
    assert {len(column["data"]) for column in sample["data"]} == {2}


async def test_the_model_has_every_signal_and_the_query_its_value(agent: Agent) -> None:
    probe = (await agent.ask("Probe/Query/Request/mill", "Probe/Query/Response/mill"))["probe"]
    (device,) = probe["devices"]
    items = [f"/{item['type']}" for item in device["dataItems"]]
    items += [f"/AXIS@{axis['number']}/{item['type']}" for axis in device["components"] for item in axis["dataItems"]]
    assert sorted(items) == sorted(path["id"] for path in device["configs"][0]["ids"])
    assert {"/STATUS", "/WARNING", "/AXIS@0/MACHINE", "/AXIS@S/SPEED", "/SPINDLE_OVERRIDE", "/PART_COUNT"} <= set(items)
    assert (await agent.ask("Probe/Version/arm", "Probe/Version/Response/arm"))["version"] == device["version"]
    ids = [{"id": "/FEED_OVERRIDE"}, {"id": "/NOTHING"}]
    answer = await agent.ask("Query/Request/mill", "Query/Response/mill", ids=ids, **{"@id": "7"})
    assert answer["@id"] == "7"
    assert answer["values"] == [
        {"id": "/FEED_OVERRIDE", "code": "OK", "values": [100.0]},
        {"id": "/NOTHING", "code": "NG"},
    ]


async def test_what_is_settable_is_set_and_the_controller_refuses(agent: Agent) -> None:
    wishes = [("/FEED_OVERRIDE", 60.0), ("/FEED_OVERRIDE", 999.0), ("/AXIS@S/SPEED", 1.0)]
    values = [{"id": path, "params": {"value": value}} for path, value in wishes]
    answer = await agent.ask("Set/Request/mill", "Set/Response/mill", values=values)
    assert [result["code"] for result in answer["results"]] == ["OK", "NG", "NG"]
    assert "0 to 150" in answer["results"][1]["reason"]
    assert agent.mill.feed_override == 60.0
    answer = await agent.ask("Method/Call/Request/mill", "Method/Call/Response/mill", id="explode")
    assert (answer["code"], "knows no command" in answer["reason"]) == ("NG", True)
    answer = await agent.ask(
        "Method/Call/Request/mill", "Method/Call/Response/mill", id="coolant", params={"value": "on"}
    )
    assert answer == {"code": "OK"}
    answer = await agent.ask("Query/Request/mill", "Query/Response/mill", ids=5)
    assert answer["code"] == "NG"


async def test_an_alarm_is_an_event_and_a_ping_is_answered(agent: Agent) -> None:
    agent.mill.raise_alarm("DOOR")
    assert (await agent.hear("Event/mill"))["value"] == "DOOR"
    agent.mill.command("reset", "")
    assert (await agent.hear("Event/mill"))["value"] == ""
    assert await agent.ask("Ping/arm", "Pong/arm") == {}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("execution", "/STATUS"),
        ("y_current", "/AXIS@1/CURRENT"),
        ("joint6_position", "/AXIS@5/MACHINE"),
        ("spindle_front_temperature", "/AXIS@S/FRONT_TEMPERATURE"),
        ("spindle_override", "/SPINDLE_OVERRIDE"),
    ],
)
def test_paths(name: str, path: str) -> None:
    assert path_of(name) == path
