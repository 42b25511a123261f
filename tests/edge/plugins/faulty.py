"""Counts up, and fails in one of its methods while `IS_HEALED` is not set; for the tests of containment."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal

from contract.model import Sample, Value
from edge import entry as base
from edge.driver import Counters, Lost, NoHistory, Tag, Written
from edge.entry import Context

IS_HEALED = threading.Event()

SORTS: dict[str, Callable[[], BaseException]] = {
    "error": lambda: LookupError("odd bytes"),
    "canceled": asyncio.CancelledError,
    "exit": lambda: SystemExit(3),
    "group": lambda: BaseExceptionGroup("all of it", [asyncio.CancelledError()]),
}


class Entry(base.Entry):
    """`fails` is the method, `sort` how."""

    fails: Literal["make", "connect", "read", "late_read", "history", "close", "write", "browse", "hang", "nothing"]
    sort: Literal["error", "canceled", "exit", "group", "nonsense"] = "error"


class Driver:
    def __init__(self, name: str, entry: Entry, _context: Context) -> None:
        self.counters = Counters()
        self._name, self._entry = name, entry
        self._count = 0
        self._fail("make")

    def _fail(self, method: str) -> None:
        if method == self._entry.fails and not IS_HEALED.is_set():
            raise SORTS[self._entry.sort]()

    async def connect(self) -> None:
        self._fail("connect")

    async def read(self) -> Sequence[Sample]:
        await asyncio.sleep(0.01)
        if self._entry.sort == "nonsense" and not IS_HEALED.is_set():
            nonsense: Any = [
                ("speed", 1.0),
                None,
                [Sample(self._name, "unknown", 1, 1.0)],
                [Sample(self._name, "speed", time.time_ns(), 1.0, -(2**40))],
            ]
            self._count += 1
            return nonsense[self._count % 4]
        self._fail("read")
        if self._count > 10:
            self._count = 0
            self._fail("late_read")
            if self._entry.fails == "close" and not IS_HEALED.is_set():
                raise Lost("the line dropped")
        self._count += 1
        return [Sample(self._name, "speed", time.time_ns(), float(self._count))]

    async def history(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Sample]]:
        self._fail("history")
        raise NoHistory("nothing is recorded")
        yield []

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        if self._entry.fails == "write" and self._entry.sort == "nonsense":
            await asyncio.Event().wait()
        self._fail("write")
        return Written("refused")

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        if self._entry.sort == "nonsense":
            for n in range(2000):
                yield Tag(f"{path}/{n}", "speed")
            await asyncio.Event().wait()
        self._fail("browse")
        yield Tag(path, "speed")

    async def close(self) -> None:
        while self._entry.fails == "hang" and not IS_HEALED.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)
        self._fail("close")
