"""A spool that was put back to an earlier copy: a real edge node and a real gateway, on a real broker."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.birth import node_birth
from contract.broker import Broker
from contract.model import Asset, Sample, Signal
from contract.sparkplug import Payload, encode, stamp
from edge.entry import Place
from edge.health import node_asset
from edge.ledger import EdgeLedger
from edge.uplink import Uplink
from gateway.acks import ack_command
from gateway.config import Settings
from spool import Spool
from tests.gateway.test_gateway import ON_NATS, Running
from tests.gateway.wire import LINE, START_NS, EdgeNode, FakeStore, Peer, wait_for

pytestmark = ON_NATS

MACHINE = Asset("demo", "shanghai", "machining", "line1", "cnc-01", "cnc", {}, (Signal("speed"),))


class Edge:
    """An edge node of one machine whose state folder can be copied and put back."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.broker = broker

    def start(self, broker: Broker | None = None) -> None:
        self.spool = Spool.open(self.folder / "line1.spool", linger_s=0.0)
        self.uplink = Uplink(LINE, self.spool, broker or self.broker)
        node = self.uplink.node
        node.describe(node_asset(Place("demo", "shanghai", "machining", "line1"), []), node=True)
        node.describe(MACHINE)
        self.ledger = EdgeLedger(self.spool, node.put, "line1")
        self.ledger.open(time.time_ns())
        node.renewed = self.ledger.renewed
        self.uplink.start()

    def stop(self) -> None:
        self.uplink.stop()
        self.spool.close()

    def read(self, *values: int) -> None:
        for value in values:
            sample = Sample("cnc-01", "speed", START_NS + value, float(value))
            for future in self.uplink.node.put("cnc-01", [sample]):
                future.result(5)

    def is_empty(self) -> bool:
        return self.spool.stats.records == 0


@pytest.fixture
def running(settings: Settings, login: Broker) -> Iterator[Running]:
    running = Running(settings, login)
    running.start()
    wait_for(lambda: running.gateway.view().state_online)
    yield running
    running.stop()


@pytest.fixture
def edge(tmp_path: Path, login: Broker) -> Edge:
    return Edge(tmp_path / "edge", login)


def stored(store: FakeStore) -> set[int]:
    with store.changed:
        return {int(line.rpartition(" ")[2]) - START_NS for line in store.lines if "asset=cnc-01" in line}


def put_back(edge: Edge, tmp_path: Path, before: range, between: range) -> None:
    """Let the edge send, copy its folder, send on, and put the copy back in its place."""
    edge.start()
    edge.read(*before)
    wait_for(edge.is_empty)
    edge.stop()
    shutil.copytree(edge.folder, tmp_path / "copy")
    edge.start()
    edge.read(*between)
    wait_for(edge.is_empty)
    edge.stop()
    shutil.rmtree(edge.folder)
    shutil.copytree(tmp_path / "copy", edge.folder)


@pytest.mark.parametrize("read_before_it_is_noticed", [3, 40])
def test_f1_nothing_is_lost_that_is_read_after_a_spool_was_put_back(
    running: Running, edge: Edge, fake_store: FakeStore, tmp_path: Path, free_port: int, read_before_it_is_noticed: int
) -> None:
    put_back(edge, tmp_path, range(1, 11), range(11, 31))
    # it cannot send at first: what it reads may have numbers below and above those that the gateway has received
    edge.start(Broker(url=f"mqtt://127.0.0.1:{free_port}"))
    offline = range(101, 101 + read_before_it_is_noticed)
    edge.read(*offline)
    edge.stop()
    edge.start()
    epoch = edge.spool.epoch
    edge.read(*range(201, 211))
    wait_for(lambda: stored(fake_store) >= {*range(1, 31), *offline, *range(201, 211)})
    wait_for(edge.is_empty)
    assert edge.spool.epoch != epoch

    publisher = running.gateway._publisher
    wait_for(
        lambda: {e.outcome for e in publisher.sources(0)[LINE].entries if e.reason == "edge_spool"} == {"noted", "lost"}
    )
    told = publisher.sources(0)[LINE]
    assert all("put back to an earlier copy" in e.detail for e in told.entries)
    assert (told.lost, told.unexplained, told.waiting) == (0, 0, 0)
    assert told.produced == told.stored
    edge.stop()


