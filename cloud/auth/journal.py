"""Who let whom in, and who failed to come in: for the log, without secrets."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final, Literal

import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session

MAX_KEYS: Final = 1000
OTHERS: Final = "others"
MAX_TOLD: Final = 20
_log = structlog.get_logger(__name__)


def note(db: Session, what: str, **who: object) -> None:
    """Log a change when its session commits it."""
    event.listen(db, "after_commit", lambda _session: _log.info(what, **who), once=True)


class _Together:
    """Counts by key and tells `every_s` after the first; of more than MAX_KEYS keys the rest are OTHERS."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def _count(self, key: str) -> int:
        """Count one; return the how manieth it is."""
        with self._lock:
            if not self._counts:
                timer = threading.Timer(self._every_s, self._end)
                timer.daemon = True
                timer.start()
            key = key if key in self._counts or len(self._counts) < MAX_KEYS else OTHERS
            self._counts[key] += 1
            return self._counts[key]

    def _end(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        self._tell(counts)

    def _tell(self, counts: Counter[str]) -> None:
        raise NotImplementedError


class FailedLogins(_Together):
    """Counts failed log-ins per address, and logs them together every `every_s` in which there were some."""

    def __init__(self, every_s: float = 60.0) -> None:
        super().__init__(every_s)

    def count(self, network: str) -> None:
        """Count one."""
        self._count(network)

    def _tell(self, counts: Counter[str]) -> None:
        _log.warning("log-ins failed", number=counts.total(), addresses=len(counts), reason=_told(counts))


class Logins(_Together):
    """Logs who came in, once for each user and address within `every_s`, and then how often they came again."""

    def __init__(self, every_s: float = 60.0) -> None:
        super().__init__(every_s)

    def note(self, db: Session, username: str, network: str, *, by: Literal["password", "link"]) -> None:
        """Note one when its session commits it."""
        event.listen(db, "after_commit", lambda _session: self._came(username, network, by), once=True)

    def _came(self, username: str, network: str, by: str) -> None:
        if self._count(f"{username} from {network}") == 1:
            _log.info("a user logged in", username=username, address=network, by=by)

    def _tell(self, counts: Counter[str]) -> None:
        again = Counter({key: number - 1 for key, number in counts.items() if number > 1})
        if again:
            _log.info("users logged in again", number=again.total(), reason=_told(again))


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{key}: {number}" for key, number in counts.most_common(MAX_TOLD))
