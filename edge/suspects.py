"""Which message a broker ends the connection for: held back so that the line goes on, and tried alone.

Whenever a connection is cut, the largest message that was on the way is suspected. One that is suspected three times in
a row is held back. Later it is sent alone, while nothing else is on the way: if the connection is cut for it three
times, and never in between without it, it is guilty. So a line that is merely bad convicts nobody. Time is an argument,
in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_CUTS: Final = 3
_QUIET_S: Final = 5.0  # so long the others may be on the way, and so long may it take to cut the connection


@dataclass(slots=True)
class _Suspect:
    due_s: float  # when it is tried
    cuts: int = 0  # when it was tried


class Suspects:
    """What is on the way in this connection, and what is held back; used by one thread."""

    def __init__(self, patience_s: float = 15.0) -> None:
        self._patience_s = patience_s  # before a suspect is tried, longer than a connection must last to be stable
        self._on_way: dict[int, int] = {}  # number → bytes
        self._largest = self._times = 0  # the last one that was suspected, and how often in a row
        self._held: dict[int, _Suspect] = {}
        self._tried = 0  # the number of the one that is on the way alone, 0 for none
        self._tried_s = 0.0

    def sent(self, n: int, size: int) -> None:
        """Note that a message is on the way."""
        self._on_way[n] = size

    def acknowledged(self, intervals: Iterable[tuple[int, int]]) -> None:
        """Note that messages have arrived: they are innocent."""
        if not self._on_way:
            return
        for first, last in intervals:
            if last - first < len(self._on_way):
                arrived = [n for n in range(first, last + 1) if n in self._on_way]
            else:
                arrived = [n for n in self._on_way if first <= n <= last]
            for n in arrived:
                del self._on_way[n]
                self._release(n)

    def holds(self, n: int) -> bool:
        """Whether a message must not be sent with others."""
        return n in self._held

    def turn(self, now_s: float) -> int | None:
        """Return the suspect to be sent now, 0 when nothing is to be sent, None when all is as usual."""
        if self._tried:
            if now_s - self._tried_s < _QUIET_S:
                return 0
            self._release(self._tried)  # the connection lives
        due = [(suspect.due_s, n) for n, suspect in self._held.items() if suspect.due_s <= now_s]
        if not due:
            return None
        due_s, n = min(due)
        if self._on_way and now_s - due_s < _QUIET_S:
            return 0
        self._on_way.clear()
        self._tried, self._tried_s = n, now_s
        return n

    def cut(self, now_s: float) -> int | None:
        """Note that the connection was cut; return the number of a message that is guilty of it, if one is."""
        on_way, self._on_way = self._on_way, {}
        tried, self._tried = self._tried, 0
        for n, suspect in self._held.items():
            suspect.cuts = suspect.cuts + 1 if n == tried else 0
            suspect.due_s = now_s + self._patience_s
        if tried:
            if self._held[tried].cuts < _CUTS:
                return None
            self._release(tried)
            return tried
        largest = max(on_way, key=on_way.__getitem__, default=0)
        self._largest, self._times = largest, self._times + 1 if largest == self._largest else 1
        if largest and self._times >= _CUTS:
            self._held[largest] = _Suspect(now_s + self._patience_s)
        return None

    def _release(self, n: int) -> None:
        self._held.pop(n, None)
        if n == self._tried:
            self._tried = 0
        if n == self._largest:
            self._largest = self._times = 0
