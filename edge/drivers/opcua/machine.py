"""One machine on OPC UA."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from asyncua import Client, ua

from contract.model import Command, Quality, Reply, Sample
from edge.driver import Counters, Lost, Tag, Unreachable
from edge.drivers.opcua import history
from edge.drivers.opcua.browse import browse
from edge.drivers.opcua.nodes import Item, resolve
from edge.drivers.opcua.options import Machine
from edge.drivers.opcua.session import UA_ERRORS, explain, open_session, translated
from edge.drivers.opcua.values import overflowed, reading, scalar, variant
from edge.machine import Context

READ_GROUP: Final = 200  # nodes in one Read or one CreateMonitoredItems; many servers refuse more
_BATCHES: Final = 16  # notifications that wait for read(); beyond them the server keeps its own queue
_RETRY_UNKNOWN_S: Final = 30.0


class OpcuaDriver:
    """Reads one machine by subscription or by polling."""

    def __init__(self, name: str, machine: Machine, context: Context) -> None:
        self.name = name
        self.machine = machine
        self.counters = Counters()
        self._context = context
        self._client: Client | None = None
        self._items: dict[int, Item] = {}  # by client handle
        self._unknown: list[Item] = []  # nodes that the server did not know when we last asked
        self._batches: asyncio.Queue[ua.PublishResult] = asyncio.Queue(_BATCHES)
        self._subscription = 0
        self._silence_s = 0.0
        self._next_poll = 0.0
        self._next_retry = 0.0
        self._first: list[Sample] = []

    async def connect(self) -> None:
        """Open the session, find all nodes and subscribe to them; raise Unreachable."""
        await self.close()
        client = await open_session(self.machine, self._context)
        if self.machine.security.policy == "none":
            text = f"{self.machine.address}: security is off: anyone on the network can read and change what passes"
            self.counters.note("security", text)
        self._client = client
        try:
            with translated(self.machine.address, Unreachable, self._context):
                await self._prepare(client)
        except Unreachable:
            await self.close()
            raise

    async def _prepare(self, client: Client) -> None:
        items, missing = resolve(self.machine.signals, await client.get_namespace_array())
        self._items = dict(enumerate(items, start=1))
        self._batches = asyncio.Queue(_BATCHES)
        self._next_poll, self._next_retry = 0.0, time.monotonic() + _RETRY_UNKNOWN_S
        if self.machine.mode == "subscribe":
            await self._subscribe(client)
        missing |= await self._check_nodes(client)
        if missing and len(missing) == len(self.machine.signals):
            example = next(iter(missing.items()))
            raise Unreachable(
                f"{self.machine.address}: the server answers, but has none of the {len(missing)} nodes "
                f"({example[0]}: {example[1]}). `shopfloor browse {self.machine.address}` shows what it has"
            )
        now = time.time_ns()
        self._first = [Sample(self.name, signal, now, None, Quality.BAD) for signal in missing]
        for signal, why in missing.items():
            self.counters.note(f"node of {signal}", f"{signal}: {why}. See `shopfloor browse {self.machine.address}`")

    async def _subscribe(self, client: Client) -> None:
        interval_ms = self.machine.publish_s * 1000
        params = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=interval_ms,
            RequestedMaxKeepAliveCount=max(1, round(self.machine.keep_alive_s * 1000 / interval_ms)),
            RequestedLifetimeCount=max(100, round(60_000 / interval_ms)),
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
        )
        # the queue is awaited inside asyncua's publish loop: while nobody reads, no further publish request goes out
        # and the server queues (and says so when it throws away): backpressure without a loss that nobody sees
        result = await client.uaclient.create_subscription(params, self._batches.put)
        self._subscription = result.SubscriptionId
        period_s = result.RevisedPublishingInterval * result.RevisedMaxKeepAliveCount / 1000
        self._silence_s = 2 * max(period_s, 0.1)

    async def _check_nodes(self, client: Client) -> dict[str, str]:
        """Monitor (or read once) every node; return why some signals have none."""
        missing: dict[str, str] = {}
        handles = list(self._items)
        for start in range(0, len(handles), READ_GROUP):
            group = handles[start : start + READ_GROUP]
            codes = await (self._monitor if self.machine.mode == "subscribe" else self._probe)(client, group)
            for handle, code in zip(group, codes, strict=True):
                if not code.is_bad():
                    continue
                item = self._items.pop(handle)
                missing[item.signal] = f"node {item.text!r}: {explain(ua.UaStatusCodeError(code.value))}"
                self._unknown.append(item)
        return missing

    async def _monitor(self, client: Client, handles: Sequence[int]) -> list[ua.StatusCode]:
        requests = []
        for handle in handles:
            item = self._items[handle]
            entry = self.machine.signals[item.signal]
            period_s = self.machine.period_s if entry.period_s is None else entry.period_s
            requests.append(
                ua.MonitoredItemCreateRequest(
                    ItemToMonitor=ua.ReadValueId(NodeId=item.node, AttributeId=ua.AttributeIds.Value),
                    MonitoringMode=ua.MonitoringMode.Reporting,
                    RequestedParameters=ua.MonitoringParameters(
                        ClientHandle=handle,
                        SamplingInterval=period_s * 1000,  # 0: as fast as the server can
                        QueueSize=self.machine.queue,
                        DiscardOldest=True,
                    ),
                )
            )
        params = ua.CreateMonitoredItemsParameters(self._subscription, ua.TimestampsToReturn.Both, requests)
        return [result.StatusCode for result in await client.uaclient.create_monitored_items(params)]

    async def _probe(self, client: Client, handles: Sequence[int]) -> list[ua.StatusCode]:
        values = await self._read_nodes(client, [self._items[handle].node for handle in handles])
        missing = (
            ua.StatusCodes.BadNodeIdUnknown,
            ua.StatusCodes.BadNodeIdInvalid,
            ua.StatusCodes.BadAttributeIdInvalid,
        )
        good = ua.StatusCode()
        return [v.StatusCode if v.StatusCode and v.StatusCode.value in missing else good for v in values]

    @staticmethod
    async def _read_nodes(client: Client, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        params = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Both)
        params.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value) for node in nodes]
        values: list[ua.DataValue] = await client.uaclient.read(params)
        return values

    async def read(self) -> Sequence[Sample]:
        """Wait for the next changes (or for the next poll); an empty batch is a keep-alive. Raises Lost."""
        client = self._client
        if client is None:
            raise Lost(f"{self.machine.address}: not connected")
        if self._first:
            first, self._first = self._first, []
            return first
        with translated(self.machine.address, Lost):
            if self._unknown and time.monotonic() >= self._next_retry:
                await self._retry_unknown(client)
            if self.machine.mode == "poll":
                return await self._poll(client)
            return await self._next_batch()

    async def _next_batch(self) -> list[Sample]:
        try:
            result = await asyncio.wait_for(self._batches.get(), self._silence_s)
        except TimeoutError as error:
            raise Lost(
                f"{self.machine.address}: the subscription is silent: neither a change nor a sign of life "
                f"for {self._silence_s:g} s"
            ) from error
        samples = self._samples(result)
        while len(samples) < 10_000 and not self._batches.empty():
            samples += self._samples(self._batches.get_nowait())
        return samples

    def _samples(self, result: ua.PublishResult) -> list[Sample]:
        samples: list[Sample] = []
        for part in result.NotificationMessage.NotificationData or ():
            if isinstance(part, ua.DataChangeNotification):
                for change in part.MonitoredItems:
                    item = self._items.get(change.ClientHandle)
                    if item is not None:
                        samples.append(self._sample(item, change.Value))
            elif isinstance(part, ua.StatusChangeNotification):
                code = part.Status.value if isinstance(part.Status, ua.StatusCode) else int(part.Status)
                raise Lost(f"{self.machine.address}: the subscription has ended: {explain(ua.UaStatusCodeError(code))}")
        return samples

    def _sample(self, item: Item, data: ua.DataValue) -> Sample:
        if overflowed(data):
            self.counters.overflows += 1
            self.counters.note(
                "overflow",
                f"{item.signal}: the server's queue overflowed and values are lost: raise `queue`, or give the signal "
                "a `period_s`",
            )
        return Sample(self.name, item.signal, *reading(data, item.index))

    async def _poll(self, client: Client) -> list[Sample]:
        now = time.monotonic()
        if self._next_poll > now:
            await asyncio.sleep(self._next_poll - now)
        self._next_poll = max(self._next_poll, now - self.machine.poll_s) + self.machine.poll_s
        items = list(self._items.values())
        samples: list[Sample] = []
        for start in range(0, len(items), READ_GROUP):
            group = items[start : start + READ_GROUP]
            values = await self._read_nodes(client, [item.node for item in group])
            samples += [self._sample(item, value) for item, value in zip(group, values, strict=True)]
        return samples

    async def _retry_unknown(self, client: Client) -> None:
        """Ask again for nodes that were missing: a program that is loaded later may bring them."""
        self._next_retry = time.monotonic() + _RETRY_UNKNOWN_S
        again, self._unknown = self._unknown, []
        after = max(self._items, default=0) + len(self.machine.signals)
        self._items |= dict(enumerate(again, start=after))
        await self._check_nodes(client)

    async def write(self, command: Command) -> Reply:
        """Set the node of a signal in the node's own type and read it back."""
        client, entry = self._client, self.machine.signals.get(command.signal)
        if entry is None or not entry.writable:
            return Reply(command.id, "refused", f"{command.signal} is not a writable signal of {self.name}")
        if client is None:
            return Reply(command.id, "failed", f"{self.name} is not connected")
        items, missing = resolve({command.signal: entry}, await client.get_namespace_array())
        if missing or entry.index is not None:
            return Reply(command.id, "refused", missing.get(command.signal, "an element of an array cannot be written"))
        node = client.get_node(items[0].node)
        try:
            kind = (await node.read_data_value()).Value.VariantType
            # without time stamps: many controllers refuse to have them set
            await node.write_value(ua.DataValue(variant(command.value, kind)))
            back: Any = scalar(await node.read_value())
        except UA_ERRORS as error:
            return Reply(command.id, "failed", explain(error))
        if back != command.value and not _close(back, command.value):
            return Reply(command.id, "failed", f"the machine took {command.value!r} but shows {back!r}", back)
        return Reply(command.id, "done", value=back)

    async def history(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Sample]]:
        """Yield what the server recorded from `start_ns` to before `end_ns`; raise NoHistory or Lost."""
        client = self._client
        if client is None:
            raise Lost(f"{self.machine.address}: not connected")
        with translated(self.machine.address, Lost):
            async for item, values in history.raw(client, list(self._items.values()), start_ns, end_ns):
                samples = [self._sample(item, value) for value in values]
                yield [sample for sample in samples if start_ns <= sample.time_ns < end_ns]

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Yield the variables under `path` (browse names from Objects, with globs), at most `browse_limit`."""
        if self._client is None:
            self._client = await open_session(self.machine, self._context)
        with translated(self.machine.address, Lost):
            async for tag in browse(self._client, path, self.machine.browse_limit):
                yield tag

    async def close(self) -> None:
        """End the session, with all that belongs to it on the server; never raises."""
        client, self._client = self._client, None
        self._items, self._unknown = {}, []
        if client is None:
            return
        try:
            await asyncio.wait_for(client.disconnect(), self.machine.timeout_s)
        except UA_ERRORS:
            client.disconnect_socket()


def _close(a: Any, b: Any) -> bool:
    """Whether two numbers are the same as far as a 32-bit float can tell."""
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return numbers and abs(a - b) <= 1e-6 * max(abs(a), abs(b))
