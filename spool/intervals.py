"""Sets of whole numbers as closed intervals: which messages of a source have arrived, in whatever order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Intervals:
    """Disjoint closed intervals, never two that touch. `add` is O(log n) to find and O(n) only to insert a new gap."""

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._touched: set[int] = set()
        for first, last in intervals:
            self.add(first, last)
        self._touched.clear()

    def __contains__(self, n: int) -> bool:
        index = bisect_right(self._firsts, n) - 1
        return index >= 0 and n <= self._lasts[index]

    def __len__(self) -> int:
        return len(self._firsts)

    def as_list(self) -> list[tuple[int, int]]:
        """Return the intervals in ascending order."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def add(self, first: int, last: int | None = None) -> bool:
        """Add one number, or all from `first` to `last`; return whether any was new."""
        last = first if last is None else last
        low = bisect_right(self._lasts, first - 2)
        high = bisect_right(self._firsts, last + 1)
        if low == high:
            self._firsts.insert(low, first)
            self._lasts.insert(low, last)
            self._touched.add(first)
            return True
        if high - low == 1 and self._firsts[low] <= first and last <= self._lasts[low]:
            return False
        merged = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._touched.update((merged[0], *self._firsts[low:high]))
        self._firsts[low:high] = [merged[0]]
        self._lasts[low:high] = [merged[1]]
        return True

    def forget_lowest(self) -> None:
        """Drop the lowest interval."""
        self._touched.add(self._firsts[0])
        del self._firsts[0], self._lasts[0]

    def take_changes(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the firsts of intervals that are gone, and the new or longer intervals, since the last call."""
        gone, changed = [], []
        for first in self._touched:
            index = bisect_right(self._firsts, first) - 1
            if index >= 0 and self._firsts[index] == first:
                changed.append((first, self._lasts[index]))
            else:
                gone.append(first)
        self._touched.clear()
        return gone, changed
