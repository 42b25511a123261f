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
_ALIAS_1: Final = rb"\x12\x12\x10[\x01-\x7f]\x18" + _TIME + rb"\x69[\x00-\xff]{8}"
_ALIAS_2: Final = rb"\x12\x13\x10[\x80-\xff][\x01-\x7f]\x18" + _TIME + rb"\x69[\x00-\xff]{8}"
_PLAIN: Final = re.compile(rb"\x08" + _TIME + b"((?:" + _ALIAS_1 + b")*+)((?:" + _ALIAS_2 + b")*+)")
# alias, low two and high four bytes of the time, value
_ROW_1: Final = "3xBxHIxd"
_ROW_2: Final = "3xHxHIxd"
_VARINT_2: Final = array("H", ((two & 0x7F) | (two >> 1 & 0x3F80) for two in range(1 << 16)))


class Plain(NamedTuple):
    """Columns of one length, and the payload without its metrics."""

    aliases: tuple[int, ...]
    times_ms: list[int]
    values: list[float]
    rest: bytes


def read_plain(body: bytes) -> Plain | None:
    """Return the metrics at the start of a payload when they are plain doubles; None when the first one is not.

    What follows them is `rest`: when it holds metrics too, the payload must be read the long way.
    """
    match = _PLAIN.match(body)
    if match is None:
        return None
    start, middle, end = match.start(1), match.end(1), match.end(2)
    if start == end:
        return None
    count = (middle - start) // 20
    flat = _layout(count, (end - middle) // 21).unpack_from(body, start)
    aliases = flat[0::4]
    if middle != end:
        aliases = aliases[:count] + tuple([_VARINT_2[alias] for alias in aliases[count:]])
    return Plain(aliases, _times_ms(flat[1::4], flat[2::4]), list(flat[3::4]), body[:start] + body[end:])


@lru_cache(maxsize=1024)
def _layout(short: int, long: int) -> struct.Struct:
    """Return the layout of so many metrics with an alias of one byte and then of two."""
    return struct.Struct("<" + _ROW_1 * short + _ROW_2 * long)


def _times_ms(lows: tuple[int, ...], highs: tuple[int, ...]) -> list[int]:
    count, low, high = len(lows), lows[0], highs[0]
    if highs.count(high) != count:
        return [_VARINT_2[low] + _high_ms(high) for low, high in zip(lows, highs, strict=True)]
    base_ms = _high_ms(high)
    if lows.count(low) == count:
        return [base_ms + _VARINT_2[low]] * count
    return [base_ms + _VARINT_2[low] for low in lows]


def _high_ms(four: int) -> int:
    """Return what the last four bytes of a six-byte varint are worth."""
    return (four & 0x7F) << 14 | (four & 0x7F00) << 13 | (four & 0x7F0000) << 12 | (four & 0x7F000000) << 11
