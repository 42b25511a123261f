"""What `shopfloor watch` says of a value."""

from __future__ import annotations

import time

import pytest

from shopfloor.commands.watch import quality_text, show, values
from shopfloor.known import Kind


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
    [row] = values({"asset": "cnc-01", "signals": {"speed": sample}}, "*", {"speed": Kind("rpm", "double")})
    show(row, Kind("rpm", "double"), json=False, utc=False)
    show(row, Kind("rpm", "double"), json=False, utc=True)
    monkeypatch.undo()
    time.tzset()
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["16:00:00.250+08:00", "cnc-01", "speed", "1500.25", "rpm", "stale"]
    assert second.startswith("08:00:00.250Z ")


@pytest.mark.parametrize(
    ("value", "datatype", "said"),
    [
        (1_795_420_800_250, "datetime", "2026-11-23 08:00:00.250Z"),
        (0, "datetime", "1970-01-01 00:00:00.000Z"),
        (2**63, "datetime", str(2**63)),  # later than any calendar goes
        (None, "datetime", ""),
        (1_795_420_800_250, "int64", "1795420800250"),
    ],
)
def test_a_value_that_is_a_time_is_shown_as_one(
    capsys: pytest.CaptureFixture[str], value: int | None, datatype: str, said: str
) -> None:
    row = {"asset": "m", "signal": "s", "value": value, "unit": "", "quality": 192, "time": "2026-11-23T08:00:00Z"}
    show(row, Kind("", datatype), json=False, utc=True)
    assert " ".join(capsys.readouterr().out.split()) == f"08:00:00.000Z m s {said}".rstrip()
