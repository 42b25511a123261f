"""A machine that publishes to a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from contract.broker import Broker
from contract.mqtt import Session
from tests.edge.conftest import until
from tests.edge.drivers.conformance import Peer

TOPIC = "factory/machine/telemetry"


class MqttPeer(Peer):
    tells_events = True

    def __init__(self, broker: Any, session: Session) -> None:
        self.broker, self.port, self.session = broker, broker.port, session

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"mqtt://127.0.0.1:{port}",
            "user": self.broker.user,
            "password_file": str(self.broker.password_file),
            "topic": TOPIC,
            "time": {"path": "time"},
            "timeout_s": 2,
            "keep_alive_s": 1,
            "browse_s": 2,
            "signals": {"speed": {"path": "speed"}},
            "events": {"door": {"topic": "factory/machine/alarms", "state": "on"}},
        }

    def unknown(self) -> dict[str, Any]:
        return {"path": "gone"}

    async def say(self, value: float, time_ns: int) -> None:
        body = orjson.dumps({"speed": value, "time": time_ns // 1_000_000})
        await until(lambda: self.session.publish(TOPIC, body, qos=1))

    async def alarm(self, *, is_on: bool) -> None:
        body = orjson.dumps({"on": is_on})
        await until(lambda: self.session.publish("factory/machine/alarms", body, qos=1))


@asynccontextmanager
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    broker = request.getfixturevalue("mosquitto_broker")
    account = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
    session = Session(account, "machine")
    session.start()
    await until(lambda: session.is_connected)
    try:
        yield MqttPeer(broker, session)
    finally:
        session.stop()
