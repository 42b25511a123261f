"""What a controller watches by itself: it stops the machine when what it measures is beyond a limit for long enough.

Its limits are on measured values, never on the ground truth, so that a lying sensor stops a machine that is well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SCAN_S: Final = 0.5
"""How often a controller looks, in simulated seconds; with longer steps at each step."""


@dataclass(frozen=True, slots=True)
class Trip:
    """What stops a machine: `measure` below `low` or above `high` (in its unit) for `seconds` raises `alarm`.

    A measure is a signal, or what the controller reckons from several; None, while it says nothing, stops nothing.
    """

    measure: str
    alarm: str
    low: float = -math.inf
    high: float = math.inf
    seconds: float = 2.0

    def beyond(self, measured: Mapping[str, object]) -> bool:
        """Return whether the measure is beyond its limit now."""
        value = measured.get(self.measure)
        return isinstance(value, float) and not self.low <= value <= self.high


class Supervision:
    """The trips of one machine, and for how long (simulated s) each has been beyond its limit; None: it is not."""

    def __init__(self, trips: Sequence[Trip]) -> None:
        self.trips = trips
        self._since_s: list[float | None] = [None] * len(trips)

    def check(self, measured: Mapping[str, object], seconds: float) -> str:
        """Return the alarm that is due `seconds` after the last look, empty when there is none."""
        due = ""
        for i, trip in enumerate(self.trips):
            since = self._since_s[i]
            # the first look only begins the time: with long steps a short peak must not count for a whole step
            self._since_s[i] = (0.0 if since is None else since + seconds) if trip.beyond(measured) else None
            if not due and _reached(self._since_s[i], trip.seconds):
                due = trip.alarm
        if due:
            self._since_s = [None] * len(self.trips)
        return due

    def remaining(self, measured: Mapping[str, object]) -> str:
        """Return what is beyond its limit now, as a controller shows it; empty when nothing is."""
        for trip in self.trips:
            if trip.beyond(measured):
                return f"{trip.alarm} ({trip.measure} is {measured[trip.measure]:.4g})"
        return ""


def _reached(since_s: float | None, seconds: float) -> bool:
    return since_s is not None and since_s >= seconds
