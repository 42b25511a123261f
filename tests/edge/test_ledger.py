"""What the edge tells the ledger, on a real spool and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

import pytest

from contract.loss import BALANCE, ENTRY, Entry
from contract.model import Sample
from edge.ledger import EdgeLedger
from spool import Spool, SpoolError, SpoolFull

SECOND = 1_000_000_000
NOON = 1_700_000_000 * SECOND


class Outlet:
    """Takes samples as the uplink does, into a real spool; `full` refuses them."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.full = False
        self.samples: list[Sample] = []

    def put(self, asset: str, samples: Sequence[Sample]) -> list[Future[int | None]]:
        assert asset == ""
        if self.full:
            raise SpoolFull("full, as the test said")
        self.samples += samples
        return [self.spool.put("spBv1.0/g/NDATA/line1", str(sample.value).encode()) for sample in samples]

    @property
    def entries(self) -> list[Entry]:
        """The newest version of each entry."""
        told = [Entry.model_validate_json(str(s.value)) for s in self.samples if s.signal == ENTRY]
        newest: dict[int, Entry] = {}
        for entry in told:
            newest[entry.id] = newest[entry.id].grown(entry) if entry.id in newest else entry
        return list(newest.values())


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.open(tmp_path / "edge.spool", max_bytes=1 << 20, linger_s=0.0) as spool:
        yield spool


@pytest.fixture
def outlet(spool: Spool) -> Outlet:
    return Outlet(spool)


@pytest.fixture
def ledger(spool: Spool, outlet: Outlet) -> EdgeLedger:
    ledger = EdgeLedger(spool, outlet.put, "line1")
    ledger.open(NOON)
    return ledger


def test_an_entry_is_in_the_spool_at_once(ledger: EdgeLedger, outlet: Outlet) -> None:
    ledger.enter("cnc-01", "offline", NOON - 5 * SECOND, NOON, detail="no answer")
    ledger.enter("cnc-02", "offline", NOON - 5 * SECOND, NOON)
    assert [(e.source, e.reason, e.outcome, e.end_ns - e.start_ns) for e in outlet.entries] == [
        ("cnc-01", "offline", "lost", 5 * SECOND),
        ("cnc-02", "offline", "lost", 5 * SECOND),
    ]
    times = [sample.time_ns for sample in outlet.samples]
    assert times == sorted(set(times))


def test_losses_of_a_minute_are_one_entry_that_grows(ledger: EdgeLedger, outlet: Outlet) -> None:
    for second in range(10):
        ledger.lose("cnc-01", "overflow", 2, NOON + second * SECOND)
    assert len(outlet.samples) == 1
    ledger.tick(NOON + 10 * SECOND, 0, {})
    ledger.lose("cnc-01", "overflow", 1, NOON + 100 * SECOND)
    ledger.lose("robots", "driver_queue", 7, NOON + 100 * SECOND)
    assert [(e.source, e.reason, e.count) for e in outlet.entries] == [
        ("cnc-01", "overflow", 20),
        ("cnc-01", "overflow", 1),
        ("robots", "driver_queue", 7),
    ]


def test_entries_wait_while_the_spool_is_full_and_stay_bounded(ledger: EdgeLedger, outlet: Outlet) -> None:
    outlet.full = True
    for n in range(1500):
        ledger.enter(f"cnc-{n % 2}", "offline", NOON + n, NOON + n + 1, count=1)
    assert (outlet.entries, ledger.overrun) == ([], 500)
    outlet.full = False
    ledger.tick(NOON, 0, {})
    assert len(outlet.entries) == 1000
    assert sum(entry.count for entry in outlet.entries) == 1500


def test_a_put_that_failed_is_told_again(spool: Spool, outlet: Outlet) -> None:
    failing: Future[int | None] = Future()
    failing.set_exception(SpoolError("the disk failed, as the test said"))
    puts: list[list[Future[int | None]]] = [[failing]]
    ledger = EdgeLedger(spool, lambda asset, samples: puts.pop() if puts else outlet.put(asset, samples), "line1")
    ledger.open(NOON)
    ledger.enter("cnc-01", "offline", NOON, NOON)
    assert outlet.entries == []
    ledger.tick(NOON, 0, {})
    assert len(outlet.entries) == 1


