"""When to subscribe again, since a broker may fail to deliver a message that is retained while a client subscribes."""

from __future__ import annotations

import math
from typing import Final

MOST_S: Final = 60.0
MAX_ASSETS: Final = 20_000


class Again:
    """The times of repeated subscriptions, in s of a monotonic clock.

    One comes `settle_s` after each connection: what was published meanwhile is retained by then. More come, ever more
    seldom, while there are values of assets that have not said what they are.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._wait_s = settle_s
        self._at_s = math.inf
        self._announced: set[str] = set()
        self._unknown: set[str] = set()

    def connected(self, now_s: float) -> None:
        """Take note of a connection."""
        self._wait_s = self._settle_s
        self._at_s = now_s + self._settle_s

    def announced(self, asset: str) -> None:
        """Take note that an asset said what it is, understood or not."""
        self._unknown.discard(asset)
        if len(self._announced) < MAX_ASSETS:
            self._announced.add(asset)

    def forget(self, asset: str) -> None:
        """Take note that what an asset said of itself was not taken: it is wanted again."""
        self._announced.discard(asset)

    def heard(self, asset: str, now_s: float) -> None:
        """Take note of values of an asset."""
        if asset in self._announced or len(self._unknown) >= MAX_ASSETS:
            return
        self._unknown.add(asset)
        if self._at_s == math.inf:
            self._at_s = now_s + self._wait_s

    def wait_s(self, now_s: float) -> float | None:
        """Return how long there is nothing to do, None for ever."""
        return None if self._at_s == math.inf else max(0.0, self._at_s - now_s)

    def is_due(self, now_s: float) -> bool:
        """Tell whether to subscribe again now; it then counts as done."""
        if now_s < self._at_s:
            return False
        self._wait_s = min(2 * self._wait_s, MOST_S)
        self._at_s = now_s + self._wait_s if self._unknown else math.inf
        return True
