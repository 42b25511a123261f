"""The broker's configuration, on the real broker with a real client: who may say what."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from shopfloor.broker import subjects, write_configuration
from shopfloor.home import Home

NATS = Path(sys.executable).with_name("nats-server")


class Broker:
    """The broker of a demo in a home of its own; `log` is what it has printed."""

    def __init__(self, home: Home, port: int, process: subprocess.Popen[bytes]) -> None:
        self.home = home
        self.port = port
        self.log = b""
        self._ended = False
        self._printed = threading.Condition()
        self._process = process
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, words: bytes) -> bool:
        with self._printed:
            return self._printed.wait_for(lambda: words in self.log or self._ended, 20) and words in self.log

    def stop(self) -> None:
        self._process.terminate()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := os.read(self._process.stdout.fileno(), 65536):
            with self._printed:
                self.log += chunk
                self._printed.notify()
        with self._printed:
            self._ended = True
            self._printed.notify()


@pytest.fixture
def broker(tmp_path: Path, free_ports: int) -> Iterator[Broker]:
    home = Home(tmp_path / "home")
    home.prepare()
    file = write_configuration(home, free_ports)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with subprocess.Popen([NATS, "-c", file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        started = Broker(home, free_ports, process)
        try:
            assert started.wait_for(b"Server is ready"), started.log.decode()
            yield started
        finally:
            started.stop()


class Client:
    """A client of one user that collects what it receives."""

    def __init__(self, broker: Broker, user: str) -> None:
        self.received: list[tuple[str, bytes, bool]] = []
        self.arrived = threading.Condition()
        self.granted: list[int] = []
        self.subscribed = threading.Event()
        connected = threading.Event()
        self.paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"test-{user}-{id(self)}")
        self.paho.username_pw_set(user, broker.home.secret(f"mqtt-{user}").read_text())
        self.paho.on_connect = lambda *_: connected.set()
        self.paho.on_subscribe = self._on_subscribe
        self.paho.on_message = self._on_message
        self.paho.connect("127.0.0.1", broker.port)
        self.paho.loop_start()
        assert connected.wait(10)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: list[Any], _properties: Any) -> None:
        self.granted = [code.value for code in codes]
        self.subscribed.set()

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        with self.arrived:
            self.received.append((message.topic, message.payload, message.retain))
            self.arrived.notify()

    def subscribe(self, topic: str, qos: int = 1) -> bool:
        self.subscribed.clear()
        self.paho.subscribe(topic, qos)
        assert self.subscribed.wait(10)
        return self.granted[0] < 128

    def publish(self, topic: str, payload: bytes = b"x", qos: int = 1, retain: bool = False) -> None:
        self.paho.publish(topic, payload, qos, retain).wait_for_publish(10)

    def topics(self, count: int) -> list[str]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, 10), self.received
            return [topic for topic, _, _ in self.received]


@pytest.fixture
def client(broker: Broker) -> Iterator[Any]:
    made: list[Client] = []

    def make(user: str) -> Client:
        made.append(Client(broker, user))
        return made[-1]

    yield make
    for each in made:
        each.paho.disconnect()
        each.paho.loop_stop()


@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("spBv1.0/+/DDATA/#", ["spBv1//0.*.DDATA.>", "spBv1//0.*.DDATA"]),
        ("v1/#", ["v1.>", "v1"]),
        ("spBv1.0/STATE/shopfloor", ["spBv1//0.STATE.shopfloor"]),
    ],
)
def test_subjects(topic_filter: str, expected: list[str]) -> None:
    assert subjects(topic_filter) == expected


def test_each_part_gets_what_it_needs(client: Any) -> None:
    gateway, edge, cloud = client("gateway"), client("edge"), client("cloud")
    for type_ in ("NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA"):
        assert gateway.subscribe(f"spBv1.0/+/{type_}/#")
    assert gateway.subscribe("spBv1.0/STATE/shopfloor")
    assert edge.subscribe("spBv1.0/demo:shanghai:machining/NCMD/line1")
    assert edge.subscribe("spBv1.0/demo:shanghai:machining/DCMD/line1/#")
    assert edge.subscribe("spBv1.0/STATE/shopfloor")
    assert cloud.subscribe("v1/#", qos=0)
    edge.publish("spBv1.0/demo:shanghai:machining/DDATA/line1/cnc.01")
    assert gateway.topics(1) == ["spBv1.0/demo:shanghai:machining/DDATA/line1/cnc.01"]
    gateway.publish("spBv1.0/STATE/shopfloor", retain=True)
    gateway.publish("spBv1.0/demo:shanghai:machining/NCMD/line1")
    assert sorted(edge.topics(2)) == ["spBv1.0/STATE/shopfloor", "spBv1.0/demo:shanghai:machining/NCMD/line1"]
    gateway.publish("v1/demo/shanghai/machining/line1/cnc-01/tele", qos=0, retain=True)
    assert cloud.topics(1) == ["v1/demo/shanghai/machining/line1/cnc-01/tele"]


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("edge", "v1/#"),
        ("edge", "#"),
        ("edge", "spBv1.0/+/DDATA/#"),
        ("cloud", "spBv1.0/#"),
        ("cloud", "#"),
        ("machine", "#"),
        ("machine", "spBv1.0/#"),
        ("machine", "factory/#"),
        ("gateway", "#"),
        ("simulator", "v1/#"),
    ],
)
def test_nobody_may_listen_to_more(client: Any, user: str, topic: str) -> None:
    assert not client(user).subscribe(topic)


def test_nobody_may_say_more(client: Any, broker: Broker) -> None:
    gateway, cloud, machine, edge = client("gateway"), client("cloud"), client("machine"), client("edge")
    assert gateway.subscribe("spBv1.0/+/DDATA/#")
    assert edge.subscribe("machines/#", qos=0)
    for forger in (cloud, machine):
        forger.publish("spBv1.0/demo:shanghai:machining/DDATA/line1/cnc-01", b"forged", qos=0)
    machine.publish("machines/press-1", b"{}")
    assert edge.topics(1) == ["machines/press-1"]
    edge.publish("spBv1.0/demo:shanghai:machining/DDATA/line1/cnc-01", b"true")
    assert gateway.topics(1)
    assert [payload for _, payload, _ in gateway.received] == [b"true"]
    assert broker.wait_for(b"Publish Violation")


def test_a_wrong_password_is_refused(broker: Broker) -> None:
    answers: list[Any] = []
    answered = threading.Event()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.username_pw_set("edge", "wrong")

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        answers.append(reason)
        answered.set()

    client.on_connect = on_connect
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert answered.wait(10)
    client.disconnect()
    client.loop_stop()
    assert answers[0].is_failure
