"""Did the computer stand still? A run that fails while it does says nothing of what it looks at."""

from __future__ import annotations

import threading
import time
from typing import Final, Self

TICK_S: Final = 0.05
STOOD_S: Final = 0.75


class Watch:
    """Counts while it is entered how often this process had no time of the computer's for STOOD_S or longer."""

    def __init__(self) -> None:
        self.times = 0
        self.most_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        before_s = time.monotonic()
        while not self._ended.wait(TICK_S):
            now_s = time.monotonic()
            late_s, before_s = now_s - before_s - TICK_S, now_s
            self.times += late_s >= STOOD_S
            self.most_s = max(self.most_s, late_s)
