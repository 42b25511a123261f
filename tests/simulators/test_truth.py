"""The truth over HTTP: what it tells, what it takes, and whom it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from simulators import factory as factories
from simulators.factory import Factory
from simulators.scenario import Stage
from simulators.truth import TruthServer


class Client:
    """A bare HTTP client."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def ask(
        self, target: str, method: str = "GET", body: Any = None, kind: str = "application/json", host: str = ""
    ) -> tuple[int, bytes]:
        data = b"" if body is None else json.dumps(body).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"{method} {target} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{self.port}'}\r\n"
        head += f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        first, _, rest = answer.partition(b"\r\n\r\n")
        return int(first.split()[1]), rest

    async def get(self, target: str) -> Any:
        status, body = await self.ask(target)
        assert status == 200, body
        return json.loads(body)

    async def post(self, target: str, **body: Any) -> tuple[int, Any]:
        status, answer = await self.ask(target, "POST", body)
        return status, json.loads(answer)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[tuple[Factory, Client]]:
    factory = factories.load(seed=5)
    server = TruthServer(factory, [], 0)
    await server.start()
    yield factory, Client(server.port)
    await server.stop()


async def test_truth_tells_what_sensors_do_not(served: tuple[Factory, Client]) -> None:
    factory, client = served
    await client.post("/sensor_faults", asset="cnc-01", signal="head_temperature", mode="drift", size=3600.0)
    for _ in range(100):
        factory.step(0.1)
    truth = await client.get("/truth/cnc-01")
    said = factory.machines["cnc-01"].read()["head_temperature"]
    assert isinstance(said, float)
    assert said - truth["values"]["head_temperature"] == pytest.approx(10.0, abs=0.5)
    assert truth["sensor_faults"] == {"head_temperature": "drift"}
    everything = await client.get("/truth")
    assert set(everything["machines"]) == set(factory.machines)


async def test_a_fault_is_injected_grows_is_in_the_journal_and_is_repaired(served: tuple[Factory, Client]) -> None:
    factory, client = served
    assert await client.post("/faults", asset="cnc-01", fault="coolant_filter", growth_s=5.0) == (200, {"done": True})
    for _ in range(100):
        factory.step(0.1)
    faults = {fault["fault"]: fault for fault in (await client.get("/faults"))["cnc-01"]}
    assert faults["coolant_filter"]["stage"] == "failed"
    assert faults["coolant_filter"]["row"] == 15
    _, lines = await client.ask("/journal?after=0")
    events = [json.loads(line) for line in lines.splitlines()]
    assert [event["stage"] for event in events if event["event"] == "fault"] == [
        "incipient", "developing", "severe", "failed",
    ]  # fmt: skip
    await client.post("/faults", asset="cnc-01", fault="coolant_filter", clear=True)
    assert factory.machines["cnc-01"].severity["coolant_filter"] == 0.0


async def test_links_and_commands(served: tuple[Factory, Client]) -> None:
    factory, client = served
    await client.post("/link_faults", asset="robot-01", mode="loss", probability=0.5)
    assert factory.machines["robot-01"].link_faults[0].probability == 0.5
    await client.post("/link_faults", asset="robot-01", mode="none")
    assert factory.machines["robot-01"].link_faults == []
    assert (await client.post("/command", asset="robot-01", name="speed_override", value=50))[0] == 200
    status, answer = await client.post("/command", asset="robot-01", name="speed_override", value=500)
    assert status == 409
    assert "0 to 100" in answer["error"]


async def test_hidden_states(served: tuple[Factory, Client]) -> None:
    factory, client = served
    for _ in range(600):
        factory.step(0.1)
    truth = await client.get("/truth/cnc-01")
    assert set(truth["hidden"]["tools"]) == {"1", "2", "3"}
    assert all(0.0 < tool["wear_mm"] < 0.3 for tool in truth["hidden"]["tools"].values())
    assert sum(truth["hidden"]["consumers_w"].values()) == pytest.approx(truth["values"]["power"] * 1000.0, abs=0.02)
    assert (await client.get("/truth/robot-01"))["hidden"] == {}


async def test_a_part_has_its_history() -> None:
    factory = factories.load(Path("workshops.yaml"))
    for _ in range(240):
        factory.step(5.0)
    server = TruthServer(factory, [], 0)
    await server.start()
    client = Client(server.port)
    (shaft,) = [name for name, part in factory.logistics.parts.items() if part.kind == "shaft"][:1]  # type: ignore[union-attr]
    part = await client.get(f"/parts/{shaft}")
    assert (part["order"], part["quality"]) == ("order-00001", "good")
    assert [operation["machine"] for operation in part["operations"]] == ["lathe-01", "grinder-01"]
    assert all(operation["energy_mj"] > 0 and abs(operation["size_um"]) < 60.0 for operation in part["operations"])
    status, body = await client.ask("/parts/shaft-999999")
    assert (status, b"no part 'shaft-999999'" in body) == (404, True)
    await server.stop()