def test_while_one_thread_puts_another_gets_back_what_the_disk_did_not_take(spool: Spool, outlet: Outlet) -> None:
    failing: Future[int | None] = Future()

    def put(asset: str, samples: Sequence[Sample]) -> list[Future[int | None]]:
        if not outlet.full:
            return outlet.put(asset, samples)
        outlet.full = False
        # the uplink waits for the spool's thread, which tells of an earlier put first
        spool_thread = Thread(target=failing.set_exception, args=(SpoolError("the disk is full"),), daemon=True)
        spool_thread.start()
        spool_thread.join(5)
        assert not spool_thread.is_alive()
        return outlet.put(asset, samples)

    puts: list[list[Future[int | None]]] = [[failing]]
    ledger = EdgeLedger(spool, lambda asset, samples: puts.pop() if puts else put(asset, samples), "line1")
    ledger.open(NOON)
    ledger.enter("cnc-01", "offline", NOON, NOON)
    outlet.full = True
    ledger.enter("cnc-02", "offline", NOON, NOON)
    ledger.tick(NOON, 0, {})
    assert sorted(entry.source for entry in outlet.entries) == ["cnc-01", "cnc-02"]


@pytest.mark.parametrize(("jump_s", "word"), [(3600, "forward by 3600.0 s"), (-90, "back by 90.0 s")])
def test_a_clock_that_is_set_is_noted(ledger: EdgeLedger, outlet: Outlet, jump_s: int, word: str) -> None:
    ledger.tick(NOON, 0, {})
    ledger.tick(NOON + 5 * SECOND, 5 * SECOND, {})
    ledger.tick(NOON + (10 + jump_s) * SECOND, 10 * SECOND, {})
    ledger.tick(NOON + (15 + jump_s) * SECOND, 15 * SECOND, {})
    [entry] = outlet.entries
    assert (entry.reason, entry.outcome, entry.end_ns - entry.start_ns) == ("clock", "noted", abs(jump_s) * SECOND)
    assert word in entry.detail


def test_the_balance_adds_up_from_the_first_message_of_the_epoch(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    with Spool.open(path, max_bytes=1 << 20, linger_s=0.0) as spool:
        for n in range(10):
            spool.put("t", b"%d" % n).result()
        spool.remove([(1, 4)])
        ledger = EdgeLedger(spool, Outlet(spool).put, "line1")
        ledger.open(NOON)
        balance = ledger.balance()
        assert (balance.produced, balance.acknowledged, balance.waiting) == (6, 0, 6)
        spool.remove([(5, 7)])
        spool.put("t", b"x").result()
        ledger.tick(NOON, 0, {"cnc-01": NOON - SECOND, "cnc-03": 0})
    with Spool.open(path, max_bytes=1 << 20, linger_s=0.0) as spool:
        ledger = EdgeLedger(spool, Outlet(spool).put, "line1")
        ledger.open(NOON)
        balance = ledger.balance()
        assert (balance.produced, balance.acknowledged, balance.waiting, balance.dropped) == (7, 3, 4, 0)
        assert [ledger.heard_until(f"cnc-0{n}") for n in (1, 2, 3)] == [NOON - SECOND, 0, 0]
        assert ledger.sample(NOON).signal == BALANCE


def test_a_cut_spool_is_told_with_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    with Spool.open(path, max_bytes=1 << 20, linger_s=0.0) as spool:
        for n in range(20):
            spool.put("t", b"%d" % n * 500).result()
    data = bytearray(path.read_bytes())
    at = data.index(b"7" * 500)
    data[at : at + 100] = bytes(100)
    path.write_bytes(data)
    with Spool.open(path, max_bytes=1 << 20, linger_s=0.0) as spool:
        outlet = Outlet(spool)
        ledger = EdgeLedger(spool, outlet.put, "line1")
        ledger.open(NOON)
        ledger.tick(NOON, 0, {})
        lost = [entry for entry in outlet.entries if entry.outcome == "lost"]
        assert sum(entry.count for entry in lost) == 1
        assert (lost[0].first, lost[0].last) == (8, 8)
        assert [entry.reason for entry in outlet.entries if entry.outcome == "noted"] == ["edge_spool"]
        ledger.tick(NOON, 0, {})
        assert [e for e in outlet.entries if e.outcome == "lost"] == lost
