"""What is kept, what is acknowledged and what is refused; with a real spool, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.ack import SPOOL_ACK, parse_ack
from contract.birth import REBIRTH
from contract.identity import Ids
from contract.model import Sample
from contract.sparkplug import Code, Metric, Payload, decode, encode, stamp
from contract.topics import Node
from gateway.acks import Acks
from gateway.host import Host
from gateway.ledger import Ledger
from gateway.mirror import Mirror
from gateway.reader import Decoded, Reader
from gateway.receive import MOST_NODES, NOBODY, Receiver
from spool import Spool
from tests.gateway.wire import INFO, LINE, START_NS, EdgeNode, wait_for


class Desk:
    """A receiver with all that it needs, and what it published."""

    def __init__(self, spool: Spool, ledger: Ledger) -> None:
        self.spool = spool
        self.ledger = ledger
        self.host = Host(ledger)
        self.mirror = Mirror()
        self.decoded = Decoded()
        self.acks = Acks(lambda node, epoch: spool.received("/".join(node), epoch))
        self.receiver = Receiver(
            self.host, spool, acks=self.acks, ledger=ledger, mirror=self.mirror, decoded=self.decoded
        )
        self.connected = True
        self.published: list[tuple[str, Payload]] = []
        self.now = 0.0

    def receive(self, *messages: tuple[str, bytes]) -> None:
        for topic, body in messages:
            self.receiver.receive(topic, body, 0.0, START_NS)

    def publish(self, topic: str, body: bytes) -> bool:
        if self.connected:
            self.published.append((topic, decode(body)))
        return self.connected

    def acknowledged(self) -> list[tuple[int, int]]:
        """Move the clock past an acknowledgement; return the last one's ranges."""
        self.now += 1.0
        self.acks.tick(self.now, 0, self.publish)
        texts = [m.value for _, payload in self.published for m in payload.metrics if m.name == SPOOL_ACK]
        return parse_ack(str(texts[-1])).intervals if texts else []

    def bodies(self) -> list[bytes]:
        return [record.body for record in self.spool.read()]

    def settled(self, count: int) -> None:
        """Wait until that many messages were committed or refused."""
        wait_for(lambda: self.total("received") + self.total("refused") == count)

    def total(self, what: str, node: Node = LINE) -> int:
        return self.ledger.totals().get((node, what), 0)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.open(tmp_path / "gateway.spool", linger_s=0.001, max_bytes=20_000) as spool:
        yield spool


@pytest.fixture
def desk(spool: Spool, ledger: Ledger) -> Desk:
    return Desk(spool, ledger)


def test_only_what_is_committed_is_acknowledged(desk: Desk, edge_node: EdgeNode) -> None:
    desk.receive(edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in (1, 2, 5)))
    wait_for(lambda: desk.total("received") == 3)
    assert desk.acknowledged() == [(1, 2), (5, 5)]
    assert len(desk.bodies()) == 5
    count = len(desk.published)
    desk.acknowledged()
    assert len(desk.published) == count


