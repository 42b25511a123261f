"""The checker: what it must not overlook, and what it must not cry about."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from shopfloor.chaos.checker import Outage, Produced, Stored, Verdict, check, read_emitted
from shopfloor.chaos.store import SECOND_NS, gaps_of, iso, parse_iso

KEY = ("cnc-01", "speed")
MS = 1_000_000
PRODUCED: Produced = {KEY: {10 * MS: 1.0, 20 * MS: 2, 30 * MS: True, 40 * MS: "on", 50 * MS: None}}
STORED: Stored = {KEY: [(10 * MS, 1.0), (20 * MS, 2.0), (30 * MS, 1.0), (40 * MS, "on"), (50 * MS, None)]}


def verdict(stored: Stored, *outages: Outage, end_ms: int = 100) -> Verdict:
    return check(PRODUCED, stored, outages, 0, end_ms * MS)


def outage(start_ms: int, end_ms: int, asset: str = "cnc-01") -> Outage:
    return Outage("kill", frozenset((asset,)), start_ms * MS, end_ms * MS)


def test_what_is_equal_is_right() -> None:
    found = verdict(STORED)
    assert found.ok
    assert (found.produced, found.stored, found.equal) == (5, 5, 5)


def test_an_empty_store_is_no_success() -> None:
    assert not check({}, {}, [], 0, 100).ok


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (None, "lost"),
        ((20 * MS, 2.5), "altered"),
        ((20 * MS, None), "altered"),
        ((25 * MS, 2.0), "alien"),
        ((10 * MS + 1, 2.0), "doubled"),
    ],
)
def test_each_wrong_sample_is_found(row: tuple[int, float | None] | None, what: str) -> None:
    rows = [each for each in STORED[KEY] if each[0] != 20 * MS] + ([] if row is None else [row])
    found = verdict({KEY: rows})
    assert not found.ok
    assert found.wrong[what] == 1
    assert next(each for each in found.findings if each.what == what)[1:4] == (*KEY, 20 * MS if row is None else row[0])


def test_a_doubled_sample_is_found() -> None:
    assert verdict({KEY: [*STORED[KEY], (20 * MS, 2.0)]}).wrong == {"doubled": 1}


def test_a_series_that_is_missing_as_a_whole_is_lost() -> None:
    assert verdict({("cnc-01", "other"): []}).wrong == {"lost": 5}


def test_an_outage_explains_only_its_time_and_its_sources() -> None:
    rows = {KEY: [each for each in STORED[KEY] if each[0] not in (20 * MS, 30 * MS)]}
    assert verdict(rows, outage(15, 35)).explained == {"kill": 2}
    assert verdict(rows, outage(15, 25)).wrong == {"lost": 1}
    assert verdict(rows, outage(15, 35, "robot-01")).wrong == {"lost": 2}


def test_what_is_read_again_after_an_outage_must_have_been_so() -> None:
    rows = [*STORED[KEY], (25 * MS, 2.0)]
    assert verdict({KEY: rows}, outage(22, 28)).repeated == 1
    assert verdict({KEY: [*STORED[KEY], (25 * MS, 7.0)]}, outage(22, 28)).wrong == {"alien": 1}


def moved() -> tuple[Produced, list[tuple[int, float]], Outage]:
    """Ten samples, one a second; from 3 to 6 s each is dated right behind the one of 2 s; and the outage."""
    made: Produced = {KEY: {second * SECOND_NS: float(second) for second in range(10)}}
    rows = [
        *((n * SECOND_NS, float(n)) for n in (0, 1, 2, 7, 8, 9)),
        *((2 * SECOND_NS + n, 2.0 + n) for n in (1, 2, 3, 4)),
    ]
    return made, rows, outage(2500, 6000)


def test_samples_may_be_moved_right_behind_the_one_before_an_outage() -> None:
    made, rows, jump = moved()
    found = check(made, {KEY: rows}, [jump], 0, 10 * SECOND_NS)
    assert (found.repeated, found.explained, found.ok) == (4, {"kill": 4}, True)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((2 * SECOND_NS + 5, 9.0), "its value came only after the outage"),
        ((8 * SECOND_NS + 1, 9.0), "there is no outage"),
        ((2 * SECOND_NS + 5, 6.0), "the sample was moved already"),
        ((2 * SECOND_NS + 5, 4.0), "it is out of order"),
        ((5 * SECOND_NS, 5.0), "it is stored under its own time, too"),
    ],
)
def test_a_moved_sample_that_is_stored_twice_is_found(row: tuple[int, float], why: str) -> None:
    made, rows, jump = moved()
    rows.append((2 * SECOND_NS + 7, 6.0))  # what held at the return is told then, once
    assert check(made, {KEY: rows}, [jump], 0, 10 * SECOND_NS).ok
    assert check(made, {KEY: [*rows, row]}, [jump], 0, 10 * SECOND_NS).wrong == {"doubled": 1}, why


@pytest.mark.parametrize("lost", [3, 6])
def test_where_nothing_can_be_lost_each_sample_must_have_been_moved(lost: int) -> None:
    made, rows, jump = moved()
    only_moves = jump._replace(only_moves=True)
    assert check(made, {KEY: rows}, [only_moves], 0, 10 * SECOND_NS).explained == {"kill": 4}
    rows = [row for row in rows if row[1] != lost]
    assert check(made, {KEY: rows}, [jump], 0, 10 * SECOND_NS).ok
    found = check(made, {KEY: rows}, [only_moves], 0, 10 * SECOND_NS)
    assert [finding[:4] for finding in found.findings] == [("lost", *KEY, lost * SECOND_NS)]


def test_what_was_moved_behind_a_sample_from_before_the_asked_time_is_there() -> None:
    made, rows, jump = moved()
    found = check(made, {KEY: rows}, [jump._replace(only_moves=True)], 2500 * MS, 10 * SECOND_NS)
    assert (found.explained, found.ok) == ({"kill": 4}, True)


def test_what_another_outage_may_have_cost_need_not_have_been_moved() -> None:
    made, rows, jump = moved()
    rows = [row for row in rows if row[1] != 4]
    assert check(made, {KEY: rows}, [jump._replace(only_moves=True), jump], 0, 10 * SECOND_NS).ok


@pytest.mark.parametrize("offset_s", [-3600, 3600])
def test_a_sample_that_a_wrong_clock_has_dated_is_there_once(offset_s: int) -> None:
    made, rows, jump = moved()
    away = [((offset_s if value in (3.0, 4.0) else 0) * SECOND_NS + time_ns, value) for time_ns, value in rows]
    only_moves = [jump._replace(only_moves=True)]

    def wrong(rows: list[tuple[int, float]], outages: list[Outage] = only_moves) -> Counter[str]:
        return check(made, {KEY: rows}, outages, 0, 10 * SECOND_NS).wrong

    assert not wrong(away)
    assert wrong([*away, ((offset_s + 2) * SECOND_NS + 8, 4.0)]) == {"alien": 1}
    assert wrong([row for row in away if row[1] != 4.0]) == {"lost": 1}
    assert wrong(away, [])["alien"] == 2


def test_only_the_asked_time_counts() -> None:
    assert verdict({KEY: STORED[KEY][:2]}, end_ms=30).ok


def test_the_account_of_the_machines_is_read_past_cut_lines(tmp_path: Path) -> None:
    path = tmp_path / "emitted.jsonl"
    path.write_text(
        '\n{"source": "a", "sequence": 1, "time_ns": 5, "values": {"x": 1, "y": "b"}}\n{"source": "a", "se\n'
        '{"source": "a", "sequence": 1, "time_ns": 5, "values": {"x": 2}}\n'
    )
    assert read_emitted([path]) == {("a", "x"): {5: 2}, ("a", "y"): {5: "b"}}


def test_numbers_that_nobody_has_are_named() -> None:
    assert gaps_of([], 0) == []
    assert gaps_of([(1, 5)], 5) == []
    assert gaps_of([(4, 5), (1, 2)], 6) == [(3, 3), (6, 6)]


@pytest.mark.parametrize("time_ns", [0, 1_795_420_800_123_456_789])
def test_times_survive_their_text(time_ns: int) -> None:
    assert parse_iso(iso(time_ns)) == time_ns
