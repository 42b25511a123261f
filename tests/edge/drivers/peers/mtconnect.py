"""A milling center behind an MTConnect agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from simulators.faces._mtconnect.observer import NORMAL, Condition
from tests.edge.conftest import MachineAgent, machine_agent
from tests.edge.drivers.conformance import Peer


class MtconnectPeer(Peer):
    tells_events = True

    def __init__(self, machine: MachineAgent) -> None:
        self.machine, self.port = machine, machine.face.port

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"http://127.0.0.1:{port}",
            "interval_s": 0.01,
            "heartbeat_s": 0.5,
            "timeout_s": 2,
            "signals": {"speed": {"data_item": "cnc-01_spindle_speed"}},
            "events": True,
        }

    def unknown(self) -> dict[str, Any]:
        return {"data_item": "gone"}

    async def say(self, value: float, time_ns: int) -> None:
        await self.machine.say("spindle_speed", value, time_ns=time_ns)

    async def alarm(self, *, is_on: bool) -> None:
        await self.machine.say("alarm", Condition("Fault", "17") if is_on else NORMAL)


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    async with machine_agent() as machine:
        yield MtconnectPeer(machine)
