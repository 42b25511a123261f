"""What a machine offers, for who asks from afar: by a connection of its own, so that what is read goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from edge.contain import Contained
from edge.driver import Driver, Tag

MOST_TAGS: Final = 1000
BROWSE_S: Final = 30.0
_MOST_BYTES: Final = 256 * 1024  # of paths, addresses, values and descriptions


async def browse(make: Callable[[], Driver], path: str) -> dict[str, Any]:
    """Return the `tags` that a driver finds at `path` within BROWSE_S, and whether there is `more`; raise DriverError.

    There are at most MOST_TAGS, and so many that one message can hold them.
    """
    driver = Contained(make)
    try:
        found, more = await driver.browse(path, MOST_TAGS, BROWSE_S)
    finally:
        await driver.close()
    tags: list[dict[str, Any]] = []
    size = 0
    for tag in found:
        size += _size(tag)
        if size > _MOST_BYTES:
            return {"tags": tags, "more": True}
        shown = {"path": tag.path, "address": tag.address, "datatype": tag.datatype, "value": tag.value}
        tags.append({**shown, "writable": tag.writable, "description": tag.description})
    return {"tags": tags, "more": more}


def _size(tag: Tag) -> int:
    return 100 + sum(len(text.encode()) for text in (tag.path, tag.address, tag.description, str(tag.value)))
