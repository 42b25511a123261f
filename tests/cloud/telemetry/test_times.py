"""Times as people and programs write them."""

from __future__ import annotations

import contextlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.telemetry.store import TIME
from cloud.telemetry.times import MAX_NS, TimeError, format_time, iso, parse_time

NOW = 1_795_420_800_000_000_001


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("now", NOW),
        ("-1h", NOW - 3_600_000_000_000),
        ("now-1h", NOW - 3_600_000_000_000),
        ("+5ms", NOW + 5_000_000),
        ("-2w", NOW - 14 * 86_400_000_000_000),
        ("2026-11-23T08:00:00.000000001Z", NOW),
        ("2026-11-23T16:00:00.000000001+08:00", NOW),
        ("2026-11-23 08:00", NOW - 1),
        ("2026-11-23", NOW - 1 - 8 * 3_600_000_000_000),
        ("1970-01-01", 0),
    ],
)
def test_times(text: str, time_ns: int) -> None:
    assert parse_time(text, NOW) == time_ns


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-1y", "1h", "2026-13-01", "2026-11-23T25:00", "1969-12-31", "2263-01-01", "-99999w"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(TimeError):
        parse_time(text, NOW)


@given(st.integers(0, MAX_NS))
def test_a_written_time_is_read_as_itself(time_ns: int) -> None:
    assert parse_time(format_time(time_ns), NOW) == time_ns


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_time_error(text: str) -> None:
    with contextlib.suppress(TimeError):
        assert 0 <= parse_time(text, NOW) <= MAX_NS


@given(st.lists(st.integers(0, MAX_NS)))
def test_many_times_are_written_as_one_is(times_ns: list[int]) -> None:
    column = pa.chunked_array([pa.array(times_ns, pa.int64()).cast(TIME)])
    assert iso(column) == [format_time(time_ns) for time_ns in times_ns]
