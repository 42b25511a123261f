"""Times as people at this machine read and write them: in its zone (TZ, /etc/localtime), with the offset."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from shopfloor.errors import ConfigurationError

TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z\Z", re.ASCII)
"""A time as the API writes it: ISO 8601 in UTC, with up to nine digits of a second."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR: Final = 1000  # years before have not four digits
_RELATIVE: Final = re.compile(r"now|(?:now)?[+-]\d{1,9}(?:ms|[smhdw])", re.ASCII)
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


def shown(text: str, *, utc: bool = False) -> str:
    """Return a time of the API to the millisecond: `2026-11-23 16:00:00.250+08:00`, or in UTC with `Z`."""
    match = TIME.match(text)
    if match is None:
        return text
    millisecond = f"{(match[2] or '0')[:3]:0<3}"
    at = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    if utc:
        return f"{at:%Y-%m-%d %H:%M:%S}.{millisecond}Z"
    try:
        local = at.astimezone()
    except (OverflowError, OSError):  # the first and last day that a datetime has
        return shown(text, utc=True)
    return f"{local:%Y-%m-%d %H:%M:%S}.{millisecond}{_offset(local)}"


def of_ms(value: object) -> object:
    """Return a value of the datatype `datetime` (ms since 1970) as the API writes times; any other as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        with suppress(OverflowError):
            at = _EPOCH + timedelta(milliseconds=value)
            return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z" if at.year >= _FIRST_YEAR else value
    return value


def asked(option: str, text: str, *, utc: bool = False) -> tuple[str, str]:
    """Return a time that a user wrote as the API wants it, and what has to be said of it (mostly nothing).

    One without an offset is of the zone of this machine, or UTC. Raise ConfigurationError for what is no time, and for
    an hour that the clocks skip.
    """
    if _RELATIVE.fullmatch(text):
        return text, ""
    match = _ISO.fullmatch(text)
    example = "write 2026-11-23T08:00:00, 2026-11-23T08:00:00+01:00, -1h or now"
    if match is None:
        raise ConfigurationError(f"{option}: {text!r} is not a time", example)
    day, clock, fraction, zone = match.groups()
    try:
        naive = datetime.fromisoformat(f"{day}T{clock or '00:00'}")
        at, said = (naive, "") if zone or utc else _in_zone(option, naive)
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigurationError(f"{option}: {text!r} is not a time: {error}", example) from error
    offset = zone or ("Z" if utc else _offset(at))
    return f"{naive:%Y-%m-%dT%H:%M:%S}{f'.{fraction}' if fraction else ''}{offset}", said


def _in_zone(option: str, naive: datetime) -> tuple[datetime, str]:
    first, second = naive.replace(fold=0).astimezone(), naive.replace(fold=1).astimezone()
    if first.utcoffset() == second.utcoffset():
        return first, ""
    back = first.astimezone(UTC).astimezone().replace(tzinfo=None)
    if back != naive:
        raise ConfigurationError(
            f"{option}: there is no {naive:%Y-%m-%d %H:%M:%S} here: the clocks are put forward then "
            f"({_offset(first)} becomes {_offset(second)})",
            "write a time before or after, or one with an offset, or --utc",
        )
    return first, (
        f"{option}: {naive:%Y-%m-%d %H:%M:%S} comes twice, the clocks are put back: the first one is meant, "
        f"{_offset(first)}; for the other one write {_offset(second)}"
    )


def _offset(at: datetime) -> str:
    text = f"{at:%z}"
    return f"{text[:3]}:{text[3:]}"
