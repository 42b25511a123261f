"""Spool to store: real spool, real HTTP; what the store answers decides what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.model import Quality, Sample
from contract.sparkplug import Code, Metric, Payload, encode
from gateway.forward import GATHER_S, RECORDS, Forwarder
from gateway.ledger import Ledger
from gateway.ledger.tally import Tally
from gateway.reader import Decoded, Reader
from gateway.store import HttpStore
from spool import Spool
from tests.gateway.wire import LINE, SECOND, START_NS, EdgeNode, FakeStore, line_of


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.open(tmp_path / "gateway.spool", linger_s=0.001) as spool:
        yield spool


@pytest.fixture
def store(fake_store: FakeStore, token_file: Path) -> Iterator[HttpStore]:
    store = HttpStore(fake_store.url, org="o", bucket="b", token_file=token_file, timeout_s=0.3)
    yield store
    store.close()


def forwarder(spool: Spool, store: HttpStore, ledger: Ledger, clock: Clock) -> Forwarder:
    """Return a forwarder as after a start: what it knows of births is in the spool's notes."""
    reader = Reader(spool, ledger, Decoded())
    reader.load()
    tally = Tally(spool)
    tally.load()
    return Forwarder(spool, store, reader, ledger, tally, clock=clock)


def put(spool: Spool, *messages: tuple[str, bytes]) -> None:
    for future in [spool.put(topic, body) for topic, body in messages]:
        future.result(5)


def drain(forwarder: Forwarder, spool: Spool, steps: int = 200) -> None:
    for _ in range(steps):
        forwarder.step()
        if forwarder.idle and not spool.stats.records:
            return
    raise AssertionError("not drained")


@pytest.fixture
def forward(spool: Spool, store: HttpStore, ledger: Ledger, clock: Clock) -> Forwarder:
    return forwarder(spool, store, ledger, clock)


def test_data_becomes_lines_and_leaves_the_spool(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    put(spool, edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(3)))
    drain(forward, spool)
    assert fake_store.lines == [line_of(n) for n in range(3)]
    assert (forward.progress.records, forward.progress.samples) == (5, 3)


def test_text_quality_and_null_have_their_fields(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    samples = [
        Sample("cnc-01", "speed", START_NS, 7.5),
        Sample("cnc-01", "load", START_NS, None, Quality.BAD),
        Sample("cnc-01", "program", START_NS, 'O"12"\\3'),
        Sample("cnc-01", "speed", START_NS + 1, 8.5, Quality.STALE),
        Sample("cnc-01", "program", START_NS + 2, None, Quality.BAD),
    ]
    put(spool, edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1, samples))
    drain(forward, spool)
    tags = "area=machining,asset=cnc-01,line=line1,site=shanghai"
    assert fake_store.lines == [
        f"cnc,{tags} speed=7.5,load.quality=0.0 {START_NS}",
        f"cnc,{tags} speed=8.5,speed.quality=500.0 {START_NS + 1}",
        f'cnc_text,{tags} program="O\\"12\\"\\\\3" {START_NS}',
        f"cnc_text,{tags} program.quality=0.0 {START_NS + 2}",
    ]


def test_only_a_foreign_birth_is_a_sample(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    last = Sample("cnc-01", "speed", START_NS, 3.0)
    foreign = EdgeNode(acknowledges=False)
    put(spool, edge_node.nbirth(), edge_node.dbirth(last))
    drain(forward, spool)
    assert fake_store.lines == []
    put(spool, foreign.nbirth(), foreign.dbirth(last))
    drain(forward, spool)
    assert fake_store.lines == [f"cnc,area=machining,asset=cnc-01,line=line1,site=shanghai speed=3.0 {START_NS}"]


def test_births_before_the_cursor_survive_a_restart(
    forward: Forwarder,
    spool: Spool,
    store: HttpStore,
    ledger: Ledger,
    clock: Clock,
    fake_store: FakeStore,
    edge_node: EdgeNode,
) -> None:
    put(spool, edge_node.nbirth(), edge_node.dbirth())
    drain(forward, spool)
    put(spool, edge_node.ddata(4))
    drain(forwarder(spool, store, ledger, clock), spool)
    assert fake_store.lines == [line_of(4)]
    put(spool, edge_node.dbirth(), edge_node.ddata(5))
    again = forwarder(spool, store, ledger, clock)
    drain(again, spool)
    put(spool, edge_node.ddata(6))
    drain(forwarder(spool, store, ledger, clock), spool)
    assert fake_store.lines == [line_of(n) for n in (4, 5, 6)]


def test_a_store_that_is_down_is_waited_for_and_then_gets_everything(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode, clock: Clock
) -> None:
    put(spool, edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(50)))
    fake_store.down = True
    forward.step()
    pauses = [forward.step() for _ in range(9)]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, (0.4, 0.8, 1.6, 2, 2, 2), strict=False))
    assert forward.progress.failing_since == 100.0
    assert "503" in forward.progress.trouble
    assert spool.stats.records == 52
    fake_store.down = False
    clock.now = 200.0
    drain(forward, spool)
    assert fake_store.lines == [line_of(n) for n in range(50)]
    assert forward.progress.failing_since is None


def test_a_small_batch_gathers_and_a_backlog_does_not_wait(
    forward: Forwarder, spool: Spool, edge_node: EdgeNode
) -> None:
    put(spool, edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(RECORDS)))
    assert [forward.step() for _ in range(4)] == [0.0, 0.0, 0.0, GATHER_S]
    assert spool.stats.records == 0


