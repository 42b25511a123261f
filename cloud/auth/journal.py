"""Who let whom in, and who failed to come in: for the log, without secrets."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session

MAX_ADDRESSES: Final = 1000
MAX_TOLD: Final = 20
_log = structlog.get_logger(__name__)


def note(db: Session, what: str, **who: object) -> None:
    """Log a change when its session commits it."""
    event.listen(db, "after_commit", lambda _session: _log.info(what, **who), once=True)


class FailedLogins:
    """Counts failed log-ins per address, and logs them together every `every_s` in which there were some."""

    def __init__(self, every_s: float = 60.0) -> None:
        self._every_s = every_s
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, network: str) -> None:
        """Count one; of more than MAX_ADDRESSES addresses the rest are counted together."""
        with self._lock:
            if not self._counts:
                timer = threading.Timer(self._every_s, self._tell)
                timer.daemon = True
                timer.start()
            is_counted = network in self._counts or len(self._counts) < MAX_ADDRESSES
            self._counts[network if is_counted else "others"] += 1

    def _tell(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        told = [f"{network}: {number}" for network, number in counts.most_common(MAX_TOLD)]
        _log.warning("log-ins failed", number=counts.total(), addresses=len(counts), reason=", ".join(told))
