"""What is sent when, on a real spool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.window import Window
from spool import Record, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.open(tmp_path / "spool", linger_s=0.0) as opened:
        yield opened


def put(spool: Spool, count: int) -> int:
    futures = [spool.put("t", b"x") for _ in range(count)]
    return max(n for future in futures if (n := future.result(5)) is not None)


def numbers(records: list[Record]) -> list[int]:
    return [record.n for record in records]


def now_ns(spool: Spool) -> int:
    return spool.stats.oldest_ns or 0


def test_live_first_then_the_backlog(spool: Spool) -> None:
    window = Window(spool)
    window.begin(put(spool, 5))
    put(spool, 3)
    assert numbers(window.live(0.0, now_ns(spool))) == [6, 7, 8]
    assert numbers(window.live(0.0, now_ns(spool))) == []
    assert numbers(window.backlog(0.0, limit=3)) == [1, 2, 3]
    assert numbers(window.backlog(0.0)) == [4, 5]
    assert numbers(window.backlog(0.0)) == []
    assert window.in_flight == 8


def test_what_is_not_acknowledged_in_time_is_sent_again(spool: Spool) -> None:
    window = Window(spool, ack_timeout_s=10)
    window.begin(0)
    put(spool, 4)
    window.live(0.0, now_ns(spool))
    window.acknowledged([(2, 3)], 0.1)
    spool.remove([(2, 3)])
    window.expire(9.9)
    assert numbers(window.backlog(9.9)) == []
    window.expire(10.0)
    assert numbers(window.backlog(10.0)) == [1, 4]
    assert window.resent == 2


def test_while_nothing_is_acknowledged_time_outs_double(spool: Spool) -> None:
    window = Window(spool, ack_timeout_s=10)
    window.begin(0)
    window.expire(0.0)
    put(spool, 1)
    window.live(0.0, now_ns(spool))
    sent = []
    for now_s in range(250):
        window.expire(float(now_s))
        sent += [now_s] * bool(window.backlog(float(now_s)))
    assert sent == [10, 20, 40, 80, 140, 200]


def test_what_is_on_a_slow_way_is_not_sent_again(spool: Spool) -> None:
    window = Window(spool, ack_timeout_s=10)
    window.begin(put(spool, 1000))
    window.expire(0.0)
    while window.backlog(0.0):
        pass
    for now_s in range(1, 51):  # 20 arrive in a second
        window.acknowledged([(1, 20 * now_s)], float(now_s))
        window.expire(float(now_s))
    assert (window.in_flight, window.resent) == (0, 0)


def test_a_new_session_sends_all_again_that_is_left(spool: Spool) -> None:
    window = Window(spool)
    window.begin(0)
    last = put(spool, 4)
    window.live(0.0, now_ns(spool))
    window.acknowledged([(1, 2)], 0.1)
    spool.remove([(1, 2)])
    window.begin(last)
    assert numbers(window.live(0.0, now_ns(spool))) == []
    assert numbers(window.backlog(0.0)) == [3, 4]


def test_the_window_is_bounded_and_half_of_it_is_kept_for_live_data(spool: Spool) -> None:
    window = Window(spool, most=10)
    window.begin(put(spool, 20))
    assert numbers(window.backlog(0.0)) == [1, 2, 3, 4, 5]
    put(spool, 20)
    assert numbers(window.live(0.0, now_ns(spool))) == [21, 22, 23, 24, 25]
    assert numbers(window.live(0.0, now_ns(spool))) == []
    window.acknowledged([(1, 25)], 0.1)
    assert window.in_flight == 0
    assert len(window.live(0.0, now_ns(spool))) == 10


def test_live_data_that_waited_too_long_becomes_backlog(spool: Spool) -> None:
    window = Window(spool)
    window.begin(0)
    put(spool, 3)
    assert numbers(window.live(0.0, now_ns(spool) + 60_000_000_000)) == []
    assert numbers(window.backlog(0.0)) == [1, 2, 3]


def test_what_could_not_be_sent_is_given_out_again(spool: Spool) -> None:
    window = Window(spool)
    window.begin(put(spool, 2))
    put(spool, 3)
    live = window.live(0.0, now_ns(spool))
    window.unsent(live[1:], live=True)
    assert numbers(window.live(0.0, now_ns(spool))) == [4, 5]
    backlog = window.backlog(0.0)
    window.unsent(backlog, live=False)
    assert numbers(window.backlog(0.0)) == [1, 2]
