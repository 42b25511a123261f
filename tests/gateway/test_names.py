"""Names of others on the wire: nothing of one is stored or shown under the id of another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.ack import SPOOL_ACK
from contract.birth import node_birth
from contract.broker import Broker
from contract.lineprotocol import decode as read_lines
from contract.model import Sample
from contract.sparkplug import Code, Metric, Payload, encode, stamp
from contract.topics import Node
from gateway.birth import Birth
from gateway.config import Settings
from tests.gateway.test_gateway import Running
from tests.gateway.wire import LINE, START_NS, EdgeNode, FakeStore, Peer, wait_for

ON_NATS = pytest.mark.parametrize("broker", ["nats"], indirect=True)

# sparkplug/dbirth_two_chinese_names.bin of the cases: 温度 11.0 and 压力 12.0
TWO_CHINESE_NAMES = bytes.fromhex(
    "0880f2d9e0a234121a0a06e6b8a9e5baa61880f2d9e0a234200a690000000000002640"
    "121a0a06e58e8be58a9b1880f2d9e0a234200a6900000000000028401801"
)


@pytest.fixture
def running(settings: Settings, login: Broker) -> Iterator[Running]:
    running = Running(settings, login)
    running.start()
    wait_for(lambda: running.gateway.view().state_online)
    yield running
    running.stop()


def foreign_nbirth(node: Node, *metrics: Metric) -> tuple[str, bytes]:
    body = [m for m in node_birth(0, START_NS) if m.name != SPOOL_ACK]
    return node.topic("NBIRTH"), encode(Payload([*body, *metrics], time_ms=START_NS // 10**6, seq=0))


def foreign_dbirth(node: Node, device: str, seq: int, **values: float) -> tuple[str, bytes]:
    metrics = [Metric(name, None, Code.DOUBLE, value, START_NS) for name, value in values.items()]
    return node.topic("DBIRTH", device), encode(Payload(metrics, time_ms=START_NS // 10**6, seq=seq))


def stored(store: FakeStore) -> dict[tuple[str, str], object]:
    """Return what was stored by asset and signal, the newest of each."""
    return {
        (point.tags["asset"], signal): value
        for line in store.lines
        for point in read_lines(line.encode())
        for signal, value in point.fields.items()
    }


def labels(peer: Peer) -> dict[str, str]:
    """Return what the source calls each asset and signal that was announced, by id."""
    found = {}
    for topic, body in peer.latest.items():
        if topic.endswith("/info") and body:
            said = orjson.loads(body)
            found[said["asset"]] = said["label"]
            found |= {f"{said['asset']} {s['name']}": s["label"] for s in said["signals"]}
    return found


@ON_NATS
def test_b1_devices_of_one_name_under_two_nodes_do_not_mix(running: Running, peer: Peer, fake_store: FakeStore) -> None:
    first, second = Node("P1", "L1"), Node("P2", "L1")
    for node, value in ((first, 1.0), (second, 2.0)):
        peer.send(foreign_nbirth(node), foreign_dbirth(node, "Robot", 1, speed=value))
        peer.send(foreign_dbirth(node, "PLC1", 2, speed=value + 2), foreign_dbirth(node, "plc1", 3, speed=value + 4))
    fake_store.until(6)
    found = stored(fake_store)
    assert sorted(found.values()) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert found["robot", "speed"] == 1.0
    peer.until(lambda: list(labels(peer).values()).count("Robot") == 2)
    other = next(id_ for id_, label in labels(peer).items() if label == "Robot" and id_ != "robot")
    assert found[other, "speed"] == 2.0

    def online(asset: str) -> object:
        topic = next(topic for topic in peer.latest if topic.endswith(f"/{asset}/info"))
        return peer.json(topic)["online"]

    peer.send((first.topic("NDEATH"), encode(Payload([Metric("bdSeq", None, Code.INT64, 0, START_NS)]))))
    peer.until(lambda: online("robot") is False)
    assert online(other) is True


@ON_NATS
def test_b2_two_chinese_names_are_two_signals(running: Running, peer: Peer, fake_store: FakeStore) -> None:
    node = Node("P1", "L1")
    peer.send(foreign_nbirth(node), (node.topic("DBIRTH", "铣床1"), TWO_CHINESE_NAMES))
    fake_store.until(1)
    assert stored(fake_store) == {("xichuang1", "WenDu"): 11.0, ("xichuang1", "YaLi"): 12.0}
    peer.send(foreign_dbirth(node, "车床1", 2, 温度=3.0), foreign_dbirth(node, "车床", 3, 温度=4.0))
    fake_store.until(3)
    assert stored(fake_store) | {("chechuang1", "WenDu"): 3.0, ("chechuang", "WenDu"): 4.0} == stored(fake_store)
    peer.until(lambda: labels(peer).get("chechuang") == "车床")
    assert labels(peer)["xichuang1"] == "铣床1"
    assert labels(peer)["xichuang1 WenDu"] == "温度"


@ON_NATS
def test_b3_names_that_differ_in_signs_are_two_signals(running: Running, peer: Peer, fake_store: FakeStore) -> None:
    node = Node("P1", "L1")
    peer.send(foreign_nbirth(node))
    peer.send(foreign_dbirth(node, "d", 1, **{"Druck 1 [bar]": 1.0, "Druck 1 (bar)": 2.0, "Druck_1_bar_": 3.0}))
    fake_store.until(1)
    assert sorted(stored(fake_store).values()) == [1.0, 2.0, 3.0]
    assert stored(fake_store)["d", "Druck_1_bar_"] == 3.0


@ON_NATS
def test_b5_a_node_with_a_name_outside_ascii_is_stored(running: Running, peer: Peer, fake_store: FakeStore) -> None:
    metric = Metric("温度", None, Code.DOUBLE, 5.0, START_NS)
    peer.send(foreign_nbirth(Node("车间", "网关"), metric), foreign_nbirth(Node("🦾", "🦾"), metric))
    fake_store.until(2)
    assert stored(fake_store) == {("chejian-wangguan", "WenDu"): 5.0, ("mechanical_arm-mechanical_arm", "WenDu"): 5.0}
    peer.until(lambda: labels(peer).get("chejian-wangguan") == "车间/网关")
    assert not running.gateway.view().counters.get((Node("-", "-"), "aside"))


@ON_NATS
def test_two_lines_of_ours_with_one_machine_id_do_not_mix(
    running: Running, peer: Peer, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    other = EdgeNode(Node.of("demo", "shanghai", "machining", "line2"), epoch="e2")
    peer.send(edge_node.nbirth(), edge_node.dbirth(), other.nbirth(), other.dbirth())
    peer.send(edge_node.ddata(1), other.ddata(1, [Sample("cnc-01", "speed", START_NS, 7.0)]))
    fake_store.until(2)
    found = stored(fake_store)
    assert found["cnc-01", "speed"] == 1.0
    assert sorted(found.values()) == [1.0, 7.0]  # type: ignore[type-var]


@ON_NATS
def test_ids_last_over_a_restart_whoever_comes_first_then(
    settings: Settings, login: Broker, peer: Peer, fake_store: FakeStore, running: Running
) -> None:
    nodes = [Node("P1", "L1"), Node("P2", "L1")]
    for value, node in enumerate(nodes):
        peer.send(foreign_nbirth(node), foreign_dbirth(node, "Robot", 1, **{"a b": value, "a-b": 2.0, "a_b": 3.0}))
    fake_store.until(2)
    before = stored(fake_store)
    assert len(before) == 6
    running.stop()
    again = Running(settings, login)
    again.start()
    try:
        wait_for(lambda: again.gateway.view().state_online)
        for value, node in reversed(list(enumerate(nodes))):
            peer.send(foreign_nbirth(node), foreign_dbirth(node, "Robot", 1, **{"a b": value + 10.0}))
        fake_store.until(4)
        key_of = {value: key for key, value in before.items() if value in (0.0, 1.0)}
        assert stored(fake_store) == before | {key_of[0.0]: 10.0, key_of[1.0]: 11.0}
    finally:
        again.stop()


@ON_NATS
def test_a_name_that_only_a_backlog_has_keeps_its_id(
    settings: Settings, login: Broker, peer: Peer, fake_store: FakeStore, running: Running, edge_node: EdgeNode
) -> None:
    def backlog(n: int, name: str) -> tuple[str, bytes]:
        metric = Metric(name, None, Code.DOUBLE, float(n), START_NS + n, is_historical=True)
        body = encode(Payload([metric], time_ms=START_NS // 10**6))
        edge_node.seq += 1
        return edge_node.topic("DDATA"), stamp(body, seq=edge_node.seq - 1, uuid=f"e1:{n}")

    peer.send(edge_node.nbirth(), edge_node.dbirth(), backlog(1, "Druck [alt]"))
    fake_store.until(1)
    assert stored(fake_store) == {("cnc-01", "Druck_alt_"): 1.0}
    running.stop()
    again = Running(settings, login)
    again.start()
    try:
        wait_for(lambda: again.gateway.view().state_online)
        peer.send(edge_node.nbirth(), edge_node.dbirth(), backlog(2, "Druck (alt)"), backlog(3, "Druck [alt]"))
        fake_store.until(3)
        found = stored(fake_store)
        assert found["cnc-01", "Druck_alt_"] == 3.0
        assert sorted(found.values()) == [2.0, 3.0]  # type: ignore[type-var]
    finally:
        again.stop()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=150), min_size=1, unique=True))
@hypothesis.settings(deadline=None)
def test_every_metric_is_a_field_of_its_own(names: list[str]) -> None:
    metrics = [Metric(f"m/{name}", None, Code.DOUBLE, float(n), START_NS) for n, name in enumerate(names)]
    body = encode(Payload(metrics, time_ms=START_NS // 10**6, seq=0))
    birth = Birth(LINE, "d", body)
    [point] = read_lines("\n".join(birth.lines(birth.first)).encode())
    assert sorted(point.fields.values()) == [float(n) for n in range(len(names))]  # type: ignore[type-var]


def test_the_case_is_what_the_page_says() -> None:
    path = Path(__file__).parents[3] / "shared" / "cases" / "sparkplug" / "dbirth_two_chinese_names.bin"
    if not path.exists():
        pytest.skip("the cases are not beside this tree")
    assert path.read_bytes() == TWO_CHINESE_NAMES
