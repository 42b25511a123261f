"""A machine that shows its values as JSON on a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest

from tests.edge.drivers.conformance import Peer


class HttpPeer(Peer):
    is_sampled = True

    def __init__(self) -> None:
        self.page: dict[str, Any] = {"spindle": {"speed": 0.0}, "time": 0}
        self.status = "200 OK"

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"http://127.0.0.1:{port}/values",
            "poll_s": 0.02,
            "timeout_s": 2,
            "time": {"path": "time"},
            "signals": {"speed": {"path": "spindle.speed"}},
        }

    def unknown(self) -> dict[str, Any]:
        return {"path": "gone"}

    async def say(self, value: float, time_ns: int) -> None:
        self.page = {"spindle": {"speed": value}, "time": time_ns // 1_000_000}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                body = orjson.dumps(self.page)
                writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    machine = HttpPeer()
    server = await asyncio.start_server(machine.answer, "127.0.0.1", 0)
    machine.port = server.sockets[0].getsockname()[1]
    yield machine
    server.close()
