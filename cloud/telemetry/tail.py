"""The newest samples of series that are asked for again and again, in memory: most questions are about the last minute.

A tail has all samples of its series from a time on. It is loaded when somebody asks, grows with what is written, and is
dropped when something late is written, or others are asked for more recently.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from cloud.telemetry.batch import ROWS, Batch

SPAN_NS: Final = 120 * 10**9
MAX_ROWS: Final = 200_000
"""In all tails together: some 20 MB."""

MAX_AT_HAND: Final = 1000
"""So many samples are given at once, without waiting for anything: a millisecond."""


@dataclass(slots=True)
class Tail:
    """The samples of one series since `since_ns`, as columns of equal length in order of time."""

    since_ns: int
    is_loaded: bool = False
    columns: list[list[object]] = field(default_factory=lambda: [[] for _ in ROWS.names[1:]])

    @property
    def times(self) -> list[int]:
        """The times in ns."""
        return self.columns[0]  # type: ignore[return-value]


class Tails:
    """The tails of a store. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tails: OrderedDict[int, Tail] = OrderedDict()
        self._rows = 0

    def rows(
        self, id_: int, start_ns: int, end_ns: int, now_ns: int, load: Callable[[int], pa.Table]
    ) -> pa.Table | None:
        """Return samples as ROWS, None when no tail reaches back so far; `load` returns those since a time."""
        if start_ns < now_ns - SPAN_NS:
            return None
        with self._lock:
            tail = self._tails.get(id_)
            if tail is not None and tail.is_loaded:
                self._tails.move_to_end(id_)
                return _cut(tail, id_, start_ns, end_ns) if start_ns >= tail.since_ns else None
            if tail is not None:
                return None  # another thread loads it
            # before it is loaded, so that what is written meanwhile is not missed
            tail = self._tails[id_] = Tail(now_ns - SPAN_NS)
        try:
            found = load(tail.since_ns)
        except BaseException:
            self.drop([id_])
            raise
        if len(found) >= MAX_ROWS:
            self.drop([id_])
            return None
        with self._lock:
            loaded = [found[name].to_pylist() for name in ROWS.names[1:]]
            known = bisect_left(loaded[0], tail.times[0]) if tail.times else len(loaded[0])
            tail.columns = [[*old[:known], *new] for old, new in zip(loaded, tail.columns, strict=True)]
            if self._tails.get(id_) is tail:
                tail.is_loaded = True
                self._rows += known
                self._bound()
            return _cut(tail, id_, start_ns, end_ns)

    def at_hand(self, id_: int, start_ns: int, end_ns: int) -> pa.Table | None:
        """Return samples as ROWS, None when no tail has them or they are more than MAX_AT_HAND."""
        with self._lock:
            tail = self._tails.get(id_)
            if tail is None or not tail.is_loaded or start_ns < tail.since_ns:
                return None
            if bisect_left(tail.times, end_ns) - bisect_left(tail.times, start_ns) > MAX_AT_HAND:
                return None
            self._tails.move_to_end(id_)
            return _cut(tail, id_, start_ns, end_ns)

    def add(self, batch: Batch) -> None:
        """Take what was written."""
        self.drop(id_ for id_, _ in batch.late)
        if not self._tails:
            return
        fresh = batch.fresh_rows()
        with self._lock:
            watched = pa.array(list(self._tails), fresh["series"].type)
            rows = fresh.filter(pc.is_in(fresh["series"], value_set=watched))
            for id_, *values in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                times = self._tails[id_].times
                if times and values[0] <= times[-1]:
                    continue  # it was written before the tail was loaded
                for column, value in zip(self._tails[id_].columns, values, strict=True):
                    column.append(value)
                self._rows += 1
            self._bound()

    def drop(self, ids: Iterable[int]) -> None:
        """Forget tails."""
        with self._lock:
            for id_ in ids:
                tail = self._tails.pop(id_, None)
                if tail is not None:
                    self._rows -= len(tail.times)

    def _bound(self) -> None:
        for tail in self._tails.values():
            times = tail.times
            if tail.is_loaded and times and times[-1] - times[0] > 2 * SPAN_NS:
                tail.since_ns = times[-1] - SPAN_NS
                old = bisect_left(times, tail.since_ns)
                self._rows -= old
                for column in tail.columns:
                    del column[:old]
        while self._rows > MAX_ROWS:
            _, tail = self._tails.popitem(last=False)
            self._rows -= len(tail.times)


def _cut(tail: Tail, id_: int, start_ns: int, end_ns: int) -> pa.Table:
    first, last = bisect_left(tail.times, start_ns), bisect_left(tail.times, end_ns)
    kinds = [column.type for column in ROWS]
    columns = [pa.array(column[first:last], kind) for column, kind in zip(tail.columns, kinds[1:], strict=True)]
    return pa.Table.from_arrays([pa.repeat(pa.scalar(id_, kinds[0]), last - first), *columns], schema=ROWS)
