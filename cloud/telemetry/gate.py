"""How many queries run at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloud.problems import Code, Problem


class Gate:
    """Lets `places` queries run at once; the next ones wait `wait_s`, then are refused with 503."""

    def __init__(self, places: int = 4, wait_s: float = 10.0) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._wait_s = wait_s

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a place; raise Problem 503 when none becomes free in time."""
        self.take()
        try:
            yield
        finally:
            self.give_back()

    def take(self) -> None:
        """Take a place that `give_back` returns; raise Problem 503."""
        if not self._places.acquire(timeout=self._wait_s):
            raise Problem(
                503,
                "too many queries run at once",
                "try again in some seconds",
                code=Code.BUSY,
                headers={"Retry-After": "5"},
            )

    def give_back(self) -> None:
        """Return a place."""
        self._places.release()
