"""What a machine offers, for who asks from afar: by a connection of its own, so that what is read goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from contract.command import MOST_TAGS
from edge.contain import Contained
from edge.driver import Driver, Tag

BROWSE_S: Final = 30.0
_MOST_BYTES: Final = 256 * 1024  # of paths, addresses, values and descriptions


async def browse(make: Callable[[], Driver], path: str, *, connects: bool = False) -> dict[str, Any]:
    """Return the `tags` that a driver finds at `path` within BROWSE_S, and whether there is `more`; raise DriverError.

    There are at most MOST_TAGS, and so many that one message can hold them.
    """
    found, more = await look(Contained(make), path, connects=connects)
    tags: list[dict[str, Any]] = []
    size = 0
    for tag in found:
        size += _size(tag)
        if size > _MOST_BYTES:
            return {"tags": tags, "more": True}
        tags.append(asdict(tag))
    return {"tags": tags, "more": more}


async def look(
    driver: Contained, path: str, *, most: int = MOST_TAGS, limit_s: float = BROWSE_S, connects: bool = False
) -> tuple[list[Tag], bool]:
    """Return at most so many tags at `path`, and whether there is more; raise DriverError.

    `connects`: the driver is of a visit (see edge.entry.Context): its connection goes on with no session of the edge's.
    """
    try:
        if connects:
            await driver.connect()
        return await driver.browse(path, most, limit_s)
    finally:
        await driver.close()


def _size(tag: Tag) -> int:
    return 100 + sum(len(text.encode()) for text in (tag.path, tag.address, tag.description, str(tag.value)))
