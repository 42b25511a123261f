"""A machine on OPC UA."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua

from tests.edge.conftest import URI, MachineServer, machine_server, unused_port
from tests.edge.drivers.conditions import OFF, condition, trigger
from tests.edge.drivers.conformance import Peer


class OpcuaPeer(Peer):
    is_writable = tells_events = True

    def __init__(self, server: MachineServer) -> None:
        self.server, self.port = server, server.port

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"opc.tcp://127.0.0.1:{port}",
            "security": "none",
            "publish_s": 0.02,
            "keep_alive_s": 0.2,
            "queue": 1000,
            "timeout_s": 2,
            "signals": {"speed": {"node": f"nsu={URI};s=Machine/Speed"}},
            "events": True,
        }

    def unknown(self) -> dict[str, Any]:
        return {"node": f"nsu={URI};s=Machine/Gone"}

    async def say(self, value: float, time_ns: int) -> None:
        time = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_ns // 1000)
        await self.server.write("Speed", value, time=time)

    async def alarm(self, *, is_on: bool) -> None:
        facts = {} if is_on else {"EventId": (b"off", ua.VariantType.ByteString), "ActiveState_Id": OFF}
        await trigger(self.server.server, ua.ObjectIds.AlarmConditionType, **condition("door", **facts))

    async def shown(self) -> Any:
        return await self.server.nodes["Speed"].read_value()


@asynccontextmanager
async def peer(_request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    async with machine_server(unused_port()) as server:
        await server.server.nodes.server.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        yield OpcuaPeer(server)
