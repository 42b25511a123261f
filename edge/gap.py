"""A time in which a machine was not heard, which the record that it keeps may still fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from edge.filter import Filter
from edge.ledger import Heard

_UNDER_WAY_NS: Final = 10_000_000_000


@dataclass(slots=True)
class Gap:
    """From when to when and why it was not heard, and the filters by asset as they were when that began."""

    heard: Heard
    end_ns: int
    reason: Literal["offline", "edge_down"]
    detail: str
    filters: dict[str, Filter]

    @property
    def start_ns(self) -> int:
        """When the machine was last heard."""
        return self.heard.alive_ns

    @property
    def missing_ns(self) -> int:
        """From when on something may be missing: what the machine had said before may have been under way."""
        newest_ns = max((time_ns for times in self.heard.spooled.values() for time_ns in times.values()), default=0)
        return min(self.start_ns, newest_ns or self.start_ns) - _UNDER_WAY_NS
