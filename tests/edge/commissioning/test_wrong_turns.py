"""What can go wrong on the way to a machine, and what is said then: the table of docs/connect.md, tried."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from edge.commissioning.address import AddressError
from edge.commissioning.detect import detect
from tests.edge.commissioning.conftest import Handler, chatter, rude, serving, silent
from tests.edge.conftest import machine_server, unused_port
from tests.edge.drivers.peers.http import HttpPeer


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
