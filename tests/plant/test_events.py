"""Events of any Sparkplug node, through real broker, gateway and cloud: each is kept once, whoever is away when."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from contract.broker import Broker
from contract.event import Event, event_metric
from contract.model import Sample
from contract.sparkplug import Payload, encode
from tests.gateway.wire import CNC, SECOND, START_NS, STATE, TOKEN, EdgeNode, FakeStore, Peer, line_of, wait_for

ON_NATS = pytest.mark.parametrize("broker", ["nats"], indirect=True)
CLI = "the command line's token"
CLOUD = "the token of gateway and cloud"
MS = 1_000_000


class Speaker(EdgeNode):
    """An edge node that tells events: a plain client of the broker that speaks Sparkplug."""

    def event(self, n: int, **fields: Any) -> tuple[str, bytes]:
        """Return message `n`, which tells the event `e<n>`."""
        said = {"id": f"e{n}", "name": "Coolant low", "time_ns": START_NS + n, "asset": CNC.id} | fields
        payload = Payload([event_metric(Event.model_validate(said))], time_ms=START_NS // MS)
        return self.topic("DDATA"), self._stamped(encode(payload), f"{self.epoch}:{n}")


class Plant:
    """A gateway and a cloud as processes; the store behind the gateway is a server of the test."""

    def __init__(self, folder: Path, login: Broker, store: FakeStore) -> None:
        self.folder, self.login, self.store = folder, login, store
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            self.port, self.gateway_port = one.getsockname()[1], other.getsockname()[1]
        for name, secret in (("cli", CLI), ("cloud", CLOUD), ("store", TOKEN)):
            (folder / name).write_text(secret)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        environ = {
            "SHOPFLOOR_HOME": str(self.folder / "home"),
            "SHOPFLOOR_PORT": str(self.port),
            "SHOPFLOOR_MQTT_URL": self.login.url,
            "SHOPFLOOR_MQTT_USER": str(self.login.user),
            "SHOPFLOOR_MQTT_PASSWORD_FILE": str(self.login.password_file),
            "SHOPFLOOR_STORE_TOKEN_FILE": str(self.folder / "store"),
        }
        if name == "cloud":
            environ["SHOPFLOOR_EVENT_DAYS"] = "0"  # those of the test are old
            environ["SHOPFLOOR_CLI_TOKEN_FILE"] = str(self.folder / "cli")
            environ["SHOPFLOOR_CLOUD_TOKEN_FILE"] = str(self.folder / "cloud")
        else:
            environ["SHOPFLOOR_GATEWAY_PORT"] = str(self.gateway_port)
            environ["SHOPFLOOR_STORE_URL"] = self.store.url
            environ["SHOPFLOOR_STORE_TIMEOUT_S"] = "1"
            environ["SHOPFLOOR_CLOUD_URL"] = f"http://127.0.0.1:{self.port}"
            environ["SHOPFLOOR_CLOUD_TOKEN_FILE"] = str(self.folder / "cloud")
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", name], env=os.environ | environ, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def get(self, path: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}", headers={"Authorization": f"Bearer {CLI}"}
        )
        with urllib.request.urlopen(request, timeout=5) as response:
            return orjson.loads(response.read())

    def sinks(self) -> dict[str, Any]:
        """Return what the gateway says of its two sinks, and `records`, what its spool holds."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway_port}/health", timeout=5) as response:
                report = orjson.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                report = orjson.loads(error.read())
        except OSError:
            return {}
        return {**report["sinks"], "records": report["spool"]["records"]}

    def events(self) -> list[str]:
        """Return the ids of all events that the cloud has; none while it is away."""
        with suppress(OSError):
            return sorted(event["id"] for event in self.get("/events?limit=1000")["events"])
        return []


@pytest.fixture
def login(broker: Any) -> Broker:
    return Broker(url=broker.url, user=broker.user, password_file=broker.password_file)


@pytest.fixture
def peer(login: Broker) -> Iterator[Peer]:
    peer = Peer(login)
    peer.start()
    yield peer
    peer.session.stop()


@pytest.fixture
def store() -> Iterator[FakeStore]:
    store = FakeStore()
    store.start()
    yield store
    store.stop()


@pytest.fixture
def plant(tmp_path: Path, login: Broker, store: FakeStore) -> Iterator[Plant]:
    plant = Plant(tmp_path, login, store)
    yield plant
    for process in plant.processes.values():
        process.kill()
        process.wait()


