"""The whole gateway on real brokers, with a real spool and a store at the wire."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from contract.ack import SPOOL_ACK
from contract.birth import REBIRTH
from contract.broker import Broker
from contract.loss import Balance
from contract.model import Sample
from contract.mqtt import Session
from contract.topics import Node
from gateway.config import Settings
from gateway.gateway import TICK_S, Gateway
from gateway.ledger.balance import GATEWAY
from tests.gateway.wire import CNC, INFO, LINE, START_NS, STATE, TELE, EdgeNode, FakeStore, Peer, line_of, wait_for

# what does not depend on the kind of broker is tested on one
ON_NATS = pytest.mark.parametrize("broker", ["nats"], indirect=True)


class Running:
    """A gateway and the thread that moves its clock."""

    def __init__(self, settings: Settings, login: Broker, mirror_login: Broker | None = None) -> None:
        self.gateway = Gateway(settings, login, mirror_login)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def start(self) -> None:
        self.gateway.start()
        self._thread.start()

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_S):
            self.gateway.tick(time.monotonic(), time.time_ns())

    def stop(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join()
            self.gateway.stop()

    def get(self, path: str) -> tuple[int, bytes]:
        url = f"http://127.0.0.1:{self.gateway.health.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def red(self) -> dict[str, str]:
        """Return the checks that fail, with what they say."""
        report = orjson.loads(self.get("/health")[1])
        return {check["name"]: check["detail"] for check in report["checks"] if not check["ok"]}


@pytest.fixture
def running(settings: Settings, login: Broker) -> Iterator[Running]:
    running = Running(settings, login)
    running.start()
    wait_for(lambda: running.gateway.view().state_online)
    yield running
    running.stop()


def test_a_sample_reaches_store_and_mirror_and_is_acknowledged(
    running: Running, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    peer.send(edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in (1, 2, 4)))
    assert fake_store.until(3) == sorted(line_of(n) for n in (1, 2, 4))
    peer.until(lambda: "e1:1-2,4" in peer.commands(SPOOL_ACK))
    peer.until(lambda: peer.tele().get("value") == 4.0)
    assert peer.tele() == {"value": 4.0, "quality": 192, "time": START_NS // 10**6 + 4000}
    info = peer.json(INFO)
    assert (info["kind"], info["names"]["zh"], info["online"], info["edge_node"]) == (
        "cnc",
        "加工中心",
        True,
        "demo:shanghai:machining/line1",
    )
    assert info["signals"][0] | {"unit": "rpm", "high": 12000.0, "datatype": "double"} == info["signals"][0]


def test_a_repeat_is_recognised_whatever_its_order(
    running: Running, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    peer.send(edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in (1, 2, 3)))
    fake_store.until(3)
    peer.send(*(edge_node.backlog(n) for n in (3, 5, 1, 4, 2, 5)))
    fake_store.until(5)
    peer.until(lambda: "e1:1-5" in peer.commands(SPOOL_ACK))
    assert sorted(fake_store.lines) == sorted(line_of(n) for n in range(1, 6))
    totals = running.gateway.view().counters
    assert (totals[LINE, "received"], totals[LINE, "repeated"]) == (5, 4)
    peer.until(lambda: peer.tele().get("value") == 5.0)


def test_state_is_retained_and_says_goodbye(running: Running, peer: Peer) -> None:
    peer.until(lambda: STATE in peer.latest)
    online = peer.json(STATE)
    assert online["online"] is True
    assert next(retained for topic, _, retained in peer.heard if topic == STATE)
    running.stop()
    peer.until(lambda: peer.json(STATE)["online"] is False)
    assert peer.json(STATE)["timestamp"] >= online["timestamp"]


def test_a_late_will_of_ours_is_contradicted(running: Running, peer: Peer) -> None:
    peer.until(lambda: STATE in peer.latest)
    online = peer.latest[STATE]
    assert peer.session.publish(STATE, b'{"online":false,"timestamp":1}', qos=1, retain=True)
    peer.until(lambda: [payload for topic, payload, _ in peer.heard if topic == STATE][-2:].count(online) == 1)
    peer.until(lambda: peer.latest[STATE] == online)


@ON_NATS
def test_a_gap_leads_to_a_rebirth_request(running: Running, peer: Peer, edge_node: EdgeNode) -> None:
    edge_node.acknowledges = False
    peer.send(edge_node.nbirth(), edge_node.dbirth())
    edge_node.seq = 9
    peer.send(edge_node.ddata(1))
    peer.until(lambda: peer.commands(REBIRTH) == [True])
    assert running.gateway.view().counters[LINE, "lost"] == 7


def test_a_death_makes_the_mirror_stale_and_a_stale_will_does_not(
    running: Running, peer: Peer, edge_node: EdgeNode
) -> None:
    edge_node.bdseq = 5
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1), edge_node.ndeath(4))
    peer.until(peer.tele)
    wait_for(lambda: running.gateway.view().counters.get((LINE, "stale_deaths")) == 1)
    assert peer.json(INFO)["online"] is True
    peer.send(edge_node.ndeath())
    peer.until(lambda: peer.json(INFO)["online"] is False)
    assert (peer.json(INFO)["reason_code"], "NDEATH" in peer.json(INFO)["reason"]) == ("edge_died", True)
    peer.until(lambda: peer.tele()["quality"] == 500)
    peer.send(edge_node.nbirth(), edge_node.dbirth(Sample(CNC.id, "speed", START_NS + 9 * 10**9, 9.0)))
    peer.until(lambda: peer.json(INFO)["online"] is True)
    peer.until(lambda: (peer.tele()["value"], peer.tele()["quality"]) == (9.0, 192))
    assert peer.json(INFO)["reason"] == ""
    peer.send(edge_node.ddeath())
    peer.until(lambda: peer.json(INFO)["online"] is False)
    assert peer.json(INFO)["reason_code"] == "died"


@ON_NATS
def test_data_before_its_birth_is_not_acknowledged(
    running: Running, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    peer.send(edge_node.ddata(1))
    peer.until(lambda: peer.commands(REBIRTH) == [True])
    assert peer.commands(SPOOL_ACK) == []
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.backlog(1))
    assert fake_store.until(1) == [line_of(1)]
    peer.until(lambda: "e1:1" in peer.commands(SPOOL_ACK))


@ON_NATS
def test_poison_is_set_aside_and_the_rest_flows(
    running: Running, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    peer.send(edge_node.nbirth(), edge_node.dbirth())
    poison = [b"", b"\xff" * 50, b'{"json": true}', b"<xml/>", b"\x12\xff\xff\xff\x7f", os.urandom(200)]
    for body in poison:
        for type_ in ("DDATA", "NDATA", "NBIRTH", "DBIRTH", "NDEATH", "DDEATH"):
            peer.send((LINE._replace(edge_node="bad").topic(type_, "x" if type_[0] == "D" else None), body))  # type: ignore[arg-type]
    peer.send((edge_node.topic("DDATA"), b"\xff\xff"), edge_node.ddata(1))
    assert fake_store.until(1) == [line_of(1)]
    wait_for(lambda: running.gateway.view().counters.get((LINE, "aside")) == 1)
    assert running.gateway.alive


@ON_NATS
def test_a_store_that_is_down_delays_and_loses_nothing(
    running: Running, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    fake_store.down = True
    peer.send(edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(1, 21)))
    peer.until(lambda: "e1:1-20" in peer.commands(SPOOL_ACK))
    peer.until(lambda: peer.tele().get("value") == 20.0)
    assert fake_store.lines == []
    fake_store.down = False
    assert fake_store.until(20) == sorted(line_of(n) for n in range(1, 21))


@ON_NATS
def test_health_is_green_only_while_data_flows(running: Running, peer: Peer, broker: Any, edge_node: EdgeNode) -> None:
    assert running.get("/health")[0] == 503
    assert list(running.red()) == ["nodes"]
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
    wait_for(lambda: running.get("/health")[0] == 200)
    status, text = running.get("/metrics")
    assert status == 200
    assert (
        b'shopfloor_gateway_ledger_total{edge_node="line1",group="demo:shanghai:machining",what="births"} 1.0' in text
    )
    assert running.get("/")[0] == 404
    broker.stop()
    wait_for(lambda: {"broker", "state"} <= running.red().keys())


def test_after_a_broker_restart_the_gateway_and_its_mirror_are_back(
    running: Running, peer: Peer, broker: Any, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
    fake_store.until(1)
    broker.stop()
    wait_for(lambda: not running.gateway.view().connected and not peer.session.is_connected)
    peer.latest.clear()
    broker.start()
    wait_for(lambda: peer.session.is_connected)
    wait_for(lambda: running.gateway.view().state_online)  # what is retained says so from before
    peer.until(lambda: INFO in peer.latest and TELE in peer.latest and peer.json(STATE)["online"])
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(2))
    assert fake_store.until(2) == [line_of(1), line_of(2)]


@ON_NATS
def test_a_mirror_with_a_broker_of_its_own_is_on_no_other(
    settings: Settings,
    login: Broker,
    peer: Peer,
    edge_node: EdgeNode,
    start_broker: Callable[[str], Any],
) -> None:
    enterprise = start_broker("mosquitto")
    mirror_login = Broker(url=enterprise.url, user=enterprise.user, password_file=enterprise.password_file)
    reader = Peer(mirror_login)
    reader.start()
    running = Running(settings, login, mirror_login)
    running.start()
    try:
        wait_for(lambda: running.gateway.view().state_online)
        peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
        reader.until(lambda: reader.tele().get("value") == 1.0)
        peer.until(lambda: "e1:1" in peer.commands(SPOOL_ACK))
        assert not [topic for topic in peer.latest if topic.startswith("v1/")]
        enterprise.stop()
        wait_for(lambda: list(running.red()) == ["mirror"])
    finally:
        running.stop()
        reader.session.stop()


@ON_NATS
def test_f9_the_age_of_the_last_message_is_true_after_a_restart_and_a_missing_node_is_told(
    running: Running, peer: Peer, settings: Settings, login: Broker, edge_node: EdgeNode, fake_store: FakeStore
) -> None:
    other = EdgeNode(Node("demo:shanghai:machining", "line2"))
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1), other.nbirth(), other.dbirth())
    fake_store.until(1)
    wait_for(lambda: len(running.gateway.view().nodes) == 2)
    wait_for(lambda: running.gateway._ledger.account.seen_ns(LINE))
    running.stop()
    with closing(sqlite3.connect(settings.folder / "ledger.db", isolation_level=None)) as database:
        assert database.execute("UPDATE seen SET time_ns = time_ns - 600000000000").rowcount == 2
    later = Running(settings, login)
    later.start()
    wait_for(lambda: later.gateway.view().state_online)
    peer.send(other.nbirth())
    wait_for(lambda: sorted(seen.online for seen in later.gateway.view().nodes) == [False, True])
    report = orjson.loads(later.get("/health")[1])
    ages = {node["node"]: node["last_message_age_s"] for node in report["nodes"]}
    assert 600 <= ages["/".join(LINE)] < 660
    assert "offline: demo:shanghai:machining/line1 (60" in later.red()["nodes"]
    later.stop()


def test_f8_of_two_gateways_with_one_name_one_yields_and_takes_over_when_the_other_ends(
    running: Running,
    settings: Settings,
    login: Broker,
    peer: Peer,
    tmp_path: Path,
    edge_node: EdgeNode,
    fake_store: FakeStore,
) -> None:
    other = Running(settings.model_copy(update={"home": tmp_path / "other"}), login)
    other.start()
    both = (running, other)

    def online() -> list[Running]:
        return [each for each in both if each.gateway.view().state_online]

    def standing_by() -> list[Running]:
        return [each for each in both if "stands by" in each.red().get("broker", "")]

    def stands() -> tuple[object, ...]:
        return (*online(), *standing_by(), *(each.gateway._presence.time_ms for each in online()))

    stands_since: list[Any] = [(), 0.0]

    def is_settled() -> bool:
        if stands_since[0] != stands():  # both may yield at first
            stands_since[:] = stands(), time.monotonic()
        # either of them would have come back by then
        return len(online()) == len(standing_by()) == 1 and time.monotonic() - stands_since[1] > 8.0

    wait_for(is_settled, 48.0)
    [first], [second] = online(), standing_by()
    edge_node.sent = 0
    peer.send(edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(1, 6)))
    fake_store.until(5)
    assert stands() == stands_since[0]
    first.stop()
    wait_for(lambda: second.gateway.view().state_online, 30.0)
    edge_node.sent = 5
    peer.send(edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(6, 9)))
    peer.send(edge_node.balance(9, Balance(epoch="e1", produced=9, acknowledged=8, waiting=1)))
    told = "v1/demo/shanghai/machining/line1/shanghai-machining-line1/ledger"
    peer.until(lambda: (peer.json(told) or {}).get("received") == 4)
    assert (peer.json(told)["unexplained"], peer.json(told)["waiting"]) == (0, 0)
    second.stop()


@ON_NATS
def test_what_has_no_number_makes_no_node_one_that_does_not_wait(
    running: Running, peer: Peer, broker: Any, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    """Anybody can publish under the name of a node; the ledger must not say that it lost something for that."""
    peer.send(edge_node.nbirth(), edge_node.dbirth(), (edge_node.topic("DDATA"), b""), edge_node.ddata(1))
    fake_store.until(1)
    account = running.gateway._ledger.account
    wait_for(lambda: account._heard)
    broker.stop()
    wait_for(lambda: not running.gateway.view().state_online)
    broker.start()
    wait_for(lambda: running.gateway.view().state_online)
    assert account.entries(LINE, 9) == []


def test_f8_another_client_with_the_same_id_is_told(running: Running, login: Broker) -> None:
    other = Session(login, "gateway-shopfloor")
    other.start()
    wait_for(lambda: "another client may be connected as gateway-shopfloor" in running.red().get("broker", ""), 60.0)
    other.stop()


def test_f4_the_host_id_is_a_setting(settings: Settings, login: Broker, peer: Peer) -> None:
    mine = Running(settings.model_copy(update={"host_id": "Plant_7"}), login)
    mine.start()
    wait_for(lambda: mine.gateway.view().state_online)
    watched: list[str] = []
    watch = Session(login, "watch", subscriptions=[("spBv1.0/STATE/#", 1)], on_message=lambda t, *_: watched.append(t))
    watch.start()
    wait_for(lambda: watched)
    assert set(watched) == {"spBv1.0/STATE/Plant_7"}
    watch.stop()
    mine.stop()


@ON_NATS
def test_a_spool_of_which_the_store_never_took_anything_has_not_begun_anew(
    settings: Settings, login: Broker, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    fake_store.down = True
    for n in (1, 2):
        running = Running(settings, login)
        running.start()
        wait_for(lambda: running.gateway.view().state_online)  # noqa: B023  (called at once)
        peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(n))
        account = running.gateway._ledger.account
        epochs = account.epochs
        wait_for(lambda: [epoch.received for epoch in epochs(LINE).values()] == [n])  # noqa: B023
        running.stop()
    assert [epoch.before for epoch in account.epochs(LINE).values()] == [0]
    assert [entry.reason for entry in account.entries(GATEWAY, 9)] == []
