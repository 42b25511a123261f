"""What of the spool is sent when: live data first, then the backlog, and again what nobody acknowledged.

Live is what was put since the sending began (or in the last few seconds); all else that is still in the spool is
backlog. A record counts as in flight from its sending to its acknowledgement or to a time-out; the backlog is simply
everything in the spool that is neither live nor in flight. Time is an argument, in seconds of a monotonic clock.

The time-out is `ack_timeout_s`, but at least twice what the last acknowledgement took, and while none comes at all it
doubles each time; at most it is a minute. A way that is slow would only get slower by repeats of what is on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from spool import Record

_LIVE_AGE_NS: Final = 5_000_000_000
_DELIVERED_S: Final = 2.0
_LONGEST_TIMEOUT_S: Final = 60.0


class Reader(Protocol):
    """What the window needs of a spool."""

    def read(self, after: int = 0, limit: int = 500) -> list[Record]:
        """Return durable records with a number above `after`, in order."""


class Window:
    """Chooses records of one spool; used by one thread."""

    def __init__(self, spool: Reader, *, most: int = 2000, ack_timeout_s: float = 10.0) -> None:
        self._spool = spool
        self._most = most
        self._ack_timeout_s = ack_timeout_s
        self._in_flight: dict[int, float] = {}  # number → when it was sent; in the order of sending
        self._latency_s = 0.0  # of the last acknowledgement
        self._heard_s = 0.0  # when it came, or when the first record after it was sent
        self._live = 0  # the last number that was given out as live, or was left to the backlog
        self._backlog = 0  # the backlog up to this number has been given out …
        self._backlog_end = 0  # … and there is none after this one
        self.resent = 0

    @property
    def in_flight(self) -> int:
        """Records that were sent and are not acknowledged yet."""
        return len(self._in_flight)

    def begin(self, last_n: int) -> None:
        """Start a session: everything up to `last_n` is backlog, whatever was sent before."""
        self.resent += len(self._in_flight)
        self._in_flight.clear()
        self._latency_s = 0.0
        self._live, self._backlog, self._backlog_end = last_n, 0, last_n

    def live(self, now_s: float, now_ns: int, limit: int = 200) -> list[Record]:
        """Return the next live records that may be sent; what waited too long becomes backlog."""
        room = min(limit, self._most - len(self._in_flight))
        if room <= 0:
            return []
        fresh: list[Record] = []
        for record in self._spool.read(self._live, room):
            self._live = record.n
            if now_ns - record.time_ns <= _LIVE_AGE_NS:
                fresh.append(record)
                self._in_flight[record.n] = now_s
            else:
                self._owe(record.n)
        return fresh

    def backlog(self, now_s: float, limit: int = 100) -> list[Record]:
        """Return the next records of the backlog; they may fill half of the window, the rest is kept for live data."""
        room = min(limit, self._most // 2 - len(self._in_flight))
        chosen: list[Record] = []
        while room > 0 and not chosen and self._backlog < self._backlog_end:
            records = self._spool.read(self._backlog, limit)
            if not records:
                self._backlog = self._backlog_end
            for record in records:
                if record.n > self._backlog_end:
                    self._backlog = self._backlog_end
                    break
                if len(chosen) >= room:
                    break
                self._backlog = record.n
                if record.n not in self._in_flight:
                    self._in_flight[record.n] = now_s
                    chosen.append(record)
        return chosen

    def unsent(self, records: Sequence[Record], *, live: bool) -> None:
        """Take back records that could not be sent, all from one call of `live` or of `backlog`."""
        for record in records:
            self._in_flight.pop(record.n, None)
            if not live:
                self._owe(record.n)
        if live:
            self._live = min(self._live, records[0].n - 1)

    def gone(self, n: int) -> None:
        """Forget a record that was not sent and never will be."""
        self._in_flight.pop(n, None)

    def acknowledged(self, intervals: Iterable[tuple[int, int]], now_s: float) -> None:
        """Note that the gateway keeps these records (they are about to leave the spool)."""
        before = len(self._in_flight)
        oldest_s = now_s
        for first, last in intervals:
            if last - first < len(self._in_flight):
                numbers: Iterable[int] = range(first, last + 1)
            else:
                numbers = [n for n in self._in_flight if first <= n <= last]
            for n in numbers:
                oldest_s = min(oldest_s, self._in_flight.pop(n, now_s))
        if len(self._in_flight) < before:
            self._latency_s, self._heard_s = now_s - oldest_s, now_s

    def settle(self, now_s: float) -> list[tuple[int, int]]:
        """Take what was sent a moment ago as delivered, and return it as intervals: nobody will acknowledge it."""
        done = [n for n, sent_s in self._in_flight.items() if now_s - sent_s >= _DELIVERED_S]
        for n in done:
            del self._in_flight[n]
        return [(n, n) for n in done]

    def expire(self, now_s: float) -> None:
        """Count as not sent what was not acknowledged in time."""
        if not self._in_flight:
            self._heard_s = now_s
        slow_s = max(2 * self._latency_s, (now_s - self._heard_s) / 2)
        timeout_s = max(self._ack_timeout_s, min(slow_s, _LONGEST_TIMEOUT_S))
        late = []
        for n, sent_s in self._in_flight.items():
            if now_s - sent_s < timeout_s:
                break
            late.append(n)
        for n in late:
            del self._in_flight[n]
            self._owe(n)
        self.resent += len(late)

    def _owe(self, n: int) -> None:
        self._backlog = min(self._backlog, n - 1)
        self._backlog_end = max(self._backlog_end, n)
