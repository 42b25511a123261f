"""Damaged bytes: of a message in hand, and of what a server sends over a line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from shopfloor.chaos.proxy import HOST, Line

_CHUNK: Final = 16384
_ODD: Final = (
    b"\x00",
    b"\xff",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b'"',
    b"<",
    b"&",
)
_WORDS: Final = (
    b"NaN",
    b"inf",
    b"-1",
    b"1e400",
    b"null",
    b"[]",
    b"{}",
    b"\xef\xbb\xbf",
    b"1601-01-01T00:00:00Z",
    b"9" * 400,
)


def mangled(body: bytes, dice: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a message with one to four damages: bits, bytes, lengths, parts gone, doubled, or of another message.

    Half of the messages keep their length, so that what is inside of a frame is looked at.
    """
    out = bytearray(body)
    sorts = dice.choice((2, 7))
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(out) + 1)
        match dice.randrange(sorts):
            case 0 if at < len(out):
                out[at] ^= 1 << dice.randrange(8)
            case 1 if at < len(out):
                out[at] = dice.randrange(256)
            case 2:
                del out[at : at + dice.randint(1, 8)]
            case 3:
                out[at:at] = out[at : at + dice.randint(1, 64)]
            case 4:
                odd = dice.choice(_ODD + _WORDS)
                out[at : at + dice.choice((0, len(odd)))] = odd
            case 5 if others:
                other = dice.choice(others)
                start = dice.randrange(len(other) + 1)
                out[at:at] = other[start : start + dice.randint(1, 64)]
            case 6:
                del out[at:]
    return bytes(out)


class Mangler(Line):
    """A line on which now and then what the server sends is damaged, while `is_on`; connections stay."""

    def __init__(self, port: int, upstream: int, dice: random.Random, share: float = 0.15) -> None:
        super().__init__(port, upstream)
        self.is_on = False
        self.damaged = 0
        self._dice = dice
        self._share = share

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(HOST, self.upstream)
        pumps = [
            asyncio.create_task(self._pump(reader, up_writer, may_damage=False)),
            asyncio.create_task(self._pump(up_reader, writer, may_damage=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up_writer.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_damage: bool) -> None:
        while chunk := await reader.read(_CHUNK):
            if may_damage and self.is_on and self._dice.random() < self._share:
                chunk = mangled(chunk, self._dice)
                self.damaged += 1
            writer.write(chunk)
            await writer.drain()
