"""How long an answer is worth the work: until its client has gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from starlette.types import Scope

SEND_TIMEOUT_S: Final = 30.0
EXTENSION: Final = "shopfloor.patience"


class Patience:
    """Of the client of one request: `end` it when the client has gone. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Callable[[], object]] = []
        self.ended = False
        self.send_timeout_s = SEND_TIMEOUT_S
        """How long the client may take nothing of what is sent."""

    def when_ended(self, call: Callable[[], object]) -> None:
        """Call it when the client goes, at once when it has gone."""
        with self._lock:
            if not self.ended:
                self._calls.append(call)
                return
        call()

    @contextmanager
    def interrupting(self, call: Callable[[], object]) -> Iterator[None]:
        """Call it when the client goes during the block."""
        self.when_ended(call)
        try:
            yield
        finally:
            with self._lock:
                if call in self._calls:
                    self._calls.remove(call)

    def end(self) -> None:
        """The client has gone."""
        with self._lock:
            self.ended = True
            calls, self._calls = self._calls, []
        for call in calls:
            call()


current: Final[ContextVar[Patience]] = ContextVar("patience")
"""That of the request which the running code works for; it has none when nobody waits for an answer."""


def of(scope: Scope) -> Patience:
    """Return the patience of a request's client; one without end where the server tells nothing of it."""
    found = scope.get("extensions", {}).get(EXTENSION)
    return found if isinstance(found, Patience) else Patience()
