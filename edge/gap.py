"""A time in which a machine was not heard, which the record that it keeps may still fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from edge.filter import Filter

_UNDER_WAY_NS: Final = 10_000_000_000  # so old may be what the machine had said and what had not come to us


@dataclass(slots=True)
class Gap:
    """From when to when and why it was not heard, and the filters by asset as they were when that began.

    `start_ns` and `end_ns` are of the edge's clock. What was read in between, over a connection that was lost before
    the gap was filled, is known to the filters. `filled`: so many samples were read from the record. `failures`: so
    often the driver failed at it.
    """

    start_ns: int
    end_ns: int
    reason: Literal["offline", "edge_down"]
    detail: str
    filters: dict[str, Filter]
    filled: int = 0
    failures: int = 0

    def window(self, live: Mapping[str, Filter]) -> tuple[int, int]:
        """Return from when to before when, by the source's clock, something may be missing before what `live` reads."""
        read_ns = max((past.before_ns for past in self.filters.values()), default=0) or self.start_ns
        end_ns = max((each.begun_ns for each in live.values()), default=0)
        if not all(each.has_all for each in live.values()):
            end_ns = max(end_ns, self.end_ns)
        return min(self.start_ns, read_ns) - _UNDER_WAY_NS, end_ns + 1
