"""Lines that can be broken: TCP links that stall or cut inside a frame, and a store that answers wrongly or not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Literal

HOST: Final = "127.0.0.1"
_CHUNK: Final = 16384
_NETWORK: Final = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)

StoreMode = Literal["pass", "down", "error", "after_commit"]


class Line:
    """Listens on `port` of 127.0.0.1 while it is entered; a connection ends when the line does."""

    def __init__(self, port: int, upstream: int) -> None:
        self.port = port
        self.upstream = upstream
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def stop(self) -> None:
        """Cut every connection and stop listening."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(*_NETWORK):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class Link(Line):
    """A TCP link: `stall` holds every byte back, `cut` ends connections in the middle of what they carry."""

    def __init__(self, port: int, upstream: int) -> None:
        super().__init__(port, upstream)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._is_cut = False

    def stall(self) -> None:
        """Let nothing through from now on; connections stay."""
        self._flowing.clear()

    def cut(self) -> None:
        """End each connection with half of its next bytes, and refuse new ones."""
        self._is_cut = True

    def heal(self) -> None:
        """Let everything through again."""
        self._is_cut = False
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            return
        up_reader, up_writer = await asyncio.open_connection(HOST, self.upstream)
        pumps = [asyncio.create_task(self._pump(reader, up_writer)), asyncio.create_task(self._pump(up_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up_writer.transport.abort()  # first: stop() may cancel what follows
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._flowing.wait()
            if self._is_cut:
                writer.write(chunk[: len(chunk) // 2])
                await writer.drain()
                writer.close()  # what was written goes out, unlike after abort()
                return
            writer.write(chunk)
            await writer.drain()


class StoreLine(Line):
    """HTTP between gateway and store. `status` is what mode `error` answers without asking the store."""

    def __init__(self, port: int, upstream: int) -> None:
        super().__init__(port, upstream)
        self.mode: StoreMode = "pass"
        self.status = 500
        self.hidden = 0
        """Writes that the store has committed and the gateway was not told of."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await _message(reader)
            if self.mode == "down":
                return
            if self.mode == "error":
                writer.write(f"HTTP/1.1 {self.status} Chaos\r\nContent-Length: 0\r\n\r\n".encode())
            else:
                answer = await self._ask(request)
                if self.mode == "after_commit":
                    self.hidden += answer.startswith(b"HTTP/1.1 204")
                    await reader.read(1)  # the gateway runs into its time-out and hangs up
                    return
                writer.write(answer)
            await writer.drain()

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self.upstream)
        try:
            writer.write(request)
            await writer.drain()
            return await _message(reader)
        finally:
            writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Read one HTTP message with a Content-Length, or without a body."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return head + await reader.readexactly(int(value))
    return head
