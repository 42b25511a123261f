"""A device whose memory is asked for, piece by piece: what the drivers of controllers have in common."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeGuard, TypeVar

from pydantic import Field

from contract.model import Quality, Sample, Value
from edge import entry as base
from edge.driver import Counters, DriverError, Lost, Tag, Unreachable, Written
from edge.drivers._number import Codec
from edge.drivers._poll import Poll

_T = TypeVar("_T")
_RETRY: Final = 10  # turns until what a device has refused is asked for again


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """So many cells of an area of a device's memory, from the cell `start`."""

    area: str
    start: int
    count: int

    @property
    def end(self) -> int:
        """The first cell behind it."""
        return self.start + self.count


class RefusedError(Exception):
    """The device answers that it does not give, or take, this; the line is well. The text says why, in words."""


class LineError(Exception):
    """The line does not work, or the device answers nothing or nonsense. Text and `do` are as those of DriverError."""

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what)
        self.do = do


class Memory(Protocol):
    """The memory of one device, over one connection with one request at a time. Each call ends within seconds.

    All raise LineError; after one, and after a cancellation, nothing but `close` and `open` is called.
    """

    gap: int
    """So many cells that nobody wants are read along rather than to ask twice."""

    def most(self, area: str) -> int:
        """Return how many cells of an area one request may ask for; known once it is open."""

    async def open(self) -> None:
        """Connect."""

    async def read(self, span: Span) -> bytes:
        """Return the bytes of a span, or raise RefusedError; a cell of bits is one byte, 0 or 1."""

    async def write(self, span: Span, data: bytes) -> None:
        """Set the cells of a span, or raise RefusedError."""

    def look(self, ask: Callable[..., Awaitable[Any]], path: str) -> AsyncIterator[Tag]:
        """Yield what can be read at `path`; `ask(self.read, span)` asks in its turn."""

    async def close(self) -> None:
        """Let go of the connection within a second or two; safe twice, safe unconnected."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a signal lies, as the plant file writes it (`address`), and what its bytes mean."""

    address: str
    span: Span
    codec: Codec


@dataclass(slots=True)
class _Request:
    """Signals that are asked for at once; `said` is what the last answer, `data`, says of each."""

    names: list[str]
    span: Span
    data: bytes = b""
    said: list[tuple[str, Value | None, Quality]] = field(default_factory=list)


class Entry(base.Entry):
    """What the plant file says of every device that is asked."""

    poll_s: Annotated[float, Field(gt=0, le=3600)] = Field(1.0, description="how often it is asked")
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(3.0, description="time for one answer")


