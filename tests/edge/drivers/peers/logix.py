"""cpppo, a controller that others have written (GPL: a process of its own), with the speed as a REAL."""

from __future__ import annotations

import asyncio
import atexit
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
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

    def ask(self, tag: str, value: float | list[int] | None = None) -> Any:
        with self._lock:
            answer = self._plc.Read(tag) if value is None else self._plc.Write(tag, value)
        assert answer.Status == "Success", answer
        return answer.Value

    def close(self) -> None:
        with self._lock:
            self._plc.Close()
            self._plc.conn.msg_socket.close()


@cache
def _port() -> int:
    """Start the controller, which takes two seconds, and return its port; it ends with the process of the tests."""
    address = f"127.0.0.1:{unused_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "cpppo.server.enip", "--no-udp", "--address-output", "--address", address, *TAGS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(process.wait)
    atexit.register(process.kill)
    assert process.stdout is not None
    told = process.stdout.readline()  # Network TCP Server address = ('127.0.0.1', 45123)
    return int(told.split()[-1].rstrip(b")"))


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest | None = None) -> AsyncIterator[LogixPeer]:
    machine = LogixPeer(await asyncio.to_thread(_port))
    for tag in TAGS:
        name, _, kind = tag.partition("=")
        await asyncio.to_thread(machine.ask, *(("Line[0]", [0] * 10) if "[" in kind else (name, 0)))
    yield machine
    machine.close()
