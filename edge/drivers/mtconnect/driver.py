"""One device of an MTConnect agent."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

from contract.model import Quality, Sample, Value
from edge.driver import Counters, Item, Lost, NoHistory, Tag, Unreachable, Written
from edge.drivers._http import AnswerError
from edge.drivers._mtconnect import browse
from edge.drivers._mtconnect.documents import Header, Refusal, Streams
from edge.drivers._mtconnect.entry import SignalEntry
from edge.drivers._mtconnect.events import ConditionReader
from edge.drivers._mtconnect.items import Conditions, Reader, choose, resolve, signals_of, told_as_events
from edge.drivers.mtconnect import history
from edge.drivers.mtconnect.agent import Agent, NotStreaming, fell_behind, translated
from edge.drivers.mtconnect.entry import Entry
from edge.drivers.mtconnect.history import Gap, Position
from edge.entry import Context

_MOST_ITEMS: Final = 10_000  # in one batch


class MtconnectDriver:
    """Reads one device: all of it by `current` once, then every observation by its sequence number."""

    def __init__(self, name: str, entry: Entry, context: Context) -> None:
        self.name = name
        self.entry = entry
        self.counters = Counters()
        self.found: dict[str, SignalEntry] = {}
        self._context = context
        self._agent: Agent | None = None
        self._device = ""
        self._reader = Reader(name, (), self.counters)
        self._conditions = Conditions()
        self._events = ConditionReader(name)
        self._first: list[Item] = []
        self._stream: AsyncGenerator[Streams, None] | None = None
        self._next: asyncio.Task[Streams] | None = None  # the part of the stream that is waited for
        self._polls = False
        self._next_poll = 0.0
        self._model_changed = ""
        self._behind = 0  # times in a row that the agent had thrown away what we asked for
        self._position: Position | None = None  # until there all was read
        self._begun: Position | None = None  # there this connection began
        self._unread: Position | None = None  # there the gap began that history has not filled, when that is known
        self._has_gap = False
        self._lost = ""  # why history could not be read: though the stream goes on, the line counts as lost

    async def connect(self) -> None:
        """Find the data items and read their state; raise Unreachable."""
        await self.close()
        with translated(self.entry.address, Unreachable):
            self._agent = Agent(self.entry, self._context)
            try:
                await self._prepare(self._agent)
            except BaseException:
                await self.close()
                raise

    async def _prepare(self, agent: Agent) -> None:
        devices = await agent.devices()
        try:
            device = choose(devices, self.entry.device)
        except AnswerError as error:
            if self.entry.signals or self.entry.events is not None:
                raise
            self._lost = f"{self.entry.address}: {error}"  # but one may look around
            return
        self.found = signals_of(device, self.counters) if self.entry.find_signals and not self.entry.signals else {}
        items, missing = resolve(self.entry.signals or self.found, device)
        where = f"(`shopfloor browse {self.entry.address}` shows what it has)"
        if missing and not items:
            signal, why = next(iter(missing.items()))
            none = f"none of the {len(missing)} data items" if len(missing) > 1 else "not the data item"
            text = f"{self.entry.address}: the agent answers, but {device.name} has {none} {where}: {signal}: {why}"
            raise Unreachable(text, code="unknown_signals")
        for signal, why in missing.items():
            self.counters.notes.tell("data item", f"{self.name}: {signal}: {why} {where}", signal)
        conditions, unknown = told_as_events(self.entry.events, device)
        for name, why in unknown.items():
            self.counters.notes.tell("data item", f"{self.name}: events of {name!r}: {why} {where}", name)
        self._device, self._reader = device.name or device.uuid, Reader(self.name, items, self.counters)
        state = await agent.current(self._device)
        is_new_run = self._position is not None and self._position.instance != state.header.instance
        if not self._has_gap or is_new_run:
            self._unread, self._has_gap = self._position, True
        self._position = self._begun = Position(state.header.instance, state.header.next)
        self._model_changed, self._behind = state.header.model_changed, 0
        self._polls, self._next_poll, self._lost = False, 0.0, ""
        self._conditions = Conditions()
        now = time.time_ns()
        self._first = [Sample(self.name, signal, now, None, Quality.BAD) for signal in missing]
        self._first += self._reader.state(state.observations, self._conditions)
        self._events.know(conditions)
        self._first += self._events.state(state.observations, state.header.instance, now)

    async def read(self) -> Sequence[Item]:
        """Wait for the next observations; an empty batch is a heartbeat. Raises Lost."""
        agent, position = self._agent, self._position
        if self._lost:
            raise Lost(self._lost)
        if agent is None or position is None:
            raise Lost(f"{self.entry.address}: not connected")
        if self._first:
            first, self._first = self._first, []
            return first
        # further parts of a stream go on where the agent has left off, however far its buffer has moved
        has_asked = self._polls or self._stream is None
        with translated(self.entry.address, Lost):
            try:
                found = await (self._poll(agent, position) if self._polls else self._part(agent, position))
            except Refusal as refusal:
                if not fell_behind(refusal):
                    raise
                return await self._catch_up(agent, position, refusal)
            if self._checked(found.header, position).first > position.sequence and has_asked:
                return await self._catch_up(agent, position, None)
        self._position, self._behind = Position(position.instance, found.header.next), 0
        items = self._items(found, position)
        # all that is here is one batch: each must be durable before more is read, and a slow disk holds up no stream
        while len(items) < _MOST_ITEMS and (more := await self._arrived(self._position)) is not None:
            self._position = Position(position.instance, more.header.next)
            items += self._items(more, position)
        return items

    def _items(self, found: Streams, position: Position) -> list[Item]:
        samples = self._reader.samples(found.observations, self._conditions)
        return [*samples, *self._events.items(found.observations, position.instance, time.time_ns())]

    async def _arrived(self, position: Position) -> Streams | None:
        """Return the next part of the stream when it is here and sound, else None: the next `read` sees to it."""
        if self._stream is None:
            return None
        task = self._next = self._next or asyncio.create_task(_part_of(self._stream))
        await asyncio.sleep(0)
        if not task.done() or task.exception() is not None:
            return None
        try:
            self._checked(task.result().header, position)
        except AnswerError:
            return None
        self._next = None
        return task.result()

    async def _part(self, agent: Agent, position: Position) -> Streams:
        """Return the next part of the stream; open it, or find that the agent does not stream, when there is none."""
        if self._stream is None:
            self._stream = agent.stream(self._device, position.sequence)
        silence_s = 2 * max(self.entry.heartbeat_s, self.entry.interval_s)
        task = self._next = self._next or asyncio.create_task(_part_of(self._stream))
        await asyncio.wait((task,), timeout=silence_s)
        if not task.done():
            raise AnswerError(f"the stream is silent: neither a change nor a heartbeat for {silence_s:g} s")
        self._next = None
        try:
            return task.result()
        except StopAsyncIteration as error:
            raise AnswerError("the agent has ended the stream") from error
        except NotStreaming:
            await self._end_stream()
        self._polls = True
        self.counters.notes.tell(
            "stream", f"{self.name}: the agent does not stream: asked every {self.entry.poll_s:g} s"
        )
        return await self._poll(agent, position)

    async def _poll(self, agent: Agent, position: Position) -> Streams:
        await asyncio.sleep(max(0.0, self._next_poll - time.monotonic()))
        found = await agent.sample(self._device, position.sequence)
        has_more = found.header.next <= found.header.last
        self._next_poll = 0.0 if has_more else time.monotonic() + self.entry.poll_s
        return found

    def _checked(self, header: Header, position: Position) -> Header:
        if header.instance != position.instance:
            raise AnswerError(f"the agent was started anew (instanceId {position.instance}, now {header.instance})")
        if header.next < position.sequence:
            raise AnswerError(f"the agent counts anew ({header.next} after {position.sequence})")
        if header.model_changed != self._model_changed:
            raise AnswerError(
                f"the model of the agent's devices has changed ({header.model_changed}): asking for it anew"
            )
        return header

    async def _catch_up(self, agent: Agent, position: Position, refusal: Refusal | None) -> list[Item]:
        """Go on from the oldest that the agent still has, beginning with what was so then: what lies before is lost."""
        await self._end_stream()
        for eighths in range(self._behind, 8):  # its buffer turns over while we ask
            header = self._checked((await agent.current(self._device)).header, position)
            if header.first <= position.sequence <= header.next and refusal is not None:
                raise refusal  # it has what we asked for, and refuses something else
            oldest = history.newer(header, eighths, 8)
            try:
                state = await agent.current(self._device, at=oldest)
            except Refusal as error:
                if not fell_behind(error):
                    raise
                continue
            self.counters.overflows += 1
            self.counters.notes.tell(
                "overflow",
                f"{self.name}: observations {position.sequence} to {oldest - 1} are lost: the agent's buffer of "
                f"{header.buffer_size} is too small, raise its BufferSize",
            )
            self._behind = eighths + 1
            self._position = Position(position.instance, oldest + 1)
            self._conditions = Conditions()
            samples = self._reader.state(state.observations, self._conditions)
            return [*samples, *self._events.state(state.observations, position.instance, time.time_ns())]
        raise AnswerError("the agent's buffer turns over before it can be read: raise its BufferSize")

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        """Refuse: MTConnect has no way to set anything."""
        return Written("refused", f"{self.name} is on MTConnect, which is read-only")

    async def history(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Sample]]:
        """Yield what the agent's buffer has from `start_ns` to before `end_ns`; raise NoHistory or Lost."""
        agent, begun = self._agent, self._begun
        if agent is None or begun is None:
            raise Lost(f"{self.entry.address}: not connected")
        gap = Gap(self._device, self._unread, begun)
        try:
            with translated(self.entry.address, Lost):
                async for samples in history.record(agent, self._reader, gap, start_ns):
                    yield [sample for sample in samples if start_ns <= sample.time_ns < end_ns]
        except Lost as error:
            self._lost = str(error)
            raise
        except NoHistory:
            self._has_gap = False
            raise
        self._has_gap = False

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Yield the data items of all devices at `path` (see mtconnect.browse), at most `browse_limit`."""
        agent = self._agent = self._agent or Agent(self.entry, self._context)
        with translated(self.entry.address, Lost):
            devices = await agent.devices()
            if self.entry.device is not None:
                devices = [choose(devices, self.entry.device)]
            current = {seen.get("dataItemId", ""): seen for seen in (await agent.current("")).observations}
        for tag in itertools.islice(browse.tags(devices, current, path), self.entry.browse_limit):
            yield tag

    async def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        task, self._next = self._next, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if stream is not None:
            await stream.aclose()

    async def close(self) -> None:
        """Let go of the agent; never raises."""
        agent, self._agent = self._agent, None
        await self._end_stream()
        if agent is not None:
            await agent.close()


async def _part_of(stream: AsyncGenerator[Streams, None]) -> Streams:
    return await anext(stream)
