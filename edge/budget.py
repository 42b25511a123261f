"""Blocks have a budget of their own in the spool: what of them waits for acknowledgement never displaces samples."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Final

from contract.block import BLOCK
from spool import Spool

BLOCK_BYTES: Final = 64 << 20
_NOTE: Final = "has_blocks"
_HAS_BLOCKS: Final[Mapping[str, bytes]] = {_NOTE: b"yes"}
_NAME: Final = BLOCK.encode()

Keep = Callable[[Mapping[str, bytes]], Future[int | None]]


class BlockBudgetError(Exception):
    """Too many bytes of blocks wait in the spool for one more."""


class BlockBudget:
    """The blocks of one spool that are not acknowledged; `most_bytes` for all of them. Used by any thread."""

    def __init__(self, spool: Spool, most_bytes: int = BLOCK_BYTES) -> None:
        """Look for blocks of earlier runs: that reads the whole spool, if it ever had any."""
        self._spool = spool
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._under_way = 0  # bytes that are put and not durable yet
        self._sizes: dict[int, int] = dict(_blocks(spool)) if spool.note(_NOTE) else {}

    @property
    def bytes(self) -> int:
        """How many bytes of blocks wait."""
        with self._lock:
            return self._under_way + sum(self._sizes.values())

    def put(self, size: int, keep: Keep) -> Future[int | None]:
        """Let `keep` put a block of so many bytes, with the notes it is given; raise BlockBudgetError, SpoolError."""
        if self.bytes + size > self._most_bytes:
            self._forget_gone()
        if self.bytes + size > self._most_bytes:
            raise BlockBudgetError(f"blocks of {self.bytes} bytes wait in the spool, {self._most_bytes} may")
        with self._lock:
            self._under_way += size
        try:
            future = keep(_HAS_BLOCKS)
        except Exception:
            with self._lock:
                self._under_way -= size
            raise
        future.add_done_callback(partial(self._put_done, size))
        return future

    def _put_done(self, size: int, future: Future[int | None]) -> None:
        number = None if future.exception() is not None else future.result()
        with self._lock:
            self._under_way -= size
            if number is not None:
                self._sizes[number] = size

    def gone(self, intervals: Iterable[tuple[int, int]]) -> None:
        """Note that records have left the spool."""
        with self._lock:
            if not self._sizes:
                return
            for first, last in intervals:
                for n in [n for n in self._sizes if first <= n <= last]:
                    del self._sizes[n]

    def _forget_gone(self) -> None:
        """Forget what left the spool before it was known that it was there."""
        oldest = self._spool.read(0, 1)
        first = oldest[0].n if oldest else self._spool.stats.last_n + 1
        self.gone([(0, first - 1)])


def _blocks(spool: Spool) -> Iterable[tuple[int, int]]:
    """Yield number and bytes of the blocks in a spool."""
    after = 0
    while records := spool.read(after):
        for record in records:
            if _NAME in record.body:
                yield record.n, len(record.body)
        after = records[-1].n
