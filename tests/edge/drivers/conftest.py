"""Machines on MQTT: entries of a plant file, their drivers, and who publishes for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from contract.broker import Broker
from contract.model import Sample
from contract.mqtt import Session
from edge.driver import Counters
from edge.drivers.mqtt import Driver, Entry
from edge.drivers.mqtt.mapping import Mapping
from edge.entry import Context


def machine(**options: Any) -> Entry:
    settings = {
        "address": "mqtt://127.0.0.1:1883",
        "topic": "factory/{asset}/telemetry",
        "signals": {"temperature": {"path": "joints[0].temperature"}, "mode": {"path": "mode"}},
    }
    return Entry.model_validate(settings | options)


def mapped(
    payload: bytes, topic: str = "factory/robot-01/telemetry", /, **options: Any
) -> tuple[list[Sample], Counters]:
    counters = Counters()
    return Mapping("robots", machine(**options), counters).items(topic, payload, 7), counters


@pytest.fixture(name="machine")
def _machine() -> Callable[..., Entry]:
    """`machine(topic=…)`: a machine on MQTT with these options."""
    return machine


@pytest.fixture(name="mapped")
def _mapped() -> Callable[..., Any]:
    """`mapped(payload, topic, **options)`: samples of a message, and what was counted."""
    return mapped


@pytest.fixture
async def connect(context: Context) -> AsyncIterator[Callable[..., Any]]:
    """`await connect(broker, **options)`: a driver that is connected until the end of the test."""
    drivers: list[Driver] = []

    async def start(broker: Any, **options: Any) -> Driver:
        (context.folder / "password").write_bytes(broker.password_file.read_bytes())
        account = {"address": broker.url, "user": broker.user, "password_file": "password"}
        driver = Driver("robots", machine(**(account | options)), context)
        drivers.append(driver)
        await driver.connect()
        return driver

    yield start
    for driver in drivers:
        await driver.close()


@pytest.fixture
async def publisher(until: Any) -> AsyncIterator[Callable[..., Any]]:
    """`await publisher(broker)`: a session to publish with."""
    sessions: list[Session] = []

    async def start(broker: Any) -> Session:
        account = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
        sessions.append(Session(account, "machine"))
        sessions[-1].start()
        await until(lambda: sessions[-1].is_connected)
        return sessions[-1]

    yield start
    for session in sessions:
        session.stop()
