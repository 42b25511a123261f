"""The course of numbers in one phase of a cycle, brought to a fixed number of points however long the phase is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_LEAST_VALUES: Final = 4


class Course:
    """The values of one signal in a phase: at most `most` of them, evenly thinned as the phase goes on."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._every_ns = 0  # values nearer to the one before are left out
        self._points: list[tuple[int, float]] = []

    def clear(self) -> None:
        """Begin a phase."""
        self._every_ns = 0
        self._points.clear()

    def add(self, time_ns: int, value: float) -> None:
        """Add a value; times do not go back."""
        points = self._points
        if points and time_ns - points[-1][0] < self._every_ns:
            return
        points.append((time_ns, value))
        if len(points) > self._most:
            self._every_ns = 2 * max(1, (points[-1][0] - points[0][0]) // self._most)
            del points[1::2]

    def resampled(self, start_ns: int, end_ns: int, count: int) -> list[float]:
        """Return `count` values at even distances over the phase, linear between those that came; none: too few came.

        Before the first one, and behind the last, it holds.
        """
        points = self._points
        if len(points) < _LEAST_VALUES or end_ns <= start_ns:
            return []
        found, at = [], 0
        for i in range(count):
            time_ns = start_ns + (end_ns - start_ns) * (2 * i + 1) // (2 * count)
            while at < len(points) and points[at][0] <= time_ns:
                at += 1
            found.append(_between(points, at, time_ns))
        return found


def _between(points: Sequence[tuple[int, float]], behind: int, time_ns: int) -> float:
    """Return the value at a time that is before the point `behind`, and not before the one ahead of it."""
    if behind == 0 or behind == len(points):
        return points[min(behind, len(points) - 1)][1]
    (first_ns, first), (next_ns, following) = points[behind - 1], points[behind]
    return first + (following - first) * (time_ns - first_ns) / (next_ns - first_ns)


class Envelope:
    """Mean and spread of each point of a phase (Welford)."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: list[float] = []
        self._squares: list[float] = []

    def learn(self, values: Sequence[float]) -> None:
        """Add a course."""
        self.count += 1
        if self.count == 1:
            self._mean, self._squares = list(values), [0.0] * len(values)
            return
        for i, value in enumerate(values):
            off = value - self._mean[i]
            self._mean[i] += off / self.count
            self._squares[i] += off * (value - self._mean[i])

    def deviations(self, values: Sequence[float], least: float, share: float) -> list[float]:
        """Return by how many spreads each point is off; a spread is `least`, and `share` of the largest mean, at least.

        Where a course is steep, a small shift in time is a large one in value: neighbors lend each other their spread.
        """
        least = max(least, share * max(map(abs, self._mean)), 1e-300)
        spreads = [math.sqrt(square / max(1, self.count - 1)) for square in self._squares]
        wide = [max(least, *spreads[max(0, i - 1) : i + 2]) for i in range(len(spreads))]
        return [(value - mean) / spread for value, mean, spread in zip(values, self._mean, wide, strict=True)]
