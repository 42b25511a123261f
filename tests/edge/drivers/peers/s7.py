"""snap7's server, whose data block 1 has the speed as a REAL."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from snap7.server import Server
from snap7.type import SrvArea

from tests.edge.conftest import unused_port
from tests.edge.drivers.conformance import Peer


class S7Peer(Peer):
    is_sampled = True
    is_writable = True
    has_times = False

    def __init__(self) -> None:
        self.port = unused_port()
        self.block = bytearray(64)
        self.server = Server(log=False)
        self.server.register_area(SrvArea.DB, 1, self.block)

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"s7://127.0.0.1:{port}",
            "poll_s": 0.02,
            "timeout_s": 2,
            "signals": {"speed": {"address": "DB1.DBD4:REAL"}},
        }

    def unknown(self) -> dict[str, Any]:
        return {"address": "DB9.DBD0:REAL"}

    async def say(self, value: float, time_ns: int) -> None:
        self.block[4:8] = struct.pack(">f", value)

    async def shown(self) -> float:
        return float(struct.unpack(">f", self.block[4:8])[0])


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest | None = None) -> AsyncIterator[S7Peer]:
    machine = S7Peer()
    machine.server.start_to("127.0.0.1", machine.port)
    yield machine
    machine.server.stop()