@pytest.fixture
def born(plant: Plant, peer: Peer) -> Callable[[], Speaker]:
    """Start a gateway and announce a machine to it."""

    def born() -> Speaker:
        plant.start("gateway")
        peer.until(lambda: STATE in peer.latest and peer.json(STATE)["online"])
        node = Speaker()
        peer.send(node.nbirth(), node.dbirth())
        return node

    return born


@ON_NATS
def test_an_event_reaches_the_cloud_and_the_namespace(plant: Plant, peer: Peer, born: Callable[[], Speaker]) -> None:
    plant.start("cloud")
    node = born()
    said = {
        "condition": "coolant",
        "state": "active",
        "severity": 700,
        "texts": {"en": "Coolant low", "zh": "冷却液不足"},
    }
    peer.send(node.event(1, **said), node.event(1, **said), node.event(2, name="Door opened"), node.ddata(3))
    wait_for(lambda: plant.events() == ["e1", "e2"])
    active = plant.get("/events?active=true")["events"]
    assert [(each["id"], each["severity"], each["texts"]["zh"]) for each in active] == [("e1", 700, "冷却液不足")]
    shown = "v1/demo/shanghai/machining/line1/cnc-01/event"
    peer.until(lambda: sum(topic == shown for topic, _, _ in peer.heard) == 2)  # not the repeat
    assert orjson.loads(peer.latest[shown])["name"] == "Door opened"
    told = lambda: plant.get("/ledger?source=demo:shanghai:machining/line1")["sources"]  # noqa: E731
    wait_for(lambda: [(each["events"], each["stored"]) for each in told()] == [(2, 3)])
    assert told()[0]["quarantined"] == 0


@ON_NATS
def test_the_cloud_away_delays_no_sample(
    plant: Plant, peer: Peer, born: Callable[[], Speaker], store: FakeStore
) -> None:
    node = born()
    peer.send(node.event(1))
    wait_for(lambda: plant.sinks().get("cloud", {}).get("trouble"))
    for n in range(2, 502):  # 50,000 samples
        samples = [Sample(CNC.id, "speed", START_NS + n * SECOND + k, float(k)) for k in range(100)]
        peer.send(node.ddata(n, samples))
    peer.send(node.event(502))
    store.until(50_000)
    wait_for(lambda: plant.sinks()["records"] == plant.sinks()["cloud"]["waiting"] == 2)
    assert plant.sinks()["store"] == {"waiting": 0, "away_s": 0.0, "trouble": ""}
    plant.start("cloud")
    wait_for(lambda: plant.events() == ["e1", "e502"])
    wait_for(lambda: plant.sinks()["records"] == 0)


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_the_store_away_holds_no_event_back_and_death_between_the_two_loses_and_doubles_nothing(
    plant: Plant, peer: Peer, born: Callable[[], Speaker], store: FakeStore
) -> None:
    plant.start("cloud")
    store.down = True
    node = born()
    peer.send(node.event(1), node.ddata(2), node.event(3))
    wait_for(lambda: plant.events() == ["e1", "e3"])
    wait_for(lambda: plant.sinks()["cloud"]["waiting"] == 0)
    plant.kill("gateway")
    store.down = False
    peer.latest.clear()
    node.epoch, node.seq = "e1", 0
    plant.start("gateway")
    assert store.until(1) == [line_of(2)]
    wait_for(lambda: plant.sinks()["records"] == 0)
    plant.kill("cloud")  # and the other way round
    peer.until(lambda: STATE in peer.latest and peer.json(STATE)["online"])
    peer.send(node.nbirth(), node.dbirth(), node.event(3), node.event(4), node.ddata(5))
    store.until(2)
    wait_for(lambda: plant.sinks()["records"] == plant.sinks()["cloud"]["waiting"] == 1)
    plant.kill("gateway")
    plant.start("gateway")
    plant.start("cloud")
    wait_for(lambda: plant.events() == ["e1", "e3", "e4"])
    wait_for(lambda: plant.sinks()["records"] == 0)
    source = "/ledger?source=demo:shanghai:machining/line1"
    wait_for(lambda: [each["events"] for each in plant.get(source)["sources"]] == [3])
    (told,) = plant.get(source)["sources"]
    assert (told["stored"], told["repeated"], told["unexplained"], told["quarantined"]) == (5, 1, 0, 0)
    assert sorted(store.lines) == sorted([line_of(2), line_of(5)])
