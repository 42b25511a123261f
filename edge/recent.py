"""The newest ids of what was taken, to know a repeat by."""

from __future__ import annotations

from typing import Final

MOST: Final = 10_000


class Recent:
    """The last `most` ids; the oldest is forgotten for a new one."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._ids: dict[str, None] = {}

    def __contains__(self, id_: str) -> bool:
        return id_ in self._ids

    def add(self, id_: str) -> None:
        """Remember an id."""
        self._ids[id_] = None
        if len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]
