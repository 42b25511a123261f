"""A time in which a machine was not heard, which the record that it keeps may still fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.loss import Reason
from edge.filter import Filter
from edge.ledger import Heard

_UNDER_WAY_NS: Final = 10_000_000_000


@dataclass(slots=True)
class Gap:
    """From when to when and why it was not heard, and the filters by asset that its record passes."""

    heard: Heard
    end_ns: int
    reason: Reason
    detail: str
    filters: dict[str, Filter]

    @property
    def start_ns(self) -> int:
        """When the machine was last heard."""
        return self.heard.alive_ns

    @property
    def missing_ns(self) -> int:
        """From when on something may be missing: what the machine had said before may have been under way.

        What was heard after the end tells nothing: our clock was ahead then, and has been set.
        """
        spooled = (time_ns for times in self.heard.spooled.values() for time_ns in times.values())
        last_ns = min(self.start_ns, self.end_ns)
        newest_ns = max((time_ns for time_ns in spooled if time_ns <= self.end_ns), default=last_ns)
        return min(last_ns, newest_ns) - _UNDER_WAY_NS
