"""The checker: what it must not overlook, and what it must not cry about."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopfloor.chaos.checker import Outage, Produced, Stored, Verdict, check, read_emitted
from shopfloor.chaos.store import SECOND_NS, gaps_of, iso, parse_iso

KEY = ("cnc-01", "speed")
PRODUCED: Produced = {KEY: {10: 1.0, 20: 2, 30: True, 40: "on", 50: None}}
STORED: Stored = {KEY: [(10, 1.0), (20, 2.0), (30, 1.0), (40, "on"), (50, None)]}


def verdict(stored: Stored, *outages: Outage, end_ns: int = 100) -> Verdict:
    return check(PRODUCED, stored, outages, 0, end_ns)


def outage(start_ns: int, end_ns: int, asset: str = "cnc-01") -> Outage:
    return Outage("kill", frozenset((asset,)), start_ns, end_ns)


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
        ((20, 2.5), "altered"),
        ((20, None), "altered"),
        ((25, 2.0), "alien"),
    ],
)
def test_each_wrong_sample_is_found(row: tuple[int, float | None] | None, what: str) -> None:
    rows = [each for each in STORED[KEY] if each[0] != 20] + ([] if row is None else [row])
    found = verdict({KEY: rows})
    assert not found.ok
    assert found.wrong[what] == 1
    assert next(each for each in found.findings if each.what == what)[1:4] == (*KEY, 20 if row is None else row[0])


def test_a_doubled_sample_is_found() -> None:
    assert verdict({KEY: [*STORED[KEY], (20, 2.0)]}).wrong == {"doubled": 1}


def test_a_series_that_is_missing_as_a_whole_is_lost() -> None:
    assert verdict({("cnc-01", "other"): []}).wrong == {"lost": 5}


def test_an_outage_explains_only_its_time_and_its_sources() -> None:
    rows = {KEY: [each for each in STORED[KEY] if each[0] not in (20, 30)]}
    assert verdict(rows, outage(15, 35)).explained == {"kill": 2}
    assert verdict(rows, outage(15, 25)).wrong == {"lost": 1}
    assert verdict(rows, outage(15, 35, "robot-01")).wrong == {"lost": 2}


def test_what_is_read_again_after_an_outage_must_have_been_so() -> None:
    rows = [*STORED[KEY], (25, 2.0)]
    assert verdict({KEY: rows}, outage(22, 28)).repeated == 1
    assert verdict({KEY: [*STORED[KEY], (25, 7.0)]}, outage(22, 28)).wrong == {"alien": 1}


def test_times_of_a_clock_that_was_set_are_tied_to_the_sample_before() -> None:
    made: Produced = {KEY: {second * SECOND_NS: float(second) for second in range(10)}}
    # from 3 s on each sample is dated right behind the one of 2 s, until the clock is right again
    rows = [
        *((n * SECOND_NS, float(n)) for n in (0, 1, 2, 7, 8, 9)),
        *((2 * SECOND_NS + n, 2.0 + n) for n in (1, 2, 3, 4)),
    ]
    jump = outage(2 * SECOND_NS + SECOND_NS // 2, 6 * SECOND_NS)
    found = check(made, {KEY: rows}, [jump], 0, 10 * SECOND_NS)
    assert (found.repeated, found.explained, found.ok) == (4, {"kill": 4}, True)
    # not a value that came only after the outage, and not where no outage is
    assert check(made, {KEY: [*rows, (2 * SECOND_NS + 5, 9.0)]}, [jump], 0, 10 * SECOND_NS).wrong == {"alien": 1}
    assert check(made, {KEY: [*rows, (8 * SECOND_NS + 1, 9.0)]}, [jump], 0, 10 * SECOND_NS).wrong == {"alien": 1}


def test_only_the_asked_time_counts() -> None:
    assert verdict({KEY: STORED[KEY][:2]}, end_ns=30).ok


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
