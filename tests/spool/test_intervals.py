"""Intervals against a plain set."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from spool.intervals import Intervals

STEPS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6)), max_size=30)


@given(STEPS)
def test_intervals_are_a_set(steps: list[tuple[int, int]]) -> None:
    intervals, plain = Intervals(), set[int]()
    for first, more in steps:
        numbers = set(range(first, first + more + 1))
        assert intervals.add(first, first + more) == bool(numbers - plain)
        plain |= numbers
    listed = intervals.as_list()
    assert {n for first, last in listed for n in range(first, last + 1)} == plain
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(listed))
    assert all((n in intervals) == (n in plain) for n in range(50))
    assert len(intervals) == len(listed)


@given(STEPS, STEPS)
def test_changes_carry_a_copy_along(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> None:
    intervals, copy = Intervals(), dict[int, int]()
    for steps in (before, after):
        for first, more in steps:
            intervals.add(first, first + more)
        gone, changed = intervals.take_changes()
        for first in gone:
            copy.pop(first, None)
        copy.update(changed)
        assert sorted(copy.items()) == intervals.as_list()
    assert intervals.take_changes() == ([], [])


def test_the_lowest_can_be_forgotten() -> None:
    intervals = Intervals([(1, 5), (7, 9)])
    assert intervals.take_changes() == ([], [])
    intervals.forget_lowest()
    assert intervals.take_changes() == ([1], [])
    assert intervals.as_list() == [(7, 9)]