def test_f1_an_acknowledgement_of_what_was_never_sent_begins_a_new_epoch(
    edge: Edge, peer: Peer, running: Running
) -> None:
    """Also for a gateway that does not compare: of what it says is never believed what this spool did not send."""
    edge.start()
    edge.read(1)
    wait_for(edge.is_empty)
    epoch = edge.spool.epoch
    running.gateway._session.publish(*_ack(epoch, 1, 500))
    wait_for(lambda: edge.spool.epoch != epoch)
    edge.read(2)
    wait_for(edge.is_empty)
    edge.stop()


def _ack(epoch: str, first: int, last: int) -> tuple[str, bytes]:
    return LINE.topic("NCMD"), ack_command(epoch, [(first, last)], 0)


def test_f1_of_an_epoch_that_is_over_nothing_is_taken_also_after_a_restart_of_the_gateway(
    running: Running, peer: Peer, settings: Settings, login: Broker, edge_node: EdgeNode, fake_store: FakeStore
) -> None:
    def born(given: str) -> tuple[str, bytes]:
        edge_node.seq = 1
        body = encode(Payload(node_birth(0, START_NS, given), time_ms=START_NS // 1_000_000))
        return edge_node.topic("NBIRTH"), stamp(body, seq=0, uuid=None)

    peer.send(born("e1:0"), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(1, 6)))
    fake_store.until(5)
    peer.until(lambda: "e1:1-5" in peer.commands("Spool/Ack"))
    peer.send(born("e1:5"), edge_node.dbirth())  # a rebirth: nothing is odd
    peer.send(edge_node.ddata(6))
    peer.until(lambda: "e1:1-6" in peer.commands("Spool/Ack"))
    peer.send(born("e1:3"), edge_node.dbirth(), edge_node.ddata(4))
    peer.until(lambda: "e1:renew" in peer.commands("Spool/Ack"))
    wait_for(lambda: running.gateway.view().counters.get((LINE, "renewal_awaited")) == 1)
    running.stop()
    later = Running(settings, login)
    later.start()
    try:
        wait_for(lambda: later.gateway.view().state_online)
        count = len(peer.commands("Spool/Ack"))
        peer.send(born("e1:9"))  # it has sent more meanwhile
        peer.until(lambda: len(peer.commands("Spool/Ack")) > count)
        assert set(peer.commands("Spool/Ack")[count:]) == {"e1:renew"}
    finally:
        later.stop()


def test_f2_messages_in_another_s_name_are_noticed_and_the_real_ones_kept(
    running: Running, peer: Peer, edge_node: EdgeNode, fake_store: FakeStore
) -> None:
    peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
    fake_store.until(1)
    forged = [edge_node.ddata(n, [Sample("cnc-01", "speed", START_NS + n, -1.0)]) for n in (2, 3)]
    peer.send(*forged)
    peer.until(lambda: "e1:1-3" in peer.commands("Spool/Ack"))
    peer.send(edge_node.ddata(2), edge_node.ddata(3), edge_node.ddata(4), edge_node.backlog(4))
    fake_store.until(6)
    counters = running.gateway.view().counters
    assert {what: counters.get((LINE, what), 0) for what in ("contradicted", "repeated", "received")} == {
        "contradicted": 2,
        "repeated": 1,
        "received": 6,
    }
    publisher = running.gateway._publisher
    wait_for(lambda: publisher.sources(0)[LINE].stored == 6)
    told = publisher.sources(0)[LINE]
    assert [(entry.reason, entry.outcome, entry.count) for entry in told.entries] == [("identity", "noted", 2)]
    assert (told.lost, told.unexplained) == (0, 0)


def test_f2_an_edge_whose_next_numbers_were_forged_begins_a_new_epoch(
    running: Running, edge: Edge, peer: Peer, fake_store: FakeStore
) -> None:
    edge.start()
    edge.read(*range(1, 6))
    wait_for(edge.is_empty)
    thief = EdgeNode(epoch=edge.spool.epoch)
    last_n = edge.spool.stats.last_n
    peer.send(*(thief.backlog(n) for n in range(last_n + 1, last_n + 50)))
    wait_for(lambda: edge.spool.epoch != thief.epoch)
    edge.read(*range(101, 131))
    wait_for(lambda: stored(fake_store) >= {*range(1, 6), *range(101, 131)})
    wait_for(edge.is_empty)
    edge.stop()
