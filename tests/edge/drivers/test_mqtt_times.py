"""When messages say that their values were taken: with and without a zone, in the forms that devices have."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from edge.drivers._json.entry import TimeOption
from edge.drivers._json.times import TimeError, time_of

MS = 1_000_000
S = 1_000_000_000
NOON = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()) * S


def read(value: Any, arrived: str = "2026-01-01T12:00:00+00:00", **option: Any) -> tuple[int, list[str]]:
    notes: list[str] = []
    arrived_ns = int(datetime.fromisoformat(arrived).timestamp()) * S
    time_ns = time_of(TimeOption(path="ts", **option), value, arrived_ns, lambda sort, _text: notes.append(sort))
    return time_ns, notes


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * S


@pytest.mark.parametrize(
    ("unit", "value", "time_ns"),
    [
        ("ms", 1_700_000_000_123, 1_700_000_000_123 * MS),
        ("s", 1_700_000_000.5, 1_700_000_000_500 * MS),
        ("ns", 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        ("us", 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        ("iso", "2023-11-14T22:13:20.123Z", 1_700_000_000_123 * MS),
        ("iso", "2023-11-15T06:13:20.123+08:00", 1_700_000_000_123 * MS),
    ],
)
def test_times(unit: Any, value: Any, time_ns: int) -> None:
    assert read(value, unit=unit) == (time_ns, [])


@pytest.mark.parametrize(
    ("unit", "value", "time_ns"),
    [
        ("s", 1_700_000_000.123456, 1_700_000_000_123_456_000),
        ("s", 1_700_000_000.1234567, 1_700_000_000_123_456_700),
        ("s", 1_700_000_000.001, 1_700_000_000_001_000_000),
        ("ms", 1_700_000_000_123.456, 1_700_000_000_123_456_000),
        ("us", 1_700_000_000_123_456.8, 1_700_000_000_123_456_800),
        ("s", "1700000000.123456789", 1_700_000_000_123_456_789),
        ("iso", "2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
        ("iso", "2023-11-14T22:13:20,5+00:00", 1_700_000_000_500_000_000),
        ("s", 1_700_000_000.0, 1_700_000_000 * S),
        ("s", 4_500_000_000.000001, 4_500_000_000_000_001_000),
        ("s", 0.1, 100_000_000),
        ("ns", 1.5e18, 1_500_000_000_000_000_000),
    ],
)
def test_c7_a_fraction_is_what_was_given(unit: Any, value: Any, time_ns: int) -> None:
    assert read(value, unit=unit)[0] == time_ns


@pytest.mark.parametrize(
    ("option", "text", "time_ns", "notes"),
    [
        ({"zone": "Europe/Berlin"}, "2026-01-01T13:00:00", NOON, []),
        ({"zone": "Asia/Shanghai"}, "2026-01-01T20:00:00.25", NOON + S // 4, []),
        ({"zone": "Asia/Kolkata"}, "2026-01-01 17:30:00", NOON, []),
        ({"zone": "Europe/Berlin"}, "2026-01-01T12:00:00Z", NOON, []),
        ({}, "2026-01-01T12:00:00", NOON, ["zone of time"]),
        ({"unit": "iso"}, "20260101T120000Z", NOON, []),
        ({"format": "%d.%m.%Y %H:%M:%S", "zone": "Europe/Berlin"}, "01.01.2026 13:00:00", NOON, []),
        ({"format": "%m/%d/%Y %I:%M:%S %p", "zone": "UTC"}, "01/01/2026 12:00:00 PM", NOON, []),
        ({"format": "%Y/%m/%d %H:%M:%S"}, "2026/01/01 12:00:00.125", NOON + S // 8, ["zone of time"]),
        ({"format": "%Y/%m/%d %H:%M:%S.%f %z"}, "2026/01/01 13:00:00.125 +0100", NOON + S // 8, []),
        ({"format": "%d.%m.%Y %H:%M:%S"}, "31.12.2025 23:59:60", utc("2026-01-01T00:00:00"), ["zone of time"]),
        ({}, "2025-12-31T23:59:60Z", utc("2026-01-01T00:00:00"), []),
        ({}, "2025-12-31T23:59:60.5Z", utc("2026-01-01T00:00:00") + S // 2, []),
        ({}, "1767268800000", NOON, []),
        ({"unit": "s"}, " 1767268800 ", NOON, []),
    ],
)
def test_c4_local_times_other_forms_and_leap_seconds(
    option: dict[str, Any], text: str, time_ns: int, notes: list[str]
) -> None:
    assert read(text, **option) == (time_ns, notes)


@pytest.mark.parametrize(
    ("arrived", "hour"),
    [
        ("2026-10-25T00:30:05+00:00", "2026-10-25T00:30:00"),  # summer time still
        ("2026-10-25T01:30:05+00:00", "2026-10-25T01:30:00"),
    ],
)
def test_c4_the_hour_that_a_clock_shows_twice_is_the_one_that_is_nearer(arrived: str, hour: str) -> None:
    assert read("2026-10-25T02:30:00", arrived, zone="Europe/Berlin")[0] == utc(hour)


def test_c4_an_hour_that_a_clock_skips_is_read_with_the_offset_before() -> None:
    for arrived in ("2026-03-29T00:30:00+00:00", "2026-03-29T01:30:00+00:00"):
        assert read("2026-03-29T02:30:00", arrived, zone="Europe/Berlin")[0] == utc("2026-03-29T01:30:00")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ({}, None),
        ({}, True),
        ({}, ""),
        ({}, "now"),
        ({}, float("nan")),
        ({}, 1e300),
        ({}, 10**4290),
        ({}, {"x": 1}),
        ({}, "9" * 200),
        ({"unit": "iso"}, 1_700_000_000),
        ({"unit": "iso"}, "01.01.2026 12:00"),
        ({"unit": "iso"}, "2026-01-01T12:00:61Z"),
        ({"zone": "Asia/Shanghai"}, "0001-01-01T00:00:00"),
        ({"format": "%d.%m.%Y %H:%M"}, "32.01.2026 12:00"),
    ],
)
def test_c4_what_is_no_time_is_told(option: dict[str, Any], value: Any) -> None:
    with pytest.raises(TimeError):
        read(value, **option)


@pytest.mark.parametrize(
    ("option", "value", "is_before_1970"),
    [
        ({}, "0001-01-01T00:00:00Z", True),
        ({}, "1601-01-01T00:00:00Z", True),
        ({}, -1, True),
        ({}, "9999-12-31T23:59:59Z", False),
        ({"unit": "s"}, 1_700_000_000_000, False),
    ],
)
def test_c4_a_time_that_no_clock_says_is_handed_on_as_it_is(
    option: dict[str, Any], value: Any, is_before_1970: bool
) -> None:
    time_ns, _ = read(value, **option)
    assert time_ns < 0 if is_before_1970 else time_ns > 1 << 62


@pytest.mark.parametrize("value", [b'"yesterday"', b"null", b"[1]", b'"0001-01-01T00:00:00"', b"{}"])
def test_c4_a_value_without_a_usable_time_is_kept(mapped: Any, value: bytes) -> None:
    option = {"path": "ts", "unit": "iso", "zone": "Asia/Shanghai"}
    samples, counters = mapped(b'{"mode":"auto","ts":' + value + b"}", time=option)
    assert [(s.value, s.time_ns) for s in samples] == [("auto", 0)]
    assert list(counters.notes) == ["no time at `time.path`"]
    assert counters.rejected == 0


def test_c4_a_time_path_that_cannot_be_applied_costs_no_value(mapped: Any) -> None:
    samples, _ = mapped(b'{"mode":"auto","ts":"inf"}', time={"path": "ceil(to_number(ts))"})
    assert [(s.value, s.time_ns) for s in samples] == [("auto", 0)]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ({"zone": "Berlin"}, "is not a time zone"),
        ({"zone": "../etc/passwd"}, "is not a time zone"),
        ({"zone": "Europe"}, "is not a time zone"),
        ({"zone": ""}, "is not a time zone"),
        ({"format": "%H:%M:%S"}, "does not tell day and hour"),
        ({"format": "DD.MM.YYYY"}, "is not a form|does not tell"),
        ({"format": "%Y-%m-%d"}, "does not tell day and hour"),
        ({"format": "%Q"}, "is not a form"),
    ],
)
def test_c4_options_are_checked(option: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TimeOption(path="ts", **option)


async def test_c4_local_times_of_a_tasmota_arrive_in_its_zone(
    mosquitto_broker: Any, connect: Any, publisher: Any
) -> None:
    driver = await connect(
        mosquitto_broker,
        topic="factory/{asset}/SENSOR",
        time={"path": "Time", "unit": "iso", "zone": "Europe/Berlin"},
        signals={"power": {"path": "ENERGY.Power"}},
    )
    machines = await publisher(mosquitto_broker)
    body = {"Time": "2026-01-01T13:00:00", "ENERGY": {"Power": 12}}
    machines.publish("factory/plug-1/SENSOR", orjson.dumps(body), qos=1)
    async with asyncio.timeout(5):
        samples = await driver.read()
    assert [(s.asset, s.value, s.time_ns) for s in samples] == [("plug-1", 12, NOON)]
