"""Spool to cloud: real spool and ledger; two sinks that never wait for each other, whatever the cloud answers."""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from contract.block import Block, Header, block_metric, pack
from contract.event import EVENT, Event, event_metric
from contract.identity import Ids
from contract.loss import SourceLedger
from contract.sparkplug import Code, Metric, Payload, encode
from contract.sparkplug_wire import COMPRESSED
from gateway.cloud import Receipt
from gateway.deliver import Deliverer
from gateway.forward import Forwarder
from gateway.ledger import Ledger
from gateway.ledger.balance import LedgerPublisher
from gateway.ledger.tally import Delivered, Tally
from gateway.reader import Decoded, Reader
from gateway.sinks import Cursors
from gateway.store import Answer
from spool import Spool
from spool.records import checksum
from tests.gateway.wire import CNC, LINE, START_NS, EdgeNode

TOPIC = LINE.topic("DDATA", "cnc-01")


class Store:
    """Takes what it gets, unless it is down."""

    down = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, lines: bytes) -> Answer:
        if self.down:
            return Answer("unavailable", "down")
        self.lines += lines.decode().split("\n")
        return Answer("written")

    def close(self) -> None: ...


class Cloud:
    """Takes what it gets unless it is down; `poison` is a 400, `fatal` a 500, `refused` costs only its line."""

    def __init__(self) -> None:
        self.down = False
        self.most = 0  # so many lines it takes in time, 0: any number
        self.told: list[dict[str, object]] = []
        self.posts = 0
        self.plan: deque[Receipt] = deque()

    def post(self, lines: Sequence[bytes]) -> Receipt:
        self.posts += 1
        assert len(lines) <= 1000
        assert sum(map(len, lines)) <= 1 << 20
        if self.down:
            return Receipt("unavailable", detail="down")
        if 0 < self.most < len(lines):
            return Receipt("unavailable", detail="late", is_late=True)
        if any(b"poison" in line for line in lines):
            return Receipt("rejected", detail="poison")
        if any(b"fatal" in line for line in lines):
            return Receipt("failed", detail="fatal")
        refused = {index: "refused" for index, line in enumerate(lines) if b'"id":"refused"' in line}
        self.told += [orjson.loads(line) for index, line in enumerate(lines) if index not in refused]
        return Receipt("taken", refused)

    def close(self) -> None: ...

    def ids(self) -> list[str]:
        return [str(each["event"]["id"]) for each in self.told if each["kind"] == "event"]  # type: ignore[index]


class Chain:
    """A gateway's part behind its spool, as after a start: two sinks on one spool, each moved step by step."""

    def __init__(self, folder: Path, ledger: Ledger, store: Store, cloud: Cloud | None, *, most_bytes: int) -> None:
        self.spool = Spool.open(folder / "gateway.spool", linger_s=0.001)
        self.ledger, self.store, self.cloud = ledger, store, cloud
        ids = Ids.load(self.spool)
        reader = Reader(self.spool, ledger, Decoded(), ids)
        reader.load()
        tally = Tally(self.spool)
        tally.load()
        self.delivered = Delivered(self.spool)
        self.cursors = Cursors(self.spool, has_cloud=cloud is not None)
        held = self.cursors.load()
        self.deliverer: Deliverer | None = None
        if cloud is not None:
            self.deliverer = Deliverer(
                self.spool, cloud, self.cursors, ledger, self.delivered, ids=ids, held=held, most_bytes=most_bytes
            )
        self.forwarder = Forwarder(self.spool, store, reader, ledger, tally, cursors=self.cursors)
        self.publisher = LedgerPublisher(ledger, tally, self.spool, ids, cursors=self.cursors, delivered=self.delivered)

    def put(self, *messages: tuple[str, bytes]) -> None:
        for topic, body in messages:
            n = self.spool.put(topic, body).result(5)
            if self.deliverer is not None and n is not None and b"Spool/" in body and "/DDATA/" in topic:
                self.deliverer.hold(n, 64 + len(topic) + len(body))

    def forward(self) -> None:
        for _ in range(50):
            self.forwarder.step()
            if self.forwarder.idle:
                return

    def deliver(self, steps: int = 50) -> None:
        assert self.deliverer is not None
        for _ in range(steps):
            self.deliverer.step()

    @property
    def left(self) -> int:
        return self.spool.stats.records


