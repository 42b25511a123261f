"""The gateway as a process: killed, stopped, and started with wrong settings."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.ack import SPOOL_ACK
from contract.broker import Broker
from gateway.config import Settings
from tests.gateway.wire import STATE, EdgeNode, FakeStore, Peer, line_of

Start = Callable[[], subprocess.Popen[bytes]]


def environment_of(settings: Settings, login: Broker) -> dict[str, str]:
    return {
        "SHOPFLOOR_HOME": str(settings.home),
        "SHOPFLOOR_GATEWAY_PORT": "0",
        "SHOPFLOOR_STORE_URL": str(settings.store_url),
        "SHOPFLOOR_STORE_TOKEN_FILE": str(settings.store_token_file),
        "SHOPFLOOR_STORE_TIMEOUT_S": "1",
        "SHOPFLOOR_MQTT_URL": login.url,
        "SHOPFLOOR_MQTT_USER": str(login.user),
        "SHOPFLOOR_MQTT_PASSWORD_FILE": str(login.password_file),
    }


@pytest.fixture
def start_process(settings: Settings, login: Broker) -> Iterator[Start]:
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            env=os.environ | environment_of(settings, login),
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_kill_between_commit_and_post_loses_and_doubles_nothing(
    start_process: Start, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    first = start_process()
    peer.until(lambda: STATE in peer.latest and peer.json(STATE)["online"])
    fake_store.plan.append("commit, then hang")  # stored, and killed before the cursor moved
    peer.send(edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(1, 11)))
    fake_store.until(1)
    peer.until(lambda: "e1:1-10" in peer.commands(SPOOL_ACK))
    peer.send(*(edge_node.ddata(n) for n in range(11, 21)))
    peer.until(lambda: "e1:1-20" in peer.commands(SPOOL_ACK))
    born = peer.json(STATE)
    first.send_signal(signal.SIGKILL)
    first.wait()
    peer.until(lambda: peer.json(STATE) == born | {"online": False})
    start_process()
    assert fake_store.until(20) == sorted(line_of(n) for n in range(1, 21))
    peer.until(lambda: peer.json(STATE)["online"])
    # what it acknowledged before it was killed, it still knows
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.backlog(7), edge_node.ddata(21))
    fake_store.until(21)
    peer.until(lambda: "e1:1-21" in peer.commands(SPOOL_ACK))


@pytest.mark.parametrize("broker", ["nats"], indirect=True)
def test_the_process_stops_gracefully(
    start_process: Start, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    process = start_process()
    peer.until(lambda: STATE in peer.latest and peer.json(STATE)["online"])
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
    fake_store.until(1)
    fake_store.plan.append("hang")
    peer.send(edge_node.ddata(2))
    peer.until(lambda: "e1:1-2" in peer.commands(SPOOL_ACK))
    began = time.monotonic()
    process.terminate()
    assert process.wait(5) == 0
    assert time.monotonic() - began < 3.0
    peer.until(lambda: peer.json(STATE)["online"] is False)


def run_main(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    wrong = run_main(SHOPFLOOR_HOME=str(tmp_path), SHOPFLOOR_STORE_URL="no url", SHOPFLOOR_GATEWAY_PORT="high")
    assert wrong.returncode == 2
    assert "SHOPFLOOR_STORE_URL" in wrong.stderr
    assert "SHOPFLOOR_GATEWAY_PORT" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    broker = run_main(SHOPFLOOR_HOME=str(tmp_path), SHOPFLOOR_MQTT_URL="http://x")
    assert broker.returncode == 2
    assert "SHOPFLOOR_MQTT_URL" in broker.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run_main(SHOPFLOOR_HOME=str(tmp_path), SHOPFLOOR_GATEWAY_PORT=port)
    assert refused.returncode == 1
    assert port in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("broker", ["nats"], indirect=True)
def test_two_gateways_cannot_share_a_home(start_process: Start, settings: Settings, login: Broker, peer: Peer) -> None:
    start_process()
    peer.until(lambda: STATE in peer.latest)
    second = run_main(**environment_of(settings, login))
    assert second.returncode == 1
    assert "in use" in second.stderr
    assert "Traceback" not in second.stderr
