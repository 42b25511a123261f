"""An adapter that says what was recorded, as fast as it is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress


class RecordedAdapter:
    """Tells all of it to the first who connects; then it is quiet, and answers pings."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = iter(content)
        self.port = 0
        self.is_told = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listening = asyncio.create_task(self._listen(reader, writer))
        with suppress(OSError, asyncio.CancelledError):
            for chunk in self._content:
                writer.write(chunk)
                await writer.drain()
            self.is_told.set()
            await listening
        writer.close()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(b"* PONG 10000\n")


@asynccontextmanager
async def adapter(content: Iterable[bytes]) -> AsyncIterator[RecordedAdapter]:
    machine = RecordedAdapter(content)
    server = await asyncio.start_server(machine.answer, "127.0.0.1", 0)
    machine.port = server.sockets[0].getsockname()[1]
    yield machine
    server.close()
