"""One machine on OPC UA."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from asyncua import Client, Node, ua

from contract.model import Quality, Sample, Value
from edge import driver
from edge.driver import Counters, Lost, Tag, Unreachable, Written
from edge.drivers._poll import Poll
from edge.drivers.opcua import events, history
from edge.drivers.opcua.blocks import BlockReader
from edge.drivers.opcua.browse import browse
from edge.drivers.opcua.changes import Changes
from edge.drivers.opcua.decoding import is_damage
from edge.drivers.opcua.entry import Entry
from edge.drivers.opcua.events import EventReader
from edge.drivers.opcua.nodes import Item, NoNodeError, namespaces_of, node_of, resolve
from edge.drivers.opcua.reading import Reader, plain
from edge.drivers.opcua.services import Services
from edge.drivers.opcua.session import explain, is_foreign, open_session, status_of, translated
from edge.drivers.opcua.values import variant
from edge.entry import Context

_BATCHES: Final = 16  # notifications that wait for read(); beyond them the server keeps its own queue
_RETRY_UNKNOWN_S: Final = 30.0
_MOST_SILENCE_S: Final = 600.0  # whatever the server says of its keep-alives
_MISSING: Final = (
    ua.StatusCodes.BadNodeIdUnknown,
    ua.StatusCodes.BadNodeIdInvalid,
    ua.StatusCodes.BadAttributeIdInvalid,
    ua.StatusCodes.BadDecodingError,
)


class OpcuaDriver:
    """Reads one machine by subscription or by polling."""

    def __init__(self, name: str, entry: Entry, context: Context) -> None:
        self.name = name
        self.entry = entry
        self.counters = Counters()
        self._context = context
        self._reader = Reader(name, entry.encoding, self.counters)
        self._blocks = BlockReader(name, entry.blocks, entry.encoding, self.counters)
        self._events: EventReader | None = None
        if entry.events is not None:
            self._events = EventReader(name, entry.events, entry.encoding, self.counters)
        self._services: Services | None = None
        self._items: dict[int, Item] = {}  # by client handle
        self._unknown: list[Item] = []  # nodes that the server did not know when we last asked
        self._batches: asyncio.Queue[ua.PublishResult] = asyncio.Queue(_BATCHES)
        self._subscription = 0
        self._silence_s = 0.0
        self._poll = Poll(entry.poll_s)
        self._next_retry = 0.0
        self._first: list[Sample] = []
        self._damaged = False  # notifications have come that could not be decoded

    async def connect(self) -> None:
        """Open the session, find all nodes and subscribe to them; raise Unreachable."""
        await self.close()
        client = await open_session(self.entry, self._context)
        if self.entry.security.policy == "none":
            self.counters.notes.tell(
                "security",
                f"{self.entry.address}: security is off: anyone on the network can read and change what passes",
            )
        if client.shows_password:
            self.counters.notes.tell(
                "password", f"{self.entry.address}: the password goes unencrypted: anyone on the network can read it"
            )
        self._services = Services(client, self.counters)
        try:
            with translated(self.entry.address, Unreachable, self._context):
                await self._prepare(self._services)
        except Unreachable:
            await self.close()
            raise

    async def _prepare(self, services: Services) -> None:
        await services.learn_limits()
        namespaces = await namespaces_of(services.client)
        items, missing = resolve(self.entry.signals, namespaces, self.entry.encoding)
        self._items = dict(enumerate(items, start=1))
        self._batches = asyncio.Queue(_BATCHES)
        self._poll, self._next_retry = Poll(self.entry.poll_s), time.monotonic() + _RETRY_UNKNOWN_S
        if self.entry.mode == "subscribe":
            await self._subscribe(services.client)
        await self._find_blocks(services, namespaces)
        if self._events is not None:
            self._events.begin(await self._listen(services, namespaces), namespaces)
        missing |= await self._check_nodes(services, list(self._items))
        if missing and len(missing) == len(self.entry.signals):
            example = next(iter(missing.items()))
            none = f"none of the {len(missing)} nodes" if len(missing) > 1 else "not the node"
            raise Unreachable(
                f"{self.entry.address}: the server answers, but has {none} ({example[0]}: {example[1]}). ",
                f"`shopfloor browse {self.entry.address}` shows what it has",
                code="unknown_signals",
            )
        now = time.time_ns()
        self._first = [Sample(self.name, signal, now, None, Quality.BAD) for signal in missing]
        for signal, why in missing.items():
            self.counters.notes.tell("node", f"{signal}: {why}. See `shopfloor browse {self.entry.address}`", signal)

    async def _subscribe(self, client: Client) -> None:
        interval_ms = self.entry.publish_s * 1000
        params = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=interval_ms,
            RequestedMaxKeepAliveCount=max(1, round(self.entry.keep_alive_s * 1000 / interval_ms)),
            RequestedLifetimeCount=max(100, round(60_000 / interval_ms)),
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
        )
        # the queue is awaited inside asyncua's publish loop: while nobody reads, no further publish request goes out
        # and the server queues (and says so when it throws away): backpressure without a loss that nobody sees
        result = await client.uaclient.create_subscription(params, self._batches.put)
        self._subscription = result.SubscriptionId
        period_s = result.RevisedPublishingInterval * result.RevisedMaxKeepAliveCount / 1000
        self._silence_s = 2 * min(max(0.1, period_s), _MOST_SILENCE_S)

    async def _find_blocks(self, services: Services, namespaces: Sequence[str]) -> None:
        await self._blocks.find(services, namespaces)
        requests = self._blocks.requests() if self.entry.mode == "subscribe" else []
        for request, result in zip(requests, await services.monitor(self._subscription, requests), strict=True):
            if result.StatusCode.is_bad():
                why = explain(ua.UaStatusCodeError(result.StatusCode.value))
                self._blocks.refused(request.RequestedParameters.ClientHandle, why)

    async def _listen(self, services: Services, namespaces: Sequence[str]) -> list[int]:
        """Monitor the events of the nodes that the entry names; return the handles of those that have some."""
        requests, names = [], []
        for handle, name in enumerate(self.entry.events.nodes if self.entry.events else (), start=1):
            try:
                requests.append(events.request(node_of(name, namespaces, self.entry.encoding), handle))
                names.append(name)
            except NoNodeError as error:
                self.counters.notes.tell("events", f"{self.name}: no events of {name!r}: {error}", name)
        codes = [result.StatusCode for result in await services.monitor(self._subscription, requests)]
        for name, code in zip(names, codes, strict=True):
            if code.is_bad():
                why = explain(ua.UaStatusCodeError(code.value))
                self.counters.notes.tell("events", f"{self.name}: no events of {name!r}: {why}", name)
        handles = [request.RequestedParameters.ClientHandle for request in requests]
        return [handle for handle, code in zip(handles, codes, strict=True) if not code.is_bad()]

    async def _refresh(self, services: Services, reader: EventReader) -> None:
        """Let the server tell again all conditions that are to be shown: which, comes with the notifications."""
        reader.wants_refresh = False
        (result,) = await services.client.uaclient.call([events.refresh(self._subscription)])
        if result.StatusCode.is_bad():
            why = explain(ua.UaStatusCodeError(result.StatusCode.value))
            text = f"{self.name}: the server does not tell which conditions are active: {why}; "
            self.counters.notes.tell("refresh", text + "what has ended while nobody listened stays active")

    async def _check_nodes(self, services: Services, handles: Sequence[int]) -> dict[str, str]:
        """Monitor (or read once) these items; return why some signals have none."""
        missing: dict[str, str] = {}
        if self.entry.mode == "poll" or self._damaged:
            missing = self._set_aside(handles, await self._probe(services, handles))
        if self.entry.mode == "subscribe":
            handles = [handle for handle in handles if handle in self._items]
            missing |= self._set_aside(handles, await self._monitor(services, handles))
        return missing

    def _set_aside(self, handles: Sequence[int], codes: Sequence[ua.StatusCode]) -> dict[str, str]:
        """Put items with a bad code to those that are asked for again later; return why."""
        missing: dict[str, str] = {}
        for handle, code in zip(handles, codes, strict=True):
            if code.is_bad():
                item = self._items.pop(handle)
                missing[item.signal] = f"node {item.text!r}: {explain(ua.UaStatusCodeError(code.value))}"
                self._unknown.append(item)
        return missing

    async def _monitor(self, services: Services, handles: Sequence[int]) -> list[ua.StatusCode]:
        requests = []
        for handle in handles:
            item = self._items[handle]
            own_s = self.entry.signals[item.signal].period_s
            period_s = self.entry.period_s if own_s is None else own_s
            requests.append(
                ua.MonitoredItemCreateRequest(
                    ItemToMonitor=_value_of(item),
                    MonitoringMode=ua.MonitoringMode.Reporting,
                    RequestedParameters=ua.MonitoringParameters(
                        ClientHandle=handle,
                        SamplingInterval=period_s * 1000,  # 0: as fast as the server can
                        QueueSize=self.entry.queue,
                        DiscardOldest=True,
                    ),
                )
            )
        return [result.StatusCode for result in await services.monitor(self._subscription, requests)]

    async def _probe(self, services: Services, handles: Sequence[int]) -> list[ua.StatusCode]:
        values = await services.read([_value_of(self._items[handle]) for handle in handles])
        good = ua.StatusCode()
        return [v.StatusCode if v.StatusCode and v.StatusCode.value in _MISSING else good for v in values]

    async def read(self) -> Sequence[driver.Item]:
        """Wait for the next changes and events (or for the next poll); an empty batch is a keep-alive. Raises Lost."""
        services = self._services
        if services is None:
            raise Lost(f"{self.entry.address}: not connected")
        if self._first:
            first, self._first = self._first, []
            return first
        with translated(self.entry.address, Lost):
            if self._unknown and time.monotonic() >= self._next_retry:
                await self._retry_unknown(services)
            if self._events is not None and self._events.wants_refresh:
                await self._refresh(services, self._events)
            if self.entry.mode == "poll":
                return await self._ask(services)
            return await self._next_batch()

    async def _next_batch(self) -> list[driver.Item]:
        try:
            result = await asyncio.wait_for(self._batches.get(), self._silence_s)
        except TimeoutError as error:
            raise Lost(
                f"{self.entry.address}: the subscription is silent: neither a change nor a sign of life "
                f"for {self._silence_s:g} s"
            ) from error
        found = self._told(result)
        while len(found) < 10_000 and not self._batches.empty():
            found += self._told(self._batches.get_nowait())
        return found

    def _told(self, result: ua.PublishResult) -> list[driver.Item]:
        found: list[driver.Item] = []
        for part in result.NotificationMessage.NotificationData or ():
            if isinstance(part, Changes):
                found += self._changed(part)
            elif isinstance(part, ua.EventNotificationList):
                found += self._events.items(part.Events or ()) if self._events else ()
            elif isinstance(part, ua.StatusChangeNotification):
                code = part.Status.value if isinstance(part.Status, ua.StatusCode) else int(part.Status)
                if code == ua.StatusCodes.BadDecodingError:
                    self._damaged = True
                    self.counters.rejected += 1
                raise Lost(f"{self.entry.address}: the subscription has ended: {explain(ua.UaStatusCodeError(code))}")
            elif part is not None:
                self.counters.rejected += 1
                self.counters.notes.tell("notification", f"{self.name}: events that cannot be decoded are left out")
        return found

    def _changed(self, changes: Changes) -> list[driver.Item]:
        """Return what a notification of changes says; raise Lost when it cannot be read: then node by node is asked."""
        try:
            samples, others = changes.samples(self.name, self._items, self._reader.sample)
        except Exception as error:
            if not is_damage(error) and not isinstance(error, struct.error):
                raise
            self._damaged = True
            self.counters.rejected += 1
            raise Lost(f"{self.entry.address}: the server sends what cannot be decoded: {error}") from error
        return [*samples, *self._blocks.blocks(others)] if others else list(samples)

    async def _ask(self, services: Services) -> list[driver.Item]:
        async with self._poll.turn():
            items = list(self._items.values())
            values = await services.read([_value_of(item) for item in items])
            blocks = await self._blocks.ask(services)
        return [*(self._reader.sample(item, value) for item, value in zip(items, values, strict=True)), *blocks]

    async def _retry_unknown(self, services: Services) -> None:
        """Ask again for nodes that were missing: a program that is loaded later may bring them."""
        self._next_retry = time.monotonic() + _RETRY_UNKNOWN_S
        again, self._unknown = self._unknown, []
        after = max(self._items, default=0) + len(self.entry.signals)
        retried = dict(enumerate(again, start=after))
        self._items |= retried
        await self._check_nodes(services, list(retried))

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        """Set the node of a signal in the node's own type and read it back."""
        services, wanted = self._services, self.entry.signals.get(signal)
        if wanted is None or not wanted.writable:
            return Written("refused", f"{signal} is not a writable signal of {self.name}")
        if services is None:
            return Written("failed", f"{self.name} is not connected")
        try:
            namespaces = await namespaces_of(services.client)
            items, missing = resolve({signal: wanted}, namespaces, self.entry.encoding)
            if missing or wanted.index is not None:
                why = missing.get(signal, "an element of an array cannot be written")
                return Written("refused", why)
            async with self._poll.line:
                return await self._write(services.client.get_node(items[0].node), value)
        except Exception as error:
            if not is_foreign(error):
                raise
            return Written("failed", explain(error))

    async def _write(self, node: Node, value: Value) -> Written:
        """Write a value in the type that the node holds, and read it back; raises what says that it was not written."""
        kind = (await node.read_data_value()).Value.VariantType
        # without time stamps: many controllers refuse to have them set
        data = ua.DataValue(variant(value, kind, self.entry.encoding))
        try:
            await node.write_value(data)
        except Exception as error:
            if status_of(error) not in _NO_ANSWER or not is_foreign(error):
                raise  # the server says no
            return Written("unknown", f"the answer to the write is missing: {explain(error)}")
        try:
            back = plain((await node.read_data_value()).Value, self.entry.encoding)
        except Exception as error:
            if not is_foreign(error):
                raise
            return Written("unknown", f"the server took it, and it cannot be read back: {explain(error)}")
        if back != value and not _close(back, value):
            return Written("failed", f"the machine took {value!r} but shows {back!r}", back)
        return Written("done", value=back)

    async def history(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Sample]]:
        """Yield what the server recorded from `start_ns` to before `end_ns`; raise NoHistory or Lost."""
        services = self._services
        if services is None:
            raise Lost(f"{self.entry.address}: not connected")
        with translated(self.entry.address, Lost):
            async for item, values in history.raw(services, list(self._items.values()), start_ns, end_ns):
                samples = [self._reader.sample(item, value) for value in values]
                undated = sum(sample.time_ns == 0 for sample in samples)
                if undated:
                    self.counters.rejected += undated
                    self.counters.notes.tell(
                        "history", f"{item.signal}: recorded values without a time are left out", item.signal
                    )
                yield [sample for sample in samples if start_ns <= sample.time_ns < end_ns]

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Yield the variables under `path` (browse names from Objects, with globs), at most `browse_limit`."""
        services = self._services
        if services is None:
            client = await open_session(self.entry, self._context)
            services = self._services = Services(client, self.counters)
        with translated(self.entry.address, Lost):
            await services.learn_limits()
            async for tag in browse(services, path, self.entry.browse_limit, self.entry.encoding):
                yield tag

    async def close(self) -> None:
        """End the session, with all that belongs to it on the server; never raises."""
        services, self._services = self._services, None
        self._items, self._unknown = {}, []
        if services is None:
            return
        try:
            await asyncio.wait_for(services.client.disconnect(), self.entry.timeout_s)
        except Exception as error:
            if not is_foreign(error):
                raise
        finally:
            services.client.disconnect_socket()  # also when this is canceled


_NO_ANSWER: Final = (
    None,  # an error of the line itself
    ua.StatusCodes.BadTimeout,
    ua.StatusCodes.BadRequestTimeout,
    ua.StatusCodes.BadConnectionClosed,
    ua.StatusCodes.BadSecureChannelClosed,
    ua.StatusCodes.BadCommunicationError,
)
"""What is said of a write whose answer never came: the server may have carried it out."""


def _value_of(item: Item) -> ua.ReadValueId:
    return ua.ReadValueId(NodeId=item.node, AttributeId=ua.AttributeIds.Value)


def _close(a: Any, b: Any) -> bool:
    """Whether two numbers are the same as far as a 32-bit float can tell."""
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return numbers and abs(a - b) <= 1e-6 * max(abs(a), abs(b))
