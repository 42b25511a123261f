"""Waiting between attempts: longer each time, never for the same time twice, for ever."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

_dice: Final = random.Random()  # noqa: S311 spreads load, hides nothing


@dataclass(slots=True)
class Backoff:
    """Seconds to wait before the next attempt: a random part of a bound that doubles up to `most_s`.

    The randomness keeps a hundred clients of one restarted server apart; at least half of the bound is waited.
    """

    first_s: float = 0.2
    most_s: float = 2.0
    attempts: int = 0

    def next_s(self) -> float:
        """Return how long to wait before the next attempt."""
        bound = min(self.most_s, self.first_s * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        return bound * _dice.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start from the shortest wait again, after a success."""
        self.attempts = 0
