"""Times of the command line: in the zone of the machine, with the offset, also when the clocks change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from shopfloor.clock import asked, shown
from shopfloor.errors import ConfigurationError
from shopfloor.output import cell

Zone = Callable[[str], None]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Asia/Shanghai", "2026-07-01 20:00:00.250+08:00"),
        ("Europe/Berlin", "2026-07-01 14:00:00.250+02:00"),
        ("Asia/Kathmandu", "2026-07-01 17:45:00.250+05:45"),
        ("America/St_Johns", "2026-07-01 09:30:00.250-02:30"),
        ("UTC", "2026-07-01 12:00:00.250+00:00"),
    ],
)
def test_a_time_is_shown_in_the_zone_of_the_machine_with_its_offset(zone: Zone, name: str, text: str) -> None:
    zone(name)
    assert shown("2026-07-01T12:00:00.250999999Z") == text
    assert cell("2026-07-01T12:00:00.250999999Z") == text
    assert shown("2026-07-01T12:00:00.250999999Z", utc=True) == "2026-07-01 12:00:00.250Z"


def test_other_texts_are_no_times(zone: Zone) -> None:
    zone("Asia/Shanghai")
    assert shown("O1000") == "O1000"
    assert shown("2026-07-01T12:00:00Z") == "2026-07-01 20:00:00.000+08:00"


def test_a_time_without_an_offset_is_of_this_zone(zone: Zone) -> None:
    zone("Europe/Berlin")
    assert asked("--start", "2026-07-01T14:00:00.123456789") == ("2026-07-01T14:00:00.123456789+02:00", "")
    assert asked("--start", "2026-01-01 14:00") == ("2026-01-01T14:00:00+01:00", "")
    assert asked("--start", "2026-01-01") == ("2026-01-01T00:00:00+01:00", "")
    assert asked("--start", "2026-07-01T14:00:00", utc=True) == ("2026-07-01T14:00:00Z", "")


@pytest.mark.parametrize("text", ["now", "-1h", "now-90s", "+5m", "-500ms"])
def test_a_relative_time_goes_as_it_is(text: str) -> None:
    assert asked("--start", text) == (text, "")


@pytest.mark.parametrize("text", ["2026-07-01T14:00:00Z", "2026-07-01T14:00:00+08:00"])
def test_an_offset_is_kept(zone: Zone, text: str) -> None:
    zone("Europe/Berlin")
    assert asked("--start", text) == (text, "")


def test_an_hour_that_the_clocks_skip_is_told(zone: Zone) -> None:
    zone("Europe/Berlin")
    with pytest.raises(ConfigurationError, match=r"there is no 2026-03-29 02:30:00 here.*\+01:00 becomes \+02:00"):
        asked("--start", "2026-03-29T02:30:00")
    assert asked("--start", "2026-03-29T02:30:00", utc=True)[0] == "2026-03-29T02:30:00Z"


def test_of_an_hour_that_comes_twice_the_first_is_meant_and_told(zone: Zone) -> None:
    zone("Europe/Berlin")
    text, said = asked("--start", "2026-10-25T02:30:00")
    assert text == "2026-10-25T02:30:00+02:00"
    assert "comes twice" in said
    assert "for the other one write +01:00" in said


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "14:00", "2026-07-01T25:00", "", "١٢٣٤-٠١-٠١"])
def test_what_is_no_time_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--end: .* is not a time") as caught:
        asked("--end", text)
    assert "2026-11-23T08:00:00" in caught.value.hint
