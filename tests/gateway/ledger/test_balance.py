"""The ledger of a source adds up, is durable, and says when it does not add up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.loss import BALANCE, ENTRY, Balance, Entry, SourceLedger
from contract.model import Sample
from contract.sparkplug import Code, encode_samples, stamp, to_historical
from contract.topics import Node
from gateway.ledger import Ledger
from gateway.ledger.account import MOST_ENTRIES
from gateway.ledger.balance import GATEWAY, PERIOD_S, LedgerPublisher
from gateway.ledger.tally import Stored, Tally
from gateway.reader import Decoded, Reader
from spool import Origin, Record, Spool
from tests.gateway.wire import LINE, START_NS, EdgeNode

SECOND = 1_000_000_000
FOREIGN = Node("plant", "press")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.open(tmp_path / "gateway.spool", linger_s=0.0, max_bytes=1 << 20) as spool:
        yield spool


@pytest.fixture
def tally(spool: Spool) -> Tally:
    tally = Tally(spool)
    tally.load()
    return tally


@pytest.fixture
def publisher(ledger: Ledger, tally: Tally, spool: Spool) -> LedgerPublisher:
    return LedgerPublisher(ledger, tally, spool)


def receive(spool: Spool, ledger: Ledger, numbers: range, epoch: str = "e1") -> None:
    """Keep these messages of the line's edge node, as the receiver does."""
    if not ledger.account.knows(LINE, epoch):
        ledger.account.begin(LINE, epoch, 0, START_NS)
    for n in numbers:
        spool.put(LINE.topic("NDATA"), b"", Origin("/".join(LINE), epoch, n)).result(5)


def store(spool: Spool, tally: Tally, records: range, *, aside: int = 0) -> None:
    """Let the forwarder be done with these records of the spool."""
    notes = tally.add({LINE: Stored(len(records) - aside, aside, {"cnc-01": (len(records), 7)})})
    spool.remove([(records[0], records[-1])], notes)


def entry(id_: int, count: int = 1, **said: object) -> Entry:
    content = {"id": id_, "reason": "overflow", "source": "cnc-01", "count": count, "start_ns": id_, "end_ns": id_}
    return Entry.model_validate(content | said)


def test_what_is_produced_is_stored_or_waits(
    publisher: LedgerPublisher, spool: Spool, ledger: Ledger, tally: Tally
) -> None:
    receive(spool, ledger, range(1, 11))
    store(spool, tally, range(1, 8), aside=1)
    ledger.account.balanced(LINE, Balance(epoch="e1", produced=12, acknowledged=9, waiting=3))
    told = publisher.sources(0)[LINE]
    assert (told.produced, told.received, told.stored, told.quarantined) == (12, 10, 6, 1)
    assert (told.waiting, told.lost, told.unexplained) == (5, 0, 0)
    assert [(m.asset, m.messages, m.samples) for m in told.machines] == [("cnc-01", 7, 7)]


def test_what_was_acknowledged_and_never_kept_is_unexplained(
    publisher: LedgerPublisher, spool: Spool, ledger: Ledger
) -> None:
    receive(spool, ledger, range(1, 11))
    ledger.account.balanced(LINE, Balance(epoch="e1", produced=15, acknowledged=13, waiting=2))
    assert publisher.sources(0)[LINE].unexplained == 3


def test_f8_what_another_gateway_took_is_not_unexplained(
    publisher: LedgerPublisher, spool: Spool, ledger: Ledger, tally: Tally, tmp_path: Path
) -> None:
    """It took 1 to 8, the edge had sent up to 10: 9 and 10 come again, all else never does."""
    ledger.account.born(LINE, "e1", 10)
    receive(spool, ledger, range(9, 16))
    ledger.account.balanced(LINE, Balance(epoch="e1", produced=17, acknowledged=15, waiting=2))
    told = publisher.sources(0)[LINE]
    assert (told.received, told.waiting, told.unexplained) == (7, 7 + 2, 0)
    ledger.flush()
    again = Ledger(tmp_path / "ledger.db")
    again.open()
    assert LedgerPublisher(again, tally, spool).sources(0)[LINE].unexplained == 0
    again.close()

    ledger.account.born(LINE, "e1", 30)  # another session of the edge, and no gateway but this one
    ledger.account.balanced(LINE, Balance(epoch="e1", produced=30, acknowledged=30, waiting=0))
    assert publisher.sources(0)[LINE].unexplained == 15
    ledger.account.take_over()
    ledger.account.born(LINE, "e1", 30)
    receive(spool, ledger, range(31, 33))
    ledger.account.balanced(LINE, Balance(epoch="e1", produced=33, acknowledged=33, waiting=0))
    assert publisher.sources(0)[LINE].unexplained == 1


def test_a_record_that_left_the_spool_without_being_stored_is_unexplained(
    publisher: LedgerPublisher, spool: Spool, ledger: Ledger, tally: Tally
) -> None:
    receive(spool, ledger, range(1, 11))
    store(spool, tally, range(1, 3))
    spool.remove([(3, 6)])
    told = publisher.sources(0)
    assert (told[LINE].unexplained, told[GATEWAY].unexplained) == (0, 4)


