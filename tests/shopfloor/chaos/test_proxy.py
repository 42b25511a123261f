"""Lines that break: held back, cut inside a frame, and a store that commits and says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shopfloor.chaos.proxy import HOST, Link, StoreLine

REQUEST = b"POST /api/v2/write HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Upstream:
    """Echoes what it hears, or answers each request with 204."""

    def __init__(self) -> None:
        self.heard = b""
        self.http = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1000):
                self.heard += chunk
                writer.write(NO_CONTENT if self.http else chunk)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()


@pytest_asyncio.fixture
async def upstream(free_ports: int) -> AsyncIterator[Upstream]:
    answering = Upstream()
    server = await asyncio.start_server(answering.serve, HOST, free_ports)
    yield answering
    server.close()
    await server.wait_closed()


@pytest_asyncio.fixture
async def link(upstream: Upstream, free_ports: int) -> AsyncIterator[Link]:
    line = Link(free_ports + 1, free_ports)
    await line.start()
    yield line
    await line.stop()


@pytest_asyncio.fixture
async def store(upstream: Upstream, free_ports: int) -> AsyncIterator[StoreLine]:
    upstream.http = True
    line = StoreLine(free_ports + 1, free_ports)
    await line.start()
    yield line
    await line.stop()


async def test_a_stalled_link_delivers_late_and_all(link: Link) -> None:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(HOST, link.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        link.stall()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        link.heal()
        assert await reader.readexactly(3) == b"two"
        writer.close()


async def test_a_cut_link_ends_inside_what_it_carries(link: Link, upstream: Upstream) -> None:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(HOST, link.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        link.cut()
        writer.write(b"1234")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(4)
        assert upstream.heard in (b"one12", b"one")
        writer.close()


async def test_a_store_that_commits_and_says_nothing(store: StoreLine, upstream: Upstream) -> None:
    async with asyncio.timeout(10):
        store.mode = "after_commit"
        reader, writer = await asyncio.open_connection(HOST, store.port)
        writer.write(REQUEST)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        assert upstream.heard == REQUEST
        assert store.hidden == 1
        writer.close()


async def test_a_store_that_answers_an_error_is_not_asked(store: StoreLine, upstream: Upstream) -> None:
    async with asyncio.timeout(10):
        store.mode, store.status = "error", 429
        reader, writer = await asyncio.open_connection(HOST, store.port)
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"429"
        assert upstream.heard == b""
        store.mode = "pass"
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == NO_CONTENT
        writer.close()
