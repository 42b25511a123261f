"""pymodbus's server, with one device whose speed is a 32-bit float."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.edge.conftest import unused_port
from tests.edge.drivers.conformance import Peer


class ModbusPeer(Peer):
    is_sampled = True
    is_writable = True
    has_times = False

    def __init__(self) -> None:
        self.port = unused_port()
        self.holding = [0] * 100  # all that it has
        self.is_gateway = False  # whose device does not answer
        self.is_busy = False
        self.most_value = 0xFFFF  # larger ones are cut to that
        self.asked: list[tuple[int, int, int]] = []  # function, address and count of each request

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"modbus://127.0.0.1:{port}",
            "poll_s": 0.02,
            "timeout_s": 2,
            "signals": {"speed": {"register": "holding/10", "type": "float32"}},
        }

    def unknown(self) -> dict[str, Any]:
        return {"register": "holding/500"}

    async def say(self, value: float, time_ns: int) -> None:
        self.holding[10:12] = struct.unpack(">2H", struct.pack(">f", value))

    async def shown(self) -> float:
        return float(struct.unpack(">f", struct.pack(">2H", *self.holding[10:12]))[0])

    async def answer(
        self, function: int, _start: int, address: int, count: int, current: list[int], wanted: list[int] | None
    ) -> ExcCodes | None:
        self.asked.append((function, address, count))
        if self.is_gateway:
            return ExcCodes.GATEWAY_NO_RESPONSE
        if self.is_busy:
            return ExcCodes.DEVICE_BUSY
        if address + count > len(self.holding):
            return ExcCodes.ILLEGAL_ADDRESS
        if wanted is not None:
            self.holding[address : address + count] = [min(word, self.most_value) for word in wanted]
        current[: len(self.holding)] = self.holding
        return None


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest | None = None) -> AsyncIterator[ModbusPeer]:
    machine = ModbusPeer()
    bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    words = [SimData(0, values=[0] * 1000, datatype=DataType.REGISTERS)]
    few = [SimData(0, values=[0], datatype=DataType.REGISTERS)]
    device = SimDevice(1, (bits, bits, words, few), action=machine.answer)
    server = ModbusTcpServer([device], address=("127.0.0.1", machine.port))
    await server.serve_forever(background=True)
    yield machine
    await server.shutdown()  # type: ignore[no-untyped-call]
