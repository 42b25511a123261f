"""The agent's memory: the last observations in a ring, and what was so before the oldest of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from simulators.catalogs.mtconnect import DataItem
from simulators.faces._mtconnect.observer import Observed

SIZE: Final = 1 << 17
"""Observations in the ring, as many as the reference agent keeps."""


class OutOfRange(ValueError):
    """A sequence number that the ring does not hold; the text says which it does."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A value of a data item at a time (ns since 1970, UTC), with its number."""

    sequence: int
    time_ns: int
    item: DataItem
    value: Observed


class Buffer:
    """Numbers observations from 1 and keeps the last `size` of them; the oldest go first."""

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.next = 1
        self.latest: dict[str, Observation] = {}
        self._ring: list[Observation] = []
        self._before: dict[str, Observation] = {}

    @property
    def first(self) -> int:
        """The number of the oldest observation."""
        return max(1, self.next - self.size)

    @property
    def last(self) -> int:
        """The number of the newest observation; 1 when there is none yet."""
        return max(1, self.next - 1)

    def add(self, time_ns: int, item: DataItem, value: Observed) -> None:
        """Add an observation as the newest."""
        observation = Observation(self.next, time_ns, item, value)
        if len(self._ring) < self.size:
            self._ring.append(observation)
        else:
            place = (self.next - 1) % self.size
            gone, self._ring[place] = self._ring[place], observation
            self._before[gone.item.id] = gone
        self.latest[item.id] = observation
        self.next += 1

    def check(self, name: str, sequence: int, most: int) -> None:
        """Raise OutOfRange unless first ≤ sequence ≤ most."""
        if not self.first <= sequence <= most:
            raise OutOfRange(f"'{name}' must be from {self.first} to {most}: it is {sequence}")

    def at(self, sequence: int) -> dict[str, Observation]:
        """Return the newest observation of each item as of a number; raise OutOfRange."""
        self.check("at", sequence, self.last)
        state = dict(self._before)
        state.update((seen.item.id, seen) for seen in self._range(self.first, sequence + 1))
        return state

    def read(
        self, start: int, count: int, wanted: frozenset[str], end: int | None = None
    ) -> tuple[list[Observation], int]:
        """Return at most `count` observations of the wanted items from number `start`, and where to go on.

        `end` is the last number that may be in it.
        """
        found: list[Observation] = []
        stop = self.next if end is None else min(self.next, end + 1)
        for observation in self._range(start, stop):
            if observation.item.id in wanted:
                found.append(observation)
                if len(found) == count:
                    return found, observation.sequence + 1
        return found, stop

    def read_back(self, start: int, count: int, wanted: frozenset[str]) -> list[Observation]:
        """Return at most `count` observations of the wanted items, from number `start` backwards."""
        found: list[Observation] = []
        for sequence in range(start, self.first - 1, -1):
            observation = self._ring[(sequence - 1) % self.size]
            if observation.item.id in wanted:
                found.append(observation)
                if len(found) == count:
                    break
        return found

    def _range(self, start: int, stop: int) -> Iterator[Observation]:
        return (self._ring[(sequence - 1) % self.size] for sequence in range(start, stop))