Open = Callable[..., Chain]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def open_chain(tmp_path: Path, ledger: Ledger, store: Store, cloud: Cloud) -> Iterator[Open]:
    chains: list[Chain] = []

    def open_chain(*, has_cloud: bool = True, most_bytes: int = 1 << 20) -> Chain:
        for chain in chains:
            chain.spool.close()
        chain = Chain(tmp_path, ledger, store, cloud if has_cloud else None, most_bytes=most_bytes)
        chains.append(chain)
        return chain

    yield open_chain
    for chain in chains:
        chain.spool.close()


def event(id_: str, **fields: object) -> tuple[str, bytes]:
    said = Event.model_validate({"id": id_, "name": "door", "time_ns": START_NS, "asset": CNC.id} | fields)
    return TOPIC, encode(Payload([event_metric(said)], time_ms=START_NS // 1_000_000))


def told(chain: Chain) -> SourceLedger:
    return chain.publisher.sources(0)[LINE]


def born(chain: Chain, node: EdgeNode) -> None:
    chain.put(node.nbirth(), node.dbirth())


def test_the_cloud_away_delays_no_sample_and_the_spool_keeps_only_what_is_for_it(
    open_chain: Open, store: Store, cloud: Cloud, edge_node: EdgeNode
) -> None:
    chain = open_chain()
    born(chain, edge_node)
    cloud.down = True
    for n in range(1, 21):
        chain.put(edge_node.ddata(n), event(f"e{n}"))
    chain.deliver(3)
    chain.forward()
    assert len(store.lines) == 20
    assert chain.left == chain.cursors.kept == 20
    assert (told(chain).events, chain.publisher.sources(0)[LINE].unexplained) == (0, 0)
    cloud.down = False
    chain.deliver()
    assert cloud.ids() == [f"e{n}" for n in range(1, 21)]
    assert (chain.left, chain.cursors.kept, told(chain).events) == (0, 0, 20)


def test_a_cloud_that_is_too_slow_for_all_at_once_is_given_less(open_chain: Open, cloud: Cloud) -> None:
    """The same post again would be as late, for ever, while more is held behind it."""
    chain = open_chain()
    cloud.most = 8
    chain.put(*(event(f"e{n}") for n in range(50)))
    chain.deliver()
    assert cloud.ids() == [f"e{n}" for n in range(50)]
    assert cloud.posts < 16


def test_the_store_away_holds_no_event_back(open_chain: Open, store: Store, cloud: Cloud, edge_node: EdgeNode) -> None:
    chain = open_chain()
    born(chain, edge_node)
    store.down = True
    chain.put(edge_node.ddata(1), event("e1"), edge_node.ddata(2), event("e2"))
    chain.forward()
    chain.deliver()
    assert (cloud.ids(), chain.left) == (["e1", "e2"], 6)
    store.down = False
    chain.forward()
    assert (len(store.lines), chain.left) == (2, 0)
    assert sum(machine.samples for machine in told(chain).machines) == 2  # an event is no sample


@pytest.mark.parametrize("first", ["store", "cloud"])
def test_death_between_the_two_sinks_loses_and_doubles_nothing(
    open_chain: Open, store: Store, cloud: Cloud, edge_node: EdgeNode, first: str
) -> None:
    chain = open_chain()
    born(chain, edge_node)
    chain.put(edge_node.ddata(1), event("e1"), edge_node.ddata(2), event("e2"))
    chain.forward() if first == "store" else chain.deliver()
    again = open_chain()
    again.put(edge_node.ddata(3), event("e3"))
    again.deliver()
    again.forward()
    assert cloud.ids() == ["e1", "e2", "e3"]
    assert len(store.lines) == len(set(store.lines)) == 3
    assert (again.left, again.cursors.kept, told(again).events, told(again).stored) == (0, 0, 3, 6)
    assert (open_chain().delivered.of(LINE)["event"], cloud.posts) == (3, 1 if first == "store" else 2)


def test_a_spool_of_before_is_read(open_chain: Open, store: Store, cloud: Cloud, edge_node: EdgeNode) -> None:
    chain = open_chain()
    born(chain, edge_node)
    chain.put(edge_node.ddata(1), event("e1"))
    assert chain.spool.note("cursor:store") is chain.spool.note("cursor:cloud") is None
    again = open_chain()
    again.forward()
    again.deliver()
    assert (len(store.lines), cloud.ids(), again.left) == (1, ["e1"], 0)


def test_a_compressed_event_is_found_after_a_restart_and_compressed_samples_do_not_wait(
    open_chain: Open, store: Store, cloud: Cloud, edge_node: EdgeNode
) -> None:
    chain = open_chain()
    born(chain, edge_node)
    cloud.down = True
    for topic, body in (event("e1"), edge_node.ddata(1)):
        chain.put((topic, encode(Payload([], uuid=COMPRESSED, body=zlib.compress(body)))))
    chain.forward()
    assert (len(store.lines), chain.left) == (1, 1)
    again = open_chain()
    again.forward()
    cloud.down = False
    again.deliver()
    assert (cloud.ids(), again.left, again.cursors.kept) == (["e1"], 0, 0)


def test_what_a_salvage_finds_again_goes(open_chain: Open, store: Store, cloud: Cloud, edge_node: EdgeNode) -> None:
    chain = open_chain()
    born(chain, edge_node)
    chain.put(edge_node.ddata(1), event("e1"), edge_node.ddata(2))
    found = [(record.n, *record[1:]) for record in chain.spool.read()]
    chain.forward()
    chain.deliver()
    assert chain.left == 0
    chain.spool.close()
    with closing(sqlite3.connect(chain.spool.path)) as file, file:
        rows = [(n, time_ns, topic, body, checksum(n, time_ns, topic, body)) for n, time_ns, topic, body in found]
        file.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
    again = open_chain()
    assert again.left == 0
    again.forward()
    again.deliver()
    assert (cloud.ids(), len(store.lines)) == (["e1"], 2)


def test_without_a_cloud_nothing_is_kept_for_it(
    open_chain: Open, store: Store, cloud: Cloud, edge_node: EdgeNode
) -> None:
    chain = open_chain()
    born(chain, edge_node)
    chain.put(event("e1"), edge_node.ddata(1), event("e2"))
    chain.forward()
    assert chain.left == 2
    without = open_chain(has_cloud=False)
    assert without.left == 0
    without.put(event("e3"))
    without.forward()
    assert without.left == 0
    again = open_chain()
    again.put(event("e4"))
    again.deliver()
    assert cloud.ids() == ["e4"]


def test_what_is_too_much_for_a_cloud_that_is_away_goes_oldest_first_and_is_told(
    open_chain: Open, cloud: Cloud, edge_node: EdgeNode
) -> None:
    size = 64 + sum(map(len, event("e01")))
    chain = open_chain(most_bytes=3 * size)
    born(chain, edge_node)
    cloud.down = True
    for n in range(1, 6):
        chain.put(event(f"e{n:02}"))
        chain.deliver(1)
    chain.forward()
    assert chain.left == 3
    cloud.down = False
    chain.deliver()
    assert cloud.ids() == ["e03", "e04", "e05"]
    (loss,) = [each for each in told(chain).losses if each.reason == "cloud_full"]
    assert (loss.count, loss.outcome, chain.left) == (2, "lost", 0)


def test_a_bad_line_is_set_aside_alone(open_chain: Open, cloud: Cloud, ledger: Ledger, edge_node: EdgeNode) -> None:
    chain = open_chain()
    born(chain, edge_node)
    empty = TOPIC, encode(Payload([Metric(EVENT, None, Code.STRING, "{}", START_NS)]))
    lines = [event("e1"), event("poison"), event("e2"), event("refused"), empty, event("e3")]
    chain.put(*lines)
    chain.deliver()
    assert sorted(cloud.ids()) == ["e1", "e2", "e3"]
    aside = {each.source: each.reason for each in ledger.aside()}
    assert len(ledger.aside()) == 3
    assert aside[TOPIC].startswith("Spool/Event: id")
    chain.forward()
    assert (chain.left, told(chain).events) == (0, 3)


def test_a_line_by_which_the_cloud_falls_over_keeps_no_other_waiting(
    open_chain: Open, cloud: Cloud, ledger: Ledger, edge_node: EdgeNode
) -> None:
    chain = open_chain()
    born(chain, edge_node)
    chain.put(event("e1"), event("fatal"), event("e2"))
    chain.deliver(20)
    assert sorted(cloud.ids()) == ["e1", "e2"]
    assert [each.reason for each in ledger.aside()] == ["fatal"]


def test_an_event_from_the_future_is_of_its_arrival_and_says_so(
    open_chain: Open, cloud: Cloud, edge_node: EdgeNode
) -> None:
    chain = open_chain()
    born(chain, edge_node)
    chain.put(event("e1", time_ns=2**63 - 1))
    chain.deliver()
    (told_of,) = [each["event"] for each in cloud.told if each["kind"] == "event"]
    assert told_of["time_replaced"] is True  # type: ignore[index]
    assert told_of["time_ns"] < 2**62  # type: ignore[index]


def test_a_gateway_whose_clock_is_an_hour_late_leaves_events_their_times(
    open_chain: Open, cloud: Cloud, edge_node: EdgeNode
) -> None:
    chain = open_chain()
    born(chain, edge_node)
    in_an_hour_ns = time.time_ns() + 3600 * 10**9
    chain.put(event("e1", time_ns=in_an_hour_ns))
    chain.deliver()
    (told_of,) = [each["event"] for each in cloud.told if each["kind"] == "event"]
    assert (told_of["time_ns"], told_of["time_replaced"]) == (in_an_hour_ns, False)  # type: ignore[index]


def test_a_block_goes_as_it_came_and_is_no_sample(open_chain: Open, store: Store, cloud: Cloud, ledger: Ledger) -> None:
    chain = open_chain()
    node = EdgeNode()
    born(chain, node)
    header = Header(id="b1", asset=CNC.id, sensor="x", start_ns=START_NS, rate_hz=25_600.0, count=4)
    data = pack([1.0, 2.0, 3.0, 4.0])
    metrics = [block_metric(Block(header=header, data=data)), Metric("speed", None, Code.DOUBLE, 7.0, START_NS)]
    chain.put((TOPIC, encode(Payload(metrics, time_ms=START_NS // 1_000_000))))
    chain.forward()
    chain.deliver()
    (line,) = cloud.told
    assert (line["kind"], line["asset"], line["node"]) == ("block", "cnc-01", "/".join(LINE))
    assert line["header"] == header.model_dump()
    assert [text.partition(" ")[2] for text in store.lines] == [f"speed=7.0 {START_NS}"]
    assert ledger.aside() == []
    assert (told(chain).blocks, chain.left) == (1, 0)


def test_the_newest_ledger_of_each_source_is_told_when_the_cloud_is_back(
    open_chain: Open, cloud: Cloud, edge_node: EdgeNode
) -> None:
    chain = open_chain()
    born(chain, edge_node)
    chain.forward()
    assert chain.deliverer is not None
    cloud.down = True
    for second in (1, 2, 3):
        chain.deliverer.tell(LINE, told(chain).model_copy(update={"time": second}))
        chain.deliver(1)
    cloud.down = False
    chain.deliver()
    assert [(each["kind"], each["ledger"]["time"]) for each in cloud.told] == [("ledger", 3)]  # type: ignore[index]


def test_the_thread_delivers_what_comes(open_chain: Open, cloud: Cloud, edge_node: EdgeNode) -> None:
    chain = open_chain()
    born(chain, edge_node)
    assert chain.deliverer is not None
    came = threading.Event()
    post = cloud.post

    def tell(lines: Sequence[bytes]) -> Receipt:
        receipt = post(lines)
        came.set()
        return receipt

    cloud.post = tell  # type: ignore[method-assign]
    chain.deliverer.start()
    chain.put(event("e1"))
    assert came.wait(10)
    assert cloud.ids() == ["e1"]
    chain.deliverer.stop()
    assert not chain.deliverer.alive
