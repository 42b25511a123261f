"""What `shopfloor watch` says of a value."""

from __future__ import annotations

import time

import pytest

from shopfloor.watch import quality_text, show, values


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
    assert [row.get("status") for row in values(data, "*", {})] == [None, 5]


def test_a_value_has_its_unit_and_its_time_the_offset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    sample = {"value": 1500.25, "quality": 500, "time": "2026-11-23T08:00:00.250000000Z"}
    [row] = values({"asset": "cnc-01", "signals": {"speed": sample}}, "*", {"speed": "rpm"})
    show(row, json=False, utc=False)
    show(row, json=False, utc=True)
    monkeypatch.undo()
    time.tzset()
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["16:00:00.250+08:00", "cnc-01", "speed", "1500.25", "rpm", "stale"]
    assert second.startswith("08:00:00.250Z ")
