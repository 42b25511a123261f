"""Up to which number messages of a spool may have been sent: no higher one ever was, by an earlier run either.

The gateway compares: when it has received higher ones, the spool was put back to an earlier copy. So what a run has
read and not sent must not count, also after a restart. The note holds the number until the run sends its first message;
from then on it is empty, and the next run begins with the last number of the spool.
"""

from __future__ import annotations

from typing import Final

import structlog

from spool import Spool, SpoolError

_NOTE: Final = "given"

_log = structlog.get_logger(__name__)


class Given:
    """The number of one spool; used by one thread."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._is_open = False  # the note is empty
        noted = spool.note(_NOTE)
        self.n = int(noted) if noted else spool.stats.last_n
        if noted:
            return
        try:
            spool.set_notes({_NOTE: str(self.n).encode()})
        except SpoolError as error:  # only what is read before the next start, and not sent, would count as sent
            _log.warning("up to where messages were sent could not be kept", reason=str(error))

    def send(self, n: int) -> None:
        """Note that message `n` is about to be sent. Raises SpoolError when that cannot be kept."""
        self._open()
        self.n = max(self.n, n)

    def renew(self) -> None:
        """Begin a new epoch of the spool: nothing of it was sent. Raises SpoolError."""
        self._open()
        self._spool.renew()
        self.n = 0

    def _open(self) -> None:
        if not self._is_open:
            self._spool.set_notes({_NOTE: b""})
            self._is_open = True