async def test_a_vibration_block(served: tuple[Factory, Client]) -> None:
    _, client = served
    block = await client.get("/waveform/cnc-01?sensor=spindle&samples=512")
    assert len(block["block"]) == 512
    assert (await client.ask("/waveform/cnc-01?sensor=door"))[0] == 404
    assert (await client.ask("/waveform/cnc-01?samples=99999999"))[0] == 422
    assert (await client.ask("/waveform/cnc-01?samples=x"))[0] == 422


@pytest.mark.parametrize(
    ("target", "body", "status", "says"),
    [
        ("/faults", {"asset": "cnc-09"}, 404, "no asset 'cnc-09'"),
        ("/faults", {"asset": "cnc-01", "fault": "rust"}, 422, "has no fault 'rust'"),
        ("/faults", {"asset": "cnc-01", "fault": "chatter", "limit": 7}, 422, "limit is 7"),
        ("/faults", {"asset": "cnc-01", "fault": "chatter", "growth_s": "long"}, 422, "could not convert"),
        ("/sensor_faults", {"asset": "cnc-01", "signal": "aura", "mode": "stuck"}, 422, "no signal 'aura'"),
        ("/sensor_faults", {"asset": "cnc-01", "signal": "power", "mode": "shy"}, 422, "have: none, stuck"),
        ("/link_faults", {"asset": "cnc-01", "mode": "shy"}, 422, "have: none, silent"),
        ("/nowhere", {"asset": "cnc-01"}, 404, "have: /faults"),
    ],
)
async def test_wrong_wishes_say_what_is_wrong(
    served: tuple[Factory, Client], target: str, body: dict[str, Any], status: int, says: str
) -> None:
    found, answer = await served[1].post(target, **body)
    assert (found, says in answer["error"]) == (status, True), answer


async def test_browsers_of_others_get_nothing(served: tuple[Factory, Client]) -> None:
    _, client = served
    assert (await client.ask("/truth", host="evil.example:80"))[0] == 403
    assert (await client.ask("/faults", "POST", {"asset": "cnc-01"}, kind="text/plain"))[0] == 415
    assert (await client.ask("/faults", "DELETE"))[0] == 405
    assert (await client.ask("/elsewhere"))[0] == 404


async def test_a_scenario_is_begun_at_any_time_and_ended(served: tuple[Factory, Client]) -> None:
    factory, client = served
    stage = Stage(factory)
    server = TruthServer(factory, [], 0, stage)
    await server.start()
    client = Client(server.port)
    for _ in range(100):
        factory.step(1.0)
    assert await client.post("/scenarios", scenario="tool") == (200, {"done": True})
    assert (await client.post("/scenarios", scenario="tool"))[0] == 409
    factory.step(25.0)
    stage.step()
    assert factory.machines["cnc-01"].faults["tool_flank_wear"].onset_s is None  # its first event is at 30 s
    factory.step(6.0)
    stage.step()
    assert factory.machines["cnc-01"].faults["tool_flank_wear"].onset_s == pytest.approx(131.0)
    facts = {each["scenario"]: each for each in await client.get("/scenarios")}
    assert facts["tool"]["running"]
    assert facts["tool"]["lasts_s"] == 1000
    assert set(facts["tool"]["names"]) == {"en", "zh"}
    assert await client.post("/scenarios", scenario="tool", clear=True) == (200, {"done": True})
    for _ in range(20):
        factory.step(60.0)
        stage.step()
    assert factory.machines["cnc-01"].faults["tool_breakage"].onset_s is None
    _, lines = await client.ask("/journal?after=0")
    told = [json.loads(line) for line in lines.splitlines()]
    assert [each["event"] for each in told if each["asset"] == "scenario"] == ["begun", "event", "ended"]
    await server.stop()


async def test_a_scenario_that_the_factory_cannot_play_is_refused(served: tuple[Factory, Client]) -> None:
    _, client = served
    facts = {each["scenario"]: each["lacks"] for each in await client.get("/scenarios")}
    assert facts["bearing"] == []
    assert facts["air_leak"] == ["compressor-01"]
    assert "orders" in facts["rush_order"]
    status, answer = await client.post("/scenarios", scenario="air_leak")
    assert (status, answer["error"]) == (409, "this factory has no compressor-01")
    assert (await client.post("/scenarios", scenario="../../etc/passwd"))[0] == 422
    assert (await client.post("/scenarios", scenario="bearing", clear=True))[0] == 409


async def test_it_is_told_since_when_a_sensor_lies_and_a_link_is_bad(served: tuple[Factory, Client]) -> None:
    factory, client = served
    for _ in range(20):
        factory.step(0.5)
    await client.post("/sensor_faults", asset="cnc-01", signal="head_temperature", mode="drift", size=3600.0)
    await client.post("/link_faults", asset="cnc-01", mode="loss")
    truth = await client.get("/truth/cnc-01")
    assert truth["lying_since_s"] == {"head_temperature": pytest.approx(10.0)}
    assert truth["disturbed_since_s"] == {"loss": pytest.approx(10.0)}
