"""What `shopfloor watch` says of a value."""

from __future__ import annotations

import pytest

from shopfloor.watch import quality_text, values


@pytest.mark.parametrize(
    ("quality", "text"),
    [(192, ""), (64, "uncertain"), (0, "bad"), (500, "stale"), (24, "24"), (704, "time of arrival"),
     (576, "uncertain, time of arrival")],
)  # fmt: skip
def test_e7_a_quality_is_said_in_words(quality: int, text: str) -> None:
    assert quality_text(quality) == text


def test_e7_a_status_is_said_where_there_is_one() -> None:
    plain = {"value": 2**64 - 1, "quality": 192, "time": "t"}
    data = {"asset": "m", "signals": {"a": plain, "b": {**plain, "status": 5}}}
    assert [row.get("status") for row in values(data, "*")] == [None, 5]
