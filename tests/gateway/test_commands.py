"""Commands at the gateway: asked of a cloud, sent to who lives, and answered at once where they cannot go on."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from contract.command import COMMAND, Command, Write, read_command
from contract.sparkplug import decode
from contract.topics import Node
from gateway.cloud import HttpCloud
from gateway.commands import IDLE_S, Commands, HttpCommands
from tests.gateway.wire import LINE, TOKEN

NOW_NS = 1_800_000_000_000_000_000
DEAD = Node("demo:shanghai:machining", "line2")


class Cloud:
    """A server that gives commands and takes lines; `status` is what it answers to who asks for commands."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.status = 200
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Authorization"] == f"Bearer {TOKEN}"
                if self.path == "/api/v1/chain/commands":
                    cloud.asked.append(orjson.loads(body))
                    answer, cloud.commands = orjson.dumps(cloud.commands), []
                else:
                    cloud.lines += [orjson.loads(line) for line in gzip.decompress(body).split(b"\n")]
                    answer = b'{"refused": []}'
                self.send_response(cloud.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def give(self, node: Node = LINE, asset: str = "cnc-01", value: Any = 80.0, expires_ns: int = NOW_NS + 1) -> None:
        do = Write(signal="speed", value=value)
        id_ = f"command-{len(self.commands)}"
        command = Command(id=id_, asset=asset, author="zhang", created_ns=1, expires_ns=expires_ns, do=do)
        self.commands.append({"node": "/".join(node), "command": command.model_dump()})


class Broker:
    """Where the gateway publishes."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Command]] = []
        self.is_connected = True

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.is_connected:
            [metric] = decode(payload).metrics
            assert (metric.name, isinstance(metric.value, str)) == (COMMAND, True)
            self.sent.append((topic, read_command(str(metric.value))))
        return self.is_connected


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.server.shutdown()
    cloud.server.server_close()


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def nodes() -> dict[Node, bool]:
    return {LINE: True, DEAD: False}


@pytest.fixture
def commands(cloud: Cloud, broker: Broker, nodes: dict[Node, bool], tmp_path: Path) -> Commands:
    (tmp_path / "token").write_text(TOKEN)
    return Commands(
        HttpCommands(cloud.url, token_file=tmp_path / "token"),
        HttpCloud(cloud.url, token_file=tmp_path / "token"),
        nodes=lambda: nodes,
        publish=broker.publish,
        asset=lambda node: f"the-{node.edge_node}",
        now_ns=lambda: NOW_NS,
    )


def told(cloud: Cloud) -> list[tuple[str, str, str]]:
    return [(each["node"], each["asset"], each["reply"]["outcome"]) for each in cloud.lines]


def test_a_command_is_sent_to_its_node(cloud: Cloud, broker: Broker, commands: Commands) -> None:
    cloud.give()
    cloud.give(asset="the-line1")  # the node itself, which has no such name at the edge
    assert commands.step() == 0.0
    assert [(topic, command.asset) for topic, command in broker.sent] == [
        (LINE.topic("NCMD"), "cnc-01"),
        (LINE.topic("NCMD"), ""),
    ]
    assert cloud.asked[0]["nodes"] == ["/".join(LINE), "/".join(DEAD)]
    assert (commands.sent, cloud.lines) == (2, [])


def test_what_cannot_be_sent_is_answered_at_once(cloud: Cloud, broker: Broker, commands: Commands) -> None:
    cloud.give(DEAD)
    cloud.give(expires_ns=NOW_NS)
    cloud.give(value="x" * 1_000_000)
    commands.step()
    assert told(cloud) == [
        ("/".join(DEAD), "the-line2", "failed"),
        ("/".join(LINE), "the-line1", "expired"),
        ("/".join(LINE), "the-line1", "failed"),
    ]
    broker.is_connected = False
    cloud.give()
    commands.step()
    assert told(cloud)[3:] == [("/".join(LINE), "the-line1", "failed")]
    assert broker.sent == []


def test_a_gateway_that_does_not_serve_asks_for_nothing(
    cloud: Cloud, nodes: dict[Node, bool], commands: Commands
) -> None:
    nodes.clear()
    assert commands.step() == IDLE_S
    assert cloud.asked == []


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_cloud_that_does_not_answer_is_asked_again_later(cloud: Cloud, commands: Commands, status: int) -> None:
    cloud.status = status
    first = commands.step()
    assert 0.0 < first < commands.step() * 4
    cloud.status = 200
    assert commands.step() == 0.0


def test_what_is_no_list_of_commands_harms_nothing(cloud: Cloud, broker: Broker, commands: Commands) -> None:
    cloud.commands = [{"song": 1}]
    assert commands.step() > 0.0
    cloud.give()
    assert commands.step() == 0.0
    assert len(broker.sent) == 1
