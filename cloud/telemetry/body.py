"""The lines of a write, however they were packed: a body that grows when it is unpacked is taken in pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from cloud.problems import InfluxCode, Problem

MAX_BODY: Final = 16 * 1024 * 1024
MAX_LINES: Final = 64 * 1024 * 1024
"""Of the body after decompression."""
MAX_MEMBERS: Final = 1000
"""Of a gzip body: each costs time, also an empty one."""
WHOLE: Final = 2 * 1024 * 1024
"""So much is stored in one transaction."""
PIECE: Final = 256 * 1024
"""What is unpacked, and stored in one transaction, of more: so short that others have their turn in between."""


def whole(body: bytes, *, is_gzip: bool) -> bytes | None:
    """Return the lines of a body, None when they are more than WHOLE bytes; raise Problem 400 when it is damaged."""
    if not is_gzip:
        return body if len(body) <= WHOLE else None
    lines = b""
    for piece in _unpack(body, WHOLE + 1):
        lines += piece
        if len(lines) > WHOLE:
            return None
    return lines


def pieces(body: bytes, *, is_gzip: bool) -> Iterator[bytes]:
    """Give the lines of a body in pieces of whole lines of about PIECE bytes; look at the whole body before the first.

    Raise Problem 400 when it is damaged, 413 when it holds more than MAX_LINES or a line longer than WHOLE.
    """
    if is_gzip:
        _check_size(body)
    rest = b""
    for unpacked in _unpack(body, PIECE) if is_gzip else _cut(body):
        lines, ended, beginning = unpacked.rpartition(b"\n")
        if ended:
            yield rest + lines + ended
            rest = beginning
        else:
            rest += beginning
            if len(rest) > WHOLE:
                raise _too_long(f"a line is longer than {WHOLE} bytes", "send shorter lines")
    if rest:
        yield rest


def _cut(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), PIECE):
        yield body[at : at + PIECE]


def _unpack(body: bytes, most: int) -> Iterator[bytes]:
    """Give what all members of a gzip body hold, at most `most` bytes at once, none empty.

    Raise Problem 400 when it is damaged, 413 when it has more than MAX_MEMBERS.
    """
    packed, at, members = memoryview(body), 0, 0
    while at < len(body):
        members += 1
        if members > MAX_MEMBERS:
            raise _too_long(f"the gzip body has more than {MAX_MEMBERS} members", "send it as one")
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while not member.eof:
            given = packed[at : at + PIECE]
            try:
                piece = member.decompress(given, most)
            except zlib.error as error:
                what = f"the gzip body is damaged: {error}"
                raise Problem(400, what, "send it again", code=InfluxCode.INVALID) from error
            at += len(given) - len(member.unused_data if member.eof else member.unconsumed_tail)
            if piece:
                yield piece
            elif not given and not member.eof:
                raise Problem(400, "the gzip body is cut off", "send it again", code=InfluxCode.INVALID)


def _check_size(body: bytes) -> None:
    size = 0
    for piece in _unpack(body, PIECE):
        size += len(piece)
        if size > MAX_LINES:
            raise _too_long(f"the body holds more than {MAX_LINES} bytes", "send smaller batches")


def _too_long(what: str, todo: str) -> Problem:
    return Problem(413, what, todo, code=InfluxCode.TOO_LARGE)
