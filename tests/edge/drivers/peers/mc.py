"""virtual_plc, a CPU of MELSEC that others have written, whose D10 and D11 are the speed as a 32-bit float."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.edge.drivers.conformance import Peer

_ROUTE = bytes.fromhex("5000 00 ff ff03 00")  # 3E, to the CPU itself
_D10_AND_D11 = bytes.fromhex("0a0000 a8 0200")


class McPeer(Peer):
    is_sampled = True
    is_writable = True
    has_times = False

    def __init__(self, port: int) -> None:
        self.port = port

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"mc://127.0.0.1:{port}",
            "poll_s": 0.02,
            "timeout_s": 2,
            "signals": {"speed": {"device": "D10", "type": "float32"}},
        }

    def unknown(self) -> dict[str, Any]:
        return {"device": "D5000"}

    async def say(self, value: float, time_ns: int) -> None:
        await self.ask(bytes.fromhex("0114 0000") + _D10_AND_D11 + struct.pack("<f", value))

    async def shown(self) -> float:
        answer = await self.ask(bytes.fromhex("0104 0000") + _D10_AND_D11)
        return float(struct.unpack("<f", answer)[0])

    async def ask(self, command: bytes) -> bytes:
        """Return what the CPU answers to a command that it takes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(_ROUTE + struct.pack("<HH", 2 + len(command), 4) + command)
            head = await reader.readexactly(9)
            answer = await reader.readexactly(int.from_bytes(head[7:], "little"))
        finally:
            writer.close()
        assert answer[:2] == b"\0\0", answer.hex()
        return answer[2:]


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest | None = None, *options: str) -> AsyncIterator[McPeer]:
    command = ("-m", "virtual_plc", "--port", "0", "--limit", "D:0-999", "--limit", "M:0-99", *options)
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        told = await process.stderr.readline()  # listening on 127.0.0.1:45123 (Q, RUN) …
        yield McPeer(int(told.split()[2].rpartition(b":")[2]))
    finally:
        process.terminate()
        await process.wait()
