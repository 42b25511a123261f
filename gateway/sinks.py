"""The two sinks of the one spool, store and cloud: how far each has come. A record goes when both are past it.

What a sink has passed is a note of the spool, written in the transaction that removes, so that nothing is given twice
or missed whatever is killed when. The store passes every record. For the cloud are only data with a metric `Spool/…`
(events, blocks, replies): it is past all others from the start, so that telemetry never waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from contract.sparkplug_fast import NO_SAMPLE
from contract.sparkplug_wire import COMPRESSED
from spool import Spool

FOR_CLOUD: Final = (NO_SAMPLE.encode(), COMPRESSED.encode())
"""What a message for the cloud has in it, as it is or in a compressed body."""
STORE: Final = "cursor:store"
CLOUD: Final = "cursor:cloud"

_DATA: Final = ("/NDATA/", "/DDATA/")


def may_be_for_cloud(topic: str, body: bytes) -> bool:
    """Whether a record that was not decoded may hold what the cloud wants; births declare such metrics only."""
    return is_data(topic) and any(word in body for word in FOR_CLOUD)


def is_data(topic: str) -> bool:
    """Whether a topic is that of data."""
    return any(type_ in topic for type_ in _DATA)


class Cursors:
    """How far store and cloud are. Without a cloud (`has_cloud` False) the store alone decides.

    A spool of before has no such notes: nothing of it has been passed.
    """

    def __init__(self, spool: Spool, *, has_cloud: bool = False) -> None:
        self._spool = spool
        self._has_cloud = has_cloud
        self._lock = threading.Lock()  # held until a transaction is durable: two sinks may pass one record at once
        self.store_n = int(spool.note(STORE) or 0)
        self.cloud_n = int(spool.note(CLOUD) or 0)
        self._kept: set[int] = set()  # what the store has passed

    @property
    def kept(self) -> int:
        """How many records the store has passed that are kept for the cloud."""
        return len(self._kept)

    def load(self) -> list[tuple[int, int]]:
        """Return number and size of what the spool holds for the cloud, the oldest first; raise SpoolError.

        What both have passed goes: a salvage may have found it again, or it was kept for a cloud that is no more.
        """
        found = self._spool.containing(FOR_CLOUD, self.cloud_n) if self._has_cloud else []
        held = [(n, size) for n, topic, size in found if is_data(topic)]
        self._kept = {n for n, _ in held if n <= self.store_n}
        self._spool.remove(_without([(0, self.store_n)], sorted(self._kept)))
        return held

    def pass_store(
        self, last_n: int, intervals: Iterable[tuple[int, int]], for_cloud: Sequence[int], notes: Mapping[str, bytes]
    ) -> None:
        """Say that the store has all of these intervals, the newest `last_n`; raise SpoolError.

        Of them `for_cloud` stay until the cloud is past them.
        """
        with self._lock:
            kept = [n for n in for_cloud if n > self.cloud_n] if self._has_cloud else []
            self._spool.remove(_without(intervals, kept), {**notes, STORE: b"%d" % last_n})
            self.store_n = last_n
            self._kept.update(kept)

    def pass_cloud(self, numbers: Sequence[int], notes: Mapping[str, bytes]) -> None:
        """Say that the cloud is past these records, ascending, and so past all before them; raise SpoolError."""
        with self._lock:
            gone = [n for n in numbers if n in self._kept]
            self._spool.remove([(n, n) for n in gone], {**notes, CLOUD: b"%d" % numbers[-1]})
            self.cloud_n = numbers[-1]
            self._kept.difference_update(gone)


def _without(intervals: Iterable[tuple[int, int]], numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return closed intervals without some numbers in them; both ascend."""
    parts: list[tuple[int, int]] = []
    left = list(reversed(numbers))
    for first, last in intervals:
        start = first
        while left and left[-1] <= last:
            n = left.pop()
            if start < n:
                parts.append((start, n - 1))
            start = n + 1
        if start <= last:
            parts.append((start, last))
    return parts
