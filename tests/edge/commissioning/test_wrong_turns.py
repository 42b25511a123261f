"""What can go wrong on the way to a machine, and what is said then: the table of docs/connect.md, tried."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, NamedTuple

import pytest

from edge.commissioning.address import AddressError
from edge.commissioning.detect import detect
from edge.commissioning.live import visit
from edge.drivers import load
from edge.entry import Context
from tests.edge.commissioning.conftest import Handler, chatter, rude, serving, silent
from tests.edge.conftest import machine_server, unused_port
from tests.edge.drivers.peers.http import HttpPeer
from tests.edge.drivers.peers.http import peer as http_peer


class Turn(NamedTuple):
    """A way to go wrong: who listens at a port, what is asked for (`{port}`), what is said and what to do."""

    listens: str
    asked: str
    trouble: str
    todo: str
    driver: str = ""


TURNS = {
    "wrong port": Turn("nobody", "127.0.0.1:{port}", "refuses port {port}: nothing listens", "is the port right"),
    "unknown name": Turn("nobody", "no-such-machine.invalid", "no computer of the name", "write its IP address"),
    "no address": Turn("nobody", "opc.tcp://", "is no address", "write a name or an IP address"),
    "port of letters": Turn("nobody", "127.0.0.1:48x40", "is no address", "host:port"),
    "user in the address": Turn("nobody", "mqtt://me:secret@127.0.0.1", "has a user in it", "user and password_file"),
    "unknown scheme": Turn("nobody", "opc.tpc://127.0.0.1", "begin with opc.tpc://", "opc.tcp://"),
    "another protocol": Turn(
        "http", "127.0.0.1:{port}", "speaks none of opcua", "try http://127.0.0.1:{port}: there is JSON", "opcua"
    ),
    "a service that says nothing": Turn("silent", "127.0.0.1:{port}", "speaks none of", "a connection left"),
    "a service that hangs up": Turn("rude", "127.0.0.1:{port}", "speaks none of", "a connection left"),
    "an unknown protocol": Turn("chatter", "127.0.0.1:{port}", "speaks none of", "a connection left"),
    "an unknown protocol by TLS": Turn("tls", "127.0.0.1:{port}", "speaks TLS on port {port} (cert", "another service"),
}


@asynccontextmanager
async def listening(who: str, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """Let somebody listen at a port of loopback."""
    oven = HttpPeer()
    await oven.say(1200.0, 0)
    services: dict[str, Handler] = {"silent": silent, "tls": silent, "rude": rude, "chatter": chatter}
    if who == "nobody":
        yield unused_port()
        return
    async with serving((services | {"http": oven.answer})[who], tls if who == "tls" else None) as port:
        yield port


@pytest.mark.parametrize("name", TURNS)
async def test_a_wrong_turn_is_said_with_what_to_do(name: str, tls: ssl.SSLContext) -> None:
    turn = TURNS[name]
    async with listening(turn.listens, tls) as port:
        asked = turn.asked.format(port=port)
        try:
            async with asyncio.timeout(15):
                answers = await detect(asked, driver=turn.driver, timeout_s=0.5)
        except AddressError as error:
            said = error.what, error.do
        else:
            assert not answers.found
            said = answers.trouble, answers.todo
        assert turn.trouble.format(port=port) in said[0]
        assert turn.todo.format(port=port) in said[1]


async def test_the_port_of_a_service_that_is_elsewhere_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    port = unused_port()
    async with machine_server(port):
        monkeypatch.setattr("edge.drivers.opcua.PORTS", (port,))
        answers = await detect(f"127.0.0.1:{unused_port()}", timeout_s=0.5)
    assert "refuses port" in answers.trouble
    assert f"try opc.tcp://127.0.0.1:{port}: there is an OPC UA server" in answers.todo


async def test_a_firewall_that_drops_is_told_from_a_port_that_refuses() -> None:
    with socket.socket() as full:  # a queue that is full drops what comes, as a firewall does
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        answers = await detect(f"127.0.0.1:{address[1]}", timeout_s=0.5)
        for each in waiting:
            each.close()
    assert answers.trouble == f"127.0.0.1 does not answer on port {address[1]}"
    assert "a firewall between here and there drops the connection" in answers.todo


class Visited(NamedTuple):
    """A way to go wrong in an entry: of which peer, what is stated otherwise, and what is said of it.

    `options` are of the machine, `signal` of its signal `speed`.
    """

    driver: str
    options: dict[str, Any]
    signal: dict[str, Any]
    said: str


VISITS = {
    "OPC UA: security that the server does not have": Visited(
        "opcua", {"security": "Basic256Sha256"}, {}, "Choose one of them under `security`"
    ),
    "OPC UA: a node that is misspelt": Visited(
        "opcua", {}, {"node": "nsu=urn:test:machine;s=Machine/Sped"}, "`shopfloor browse opc.tcp://127.0.0.1:"
    ),
    "OPC UA: a namespace that is misspelt": Visited(
        "opcua", {}, {"node": "nsu=urn:test:machin;s=Machine/Speed"}, "did you mean 'urn:test:machine'?"
    ),
    "MQTT: password missing": Visited("mqtt", {"user": None, "password_file": None}, {}, "user and password_file"),
    "MQTT: wrong password": Visited("mqtt", {"password_file": "password"}, {}, "user and password_file"),
    "MQTT: a topic on which nothing is said": Visited("mqtt", {"topic": "x"}, {}, "no value within"),
    "MTConnect: a device that is not there": Visited("mtconnect", {"device": "cnc-02"}, {}, "did you mean 'cnc-01'?"),
    "MTConnect: a data item that is misspelt": Visited(
        "mtconnect", {}, {"data_item": "cnc-01_spindle_sped"}, "did you mean 'cnc-01_spindle_speed'?"
    ),
    "HTTP: a path that is misspelt": Visited("http", {}, {"path": "spindle.sped"}, "no value within"),
    "Modbus: wrong unit id": Visited("modbus", {"unit_id": 7}, {}, "it answers with `unit_id: 1`"),
    "Modbus: wrong framing": Visited("modbus", {"framing": "rtu"}, {}, "it answers with `framing: tcp`"),
    "Modbus: a register that is not there": Visited(
        "modbus", {}, {"register": "holding/500"}, "nothing at this address"
    ),
    "S7: wrong data block": Visited("s7", {}, {"address": "DB9.DBD0:REAL"}, "DB9"),
    "Logix: a tag that is misspelt": Visited("logix", {}, {"tag": "Sped"}, "Sped"),
    "MC: a device that is not there": Visited("mc", {}, {"device": "D99999"}, "D99999"),
}


@pytest.mark.parametrize("name", VISITS)
async def test_a_wrong_entry_is_said_with_what_to_do(
    name: str, context: Context, request: pytest.FixtureRequest
) -> None:
    turn = VISITS[name]
    (context.folder / "password").write_text("wrong")
    peers = import_module(f"tests.edge.drivers.peers.{turn.driver}")
    async with peers.peer(request) as machine:
        said = machine.entry(machine.port)
        speed = said["signals"]["speed"] | turn.signal
        options = dict(turn.options)
        if "address" in options:
            options["address"] = options["address"].format(port=machine.port)
        entry = load(turn.driver).Entry.model_validate(
            {"driver": turn.driver, **said, **options, "signals": {"speed": speed}}
        )
        async with asyncio.timeout(30):
            seen = await visit("m", entry, context, wait_s=3)
    assert not seen.is_well
    assert turn.said in " ".join((seen.trouble, seen.todo, *(reading.why for reading in seen.readings)))


async def test_a_broker_without_tls_is_found_where_it_was_asked_for_by_tls(mosquitto_broker: Any) -> None:
    answers = await detect(f"mqtts://127.0.0.1:{mosquitto_broker.port}", timeout_s=1)
    assert [found.address for found in answers.likely] == [f"mqtt://127.0.0.1:{mosquitto_broker.port}"]


async def test_a_page_without_tls_is_found_where_it_was_asked_for_by_tls() -> None:
    async with http_peer() as oven:
        await oven.say(1200.0, 0)
        answers = await detect(f"https://127.0.0.1:{oven.port}/status", timeout_s=1)
    assert [found.address for found in answers.likely] == [f"http://127.0.0.1:{oven.port}/status"]


async def test_a_server_that_wants_a_login_says_so_before_anybody_tries() -> None:
    async with machine_server(port := unused_port(), users=Nobody()):
        answers = await detect(f"127.0.0.1:{port}")
    assert "it wants a log-in: state user and password_file" in answers.found[0].todo


class Nobody:
    """Lets nobody in."""

    def get_user(self, *_arguments: Any, **_options: Any) -> None:
        return None
