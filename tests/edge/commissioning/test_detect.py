"""What answers is recognized on real servers, at any port: OPC UA, both brokers, an MTConnect agent, JSON by HTTP."""

from __future__ import annotations

import asyncio
import ssl
from importlib import import_module
from typing import Any

import orjson
import pytest

from edge import drivers
from edge.commissioning.address import PRIVATE, AddressError, networks
from edge.commissioning.detect import CERTAIN, Found, detect
from tests.edge.commissioning.conftest import Handler, chatter, passing_on_to, rude, serving, silent
from tests.edge.conftest import machine_agent, machine_server, until, unused_port
from tests.edge.drivers.peers.http import peer


async def only(address: str, **options: Any) -> Found:
    answers = await detect(address, **options)
    assert len(answers.likely) == 1, answers
    return answers.likely[0]


async def test_an_opc_ua_server() -> None:
    async with machine_server(port := unused_port()):
        found = await only(f"127.0.0.1:{port}")
    assert (found.driver, found.address, found.confidence) == ("opcua", f"opc.tcp://127.0.0.1:{port}", 1.0)
    assert found.options == {"security": "none"}
    assert "'FreeOpcUa Python Server'" in found.text
    assert "anyone on the network can read" in found.todo


async def test_what_answers_and_what_does_not_can_be_sent_as_json() -> None:
    async with peer() as machine:
        for port in (machine.port, unused_port()):
            said = (await detect(f"127.0.0.1:{port}")).as_json()
            assert orjson.loads(orjson.dumps(said)) == said
            assert isinstance(said["found"], list)


async def test_a_broker(broker: Any) -> None:
    found = await only(f"127.0.0.1:{broker.port}")
    assert (found.driver, found.address) == ("mqtt", f"mqtt://127.0.0.1:{broker.port}")
    assert "wants a log-in" in found.text
    assert found.todo == "state user and password_file"


async def test_a_broker_by_tls_is_told_from_one_without(mosquitto_broker: Any, tls: ssl.SSLContext) -> None:
    async with serving(passing_on_to(mosquitto_broker.port), tls) as port:
        found = await only(f"mqtt://127.0.0.1:{port}")
    assert found.address == f"mqtts://127.0.0.1:{port}"
    assert "by TLS" in found.text
    assert "ca_file" in found.todo


async def test_an_agent_is_not_taken_for_any_page() -> None:
    async with machine_agent() as machine:
        answers = await detect(machine.url.removeprefix("http://"))
    assert [(each.driver, each.confidence) for each in answers.likely] == [("mtconnect", 1.0)]
    assert answers.likely[0].text == "an MTConnect agent, devices: cnc-01"


async def test_json_by_http_with_its_path(tls: ssl.SSLContext) -> None:
    async with peer() as oven:
        await oven.say(1200.0, 0)
        found = await only(f"http://127.0.0.1:{oven.port}/status")
        assert (found.driver, found.address) == ("http", f"http://127.0.0.1:{oven.port}/status")
        assert "JSON with 2 values" in found.text
        async with serving(oven.answer, tls) as port:
            assert (await only(f"127.0.0.1:{port}")).address == f"https://127.0.0.1:{port}"


async def test_without_a_port_the_usual_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with machine_server(port := unused_port()):
        monkeypatch.setattr("edge.drivers.opcua.PORTS", (port,))
        found = await only("localhost")
    assert found.address == f"opc.tcp://localhost:{port}"


async def test_only_networks_that_are_allowed_are_asked() -> None:
    asked: list[object] = []
    server = await asyncio.start_server(lambda *line: asked.append(line), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(AddressError, match="may ask from afar"):
        await detect(f"localhost:{port}", allowed=networks("10.0.0.0/8"))
    await asyncio.sleep(0)
    server.close()
    assert asked == []
    assert networks(PRIVATE)


async def test_a_driver_that_fails_while_it_looks_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: Any) -> None:
        raise RuntimeError("odd bytes")

    monkeypatch.setattr("edge.drivers.mqtt.recognize", fail)
    async with machine_server(port := unused_port()):
        assert (await only(f"127.0.0.1:{port}")).driver == "opcua"


LOOKING = [name for name in drivers.driver_names() if hasattr(drivers.load(name), "recognize")]


@pytest.mark.parametrize("name", LOOKING)
async def test_what_a_driver_recognizes_is_an_address_of_its_own(name: str, request: pytest.FixtureRequest) -> None:
    module: Any = drivers.load(name)
    peers = import_module(f"tests.edge.drivers.peers.{name}")
    async with peers.peer(request) as machine:
        tasks = len(asyncio.all_tasks())
        seen = await module.recognize("127.0.0.1", machine.port, "", 2.0)
        assert seen is not None
        assert seen.scheme in module.SCHEMES
        assert seen.confidence >= CERTAIN
        address = f"{seen.scheme}://127.0.0.1:{machine.port}{seen.path}"
        module.Entry.model_validate({"driver": name, "address": address, **seen.options})
        await until(lambda: len(asyncio.all_tasks()) <= tasks)  # the line is closed, and the peer has seen it


@pytest.mark.parametrize("name", LOOKING)
@pytest.mark.parametrize("stranger", [silent, rude, chatter])
async def test_a_driver_takes_no_stranger_for_its_own(name: str, stranger: Handler) -> None:
    module: Any = drivers.load(name)
    async with serving(stranger) as port:
        assert await module.recognize("127.0.0.1", port, "", 0.3) is None
