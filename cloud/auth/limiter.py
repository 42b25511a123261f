"""A limit on failed logins."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable


class FailureLimiter:
    """Counts failures per key; after `allowed` within `window_s` the key has to wait. Keeps at most `keys` keys."""

    def __init__(self, allowed: int = 5, window_s: float = 300.0, keys: int = 10_000) -> None:
        self._allowed = allowed
        self._window_s = window_s
        self._keys = keys
        self._failures: OrderedDict[Hashable, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: Hashable, now_s: float) -> float:
        """Return how long the key has to wait; 0 when it may try."""
        with self._lock:
            recent = self._recent(key, now_s)
            return 0.0 if len(recent) < self._allowed else recent[-self._allowed] + self._window_s - now_s

    def failed(self, key: Hashable, now_s: float) -> None:
        """Count a failure."""
        with self._lock:
            self._failures[key] = [*self._recent(key, now_s), now_s][-self._allowed :]
            self._failures.move_to_end(key)
            while len(self._failures) > self._keys:
                self._failures.popitem(last=False)

    def succeeded(self, key: Hashable) -> None:
        """Forget the failures of a key."""
        with self._lock:
            self._failures.pop(key, None)

    def clear(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._failures.clear()

    def _recent(self, key: Hashable, now_s: float) -> list[float]:
        return [at for at in self._failures.get(key, ()) if now_s - at < self._window_s]