@pytest.mark.parametrize("answer", [401, 404, 429, 500, "hang", "commit, then hang"])
def test_what_is_no_answer_is_repeated_and_harmless(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode, answer: int | str
) -> None:
    put(spool, edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
    fake_store.plan.append(answer)
    pause_s = forward.step()
    assert pause_s == 7.0 if answer == 429 else 0.1 <= pause_s <= 0.2
    assert spool.stats.records == 3
    drain(forward, spool)
    assert set(fake_store.lines) == {line_of(1)}


def test_a_store_that_is_too_slow_for_a_batch_is_given_less(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    """The same batch again would be as late, for ever, while a backlog grows behind it."""
    fake_store.most = 20
    put(spool, edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(100)))
    drain(forward, spool)
    assert sorted(set(fake_store.lines)) == sorted(line_of(n) for n in range(100))
    assert forward.progress.answers["unavailable"] < 10
    assert forward.progress.trouble == ""


def test_a_bad_line_is_found_and_set_aside_and_the_others_arrive(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode, ledger: Ledger
) -> None:
    put(spool, edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(100)))
    fake_store.refuse = "speed=37.0 "
    drain(forward, spool)
    assert sorted(fake_store.lines) == sorted(line_of(n) for n in range(100) if n != 37)
    [aside] = ledger.aside()
    assert aside.body.decode() == line_of(37)
    assert aside.node == LINE
    assert "as the test said" in aside.reason
    assert ledger.totals() == {(LINE, "aside"): 1}
    assert len(fake_store.requests) < 20


def test_an_outage_amid_a_bisection_loses_no_piece(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode, ledger: Ledger
) -> None:
    put(spool, edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(10)))
    fake_store.refuse = "speed=3.0 "
    fake_store.plan.extend([204, 503, 204, 429, 204])
    drain(forward, spool)
    assert sorted(fake_store.lines) == sorted(line_of(n) for n in range(10) if n != 3)
    assert len(ledger.aside()) == 1


def test_a_restart_amid_a_bisection_sets_aside_once(
    forward: Forwarder,
    spool: Spool,
    store: HttpStore,
    ledger: Ledger,
    clock: Clock,
    fake_store: FakeStore,
    edge_node: EdgeNode,
) -> None:
    put(spool, edge_node.nbirth(), edge_node.dbirth(), *(edge_node.ddata(n) for n in range(4)))
    fake_store.refuse = "speed=3.0 "
    while not forward.idle or not fake_store.lines:
        forward.step()
        ledger.flush()
        if ledger.aside():
            break
    drain(forwarder(spool, store, ledger, clock), spool)
    assert set(fake_store.lines) == {line_of(n) for n in range(3)}
    assert len(ledger.aside()) == 1


def test_records_that_cannot_be_read_are_set_aside_and_do_not_stop_it(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode, ledger: Ledger
) -> None:
    orphan = EdgeNode(EdgeNode().node._replace(edge_node="line9"))
    put(
        spool,
        edge_node.nbirth(),
        edge_node.dbirth(),
        (edge_node.topic("DDATA"), b"\xff\xff this is no protobuf"),
        orphan.ddata(1),
        edge_node.ddata(2),
    )
    drain(forward, spool)
    assert line_of(2) in fake_store.lines
    reasons = [aside.reason for aside in ledger.aside()]
    assert any("not a Sparkplug B payload" in reason for reason in reasons)
    assert any("birth of this asset is not known" in reason for reason in reasons)


def test_values_that_no_signal_can_hold_are_counted_and_told_once(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode, ledger: Ledger
) -> None:
    foreign = EdgeNode(acknowledges=False)
    put(spool, foreign.nbirth(), foreign.dbirth())
    flip = [Metric("load", 2, Code.UNKNOWN, f"text {n}", START_NS) for n in range(30)]
    good = Metric("speed", 1, Code.UNKNOWN, 5.0, START_NS + 5 * SECOND)
    put(spool, *((foreign.topic("DDATA"), encode(Payload([metric, good], time_ms=1))) for metric in flip))
    unknown = Metric(None, 77, Code.UNKNOWN, 1.0, START_NS)
    put(spool, (foreign.topic("DDATA"), encode(Payload([unknown], time_ms=1))))
    drain(forward, spool)
    load = f"cnc,area=machining,asset=cnc-01,line=line1,site=shanghai load.quality=0.0 {START_NS}"
    assert set(fake_store.lines) == {line_of(5), load}
    totals = ledger.totals()
    assert totals[LINE, "unsupported_values"] == 30
    assert totals[LINE, "unknown_metrics"] == 1
    assert [aside.reason for aside in ledger.aside()] == [
        "load: 'text 0' where DOUBLE (10) was expected; told once, all else is stored",
        "alias 77: no birth names it; told once, all else is stored",
    ]


def test_not_a_number_is_a_bad_sample(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    sample = Sample("cnc-01", "speed", START_NS, float("nan"))
    put(spool, edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1, [sample]))
    drain(forward, spool)
    assert fake_store.lines == [
        f"cnc,area=machining,asset=cnc-01,line=line1,site=shanghai speed.quality=0.0 {START_NS}"
    ]


def test_the_thread_forwards_and_stops_in_time(
    forward: Forwarder, spool: Spool, fake_store: FakeStore, edge_node: EdgeNode
) -> None:
    forward.start()
    put(spool, edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
    fake_store.until(1)
    fake_store.plan.append("hang")
    put(spool, edge_node.ddata(2))
    forward.stop()
    assert not forward.alive
