"""When a message says that its values were taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from edge.dating import LAST_NS
from edge.drivers.mqtt.options import TimeOption

_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"[+-]?\d{1,30}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,2})?\Z", re.ASCII)
_FRACTION: Final = re.compile(r"(:\d\d)[.,](\d+)", re.ASCII)
_LEAP: Final = re.compile(r":60(?!\d|:)", re.ASCII)
_MOST_TEXT: Final = 100
_MOST_NS: Final = 1 << 80

Note = Callable[[str, str], None]


class TimeError(ValueError):
    """What stands where the time should cannot be read as one; the text says why."""


def time_of(option: TimeOption, value: Any, arrived_ns: int, note: Note = lambda _sort, _text: None) -> int:
    """Return the time that a message states, in ns since 1970, also one that no clock says; raise TimeError.

    `note(sort, text)` is told what had to be assumed.
    """
    unit = option.unit
    if isinstance(value, str):
        text = value.strip()
        if option.format is None and unit != "iso" and _NUMBER.match(text):
            time_ns = round(Decimal(text) * _NS[unit])
        else:
            return _of_text(option, text, arrived_ns, note)
    elif unit != "iso" and isinstance(value, int) and not isinstance(value, bool):
        time_ns = value * _NS[unit]
    elif unit != "iso" and isinstance(value, float) and value - value == 0:
        # the shortest decimal that is this double is what the device wrote
        time_ns = int(value) * _NS[unit] if value.is_integer() else round(Decimal(repr(value)) * _NS[unit])
    else:
        raise TimeError(f"{value!r:.100} is not a time in {unit}")
    if not 0 <= time_ns < LAST_NS:
        text = f"a time out of range: {value!r:.100}; is the unit really {unit}?"
        if abs(time_ns) > _MOST_NS:
            raise TimeError(text)
        note("unit of time", text)
    return time_ns


def _of_text(option: TimeOption, text: str, arrived_ns: int, note: Note) -> int:
    if len(text) > _MOST_TEXT:
        raise TimeError(f"a text of {len(text)} characters is not a time")
    plain, leaps = _LEAP.subn(":59", text)
    fraction = "" if option.format is not None and "%f" in option.format else _fraction(plain)
    whole = _FRACTION.sub(r"\1", plain, count=1) if fraction else plain
    try:
        form = option.format
        stamp = datetime.fromisoformat(whole) if form is None else datetime.strptime(whole, form)  # noqa: DTZ007
        if stamp.tzinfo is None:
            stamp = _in_zone(option, stamp, arrived_ns, note)
    except (ValueError, OverflowError) as error:  # the latter: the first and the last day of the calendar
        wanted = "ISO 8601" if option.format is None else f"of the form {option.format!r}"
        raise TimeError(f"{text!r} is not {wanted}") from error
    delta = stamp - _EPOCH
    time_ns = ((delta.days * 86_400 + delta.seconds + leaps) * 1_000_000 + delta.microseconds) * 1000
    return time_ns + int(fraction[:9].ljust(9, "0"))


def _fraction(text: str) -> str:
    """Return the digits behind the seconds: a datetime holds six of them."""
    match = _FRACTION.search(text)
    return "" if match is None else match[2]


def _in_zone(option: TimeOption, stamp: datetime, arrived_ns: int, note: Note) -> datetime:
    """Return a local time in its zone; of the two that a clock shows when summer ends, that nearer to the arrival."""
    if option.zone is None:
        note("zone of time", f"a time without a zone ({stamp.isoformat()}) is read as UTC: state `time.zone`")
        return stamp.replace(tzinfo=UTC)
    first = stamp.replace(tzinfo=ZoneInfo(option.zone))
    second = first.replace(fold=1)
    seconds = arrived_ns / 1e9
    distance = [abs(each.astimezone(UTC).timestamp() - seconds) for each in (first, second)]
    # a time that the clock skips when summer begins also has two readings: the offset from before holds
    is_skipped = first.utcoffset() != second.utcoffset() and _is_skipped(first)
    return first.astimezone(UTC) if is_skipped or distance[0] <= distance[1] else second.astimezone(UTC)


def _is_skipped(stamp: datetime) -> bool:
    return stamp.astimezone(UTC).astimezone(stamp.tzinfo).replace(tzinfo=None) != stamp.replace(tzinfo=None, fold=0)
