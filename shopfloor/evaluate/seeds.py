"""Which seeds thresholds are tuned on, and which the table is made of: never the same."""

from __future__ import annotations

from typing import Final

TUNING: Final = range(1, 20)
"""For whoever writes a rule: `shopfloor evaluate --tuning`."""

SCORE: Final = range(101, 200)
"""For the table alone. Nobody looks at these and changes a threshold."""


def chosen(count: int, *, tuning: bool) -> list[int]:
    """Return the first `count` seeds of a set; raise ValueError when it has not as many."""
    seeds = TUNING if tuning else SCORE
    if not 1 <= count <= len(seeds):
        raise ValueError(f"{count} seeds: this set has 1 to {len(seeds)}")
    return list(seeds[:count])
