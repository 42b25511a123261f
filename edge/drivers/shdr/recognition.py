"""Whether an adapter answers somewhere, and how the entry of a machine names its keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from edge.driver import Tag
from edge.recognize import Recognized, answer

_LINE: Final = re.compile(rb"\* PONG|\d{4}-\d\d-\d\dT[\d:.]+Z?(@[\d.]+)?\|[^|\r\n]+\|")


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Say a ping; None when nobody answers, or tells, as an adapter does."""
    said = await answer(host, port, b"* PING\n", timeout_s)
    if not said or not _LINE.match(said):
        return None
    return Recognized(
        "shdr", 1.0, "an MTConnect adapter (SHDR)", todo="its agent's Devices.xml, as devices_file, names all"
    )


def map_tags(tags: Sequence[Tag]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the entry of a machine with these tags says, and what each of their signals does."""
    return {}, [{"data_item": tag.address, "datatype": tag.datatype} for tag in tags]
