"""Look around in a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from edge.coercion import inferred
from edge.driver import Tag
from edge.drivers._json import lenient
from edge.drivers._json.paths import quoted
from edge.drivers._json.values import sound

_MOST_LEAVES: Final = 200


def tags(path: str, payload: bytes, encoding: str | None) -> Iterator[Tag]:
    """Yield a tag for each value in a message, at most 200: `address` is the JMESPath for a plant file."""
    try:
        data = orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            data = lenient.loads(payload, encoding)
        except (ValueError, RecursionError):
            yield Tag(path, "@", value=payload[:80].decode(encoding or "utf-8", errors="replace"), description="text")
            return
    stack: list[tuple[str, Any]] = [("", data)]
    for _ in range(_MOST_LEAVES):
        if not stack:
            return
        where, value = stack.pop()
        if isinstance(value, dict):
            stack += [(f"{where}.{quoted(k)}".lstrip("."), v) for k, v in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(f"{where}[{i}]", v) for i, v in reversed(list(enumerate(value[:20])))]
        else:
            found = sound(value)
            yield Tag(path, where or "@", None if found is None else inferred(found), found)
