"""The short way to read what nearly all DATA is: doubles by alias, laid out as `sparkplug_fast.encode_samples` does.

Such a metric has one length, so a run of them is unpacked by `struct` at once. Everything else (nulls, qualities,
texts, names, another order of fields) does not match and is read the long way; both give the same samples.
"""

from __future__ import annotations

import re
import struct
from array import array
from functools import lru_cache
from typing import Final, NamedTuple

# timestamp of six bytes: years 1971 to 2109
_TIME: Final = rb"[\x80-\xff]{5}[\x01-\x7f]"


def _pattern(head: bytes, time: bytes) -> re.Pattern[bytes]:
    """Return the pattern of plain metrics behind `head`: group 2 those whose alias has one byte, 3 those of two."""
    rest = rb"\x18" + time + rb"\x69.{8}"
    runs = rb"((?:\x12\x12\x10[\x01-\x7f]" + rest + rb")*+)((?:\x12\x13\x10[\x80-\xff][\x01-\x7f]" + rest + rb")*+)"
    return re.compile(rb"\x08" + _TIME + head + runs, re.DOTALL)


_ANY_TIMES: Final = _pattern(b"()", _TIME)
# most messages hold one moment: group 1 is the time of the first metric, and all others repeat it
_ONE_TIME: Final = _pattern(rb"(?=\x12[\x12\x13]\x10[\x80-\xff]?[\x01-\x7f]\x18(" + _TIME + rb")\x69)", rb"\1")
_METRIC: Final = b"\x12"
_SHORT: Final = 20
"""Bytes of a metric whose alias has one byte; with an alias of two bytes it has one more."""
_ALIAS_AT: Final = 3
_VARINT_2: Final = array("H", ((two & 0x7F) | (two >> 1 & 0x3F80) for two in range(1 << 16)))


class Aliases(NamedTuple):
    """The aliases of a payload as its bytes: those of one byte, then the low and the high bytes of those of two."""

    short: bytes
    low: bytes
    high: bytes

    def numbers(self) -> list[int]:
        """Return the aliases, in the order of the metrics."""
        return [*self.short, *((low & 0x7F) | high << 7 for low, high in zip(self.low, self.high, strict=True))]


class Plain(NamedTuple):
    """Columns of one length, and the payload without its metrics."""

    aliases: Aliases
    times_ms: list[int]
    values: list[float]
    rest: bytes


def read_plain(body: bytes) -> Plain | None:
    """Return the metrics at the start of a payload when they are plain doubles; None when the first one is not.

    What follows them is `rest`: when it holds metrics too, the payload must be read the long way.
    """
    match = _ONE_TIME.match(body)
    if match is None:
        return None
    time = match[1]
    if body.startswith(_METRIC, match.end()):
        match = _ANY_TIMES.match(body) or match
        time = b""
    short, long = match.group(2, 3)
    if not short and not long:
        return None
    start, end = match.start(2), match.end()
    counts = len(short) // _SHORT, len(long) // (_SHORT + 1)
    aliases = Aliases(short[_ALIAS_AT::_SHORT], long[_ALIAS_AT :: _SHORT + 1], long[_ALIAS_AT + 1 :: _SHORT + 1])
    if time:
        times_ms = [_time_ms(*_TIME_ROW.unpack(time))] * sum(counts)
    else:
        flat = _times_layout(*counts).unpack_from(body, start)
        times_ms = [_time_ms(low, high) for low, high in zip(flat[0::2], flat[1::2], strict=True)]
    return Plain(aliases, times_ms, list(_values_layout(*counts).unpack_from(body, start)), body[:start] + body[end:])


@lru_cache(maxsize=1024)
def _values_layout(short: int, long: int) -> struct.Struct:
    """Return the layout of the values of so many metrics with an alias of one byte and then of two."""
    return struct.Struct("<" + "12xd" * short + "13xd" * long)


@lru_cache(maxsize=1024)
def _times_layout(short: int, long: int) -> struct.Struct:
    """Return the layout of the times: the two low and the four high bytes of each."""
    return struct.Struct("<" + "5xHI9x" * short + "6xHI9x" * long)


_TIME_ROW: Final = struct.Struct("<HI")


def _time_ms(low: int, high: int) -> int:
    """Return what a varint of six bytes is worth, given as two little-endian numbers of two and four bytes."""
    high_ms = (high & 0x7F) << 14 | (high & 0x7F00) << 13 | (high & 0x7F0000) << 12 | (high & 0x7F000000) << 11
    return _VARINT_2[low] + high_ms
