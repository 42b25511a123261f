"""One entry of a plant file on MQTT: one machine, or many whose topics name them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from contract.broker import Broker
from contract.model import TIME_REPLACED, Quality, Sample, Value
from contract.mqtt import Delivery, Session
from edge.driver import Counters, Item, Lost, Tag, Unreachable, Written
from edge.drivers import _json
from edge.drivers.mqtt.entry import ASSET, Entry
from edge.drivers.mqtt.mapping import Mapping
from edge.drivers.mqtt.memory import Known, Memory
from edge.entry import Context

_BATCH: Final = 2000  # messages in one read
_REMEMBERED: Final = 2000  # messages that would be recognized
_UNKNOWN_AGE: Final = Quality.UNCERTAIN | TIME_REPLACED
_LOGIN_REFUSED: Final = ("Not authorized", "Bad user name or password")
"""How a broker refuses a user, in the words of the reason codes of MQTT."""


class Message(NamedTuple):
    """A message and when it arrived."""

    delivery: Delivery
    arrived_ns: int


class MqttDriver:
    """Listens to topics and makes samples, events and blocks of what comes.

    In a persistent session a message is acknowledged when what it holds is durable, and comes again if they never are.
    """

    def __init__(self, name: str, entry: Entry, context: Context) -> None:
        self.name = name
        self.entry = entry
        self.counters = Counters()
        self.kept = False  # whether the broker kept what came at QoS 1 since the last connection
        self._forgotten = False  # it did not, at a connection that was not yet one of ours
        self._context = context
        self._mapping = Mapping(name, entry, self.counters, context.ids)
        self._memory = Memory(context.home / "edge" / "mqtt", name, is_kept=not context.is_visit)
        self._session: Session | None = None
        self._queue: deque[Message] = deque()
        self._pending: set[int] = set()  # numbers of messages of this connection that are not acknowledged
        self._handed: list[Delivery] = []  # of the last read
        self._recent: dict[tuple[int, int], None] = {}  # content (its hash) and number of messages, oldest first
        self._doubtful: Counter[int] = Counter()  # contents from earlier connections: are they acknowledged?
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()
        self._waiting = False  # a wake-up of the loop is under way
        self._lost: str | None = None

    async def connect(self) -> None:
        """Subscribe to all topics; raise Unreachable."""
        filters = self._mapping.filters
        if not filters or self._context.is_visit:
            await self._listen(filters)
            return
        is_persistent = self.entry.session == "persistent" and self.entry.qos == 1
        try:
            known = await asyncio.to_thread(self._memory.open, make=is_persistent)
            if is_persistent:
                # noted before: a filter that is subscribed by an edge that then dies must be known
                await asyncio.to_thread(self._memory.note_filters, sorted({*known.filters, *filters}))
                await self._listen(filters, known)
                self.kept, self._forgotten = not self._forgotten, False
                await asyncio.to_thread(self._memory.note_filters, filters)
            elif known.client_id:
                await self._listen(filters, known, clean=True)  # upon which the broker forgets what it keeps for us
                await asyncio.to_thread(self._memory.forget)
            else:
                await self._listen(filters)
        except OSError as error:
            raise Unreachable(f"the folder of the edge cannot be used: {error}") from error

    async def _listen(self, filters: Sequence[str], known: Known | None = None, *, clean: bool = False) -> None:
        """Connect: as a client that is `known` to the broker, to go on with what it keeps, or as a new one."""
        await self.close()
        self._queue.clear()
        self._pending.clear()
        self._handed = []
        self._doubtful = Counter(content for content, number in self._recent if number)
        self._lost, self._waiting = None, False
        self._loop, self._arrived = asyncio.get_running_loop(), asyncio.Event()
        ready = asyncio.Event()
        loop = self._loop
        is_persistent = known is not None and not clean
        session = self._session = Session(
            self._broker(),
            f"shopfloor-{self.name}-{secrets.token_hex(4)}" if known is None else known.client_id,
            subscriptions=[(topic, self.entry.qos) for topic in filters],
            keepalive_s=self.entry.keep_alive_s,
            on_message=self._received,
            on_delivery=self._delivered if is_persistent else None,
            leave=[] if known is None else sorted({*known.filters} - {*filters}),
            on_forgotten=self._forget,
            on_connect=lambda: _call(loop, ready.set),
            on_disconnect=self._disconnected,
        )
        session.start()
        try:
            async with asyncio.timeout(self.entry.timeout_s):
                await ready.wait()
        except TimeoutError as error:
            reason = session.reason.removeprefix(f"{self.entry.address}: ")
            await self.close()
            raise Unreachable(
                f"{self.entry.address}: {reason or 'no answer'}. ",
                "Is the broker on, and are address, user and password_file right?",
                code="login_refused" if reason.endswith(_LOGIN_REFUSED) else "",
            ) from error

    def _forget(self) -> None:
        self._forgotten = True

    def _broker(self) -> Broker:
        entry, folder = self.entry, self._context.folder
        return Broker(
            url=entry.address,
            user=entry.user,
            password_file=None if entry.password_file is None else folder / entry.password_file,
            ca_file=None if entry.ca_file is None else folder / entry.ca_file,
            cert_file=None if entry.cert_file is None else folder / entry.cert_file,
            key_file=None if entry.key_file is None else folder / entry.key_file,
        )

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:
        if len(self._queue) >= self.entry.queue:
            self._queue.popleft()
            self._drop("the oldest are thrown away")
        self._take(Delivery(topic, payload, retained, is_again=False, number=0, connection=None))

    def _delivered(self, delivery: Delivery) -> None:
        number = delivery.number
        is_full = len(self._queue) >= self.entry.queue
        if number == 0:
            if is_full:
                self._drop("those at QoS 0 are thrown away")
            else:
                self._take(delivery)
        elif self._lost is None and not (delivery.is_again and number in self._pending):
            if is_full:  # it is not acknowledged, so it comes again with the next connection
                self._disconnected(f"more than {self.entry.queue} messages wait: raise `queue`")
            else:
                self._pending.add(number)
                self._take(delivery)

    def _drop(self, what: str) -> None:
        self.counters.dropped += 1
        text = f"{self.name}: more than {self.entry.queue} messages wait, {what}: narrow the topic, or raise `queue`"
        self.counters.notes.tell("queue", text)

    def _take(self, delivery: Delivery) -> None:
        self._queue.append(Message(delivery, time.time_ns()))
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

    async def read(self) -> Sequence[Item]:
        """Wait for messages and return what they hold; raise Lost when the broker has gone."""
        self._acknowledge()
        messages = await self._messages()
        found: list[Item] = []
        for message in messages:
            if not self._is_repeat(message.delivery):
                found += self._items(message)
        self._handed = [message.delivery for message in messages if message.delivery.number]
        if self.entry.time is None:
            await self._memory.save_now_and_then(time.monotonic())
        return found

    def _acknowledge(self) -> None:
        """Acknowledge what the last read handed over: that there is another one says that it is durable."""
        handed, self._handed = self._handed, []
        if handed and self._session is not None:
            self._session.acknowledge(handed)
            self._pending.difference_update(delivery.number for delivery in handed)

    def _items(self, message: Message) -> Sequence[Item]:
        """Return what a message holds; one that the broker kept (retained) was not said when it arrives."""
        (topic, payload, is_retained, *_), arrived_ns = message
        untimed = int(Quality.GOOD)
        if is_retained and self.entry.retained == "ignore":
            return []
        if is_retained:
            untimed = _UNKNOWN_AGE
            if self.entry.time is None:
                text = f"{self.name}: {topic!r} is a retained message, and nothing tells when it was said"
                self.counters.notes.tell(
                    "retained", f"{text}: its values are uncertain, with the time of first arrival"
                )
                arrived_ns, untimed = self._memory.recall(topic, payload, arrived_ns, untimed)
        if self.entry.time is None:
            self._memory.remember(topic, payload, arrived_ns, untimed, is_retained=is_retained)
        items = self._mapping.items(topic, payload, arrived_ns, untimed)
        if is_retained:
            samples = (item for item in items if isinstance(item, Sample))
            self.counters.times_replaced += sum(bool(sample.quality & TIME_REPLACED) for sample in samples)
        return items

    def _is_repeat(self, delivery: Delivery) -> bool:
        """Tell whether a message was delivered again (QoS 1): when each has its time, no two are alike.

        Else it is the broker that says so. It keeps the number of a message, but not over a restart of its own.
        """
        is_timed = self.entry.time is not None and not self._mapping.tells_events(delivery.topic)
        if delivery.is_retained or (not is_timed and not delivery.number):
            return False  # what is retained tells what holds at a connection, and is known by its time
        content = hash((delivery.topic, delivery.payload))
        message = content, 0 if is_timed else delivery.number
        is_known = message in self._recent
        if is_known and (is_timed or delivery.is_again):
            return True
        if is_known:
            del self._recent[message]  # numbers begin anew after the last one
        self._recent[message] = None
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]
        if delivery.is_again and self._doubtful[content]:
            self._doubtful[content] -= 1
            return True
        return False

    async def _messages(self) -> list[Message]:
        while not self._queue:
            if self._lost is not None or self._session is None:
                raise Lost(f"{self.entry.address}: {self._lost or 'not connected'}")
            await self._arrived.wait()
            self._arrived.clear()
        return [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        """Refuse: a message on a topic has no answer that could be read back."""
        return Written("refused", f"{self.name} is on MQTT, which has no way to read back what was set")

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Listen to `path` (a topic filter; all topics without one) for a while, and yield each value that is seen."""
        await self._listen([path.replace(ASSET, "+") or "#"])
        seen: set[tuple[str, str]] = set()
        try:
            async with asyncio.timeout(self.entry.browse_s):
                while True:
                    for message in await self._messages():
                        for tag in _json.tags(message.delivery.topic, message.delivery.payload, self.entry.encoding):
                            if (tag.path, tag.address) not in seen:
                                seen.add((tag.path, tag.address))
                                yield tag
                            if len(seen) >= self.entry.browse_limit:
                                return
        except TimeoutError:
            return
        finally:
            await self.close()

    async def close(self) -> None:
        """End the session; safe twice."""
        session = self._session
        if session is not None:
            await asyncio.to_thread(session.stop)
            self._session = None  # not before: what is canceled here is to be ended by the next call
            await asyncio.to_thread(self._memory.save)


def _call(loop: asyncio.AbstractEventLoop, function: Any) -> None:
    """Call `function` in the loop, from the session's thread; nothing when the loop has ended."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)
