"""MTConnect: an agent for all machines that it shows, over HTTP, read-only as the standard wants it.

`/probe`, `/current`, `/sample`, `/assets` and `/asset/<id>`, each also below `/<device>`; `interval` streams.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from simulators.catalogs.mtconnect import DataItem, items_of
from simulators.face import Face, Setting, Shown, described
from simulators.faces._mtconnect.agent import Agent, Refusal, Stream
from simulators.faces._mtconnect.buffer import SIZE, Buffer, OutOfRange
from simulators.faces._mtconnect.document import Writer, device_of
from simulators.faces._mtconnect.observer import Observer, nothing, scaled
from simulators.faces._mtconnect.tools import ToolTable
from simulators.machine import Signal

MOST_CLIENTS: Final = 64
BOUNDARY: Final = "shopfloor-agent"
_MOST_HEAD: Final = 16 * 1024
_TIMEOUT_S: Final = 10.0
_XML: Final = "application/xml;charset=utf-8"


class MtConnect(Face):
    """An MTConnect 2.0 agent with the last 131,072 observations (`buffer_size`)."""

    def __init__(self, setting: Setting, buffer_size: int = SIZE) -> None:
        super().__init__(setting)
        self.port = setting.mtconnect_port
        self.refused = 0
        """Clients that were sent away because there were too many."""
        self.agent: Agent | None = None
        self._buffer_size = buffer_size
        self._tables: list[ToolTable] = []
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Listen; port 0 takes a free one. Raises OSError when the port is taken."""
        now_ns = time.time_ns()
        buffer = Buffer(self._buffer_size)
        devices = [device_of(Observer(shown)) for shown in self.shown]
        writer = Writer(now_ns // 1_000_000_000, socket.gethostname(), now_ns, buffer)
        self.agent = Agent(devices, buffer, writer, OrderedDict())
        self._tables = [ToolTable(device.observer.shown.machine, device.uuid, self.agent.tools) for device in devices]
        for device in devices:
            for item in device.observer.items.values():
                buffer.add(now_ns, item, nothing(item))
        self._server = await asyncio.start_server(self._accept, self.setting.listen, self.port, limit=_MOST_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]

    async def emit(self, time_ns: int) -> None:
        """Put what changed into the buffer, and tell those who stream."""
        if self.agent is None:
            return
        buffer = self.agent.buffer
        for device, table in zip(self.agent.devices, self._tables, strict=True):
            for stamp_ns, changes in device.observer.observe(time_ns):
                for name, value in changes.items():
                    buffer.add(stamp_ns, device.observer.items[name], value)
            for name, asset in table.update(time_ns):
                buffer.add(time_ns, device.observer.items[name], asset)
        self._news.set()
        self._news = asyncio.Event()

    async def stop(self) -> None:
        """Stop listening and end every stream; safe twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await server.wait_closed()

    def entry(self, shown: Shown) -> dict[str, Any]:
        """Return the entry for the driver `mtconnect`."""
        machine = shown.machine
        items = items_of(machine)
        return {
            "kind": machine.kind,
            "names": dict(machine.names),
            "driver": "mtconnect",
            "address": f"http://{self.setting.host}:{self.port}",
            "device": machine.id,
            "signals": {signal.name: _described(signal, items[signal.name]) for signal in machine.signals},
            "events": True,
        }

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self.agent is None or len(self._clients) >= 2 * MOST_CLIENTS:
            self.refused += 1  # those beyond the first half are told why, if they ask anything
            writer.transport.abort()
            return
        self._clients.add(task)
        try:
            await self._serve(self.agent, reader, writer)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # the client has gone, or talks or reads too slowly: nobody to tell
        except asyncio.CancelledError:  # by stop(); raised on, asyncio's streams would log it as an error
            writer.transport.abort()
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, agent: Agent, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            self._admit()
            path, query = _request(head.decode("latin-1").partition("\r\n")[0])
            answer = agent.answer(path, query, time.time_ns())
        except Refusal as refusal:
            body = agent.writer.error(refusal.code, str(refusal), time.time_ns())
            await _send(writer, _head(refusal.status, _XML, len(body)) + body)
            return
        if isinstance(answer, bytes):
            await _send(writer, _head(HTTPStatus.OK, _XML, len(answer)) + answer)
            return
        await _send(writer, _head(HTTPStatus.OK, f"multipart/x-mixed-replace;boundary={BOUNDARY}", None))
        async with aclosing(self._parts(agent, answer)) as parts:
            async for body in parts:
                part = f"--{BOUNDARY}\r\nContent-type: text/xml\r\nContent-length: {len(body)}\r\n\r\n"
                await _send(writer, part.encode() + body + b"\r\n")
        await _send(writer, f"--{BOUNDARY}--\r\n".encode())

    def _admit(self) -> None:
        if len(self._clients) > MOST_CLIENTS:
            self.refused += 1
            raise Refusal("TOO_MANY", HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_CLIENTS} clients are served at once")

    async def _parts(self, agent: Agent, stream: Stream) -> AsyncGenerator[bytes, None]:
        """Yield documents for ever; the last one is an error when the client has fallen out of the buffer."""
        if stream.start is None:
            while True:
                yield agent.current(stream.devices, stream.wanted, time.time_ns())
                await asyncio.sleep(stream.interval_s)
        start, told = stream.start, time.monotonic()
        while True:
            news = self._news
            try:
                body, found, following = agent.sample(
                    stream.devices, stream.wanted, time.time_ns(), start, count=stream.count
                )
            except OutOfRange as error:
                yield agent.writer.error("OUT_OF_RANGE", str(error), time.time_ns())
                return
            start = following
            if found or time.monotonic() - told >= stream.heartbeat_s:
                told = time.monotonic()
                yield body
            if found < stream.count:  # all told: wait for more, but not beyond the heartbeat
                await asyncio.sleep(min(stream.interval_s, stream.heartbeat_s))
                left = stream.heartbeat_s - (time.monotonic() - told)
                await _wait(news, left)


def _described(signal: Signal, item: DataItem) -> dict[str, Any]:
    """Return a signal's entry of the plant file as the agent tells it: in the standard's units and words, read-only."""
    is_text = item.category == "CONDITION" or item.words is not None
    told = replace(
        signal,
        unit=signal.unit if item.factor == 1.0 else item.units,
        low=None if signal.low is None else _standard(signal.low, item),
        high=None if signal.high is None else _standard(signal.high, item),
        deadband=0.0 if is_text else _standard(signal.deadband, item),
        datatype="string" if is_text else "double" if item.category == "SAMPLE" else signal.datatype,
        writable=False,
    )
    return described(told, {"data_item": item.id})


def _standard(native: float, item: DataItem) -> float:
    return float(scaled(item, native)) if item.category == "SAMPLE" else native


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await news.wait()
    except TimeoutError:
        return


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    async with asyncio.timeout(_TIMEOUT_S):
        writer.write(data)
        await writer.drain()


def _head(status: HTTPStatus, content: str, length: int | None) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _request(line: str) -> tuple[list[str], Mapping[str, str]]:
    """Return path and query of a request line; raise Refusal."""
    method, _, rest = line.partition(" ")
    if method != "GET":
        raise Refusal("UNSUPPORTED", HTTPStatus.METHOD_NOT_ALLOWED, f"{method} changes nothing here: use GET")
    try:
        parts = urlsplit(rest.rpartition(" ")[0])
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=16)
    except ValueError as error:
        raise Refusal("INVALID_URI", HTTPStatus.BAD_REQUEST, f"no address: {error}") from error
    query = dict(pairs)
    if len(query) < len(pairs):
        raise Refusal("INVALID_REQUEST", HTTPStatus.BAD_REQUEST, "a parameter is there twice")
    return [unquote(part) for part in parts.path.split("/") if part], query


FACE = MtConnect
