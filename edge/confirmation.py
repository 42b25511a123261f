"""Whether the primary host acknowledges what it gets, or is one of those that do not know of it.

A gateway of ours answers each birth, also while it can keep nothing. A host of which no acknowledgement ever came,
though it was online and got messages, gets Sparkplug's own service: what the broker was given for a moment counts as
delivered. What was found is kept in the spool's notes, by the name of the host; one acknowledgement is enough to wait
for ever.
"""

from __future__ import annotations

from typing import Final

import structlog

from spool import Spool

PATIENCE_S: Final = 30.0
_ACKNOWLEDGES, _IS_SILENT = b"acknowledges", b"is silent"

_log = structlog.get_logger(__name__)


class Confirmation:
    """What is known of one host; used by one thread."""

    def __init__(self, spool: Spool, host: str) -> None:
        self.patience_s = PATIENCE_S
        self._spool = spool
        self._host = host
        self._note = f"host:{host}"
        self._known = spool.note(self._note)
        self._since_s: float | None = None

    def came(self) -> None:
        """Note an acknowledgement. Raises SpoolError."""
        if self._known != _ACKNOWLEDGES:
            self._spool.set_notes({self._note: _ACKNOWLEDGES})
            self._known = _ACKNOWLEDGES

    def nothing_sent(self) -> None:
        """Begin the patience anew: the host is not there, or nothing is on its way to it."""
        self._since_s = None

    def is_silent(self, now_s: float) -> bool:
        """Whether no acknowledgement will come; called while something is on its way. Raises SpoolError."""
        if self._since_s is None:
            self._since_s = now_s
        if self._known is None and now_s - self._since_s >= self.patience_s:
            reason = f"nothing was acknowledged for {self.patience_s:.0f} s"
            _log.warning("what the broker has counts as delivered to this host", host=self._host, reason=reason)
            self._spool.set_notes({self._note: _IS_SILENT})
            self._known = _IS_SILENT
        return self._known == _IS_SILENT
