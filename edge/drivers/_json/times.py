"""When a message says that its values were taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from edge.dating import LAST_NS
from edge.drivers._json.entry import TimeOption

NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_PER_US: Final = {"s": 1e6, "ms": 1e3}
_MOST_US: Final = 1 << 52  # in 2112
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"[+-]?\d{1,30}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,2})?\Z", re.ASCII)
_FRACTION: Final = re.compile(r"(?<=:\d\d)([.,]\d+)", re.ASCII)
_LEAP: Final = re.compile(r":60(?!\d|:)", re.ASCII)
_MOST_TEXT: Final = 100
_MICROSECONDS: Final = len("2026-01-01T12:00:00.123456")  # all that Python reads
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
            time_ns = round(Decimal(text) * NS[unit])
        else:
            return _of_text(option, text, arrived_ns, note)
    elif unit != "iso" and isinstance(value, int) and not isinstance(value, bool):
        time_ns = value * NS[unit]
    elif unit != "iso" and isinstance(value, float) and value - value == 0:
        time_ns = _of_float(value, unit)
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
    form = option.format
    plain, leap_s, fraction = text, 0, ""
    if form is not None or ":60" in text or "," in text or text[_MICROSECONDS : _MICROSECONDS + 1].isdigit():
        plain, leap_s, fraction = _parted(text, form)
    try:
        stamp = datetime.fromisoformat(plain) if form is None else datetime.strptime(plain, form)  # noqa: DTZ007
        if stamp.tzinfo is None:
            stamp = _in_zone(option, stamp, arrived_ns, note)
    except (ValueError, OverflowError) as error:  # the latter: the first and the last day of the calendar
        wanted = "ISO 8601" if form is None else f"of the form {form!r}"
        raise TimeError(f"{text!r} is not {wanted}") from error
    delta = stamp - _EPOCH
    time_ns = ((delta.days * 86_400 + delta.seconds + leap_s) * 1_000_000 + delta.microseconds) * 1000
    return time_ns + int(fraction[:9].ljust(9, "0")) if fraction else time_ns


def _of_float(value: float, unit: str) -> int:
    """Return a number as what its shortest decimal says, which is what the device wrote."""
    per_us = _PER_US.get(unit)
    if per_us is not None and 0 < (us := round(value * per_us)) < _MOST_US and us / per_us == value:
        return us * 1000  # doubles lie nearer than a microsecond, so that no other decimal is as short
    return round(Decimal(repr(value)) * NS[unit])


def _parted(text: str, form: str | None) -> tuple[str, int, str]:
    """Return a text without leap second and fraction, seconds to add, and the digits of the fraction."""
    plain, leap_s = _LEAP.subn(":59", text)
    match = None if form is not None and "%f" in form else _FRACTION.search(plain)
    if match is None:
        return plain, leap_s, ""
    return plain[: match.start(1)] + plain[match.end() :], leap_s, match[1][1:]


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
