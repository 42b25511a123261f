"""A driver behind a wall: whatever goes wrong in it is trouble of its machine, and every call of it ends.

A driver says what it foresees by Unreachable, Lost and NoHistory. All else that it raises (an error of ours or of its
library, which odd bytes from a machine may bring about), also a cancellation that nobody asked for, becomes Failed. A
driver that blocks the whole event loop cannot be contained.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Container, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Final, TypeVar

from contract.block import Block, BlockError
from contract.event import Event
from contract.model import Sample, Value
from edge.driver import (
    Counters,
    Driver,
    DriverError,
    Finder,
    Historian,
    Item,
    Kept,
    Lost,
    NoHistory,
    Refreshed,
    Tag,
    Unreachable,
    Written,
)
from edge.entry import SignalEntry

CONNECT_S: Final = 300.0  # thousands of nodes of a slow server take minutes
CLOSE_S: Final = 10.0
WRITE_S: Final = 10.0
_CANCEL_S: Final = 2.0  # so long may it take to end what is canceled
_MOST_TEXT: Final = 300

_NOT_OURS: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt)  # to contain

_T = TypeVar("_T")


class Failed(DriverError):
    """The driver failed in a way that it does not foresee; `error` is what it was, if anything was raised."""

    code = "driver_failed"

    @property
    def error(self) -> BaseException | None:
        """The error that was contained."""
        return self.__cause__ or self.__context__

    @property
    def place(self) -> str:
        """Sort and place of the error, the same for each failure of one sort."""
        cause, where = self.error, ""
        trace = None if cause is None else cause.__traceback__
        while trace is not None:
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            trace = trace.tb_next
        return f"{type(cause).__name__} {where}" if where else str(self)


class Contained:
    """A driver that raises nothing but what is foreseen, and Failed. It is made at the first `connect`."""

    def __init__(self, make: Callable[[], Driver], *, connect_s: float = CONNECT_S, close_s: float = CLOSE_S) -> None:
        self._make = make
        self._driver: Driver | None = None
        self._unmade = Counters()
        self._connect_s, self._close_s = connect_s, close_s
        self._stuck: set[asyncio.Task[Any]] = set()  # what did not end when it was canceled

    @property
    def counters(self) -> Counters:
        """What the driver counts."""
        return self._unmade if self._driver is None else self._driver.counters

    @property
    def found(self) -> Mapping[str, SignalEntry]:
        """Return the signals that the machine itself has; none where the entry lists its own."""
        return self._driver.found if isinstance(self._driver, Finder) else {}

    @property
    def keeps_history(self) -> bool:
        """Whether the driver can read what the machine recorded."""
        return isinstance(self._driver, Historian)

    @property
    def kept(self) -> bool:
        """Whether what the machine has said since the connection before this one was kept, and comes by itself."""
        return isinstance(self._driver, Kept) and self._driver.kept

    @property
    def is_direct(self) -> bool:
        """Whether it is the machine that answers a connection, and not one that keeps what it says (a broker)."""
        return not isinstance(self._driver, Kept)

    async def connect(self) -> None:
        """Connect; raise Unreachable, Lost, Failed."""
        self._stuck = {task for task in self._stuck if not task.done()}
        if self._stuck:
            raise Failed("the driver does not end what it began: restart the edge")
        await self._within(self._connect_s, "connect", self._make_and_connect)

    async def _make_and_connect(self) -> None:
        if self._driver is None:
            self._driver = self._make()
        await self._driver.connect()

    async def read(self) -> Sequence[Item]:
        """Wait for the next batch; raise Lost, Unreachable, Failed."""
        if self._driver is None:
            raise Lost("not connected")
        try:  # without `_foreseen`, which costs a percent or two of a small batch
            return await self._driver.read()
        except (Lost, Unreachable, *_NOT_OURS):
            raise
        except BaseException as error:
            raise _failed("read", error) from error

    async def history(self, start_ns: int, end_ns: int) -> AsyncGenerator[Sequence[Sample], None]:
        """Yield what the machine recorded; raise NoHistory, Lost, Failed (also when it blocks)."""
        if not isinstance(self._driver, Historian):
            raise NoHistory("the machine keeps no history that can be read")
        with _foreseen("history", NoHistory, Lost):
            records: Any = self._driver.history(start_ns, end_ns)
            async with aclosing(records):
                while True:
                    async with asyncio.timeout(self._connect_s):
                        samples = await anext(records, None)
                    if samples is None:
                        return
                    yield samples

    async def write(self, asset: str, signal: str, value: Value, limit_s: float = WRITE_S) -> Written:
        """Set one signal, within `limit_s`. Never raises: without a verdict of the driver it may have been done."""
        driver = self._driver
        if driver is None:
            return Written("failed", "the machine was not connected yet")
        written: list[Written] = []

        async def write() -> None:
            written.append(await driver.write(asset, signal, value))

        try:
            await self._within(limit_s, "write", write)
        except DriverError as error:
            return Written("unknown", str(error))
        if not isinstance(written[0], Written):
            return Written("unknown", f"the driver answered what is no verdict: {written[0]!r}"[:_MOST_TEXT])
        return written[0]

    async def browse(self, path: str, most: int, limit_s: float) -> tuple[list[Tag], bool]:
        """Return at most so many of what there is at `path`, and whether there is more, or was no time for more.

        Raises Unreachable, Lost, Failed.
        """
        found: list[Tag] = []

        async def browse() -> None:
            self._driver = self._driver or self._make()
            tags: Any = self._driver.browse(path)
            async with aclosing(tags):
                async for tag in tags:
                    found.append(tag)
                    if len(found) > most:
                        return

        task = asyncio.create_task(_call("browse", browse))
        try:
            done, _ = await asyncio.wait((task,), timeout=limit_s)
        finally:
            if not task.done():
                await self.end(task)
        if done:
            outcome(task, "browse")
        return found[:most], len(found) > most or not done

    async def close(self) -> None:
        """Let go of the machine; raise Failed."""
        if self._driver is not None:
            try:
                await self._within(self._close_s, "close", self._driver.close)
            except (Unreachable, Lost):
                return  # it is gone, as it should be

    async def end(self, *tasks: asyncio.Task[Any]) -> None:
        """Cancel tasks that call the driver; return when they have ended, at the latest after two seconds."""
        for task in tasks:
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=_CANCEL_S)
        self._stuck |= pending
        for task in tasks:
            task.add_done_callback(_look_at)

    async def _within(self, limit_s: float, method: str, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.create_task(_call(method, call))
        try:
            done, _ = await asyncio.wait((task,), timeout=limit_s)
        finally:
            if not task.done():
                await self.end(task)
        if not done:
            raise Failed(f"the driver has not ended `{method}` after {limit_s:.3g} s")
        outcome(task, method)


def outcome(task: asyncio.Task[_T], method: str) -> _T:
    """Return the result of a task in a call of the driver that we did not cancel; raise what it raised, or Failed."""
    if task.cancelled():
        raise Failed(f"the driver failed in `{method}`: it was canceled, but not by the edge")
    return task.result()


def check_sound(items: Any, signals: Container[str]) -> None:
    """Raise Failed when something that a driver handed over is no sample of these signals, no event and no block.

    To be asked after an error of ours, whether it was brought about by that: nearly all samples are sound.
    """
    of_them = items if isinstance(items, Sequence) else (items,)
    for item in of_them:
        if not _is_sound(item, signals):
            raise Failed(f"the driver handed over what is no sample: {item!r}"[:_MOST_TEXT])


def _is_sound(item: Any, signals: Container[str]) -> bool:
    if isinstance(item, Event):
        return True  # its model has looked at it
    if isinstance(item, Block):
        try:
            item.numbers()
        except BlockError:
            return False
        return True
    if isinstance(item, Refreshed):
        return isinstance(item.asset, str) and isinstance(item.time_ns, int) and isinstance(item.conditions, frozenset)
    return _is_sample(item, signals)


def _is_sample(sample: Any, signals: Container[str]) -> bool:
    return (
        isinstance(sample, Sample)
        and isinstance(sample.asset, str)
        and isinstance(sample.signal, str)
        and sample.signal in signals
        and isinstance(sample.time_ns, int)
        and isinstance(sample.value, float | int | bool | str | None)
        and isinstance(sample.quality, int)
        and 0 <= sample.quality < 1 << 31
        and isinstance(sample.status, int)
        and 0 <= sample.status < 1 << 32
    )


def _look_at(task: asyncio.Task[Any]) -> None:
    """Keep asyncio from telling of an error that nobody asked for."""
    if not task.cancelled():
        task.exception()


async def _call(method: str, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with _foreseen(method, Unreachable, Lost):
        await call()


@contextmanager
def _foreseen(method: str, *errors: type[DriverError]) -> Iterator[None]:
    try:
        yield
    except errors:
        raise
    except Unreachable as error:
        raise Lost(error.what, error.do, code=error.code) from error
    except _NOT_OURS:
        raise
    # to contain it is the purpose: also SystemExit, and groups with a cancellation in them
    except BaseException as error:
        raise _failed(method, error) from error


def _failed(method: str, error: BaseException) -> Failed:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failed(f"the driver failed in `{method}`: {text}"[:_MOST_TEXT])