def test_an_acknowledgement_that_could_not_be_sent_is_sent_later(desk: Desk, edge_node: EdgeNode) -> None:
    desk.receive(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
    wait_for(lambda: desk.total("received") == 1)
    desk.connected = False
    assert desk.acknowledged() == []
    desk.connected = True
    assert desk.acknowledged() == [(1, 1)]


def test_many_ranges_are_said_in_part(desk: Desk) -> None:
    ranges = [(10 * n, 10 * n + 3) for n in range(1, 1001)]
    acks = Acks(lambda _node, _epoch: ranges)
    for n in (52, 53, 9991):
        acks.committed(LINE, "e1", n)
    acks.tick(1.0, 0, desk.publish)
    [(topic, payload)] = desk.published
    assert topic == LINE.topic("NCMD")
    assert parse_ack(str(payload.metrics[0].value)).intervals == [(50, 53), (9990, 9993)]


def test_f11_a_device_died_when_the_message_says_and_a_node_when_it_arrived(desk: Desk, edge_node: EdgeNode) -> None:
    shown: dict[str, dict[str, object]] = {}

    def offline_since() -> object:
        desk.now += 1.0
        desk.mirror.tick(desk.now, 0, lambda topic, body: shown.update({topic: orjson.loads(body)}) or True)
        return shown[INFO]["offline_since"]

    at_ms = START_NS // 1_000_000
    for said_ms, since_ms in ((at_ms - 7_000, at_ms - 7_000), (at_ms + 7_000, at_ms), (None, at_ms)):
        desk.receive(edge_node.nbirth(), edge_node.dbirth())
        assert offline_since() is None
        desk.receive((edge_node.topic("DDEATH"), encode(Payload([], time_ms=said_ms, seq=2))))
        assert offline_since() == since_ms
    desk.receive(edge_node.nbirth(), edge_node.dbirth())
    will = Payload([Metric("bdSeq", None, Code.INT64, 0, 0)], time_ms=1)  # made long before the death
    desk.receive((edge_node.topic("NDEATH"), encode(will)))
    assert offline_since() == at_ms


def test_a_full_spool_refuses_does_not_acknowledge_and_recovers(desk: Desk, edge_node: EdgeNode) -> None:
    desk.receive(edge_node.nbirth(), edge_node.dbirth())
    for n in range(1, 300):
        desk.receive(edge_node.ddata(n))
    desk.settled(299)
    refused = desk.total("refused")
    assert refused > 0
    ranges = desk.acknowledged()
    assert sum(last - first + 1 for first, last in ranges) == 299 - refused
    desk.spool.remove([(1, 10_000)])
    missing = next(n for n in range(1, 300) if not any(first <= n <= last for first, last in ranges))
    desk.receive(edge_node.backlog(missing))
    desk.settled(300)
    assert any(first <= missing <= last for first, last in desk.acknowledged())


def test_a_birth_that_could_not_be_kept_is_asked_for_again(desk: Desk, edge_node: EdgeNode) -> None:
    desk.receive(edge_node.nbirth(), edge_node.dbirth())
    n = 0
    while not desk.total("refused"):
        n += 1
        desk.receive(edge_node.ddata(n))
        desk.settled(n)
    desk.receive(edge_node.nbirth())
    assert not desk.host.sessions[LINE].online
    desk.spool.remove([(1, 10_000)])
    desk.receive(edge_node.ddata(n + 1))
    assert desk.host.tick(100.0).rebirth == [LINE]
    assert desk.total("before_birth") == 1


def test_an_unknown_metric_is_not_acknowledged_so_that_it_comes_again_with_its_name(
    desk: Desk, edge_node: EdgeNode
) -> None:
    desk.receive(edge_node.nbirth(), edge_node.dbirth())
    strange = encode(Payload([Metric(None, 99, Code.UNKNOWN, 1.0, START_NS)], time_ms=1))
    desk.receive((edge_node.topic("DDATA"), stamp(strange, seq=2, uuid="e1:1")))
    assert desk.host.tick(0.0).rebirth == [LINE]
    desk.receive(edge_node.ddata(2))
    wait_for(lambda: desk.total("received") == 1)
    assert desk.acknowledged() == [(2, 2)]


def test_a_foreign_uuid_and_a_node_without_acknowledgement_are_just_stored(desk: Desk) -> None:
    foreign = EdgeNode(acknowledges=False)
    desk.receive(foreign.nbirth(), foreign.dbirth())
    topic, body = foreign.ddata(1)
    desk.receive((topic, stamp(body, uuid="550e8400-e29b-41d4-a716-446655440000")), foreign.ddata(1))
    wait_for(lambda: desk.total("received") == 2)
    assert desk.acknowledged() == []


def test_a_sample_without_any_time_gets_the_one_of_its_record(
    desk: Desk, edge_node: EdgeNode, spool: Spool, ledger: Ledger
) -> None:
    timeless = encode(Payload([Metric(None, 1, Code.UNKNOWN, 5.0)]))
    desk.receive(edge_node.nbirth(), edge_node.dbirth())
    desk.receive((edge_node.topic("DDATA"), stamp(timeless, seq=2, uuid="e1:1")))
    wait_for(lambda: desk.total("received") == 1)
    reader = Reader(spool, ledger, desk.decoded)
    lines = [line for record in spool.read() for line in reader.read(record).lines]
    at_ns = spool.read()[-1].time_ns
    assert lines == [f"cnc,area=machining,asset=cnc-01,line=line1,site=shanghai speed=5.0 {at_ns}"]


def test_what_an_earlier_run_knew_makes_a_backlog_readable(desk: Desk, edge_node: EdgeNode) -> None:
    reader = Reader(desk.spool, desk.ledger, desk.decoded)
    desk.receive(edge_node.nbirth(), edge_node.dbirth())
    wait_for(lambda: len(desk.bodies()) == 2)
    for record in desk.spool.read():
        reader.read(record)
    later = Desk(desk.spool, desk.ledger)
    later.receiver.remember(reader.births)
    later.receive(edge_node.backlog(1), edge_node.ddata(2))
    wait_for(lambda: later.total("received") == 1)
    assert later.acknowledged() == [(1, 1)]
    assert later.host.tick(0.0).rebirth == [LINE]


def test_poison_is_set_aside_with_its_bytes(desk: Desk) -> None:
    desk.receive((LINE.topic("DDATA", "x"), b"\xff poison"), ("spBv1.0/too/short", b"lost"))
    desk.ledger.flush()
    assert [(aside.node, aside.body) for aside in desk.ledger.aside()] == [
        (NOBODY, b"\xff poison"),
        (NOBODY, b"lost"),
    ]


def test_poison_of_a_known_node_stands_under_its_name(desk: Desk, edge_node: EdgeNode) -> None:
    desk.receive(edge_node.nbirth(), (LINE.topic("DDATA", "x"), b"\xff poison"))
    desk.ledger.flush()
    assert [aside.node for aside in desk.ledger.aside()] == [LINE]
    assert desk.total("unreadable") == 1


def test_the_number_of_nodes_is_bounded(desk: Desk, edge_node: EdgeNode) -> None:
    desk.receive(edge_node.nbirth(), edge_node.dbirth())
    for n in range(MOST_NODES + 5):
        desk.receive((LINE._replace(edge_node=f"n{n}").topic("NDATA"), b""))
    assert len(desk.host.sessions) == MOST_NODES
    assert desk.total("too_many", NOBODY) == 6
    desk.receive(edge_node.ddata(1))
    wait_for(lambda: desk.total("received") == 1)


def test_commands_are_passed_over(desk: Desk) -> None:
    body = encode(Payload([Metric(REBIRTH, None, Code.BOOLEAN, True)]))
    desk.receive((LINE.topic("NCMD"), body), (LINE.topic("DCMD", "x"), body))
    assert desk.host.sessions == {}
    assert desk.ledger.totals() == {}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH"]),
    st.one_of(st.binary(max_size=100), st.tuples(st.integers(0, 400), st.integers(0, 255), st.integers(0, 2))),
)
def test_no_bytes_can_stop_it(desk: Desk, type_: str, damage: bytes | tuple[int, int, int]) -> None:
    edge_node = EdgeNode()
    good = [edge_node.nbirth()[1], edge_node.dbirth()[1], edge_node.ddata(1)[1]]
    if isinstance(damage, bytes):
        body = damage
    else:
        at, byte, which = damage
        body = good[which][:at] + bytes([byte]) + good[which][at + 1 :]
    desk.receive((edge_node.topic(type_), body))
    reader = Reader(desk.spool, desk.ledger, Decoded())
    for record in desk.spool.read():
        reader.read(record)
    desk.spool.remove([(1, 1_000_000)])
    desk.mirror.tick(desk.now, 0, lambda _topic, _payload: True)
    desk.now += 1.0


