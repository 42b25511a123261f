"""The spool of an older gateway: its ids stay, but for those that several names had together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from contract.broker import Broker
from contract.identity import Ids
from contract.sparkplug import Code, Metric, Payload, decode, encode
from contract.topics import Node
from gateway.birth import Birth
from gateway.config import Settings
from gateway.ledger import Ledger
from gateway.ledger.account import Account
from gateway.seed import open_ids
from spool import Spool
from tests.gateway.test_gateway import Running
from tests.gateway.test_names import foreign_dbirth, foreign_nbirth, stored
from tests.gateway.wire import CNC, START_NS, EdgeNode, FakeStore, Peer, wait_for

NOW_NS = START_NS + 10**12
WERK = Node("Werk München", "L1")
P1, P2 = Node("P1", "L1"), Node("P2", "L1")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.open(tmp_path / "gateway.spool") as spool:
        yield spool


def note_births(spool: Spool, *births: tuple[str, bytes]) -> None:
    """Write notes as a gateway without a table of ids has them: each birth under its topic, and the list of them."""
    spool.set_notes({**dict(births), "births": orjson.dumps(sorted(topic for topic, _ in births))})


def device(node: Node, name: str, *metrics: str) -> tuple[str, bytes]:
    return foreign_dbirth(node, name, 1, **dict.fromkeys(metrics, 1.0))


def reopened(spool: Spool) -> tuple[Ids, Account]:
    account = Account()
    ids, _ = open_ids(spool, account, NOW_NS)
    spool.set_notes(ids.notes())
    ids.noted(ids.notes())
    return ids, account


def asset_id(ids: Ids, birth: tuple[str, bytes]) -> str:
    *_, edge_node, name = birth[0].split("/")
    return Birth(Node(birth[0].split("/")[1], edge_node), name, birth[1], ids).asset.id


def details(account: Account, node: Node) -> list[str]:
    return [entry.detail for entry in account.entries(node, 100)]


def test_ids_of_today_stay(spool: Spool) -> None:
    births = [
        foreign_nbirth(WERK),
        device(WERK, "Oven.1", "Temperatur °C", "Größe", "plain"),
        device(WERK, "_x", "a"),
        device(P1, "铣床", "温度"),
    ]
    note_births(spool, *births)
    ids, account = reopened(spool)
    asset = Birth(WERK, "Oven.1", births[1][1], ids).asset
    assert (asset.enterprise, asset.site, asset.area, asset.line) == ("_", "werk-m-nchen", "_", "l1")
    assert asset.id == "oven-1"
    assert [signal.name for signal in asset.signals] == ["Temperatur_C", "Gr_e", "plain"]
    assert ids.asset(WERK, None) == "werk-m-nchen-l1"
    assert [asset_id(ids, birth) for birth in births[2:]] == ["_x", "_"]
    assert Birth(P1, "铣床", births[3][1], ids).asset.signals[0].name == "_"
    assert not account.nodes()
    # what is new beside them is written as anything new is
    assert ids.asset(P1, "车床") == "chechuang"


def test_names_that_had_one_id_are_parted_and_the_ledger_says_when(spool: Spool) -> None:
    mixed = device(P1, "d", "温度", "压力", "Druck 1 [bar]", "Druck 1 (bar)", "Druck_1_bar_")
    robots = [device(P1, "Robot", "speed"), device(P2, "Robot", "speed")]
    cases = [device(P1, "PLC1", "a"), device(P1, "plc1", "a")]
    note_births(spool, mixed, *robots, *cases)
    ids, account = reopened(spool)

    signals = ids.signals(P1, "d", ["温度", "压力", "Druck 1 [bar]", "Druck 1 (bar)", "Druck_1_bar_"])
    assert signals["温度"] == "WenDu"
    assert signals["压力"] == "YaLi"
    assert signals["Druck_1_bar_"] == "Druck_1_bar_"
    assert len(set(signals.values())) == 5
    assert ids.signals(P1, "d", [" "])[" "] != "_"  # what is stored under it is of others

    parted = [asset_id(ids, birth) for birth in robots]
    assert len({*parted, "robot"}) == 3
    assert asset_id(ids, cases[1]) == "plc1"
    assert asset_id(ids, cases[0]).startswith("plc1-")

    assert any("'温度' is WenDu" in text and "were all '_'" in text for text in details(account, P1))
    assert any(f"'P2/L1/Robot' is {parted[1]}" in text for text in details(account, P2))
    assert {entry.start_ns for entry in account.entries(P1, 100)} == {NOW_NS}
    assert {(e.reason, e.outcome, e.count) for e in account.entries(P1, 100)} == {("identity", "noted", 0)}

    again, nothing = reopened(spool)
    assert [asset_id(again, birth) for birth in robots] == parted
    assert again.signals(P1, "d", signals) == signals
    assert not nothing.nodes()


def test_a_machine_of_ours_keeps_its_id_whoever_had_it_too(spool: Spool) -> None:
    ours = EdgeNode().dbirth()
    theirs = device(P1, "CNC 01", "speed"), device(P1, "cnc-01", "speed")
    note_births(spool, EdgeNode().nbirth(), ours, *theirs)
    ids, _ = reopened(spool)
    assert asset_id(ids, ours) == CNC.id
    assert len({asset_id(ids, birth) for birth in (ours, *theirs)}) == 3


def test_a_machine_of_ours_that_was_on_two_lines_keeps_its_id(spool: Spool) -> None:
    moved = EdgeNode(Node.of("demo", "shanghai", "machining", "line2")).dbirth()
    note_births(spool, EdgeNode().dbirth(), moved)
    ids, account = reopened(spool)
    assert asset_id(ids, moved) == CNC.id
    assert not account.nodes()


def test_places_that_were_one_are_two(spool: Spool) -> None:
    nodes = [Node("Plant 7", "L"), Node("plant.7", "L"), Node("车间", "L"), Node("厂", "L"), Node("demo:a:b", "x y")]
    note_births(spool, *map(foreign_nbirth, nodes))
    ids, _ = reopened(spool)
    assert len({ids.place(node)[:2] for node in nodes}) == len(nodes)
    assert len({ids.asset(node, None) for node in nodes}) == len(nodes)
    assert ids.place(nodes[4]) == ("demo", "a", "b", "x-y")


def test_ten_thousand_signals_are_read_quickly(spool: Spool) -> None:
    names = [f"Gerät {n // 100} [{n}]" for n in range(10_000)]
    body = encode(Payload([Metric(name, None, Code.DOUBLE, 1.0, START_NS) for name in names], time_ms=1, seq=1))
    note_births(spool, (P1.topic("DBIRTH", "d"), body))
    reopened(spool)
    payload_s = _seconds(lambda: decode(body))
    again = Ids.load(spool)
    assert len(again.signals(P1, "d", names)) == 10_000
    # reading the table and asking it costs less than reading the birth itself does
    assert _seconds(lambda: Ids.load(spool).signals(P1, "d", names)) < 2 * payload_s


def _seconds(work: object) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        work()  # type: ignore[operator]
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize("broker", ["nats"], indirect=True)
def test_a_gateway_of_today_goes_on_with_the_spool_of_before(
    settings: Settings, login: Broker, peer: Peer, fake_store: FakeStore
) -> None:
    settings.folder.mkdir(parents=True)
    robots = device(P1, "Robot", "温度", "压力"), device(P2, "Robot", "a b")
    with Spool.open(settings.folder / "gateway.spool") as spool:
        note_births(spool, foreign_nbirth(P1), foreign_nbirth(P2), *robots)
        spool.put(*robots[1]).result()  # read by no forwarder yet
    as_one = "v1/_/p1/_/l1/robot/info"
    assert peer.session.publish(as_one, b'{"as":"an older gateway said"}', retain=True)
    peer.until(lambda: as_one in peer.latest)
    running = Running(settings, login)
    running.start()
    try:
        wait_for(lambda: running.gateway.view().state_online)
        peer.until(lambda: peer.latest[as_one] == b"")
        peer.send(foreign_nbirth(P1), robots[0])
        fake_store.until(2)
        assert {signal for _, signal in stored(fake_store)} == {"WenDu", "YaLi", "a_b"}
        assert "robot" not in {asset for asset, _ in stored(fake_store)}
    finally:
        running.stop()
    ledger = Ledger(settings.folder / "ledger.db")
    ledger.open()
    told: Sequence[str] = details(ledger.account, P1)
    ledger.close()
    assert any("WenDu" in text for text in told)
