"""The parts of a stream without an end (multipart/x-mixed-replace), as agents send them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from email.message import Message
from typing import Final

from edge.drivers._http import AnswerError

_MOST_HEAD: Final = 16 * 1024
_BLANK: Final = re.compile(rb"\r?\n\r?\n")
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_OVERLAP: Final = 256  # longer than what ends a part; a boundary has at most 70 characters (RFC 2046, 5.1.1)


def boundary_of(content_type: str) -> bytes | None:
    """Return the boundary that a Content-Type names, None when it is not of several parts."""
    field = Message()
    field["content-type"] = content_type
    boundary = field.get_param("boundary")
    if field.get_content_maintype() != "multipart" or not isinstance(boundary, str) or not 0 < len(boundary) <= 70:
        return None
    return boundary.removeprefix("--").encode("latin-1", "replace")  # some agents name it with its dashes


async def parts(chunks: AsyncIterator[bytes], boundary: bytes, most: int) -> AsyncGenerator[bytes, None]:
    """Yield the body of each part; raise AnswerError when one has more than `most` bytes. Ends with the stream."""
    source = _Source(chunks)
    mark = re.compile(rb"--" + re.escape(boundary))
    # without a length, the end of the document is the end of the part: the next boundary comes with the next part
    end = re.compile(rb"</MTConnectStreams>|</MTConnectError>|\r?\n--" + re.escape(boundary))
    while (found := await source.find(mark, most)) is not None:
        source.take(found.end())
        if (found := await source.find(_BLANK, _MOST_HEAD)) is None:
            return
        length = _LENGTH.search(source.take(found.end()))
        if length is not None:
            size = int(length[1])
            if size > most:
                raise AnswerError(f"it sends a part of {size} bytes; {most} are the most")
            if not await source.has(size):
                return
        else:
            if (found := await source.find(end, most)) is None:
                return
            size = found.end() if found[0].startswith(b"<") else found.start()
        yield source.take(size)


class _Source:
    """Bytes that come in chunks of any size."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()

    async def find(self, pattern: re.Pattern[bytes], most: int) -> re.Match[bytes] | None:
        """Return where the pattern is, None when the stream ends before; raise AnswerError behind so many bytes."""
        searched = 0
        while (match := pattern.search(self._buffer, searched)) is None:
            searched = max(0, len(self._buffer) - _OVERLAP)
            if len(self._buffer) > most + _OVERLAP:
                raise AnswerError(f"it sends more than {most} bytes in one piece")
            if not await self.has(len(self._buffer) + 1):
                return None
        return match

    async def has(self, count: int) -> bool:
        """Wait for so many bytes; return False when the stream ends before."""
        while len(self._buffer) < count:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return False
            self._buffer += chunk
        return True

    def take(self, count: int) -> bytes:
        """Return and drop so many bytes."""
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