def test_of_a_node_without_acknowledgements_the_gaps_are_lost(
    publisher: LedgerPublisher, ledger: Ledger, tally: Tally
) -> None:
    ledger.count(FOREIGN, "received", 10)
    tally.add({FOREIGN: Stored(9, 0)})
    ledger.account.tell(FOREIGN, "sequence", START_NS, START_NS + SECOND, count=3, first=7, last=9)
    ledger.account.lose(FOREIGN, "gateway_full", 1, START_NS)
    ledger.account.lose(FOREIGN, "gateway_full", 1, START_NS + SECOND)
    told = publisher.sources(0)[FOREIGN]
    assert (told.produced, told.received, told.stored, told.lost, told.waiting) == (15, 10, 9, 5, 1)
    assert [(e.reason, e.count, e.first, e.last) for e in told.entries] == [
        ("sequence", 3, 7, 9),
        ("gateway_full", 2, None, None),
    ]


def test_what_the_ledger_knows_survives_and_comes_twice_without_harm(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    ledger = Ledger(path)
    ledger.open()
    ledger.account.begin(LINE, "e1", 0, 1)
    ledger.account.balanced(LINE, Balance(epoch="e1", produced=5, acknowledged=5, waiting=0))
    ledger.account.received(LINE, "e1", 5)
    ledger.account.heard(FOREIGN, START_NS)
    for _ in range(2):
        for n in range(MOST_ENTRIES + 50):
            if n >= 50 or not ledger.account.losses(LINE):
                ledger.account.enter(LINE, entry(n))
        ledger.flush()
    ledger.account.enter(LINE, entry(MOST_ENTRIES + 49, 100))
    ledger.account.balanced(LINE, Balance(epoch="e1", produced=4, acknowledged=4, waiting=0))
    ledger.flush()
    ledger.close()
    again = Ledger(path)
    again.open()
    account = again.account
    assert account.losses(LINE) == ledger.account.losses(LINE)
    assert account.entries(LINE, 2) == [entry(MOST_ENTRIES + 48), entry(MOST_ENTRIES + 49, 100)]
    assert account.epochs(LINE) == ledger.account.epochs(LINE)
    account.away(START_NS + 9 * SECOND)
    assert [(e.reason, e.start_ns, e.end_ns) for e in account.entries(FOREIGN, 9)] == [
        ("gateway_away", START_NS, START_NS + 9 * SECOND)
    ]
    again.close()


def test_what_the_edge_tells_is_read_from_its_data(ledger: Ledger, edge_node: EdgeNode) -> None:
    topic, body = edge_node.nbirth()
    reader = Reader(Nothing(), ledger, Decoded())
    aliases = {ENTRY: 1, BALANCE: 2}
    said = {ENTRY: entry(5).model_dump_json(), BALANCE: '{"epoch":"e1","produced":3,"acknowledged":1,"waiting":2}'}
    samples = [Sample("line1", name, START_NS, text) for name, text in said.items()]
    codes = dict.fromkeys(said, int(Code.STRING))
    names = {alias: name for name, alias in aliases.items()}
    data = to_historical(encode_samples(samples, aliases, codes), names, dict.fromkeys(names, int(Code.STRING)))
    reader.read(Record(1, START_NS, topic, body))
    lines = reader.read(Record(2, START_NS, LINE.topic("NDATA"), stamp(data, seq=1, uuid="e1:1")))
    assert lines.lines == []
    assert ledger.account.entries(LINE, 9) == [entry(5)]
    assert ledger.account.epochs(LINE)["e1"].balance == Balance(epoch="e1", produced=3, acknowledged=1, waiting=2)


class Nothing:
    """Notes of a new spool."""

    def note(self, key: str) -> bytes | None:
        return None


def test_it_is_published_when_it_has_changed(publisher: LedgerPublisher, spool: Spool, ledger: Ledger) -> None:
    published: dict[str, bytes] = {}
    taken = True

    def publish(topic: str, body: bytes) -> bool:
        if taken:
            published[topic] = body
        return taken

    receive(spool, ledger, range(1, 3))
    taken = False
    assert publisher.tick(0.0, 0, publish) == 0
    taken = True
    assert publisher.tick(PERIOD_S / 2, 0, publish) == 0
    assert publisher.tick(PERIOD_S, 1, publish) == 2
    assert publisher.tick(2 * PERIOD_S, 2, publish) == 0
    receive(spool, ledger, range(3, 5))
    assert publisher.tick(3 * PERIOD_S, 3, publish) == 1
    topic = "v1/demo/shanghai/machining/line1/shanghai-machining-line1/ledger"
    assert SourceLedger.model_validate_json(published[topic]).received == 4
    publisher.forget()
    assert publisher.tick(4 * PERIOD_S, 4, publish) == 2