def test_ids_are_durable_with_the_message_that_brings_them(spool: Spool, ledger: Ledger, edge_node: EdgeNode) -> None:
    ids = Ids()
    desk = Desk(spool, ledger)
    desk.receiver = Receiver(
        desk.host, spool, acks=desk.acks, ledger=ledger, mirror=desk.mirror, decoded=desk.decoded, ids=ids
    )
    metric = Metric("Druck [bar]", None, Code.DOUBLE, 1.0, START_NS)
    topic = LINE.topic("DBIRTH", "Presse 1")
    desk.receive(edge_node.nbirth(), (topic, encode(Payload([metric], time_ms=START_NS // 10**6, seq=1))))
    wait_for(lambda: len(spool.read()) == 2)
    kept = Ids.load(spool)
    assert kept.asset(LINE, "Presse 1") == "presse-1"
    assert kept.signals(LINE, "Presse 1", ["Druck [bar]"]) == {"Druck [bar]": "Druck_bar_"}
    assert not kept.notes()
    wait_for(lambda: not ids.notes())


def test_after_a_restart_a_machine_that_is_not_reached_stays_offline(desk: Desk, edge_node: EdgeNode) -> None:
    reader = Reader(desk.spool, desk.ledger, desk.decoded)
    speed = Sample("cnc-01", "speed", START_NS, 5.0)
    desk.receive(edge_node.nbirth(), edge_node.dbirth(speed))
    wait_for(lambda: len(desk.bodies()) == 2)
    for record in desk.spool.read():
        reader.read(record)
    shown: list[bool] = []

    def publish(topic: str, payload: bytes) -> bool:
        if topic.endswith("/cnc-01/info"):
            shown.append(orjson.loads(payload)["online"])
        assert not topic.endswith("/cnc-01/tele")  # so the last values that the broker keeps stay as they are
        return True

    later = Desk(desk.spool, desk.ledger)
    later.receiver.remember(reader.births)
    later.mirror.tick(0.0, 0, publish)
    later.receive(edge_node.nbirth(), edge_node.dbirth(online=False))
    later.mirror.tick(1.0, 1000, publish)
    later.receive(edge_node.ddeath())
    later.mirror.tick(2.0, 2000, publish)
    assert len(shown) >= 2
    assert not any(shown)
