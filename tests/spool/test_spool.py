"""The queue as its users see it: order, durability, repeats, bounds, notes, ends."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spool import Dropped, Origin, Record, Spool, SpoolError, SpoolFull
from spool.records import RECORD_OVERHEAD

TIMEOUT_S = 15.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "a.spool"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    with Spool.open(path, clock_ns=itertools.count(100).__next__) as spool:
        yield spool


def result(future: Future[int | None]) -> int | None:
    return future.result(TIMEOUT_S)


def fill(spool: Spool, count: int, body: bytes = b"body") -> list[int | None]:
    return [result(future) for future in [spool.put("t", body) for _ in range(count)]]


def test_what_is_put_is_read_in_order_and_after_a_restart(path: Path) -> None:
    with Spool.open(path, clock_ns=itertools.count(100).__next__) as spool:
        epoch = spool.epoch
        assert [result(spool.put("a/温", b"\0x")), result(spool.put("", b""))] == [1, 2]
        records = [Record(1, 100, "a/温", b"\0x"), Record(2, 101, "", b"")]
        assert spool.read() == records
        assert spool.read(after=1) == records[1:]
        assert spool.read(limit=1) == records[:1]
    with Spool.open(path) as spool:
        assert (spool.read(), spool.epoch, spool.salvage) == (records, epoch, None)
        assert result(spool.put("t", b"")) == 3


def test_a_number_is_never_given_twice(path: Path) -> None:
    with Spool.open(path) as spool:
        fill(spool, 3)
        spool.remove([(1, 3)])
        assert spool.read() == []
    with Spool.open(path) as spool:
        assert fill(spool, 1) == [4]


def test_one_commit_takes_what_lingers(path: Path) -> None:
    with Spool.open(path, linger_s=TIMEOUT_S, batch=50) as spool:
        futures = [spool.put("t", b"") for _ in range(50)]
        assert [result(future) for future in futures] == list(range(1, 51))
        assert spool.stats.commits == 1


def test_closing_writes_what_lingers(path: Path) -> None:
    with Spool.open(path, linger_s=TIMEOUT_S) as spool:
        future = spool.put("t", b"")
    assert result(future) == 1


def test_a_repeat_is_recognized_whatever_its_order(path: Path) -> None:
    with Spool.open(path) as spool:
        futures = [spool.put("t", b"", Origin("node", "e1", n)) for n in (5, 1, 2, 5, 2, 2**63 - 1, 3)]
        assert [result(future) for future in futures] == [1, 2, 3, None, None, 4, 5]
        assert result(spool.put("t", b"", Origin("node", "e2", 5))) == 6
        assert spool.received("node", "e1") == [(1, 3), (5, 5), (2**63 - 1, 2**63 - 1)]
        spool.remove([(1, 100)])
        assert spool.stats.repeated == 2
    with Spool.open(path) as spool:
        assert spool.received("node", "e1") == [(1, 3), (5, 5), (2**63 - 1, 2**63 - 1)]
        assert spool.received("node", "e3") == []
        assert result(spool.put("t", b"", Origin("node", "e1", 3))) is None
        assert result(spool.put("t", b"", Origin("node", "e1", 4))) == 7
        assert spool.received("node", "e1") == [(1, 5), (2**63 - 1, 2**63 - 1)]


@pytest.mark.parametrize("n", [0, -1, 2**63])
def test_an_origin_that_cannot_be_is_refused(spool: Spool, n: int) -> None:
    with pytest.raises(ValueError, match="2\\^63-1"):
        spool.put("t", b"", Origin("node", "e", n))


def test_old_epochs_of_a_node_are_forgotten(path: Path) -> None:
    with Spool.open(path) as spool:
        futures = [spool.put("t", b"", Origin("node", f"e{n}", 1)) for n in range(40)]
        futures.append(spool.put("t", b"", Origin("other", "e", 1)))
        assert result(futures[-1]) == 41
    with Spool.open(path) as spool:
        kept = [n for n in range(40) if spool.received("node", f"e{n}")]
        assert kept == list(range(8, 40))
        assert spool.received("other", "e") == [(1, 1)]


def test_removing_and_notes_are_one_step(path: Path) -> None:
    with Spool.open(path) as spool:
        fill(spool, 10)
        spool.remove([(2, 3), (5, 5), (9, 2**70), (-5, 0)], {"cursor": b"9", "birth/a": b"\0"})
        assert [record.n for record in spool.read()] == [1, 4, 6, 7, 8]
        spool.set_notes({"cursor": b"10"})
    with Spool.open(path) as spool:
        assert [spool.note(key) for key in ("cursor", "birth/a", "none")] == [b"10", b"\0", None]
        assert [record.n for record in spool.read()] == [1, 4, 6, 7, 8]
        assert spool.stats.bytes == 5 * (1 + 4 + RECORD_OVERHEAD)


def test_notes_are_found_by_how_their_keys_begin_and_an_empty_one_is_none(path: Path) -> None:
    with Spool.open(path, linger_s=0) as spool:
        spool.set_notes({"a:x": b"1", "a:ü": b"2", "a": b"3", "b:x": b"4"})
        assert spool.notes("a:") == {"a:x": b"1", "a:ü": b"2"}
        assert result(spool.put("t", b"a", notes={"a:x": b""})) == 1
        assert spool.notes("a:") == {"a:ü": b"2"}


def test_notes_are_written_with_their_message(path: Path) -> None:
    with Spool.open(path, max_bytes=500) as spool:
        commits = spool.stats.commits
        assert result(spool.put("t", b"a", notes={"read": b"7"})) == 1
        assert (spool.stats.commits - commits, spool.note("read")) == (1, b"7")
        with pytest.raises(SpoolFull):
            spool.put("t", bytes(500), notes={"read": b"8"})
    with Spool.open(path) as spool:
        assert ([record.body for record in spool.read()], spool.note("read")) == ([b"a"], b"7")


def test_waiting_ends_with_a_record_a_timeout_or_the_end(spool: Spool) -> None:
    assert not spool.wait(0, 0.01)
    threading.Timer(0.01, fill, (spool, 2)).start()
    assert spool.wait(1, TIMEOUT_S)
    assert not spool.wait(2, 0)
    spool.remove([(1, 2)])
    assert not spool.wait(0, 0)
    closer = threading.Timer(0.01, spool.close)
    closer.start()
    assert not spool.wait(2, TIMEOUT_S)
    closer.join()


def test_a_full_spool_refuses(path: Path) -> None:
    size = 1 + 100 + RECORD_OVERHEAD
    with Spool.open(path, max_bytes=3 * size) as spool:
        fill(spool, 3, bytes(100))
        with pytest.raises(SpoolFull, match="full"):
            spool.put("t", bytes(100))
        assert spool.stats.refused == 1
        spool.remove([(1, 1)])
        assert fill(spool, 1, bytes(100)) == [4]
        assert [record.n for record in spool.read()] == [2, 3, 4]


def test_what_is_not_yet_written_counts_too(path: Path) -> None:
    size = 1 + 100 + RECORD_OVERHEAD
    with Spool.open(path, max_bytes=3 * size, linger_s=TIMEOUT_S) as spool:
        for _ in range(3):
            spool.put("t", bytes(100))
        with pytest.raises(SpoolFull):
            spool.put("t", bytes(100))


def test_a_spool_can_drop_its_oldest_and_accounts_for_it(path: Path) -> None:
    size = 1 + 100 + RECORD_OVERHEAD
    with Spool.open(path, max_bytes=3 * size, on_full="drop_oldest", clock_ns=lambda: 7) as spool:
        assert fill(spool, 5, bytes(100)) == [1, 2, 3, 4, 5]
        assert [record.n for record in spool.read()] == [3, 4, 5]
        with pytest.raises(SpoolFull):
            spool.put("t", bytes(4 * size))
        assert spool.stats.dropped_ranges == [Dropped(1, 2, 2, 7, "full")]
        fill(spool, 1, bytes(100))
    with Spool.open(path, max_bytes=3 * size, on_full="drop_oldest", clock_ns=lambda: 10**13) as spool:
        fill(spool, 1, bytes(100))
        assert spool.stats.dropped_ranges == [Dropped(1, 3, 3, 7, "full"), Dropped(4, 4, 1, 10**13, "full")]
        assert spool.stats.dropped == 4
        assert spool.stats.bytes == 3 * size


def test_the_buffer_is_bounded_and_the_wait_for_it_too(path: Path) -> None:
    with Spool.open(path, batch=5) as spool:
        release = threading.Event()
        held = threading.Event()

        def hold(_: object) -> None:
            held.set()
            release.wait(TIMEOUT_S)

        # a callback that blocks stands for a disk that does
        spool.put("t", b"").add_done_callback(hold)
        assert held.wait(TIMEOUT_S)
        futures = [spool.put("t", b"") for _ in range(20)]
        with pytest.raises(SpoolFull, match="taken nothing"):
            spool.put("t", b"", timeout_s=0.01)
        assert spool.stats.buffered == 20
        release.set()
        assert [result(future) for future in futures] == list(range(2, 22))


def test_reads_are_bounded_in_bytes(spool: Spool) -> None:
    fill(spool, 5, bytes(3 << 20))
    assert [record.n for record in spool.read()] == [1, 2, 3]


def test_a_closed_spool_says_so(path: Path) -> None:
    spool = Spool.open(path)
    spool.close()
    spool.close()
    for use in (
        lambda: spool.put("t", b""),
        spool.read,
        lambda: spool.remove([(1, 1)]),
        lambda: spool.note("a"),
        lambda: spool.received("a", "b"),
        lambda: spool.stats,
    ):
        with pytest.raises(SpoolError, match="closed"):
            use()


def test_a_second_owner_is_refused(spool: Spool) -> None:
    with pytest.raises(SpoolError, match="in use by another process"):
        Spool.open(spool.path)


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "other.db"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE important(a)")
    connection.close()
    before = foreign.read_bytes()
    with pytest.raises(SpoolError, match="another program"):
        Spool.open(foreign)
    assert foreign.read_bytes() == before
    with pytest.raises(SpoolError, match="check the folder"):
        Spool.open(tmp_path / "other.db" / "below")
    with pytest.raises(SpoolError):
        Spool.open(tmp_path)


def test_many_threads_put_at_once(path: Path) -> None:
    with Spool.open(path) as spool:
        numbers: list[int | None] = []

        def put_many(node: str) -> None:
            futures = [spool.put("t", node.encode(), Origin(node, "e", n)) for n in range(1, 301)]
            numbers.extend(result(future) for future in futures)

        threads = [threading.Thread(target=put_many, args=(f"n{k}",)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
        assert sorted(n or 0 for n in numbers) == list(range(1, 1201))
        assert all(spool.received(f"n{k}", "e") == [(1, 300)] for k in range(4))


@settings(max_examples=15, stateful_step_count=25, deadline=None)
class SpoolModel(RuleBasedStateMachine):
    """A spool and a dictionary do the same things; now and then the spool is closed and opened."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "a.spool"
        self.spool = Spool.open(self.path, linger_s=0)
        self.epoch = self.spool.epoch
        self.records: dict[int, bytes] = {}
        self.seen: set[int] = set()
        self.notes: dict[str, bytes] = {}
        self.last_n = 0

    @rule(bodies=st.lists(st.binary(max_size=20), max_size=5))
    def put(self, bodies: list[bytes]) -> None:
        for future, body in [(self.spool.put("t", body), body) for body in bodies]:
            self.last_n += 1
            assert result(future) == self.last_n
            self.records[self.last_n] = body

    @rule(n=st.integers(1, 12))
    def put_again(self, n: int) -> None:
        number = result(self.spool.put("t", b"o", Origin("node", "e", n)))
        assert (number is None) == (n in self.seen)
        self.seen.add(n)
        if number is not None:
            self.last_n += 1
            assert number == self.last_n
            self.records[number] = b"o"

    @rule(first=st.integers(0, 30), more=st.integers(0, 10), note=st.binary(max_size=3))
    def remove(self, first: int, more: int, note: bytes) -> None:
        self.spool.remove([(first, first + more)], {"k": note})
        self.records = {n: body for n, body in self.records.items() if not first <= n <= first + more}
        self.notes["k"] = note

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.spool = Spool.open(self.path, linger_s=0)
        assert self.spool.salvage is None

    @invariant()
    def agrees(self) -> None:
        assert {record.n: record.body for record in self.spool.read()} == self.records
        assert {n for first, last in self.spool.received("node", "e") for n in range(first, last + 1)} == self.seen
        assert self.spool.note("k") == (self.notes.get("k") or None)
        stats = self.spool.stats
        assert (stats.records, stats.last_n, self.spool.epoch) == (len(self.records), self.last_n, self.epoch)
        assert stats.bytes == sum(len(body) + 1 + RECORD_OVERHEAD for body in self.records.values())

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()


test_a_spool_is_a_dictionary_that_lasts = SpoolModel.TestCase
