"""What was read of a signal, in the source's times: what a gap must still be filled with is all else."""

from __future__ import annotations

from typing import Final, NamedTuple

_MOST_INTERVALS: Final = 100


class Read(NamedTuple):
    """What was read of a signal, in the source's times: all until one, and closed intervals after it."""

    until_ns: int
    intervals: tuple[tuple[int, int], ...] = ()

    def and_also(self, first_ns: int, last_ns: int) -> Read:
        """Add an interval; of very many the oldest is forgotten."""
        return Read(self.until_ns, (*self.intervals, (first_ns, last_ns))[-_MOST_INTERVALS:])


NOTHING: Final = Read(0)
