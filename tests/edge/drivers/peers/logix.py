"""cpppo, a controller that others have written (GPL: a process of its own), with the speed as a REAL."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pylogix import PLC

from tests.edge.conftest import unused_port
from tests.edge.drivers.conformance import Peer

TAGS = ("Speed=REAL", "Line=DINT[10]", "Word=DINT", "Flag=BOOL", "Small=SINT", "Axis.Position=LREAL")


class LogixPeer(Peer):
    is_sampled = True
    is_writable = True
    has_times = False
    lists = False  # it knows no such service

    def __init__(self, port: int) -> None:
        self.port = port
        self._plc = PLC("127.0.0.1", port=port)
        self._lock = threading.Lock()

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"logix://127.0.0.1:{port}",
            "poll_s": 0.02,
            "timeout_s": 2,
            "signals": {"speed": {"tag": "Speed"}},
        }

    def unknown(self) -> dict[str, Any]:
        return {"tag": "Sped"}

    async def say(self, value: float, time_ns: int) -> None:
        await asyncio.to_thread(self.ask, "Speed", value)

    async def shown(self) -> float:
        return float(await asyncio.to_thread(self.ask, "Speed"))

    def ask(self, tag: str, value: float | None = None) -> Any:
        with self._lock:
            answer = self._plc.Read(tag) if value is None else self._plc.Write(tag, value)
        assert answer.Status == "Success", answer
        return answer.Value

    def close(self) -> None:
        with self._lock:
            self._plc.Close()
            self._plc.conn.msg_socket.close()


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest | None = None) -> AsyncIterator[LogixPeer]:
    address = f"127.0.0.1:{unused_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cpppo.server.enip", "--no-udp", "--address-output", "--address", address, *TAGS),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        told = await process.stdout.readline()  # Network TCP Server address = ('127.0.0.1', 45123)
        machine = LogixPeer(int(told.split()[-1].rstrip(b")")))
        yield machine
        machine.close()
    finally:
        process.terminate()
        await process.wait()
