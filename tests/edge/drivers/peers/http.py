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
    has_session = False

    def __init__(self) -> None:
        self.status, self.body = "200 OK", b"{}"
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = self.waiting = 0  # requests, and those of them that are not answered

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"http://127.0.0.1:{port}/status",
            "poll_s": 0.02,
            "timeout_s": 2,
            "time": {"path": "time"},
            "signals": {"speed": {"path": "spindle.speed"}},
        }

    def unknown(self) -> dict[str, Any]:
        return {"path": "gone"}

    async def say(self, value: float, time_ns: int) -> None:
        self.body = orjson.dumps({"spindle": {"speed": value}, "time": time_ns // 1_000_000})

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked, self.waiting = self.asked + 1, self.waiting + 1
                await self.may_answer.wait()
                self.waiting -= 1
                writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\n\r\n".encode() + self.body)
        writer.close()


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest | None = None) -> AsyncIterator[HttpPeer]:
    machine = HttpPeer()
    server = await asyncio.start_server(machine.answer, "127.0.0.1", 0)
    machine.port = server.sockets[0].getsockname()[1]
    await machine.say(0.0, 0)
    yield machine
    server.close()
