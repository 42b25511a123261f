"""How many long answers are made at once: an export lasts as long as its client takes to read it."""

from __future__ import annotations

import threading

from cloud.places import busy


class Gate:
    """Lets `places` exports run at once; the next ones are refused with 503."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    def take(self) -> None:
        """Take a place that `give_back` returns; raise Problem 503 `busy`."""
        if not self._places.acquire(blocking=False):
            raise busy("exports")

    def give_back(self) -> None:
        """Return a place."""
        self._places.release()