class Device:
    """The driver of a device with a memory: it asks for all signals each `poll_s`, in as few requests as may be.

    A request that the device refuses is cut until it is clear which signals are refused; they have no value, a note
    says why, and they are asked for again each tenth time.
    """

    silence: ClassVar[str] = "is it on, and reached without a firewall between?"
    """What to do when no answer comes."""

    def __init__(self, name: str, entry: Entry, memory: Memory, cells: Mapping[str, Cell]) -> None:
        self.counters = Counters()
        self._name, self._entry, self._memory, self._cells = name, entry, memory, cells
        self._poll = Poll(entry.poll_s)
        self._is_open = False
        self._plan: list[_Request] = []
        self._refused: dict[str, int] = {}  # and in how many turns they are asked for again

    async def connect(self) -> None:
        """Connect and ask once for what there is; raise Unreachable."""
        await self.close()
        try:
            self._is_open = True
            await self._exchange(self._memory.open)
            self._plan, self._refused = self._merged(self._cells), {}
            async with self._poll.line:
                await self._ask()
        except LineError as error:
            raise self._told(Unreachable, error) from error
        except BaseException:
            await self.close()
            raise

    async def read(self) -> Sequence[Sample]:
        """Ask when it is time; raise Lost."""
        async with self._poll.turn():
            try:
                return await self._ask()
            except LineError as error:
                raise self._told(Lost, error) from error

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        """Set a signal and read it back."""
        cell = self._cells.get(signal)
        if cell is None or not self._entry.signals[signal].writable:
            return Written("refused", f"{self._name} has no writable signal {signal!r}")
        try:
            data = cell.codec.encode(value)
        except ValueError as error:
            return Written("refused", str(error))
        async with self._poll.line:
            was_open = self._is_open
            try:
                await self._exchange(self._memory.write, cell.span, data)
            except RefusedError as error:
                return Written("failed", f"the device refuses it: {error}")
            except LineError as error:
                return Written("unknown" if was_open else "failed", str(error))
            return await self._read_back(cell, value)

    async def _read_back(self, cell: Cell, value: Value) -> Written:
        try:
            now = cell.codec.decode(await self._exchange(self._memory.read, cell.span))
        except (RefusedError, LineError, ValueError) as error:
            return Written("unknown", f"it was set, and cannot be read back: {error}")
        if now == value or (_is_number(now) and _is_number(value) and math.isclose(now, value, rel_tol=1e-6)):
            return Written("done", value=now)
        return Written("failed", f"the device took {value!r} but shows {now!r}", now)

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Yield what the device lets one read, at most `browse_limit`; raise Unreachable or Lost."""
        if not self._is_open:
            await self.connect()
        found = 0
        async with self._poll.line:
            tags = self._memory.look(self._exchange, path)
            while found < self._entry.browse_limit:
                try:
                    tag = await anext(tags)
                except StopAsyncIteration:
                    return
                except LineError as error:
                    raise self._told(Lost, error) from error
                yield tag
                found += 1

    async def close(self) -> None:
        """Let go of the device; safe twice, safe unconnected."""
        self._is_open = False
        await self._memory.close()

    async def _ask(self) -> list[Sample]:
        """Ask for all signals, and learn which requests the device takes; raise LineError."""
        if not self._is_open:
            raise _not_connected()
        due = [name for name, turns in self._refused.items() if turns <= 1]
        self._refused = {name: turns - 1 for name, turns in self._refused.items() if turns > 1}
        samples: list[Sample] = []
        plan: list[_Request] = []
        for request in [*self._plan, *(self._request([name]) for name in due)]:
            samples += await self._ask_for(request, plan)
        self._plan = plan
        if any(name not in self._refused for name in due):  # a device that was busy, say, takes large requests again
            self._plan = self._merged({name: each for name, each in self._cells.items() if name not in self._refused})
        return samples

    async def _ask_for(self, request: _Request, plan: list[_Request]) -> list[Sample]:
        """Ask for neighbours at once, or when that is refused for each half of them; what is taken joins `plan`."""
        try:
            data = await self._exchange(self._memory.read, request.span)
        except RefusedError as error:
            names = request.names
            if len(names) > 1:
                half = len(names) // 2
                first = await self._ask_for(self._request(names[:half]), plan)
                return first + await self._ask_for(self._request(names[half:]), plan)
            [name] = names
            self._refused[name] = _RETRY
            self.counters.notes.tell(
                "refused", f"{name} ({self._cells[name].address}): the device refuses it: {error}", name
            )
            return [Sample(self._name, name, time.time_ns(), None, Quality.BAD)]
        plan.append(request)
        now_ns, asset = time.time_ns(), self._name
        if data != request.data:
            self._decode(request, data)
        return [Sample(asset, name, now_ns, value, quality) for name, value, quality in request.said]

    def _request(self, names: list[str]) -> _Request:
        start = self._cells[names[0]].span
        return _Request(names, replace(start, count=max(self._cells[name].span.end for name in names) - start.start))

    def _decode(self, request: _Request, data: bytes) -> None:
        """Read the values of which the bytes have changed since the last answer."""
        span, before = request.span, request.data
        size = len(data) // span.count
        for index, name in enumerate(request.names):
            cell = self._cells[name]
            at = (cell.span.start - span.start) * size
            own = data[at : at + cell.span.count * size]
            if index < len(request.said) and own == before[at : at + len(own)]:
                continue
            request.said[index : index + 1] = [(name, *self._value(name, cell, own))]
        request.data = data

    def _value(self, name: str, cell: Cell, data: bytes) -> tuple[Value | None, Quality]:
        try:
            value = cell.codec.decode(data)
        except ValueError as error:
            self.counters.notes.tell("no value", f"{name} ({cell.address}): {error}: is its type right?", name)
            return None, Quality.BAD
        is_odd = isinstance(value, str) and "\ufffd" in value
        return value, Quality.BAD if value is None else Quality.UNCERTAIN if is_odd else Quality.GOOD

    def _merged(self, cells: Mapping[str, Cell]) -> list[_Request]:
        """Return the requests for all signals: neighbours of an area together, as many as one may ask for."""
        plan: list[list[str]] = []
        start, end = Span("", 0, 0), 0
        for name, cell in sorted(cells.items(), key=lambda item: item[1].span):
            span = cell.span
            longest = max(end, span.end) - start.start
            if (
                plan
                and span.area == start.area
                and span.start - end <= self._memory.gap
                and longest <= self._memory.most(span.area)
            ):
                plan[-1].append(name)
                end = max(end, span.end)
            else:
                plan.append([name])
                start, end = span, span.end
        return [self._request(names) for names in plan]

    async def _exchange(self, call: Callable[..., Awaitable[_T]], *arguments: object) -> _T:
        """Let the device answer once, in time; after anything but its answer the line is closed. Raises LineError."""
        if not self._is_open:
            raise _not_connected()
        try:
            async with asyncio.timeout(self._entry.timeout_s):
                return await call(*arguments)
        except RefusedError:
            raise
        except TimeoutError as error:
            await self.close()
            raise LineError("no answer in time", self.silence) from error
        except BaseException:  # also when it is canceled: its answer would be taken for that of the next one
            await self.close()
            raise

    def _told(self, wanted: type[DriverError], error: LineError) -> DriverError:
        return wanted(f"{self._entry.address}: {error}{': ' if error.do else ''}", error.do)


def _is_number(value: Value | None) -> TypeGuard[int | float]:
    return isinstance(value, int | float)


def _not_connected() -> LineError:
    return LineError("not connected")


async def reach(host: str, port: int, timeout_s: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect by TCP; raise LineError in words that say what to do."""
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        raise no_line(error) from error


def no_line(error: Exception) -> LineError:
    """Return what an error of a connection means, and what to do about it."""
    if isinstance(error, socket.gaierror):
        return LineError("no computer of this name is known", "write its IP address, or ask who runs the network")
    if isinstance(error, ConnectionRefusedError):
        return LineError("nothing listens there", "is the port right, and the service on at the device?")
    if isinstance(error, ConnectionError):
        return LineError(
            "the device has closed the line", "has it as many connections as it takes, or another protocol there?"
        )
    if isinstance(error, TimeoutError):
        return LineError("no answer in time", "is it on, is the address right, and does no firewall drop it?")
    return LineError(f"no way there ({error})", "are cable, address and network mask right?")
