"""Finding records in the pages of a broken file, without the trees that should lead to them.

A record lies whole in one leaf page, or its start does and the rest in a chain of overflow pages; its checksum says
whether what was found is one. https://www.sqlite.org/fileformat.html, chapters 1.6 (pages) and 2.1 (records). Records
that had been removed may be found again: they are repeats, which every reader of a spool stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spool.file import Row, is_sound
from spool.header import PAGE_BYTES

_LEAF: Final = 0x0D
_IN_PAGE_MAX: Final = PAGE_BYTES - 35
_IN_PAGE_MIN: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)
_MOST_BODY: Final = 64 << 20


def carve(path: Path) -> Iterator[Row]:
    """Yield each sound record that any page of the file holds. Raises OSError."""
    pages = _Pages(path)
    for number in range(1, pages.count + 1):
        page = pages.read(number)
        start = 100 if number == 1 else 0
        if len(page) < PAGE_BYTES or page[start] != _LEAF:
            continue
        cells = min(int.from_bytes(page[start + 3 : start + 5], "big"), PAGE_BYTES // 4)
        for index in range(cells):
            at = start + 8 + 2 * index
            row = _row(pages, page, int.from_bytes(page[at : at + 2], "big"))
            if row is not None and is_sound(row):
                yield row


class _Pages:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = -(-path.stat().st_size // PAGE_BYTES)

    def read(self, number: int) -> bytes:
        if not 1 <= number <= self.count:
            return b""
        with self._path.open("rb") as file:
            file.seek((number - 1) * PAGE_BYTES)
            return file.read(PAGE_BYTES)


def _row(pages: _Pages, page: bytes, at: int) -> Row | None:
    """Return the record of a cell; None when it cannot be one."""
    try:
        size, at = _varint(page, at)
        n, at = _varint(page, at)
        if size > _MOST_BODY:
            return None
        payload = _payload(pages, page, at, size)
        header_bytes, position = _varint(payload, 0)
        types = []
        while position < header_bytes:
            kind, position = _varint(payload, position)
            types.append(kind)
        if len(types) != 5 or types[0] != 0:
            return None
        time_ns, topic, body, crc = _values(payload, header_bytes, types[1:])
    except (IndexError, UnicodeDecodeError):
        return None
    return n, time_ns, topic, body, crc  # type: ignore[return-value]  # is_sound checks


def _payload(pages: _Pages, page: bytes, at: int, size: int) -> bytes:
    if size <= _IN_PAGE_MAX:
        return page[at : at + size]
    in_page = _IN_PAGE_MIN + (size - _IN_PAGE_MIN) % (PAGE_BYTES - 4)
    in_page = in_page if in_page <= _IN_PAGE_MAX else _IN_PAGE_MIN
    payload = bytearray(page[at : at + in_page])
    following = page[at + in_page : at + in_page + 4]
    while len(payload) < size:
        overflow = pages.read(int.from_bytes(following, "big"))
        if len(overflow) < 5:
            return b""
        following = overflow[:4]
        payload += overflow[4 : 4 + size - len(payload)]
    return bytes(payload)


def _values(payload: bytes, at: int, types: list[int]) -> Iterator[int | str | bytes]:
    for kind in types:
        if kind in (8, 9):
            yield kind - 8
        elif kind >= 12:
            size = (kind - 12) // 2
            data = payload[at : at + size]
            yield data.decode() if kind % 2 else data
            at += size
        else:
            size = _INTEGER_BYTES[kind]
            yield int.from_bytes(payload[at : at + size], "big", signed=True)
            at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(9):
        byte = data[at + index]
        if index == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    raise IndexError
