"""One entry of a plant file on MQTT: one machine, or many whose topics name them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

import orjson

from contract.model import Command, Reply, Sample
from contract.mqtt import Broker, Session
from edge.driver import Counters, Lost, Tag, Unreachable
from edge.drivers.mqtt.mapping import Mapping
from edge.drivers.mqtt.options import ASSET, Machine
from edge.filter import inferred
from edge.machine import Context

_BATCH: Final = 2000  # messages in one read
_MOST_LEAVES: Final = 200  # of one message, when browsing
_REMEMBERED: Final = 2000  # messages that would be recognized

Message = tuple[str, bytes, int]


class MqttDriver:
    """Listens to topics and makes samples of what comes."""

    def __init__(self, name: str, machine: Machine, context: Context) -> None:
        self.name = name
        self.machine = machine
        self.counters = Counters()
        self._context = context
        self._mapping = Mapping(name, machine, self.counters, context.ids)
        self._session: Session | None = None
        self._queue: deque[Message] = deque()
        self._recent: dict[int, None] = {}  # hashes of messages, oldest first
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()
        self._waiting = False  # a wake-up of the loop is under way
        self._lost: str | None = None

    async def connect(self) -> None:
        """Subscribe to all topics; raise Unreachable."""
        await self._listen(self._mapping.filters)

    async def _listen(self, filters: Sequence[str]) -> None:
        await self.close()
        self._queue.clear()
        self._lost, self._waiting = None, False
        self._loop, self._arrived = asyncio.get_running_loop(), asyncio.Event()
        ready = asyncio.Event()
        loop = self._loop
        session = self._session = Session(
            self._broker(),
            f"shopfloor-{self.name}-{secrets.token_hex(4)}",
            subscriptions=[(topic, self.machine.qos) for topic in filters],
            on_message=self._received,
            on_connect=lambda: _call(loop, ready.set),
            on_disconnect=self._disconnected,
        )
        session.start()
        try:
            async with asyncio.timeout(self.machine.timeout_s):
                await ready.wait()
        except TimeoutError as error:
            reason = session.reason
            await self.close()
            raise Unreachable(
                f"{self.machine.address}: {reason or 'no answer'}. Is the broker on, and are address, user and "
                "password_file right?"
            ) from error

    def _broker(self) -> Broker:
        machine, folder = self.machine, self._context.folder
        return Broker(
            url=machine.address,
            user=machine.user,
            password_file=None if machine.password_file is None else folder / machine.password_file,
            ca_file=None if machine.ca_file is None else folder / machine.ca_file,
            cert_file=None if machine.cert_file is None else folder / machine.cert_file,
            key_file=None if machine.key_file is None else folder / machine.key_file,
        )

    def _received(self, topic: str, payload: bytes, _retained: bool) -> None:
        if len(self._queue) >= self.machine.queue:
            self._queue.popleft()
            self.counters.dropped += 1
            self.counters.note(
                "queue",
                f"{self.name}: more than {self.machine.queue} messages wait, the oldest are thrown away: "
                "narrow the topic, or raise `queue`",
            )
        self._queue.append((topic, payload, time.time_ns()))
        self._wake()

    def _disconnected(self, reason: str) -> None:
        self._lost = reason
        self._wake()

    def _wake(self) -> None:
        if not self._waiting and self._loop is not None:
            self._waiting = True
            _call(self._loop, self._woken)

    def _woken(self) -> None:
        self._waiting = False
        self._arrived.set()

    async def read(self) -> Sequence[Sample]:
        """Wait for messages and return their samples; raise Lost when the broker has gone."""
        messages = await self._messages()
        samples: list[Sample] = []
        for topic, payload, arrived_ns in messages:
            if not self._is_repeat(topic, payload):
                samples += self._mapping.samples(topic, payload, arrived_ns)
        return samples

    def _is_repeat(self, topic: str, payload: bytes) -> bool:
        """Tell whether it is a message that was delivered again (QoS 1): when each has its time, no two are alike."""
        if self.machine.time is None:
            return False
        message = hash((topic, payload))
        if message in self._recent:
            return True
        self._recent[message] = None
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]
        return False

    async def _messages(self) -> list[Message]:
        while not self._queue:
            if self._lost is not None or self._session is None:
                raise Lost(f"{self.machine.address}: {self._lost or 'not connected'}")
            await self._arrived.wait()
            self._arrived.clear()
        return [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]

    async def write(self, command: Command) -> Reply:
        """Refuse: a message on a topic has no answer that could be read back."""
        return Reply(command.id, "refused", f"{self.name} is on MQTT, which has no way to read back what was set")

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Listen to `path` (a topic filter; all topics without one) for a while, and yield each value that is seen."""
        await self._listen([path.replace(ASSET, "+") or "#"])
        seen: set[tuple[str, str]] = set()
        try:
            async with asyncio.timeout(self.machine.browse_s):
                while True:
                    for topic, payload, _ in await self._messages():
                        for tag in _leaves(topic, payload):
                            if (tag.path, tag.address) not in seen:
                                seen.add((tag.path, tag.address))
                                yield tag
                            if len(seen) >= self.machine.browse_limit:
                                return
        except TimeoutError:
            return
        finally:
            await self.close()

    async def close(self) -> None:
        """End the session; safe twice."""
        session, self._session = self._session, None
        if session is not None:
            await asyncio.to_thread(session.stop)


def _call(loop: asyncio.AbstractEventLoop, function: Any) -> None:
    """Call `function` in the loop, from the session's thread; nothing when the loop has ended."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)


def _leaves(topic: str, payload: bytes) -> Iterator[Tag]:
    """Yield a tag for each value in a message: `path` is the topic, `address` the expression for a plant file."""
    try:
        data = orjson.loads(payload)
    except orjson.JSONDecodeError:
        yield Tag(topic, "@", value=payload[:80].decode(errors="replace"), description="text")
        return
    stack: list[tuple[str, Any]] = [("", data)]
    for _ in range(_MOST_LEAVES):
        if not stack:
            return
        where, value = stack.pop()
        if isinstance(value, dict):
            stack += [(f"{where}.{_key(k)}".lstrip("."), v) for k, v in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(f"{where}[{i}]", v) for i, v in reversed(list(enumerate(value[:20])))]
        else:
            yield Tag(topic, where or "@", None if value is None else inferred(value), value)


def _key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else f'"{key}"'
