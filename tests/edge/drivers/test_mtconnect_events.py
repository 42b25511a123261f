"""Conditions of MTConnect agents as events, of a real agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from contract.event import Event
from edge.driver import Refreshed
from edge.drivers.mtconnect import Driver, Entry
from edge.entry import Context
from simulators.faces._mtconnect.observer import NORMAL, UNKNOWN, Condition
from tests.edge.drivers.test_mtconnect import http, item, model, observations, seen
from tests.edge.drivers.test_mtconnect import scripted as scripted_servers

scripted = scripted_servers

SERVO, DOOR, WARM = (
    Condition("Fault", "5012", text="SERVO ALARM"),
    Condition("Fault", "4711", text="DOOR OPEN"),
    Condition("Warning", "17", text="warm"),
)


@pytest.fixture
async def listen(context: Context) -> AsyncIterator[Callable[..., Any]]:
    """`await listen(agent, events=…)`: a driver whose machine has conditions as events."""
    drivers: list[Driver] = []

    async def start(agent: Any, events: Any = True, **options: Any) -> Driver:
        settings = {"address": agent.url, "interval_s": 0.01, "heartbeat_s": 1, "find_signals": False, "events": events}
        drivers.append(Driver("cnc-01", Entry.model_validate(settings | options), context))
        await drivers[-1].connect()
        return drivers[-1]

    yield start
    for driver in drivers:
        await driver.close()


async def told(driver: Driver, count: int = 1) -> list[Any]:
    """Read until there are so many events, or refreshes."""
    found: list[Any] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += [item for item in await driver.read() if isinstance(item, Event | Refreshed)]
    return found


def words(items: Sequence[Any], item: str) -> list[str]:
    """What events say: `active 5012`, `cleared`."""
    return [f"{event.state} {event.condition.removeprefix(item).strip('/')}".strip() for event in items]


async def test_several_warnings_and_faults_of_one_item_begin_and_end_each(observe: Any, listen: Any) -> None:
    agent = await observe()
    driver = await listen(agent)
    await agent.say("alarm", WARM, SERVO, Condition("Normal", "17"), DOOR, NORMAL)
    events = [item for item in await told(driver, 7) if isinstance(item, Event)]
    item = agent.agent.devices[0].observer.items["alarm"].id
    assert words(events, item) == [
        "active 17", "active 5012", "cleared 17", "active 4711", "cleared 5012", "cleared 4711",
    ]  # fmt: skip
    warm, servo, *_ = events
    assert (warm.severity, servo.severity) == (400, 700)
    assert (servo.asset, servo.name, servo.texts) == ("cnc-01", "alarm 5012", {"": "SERVO ALARM"})
    assert (servo.values["level"], servo.values["native_code"]) == ("Fault", "5012")
    assert len({event.id for event in events}) == 6


async def test_what_is_active_at_a_connection_is_known_by_the_id_it_had(observe: Any, listen: Any) -> None:
    agent = await observe()
    driver = await listen(agent)
    await agent.say("alarm", SERVO)
    await agent.say("coolant_level_cond", WARM)
    servo, warm = [item for item in await told(driver, 3) if isinstance(item, Event)]
    await driver.close()
    [gone_ns] = await agent.say("coolant_level_cond", NORMAL)
    await driver.connect()
    again, gone, refreshed = await told(driver, 3)
    assert (again.id, again.state) == (servo.id, "active")
    assert (gone.condition, gone.state, gone.time_ns) == (warm.condition, "cleared", gone_ns)
    assert refreshed == Refreshed("cnc-01", frozenset({servo.condition}), refreshed.time_ns)


async def test_a_restarted_edge_learns_all_that_is_active_on_one_item(scripted: Any, listen: Any) -> None:
    current = observations(
        seen("c", "hot", 6, "Fault", nativeCode="B2", type="SYSTEM"),
        seen("c", "warm", 5, "Warning", nativeCode="A1", conditionId="w", type="SYSTEM"),
    )
    agent = await scripted({"/probe": http(model(item("c", "CONDITION", "SYSTEM"))), "/vmc/current": http(current)})
    driver = await listen(agent)
    warm, hot, refreshed = await driver.read()
    assert [(event.name, event.condition, event.severity) for event in (warm, hot)] == [
        ("SYSTEM A1", "c/w", 400), ("SYSTEM B2", "c/B2", 700),
    ]  # fmt: skip
    assert refreshed.conditions == {"c/w", "c/B2"}


async def test_what_is_unavailable_is_not_cleared_until_its_item_speaks_again(observe: Any, listen: Any) -> None:
    agent = await observe()
    driver = await listen(agent)
    await agent.say("alarm", NORMAL)
    await told(driver)
    await agent.say("alarm", SERVO, DOOR, UNKNOWN)
    await told(driver, 2)
    await agent.say("alarm", SERVO)
    again, gone = await told(driver, 2)
    item = agent.agent.devices[0].observer.items["alarm"].id
    assert words([again, gone], item) == ["active 5012", "cleared 4711"]
    assert gone.time_replaced


async def test_a_device_that_says_nothing_does_not_say_that_nothing_is_active(observe: Any, listen: Any) -> None:
    agent = await observe()
    driver = await listen(agent)
    assert await driver.read() == []  # all its conditions are unavailable
    await agent.say("alarm", NORMAL)
    assert await told(driver) == [Refreshed("cnc-01", frozenset(), pytest.approx(agent.now_ns, abs=1e18))]


async def test_an_entry_may_choose_its_conditions(observe: Any, listen: Any) -> None:
    agent = await observe()
    driver = await listen(agent, {"data_items": ["coolant_level_low", "allarm"]})
    assert "did you mean 'alarm'?" in driver.counters.notes["data item of allarm"]
    await agent.say("alarm", SERVO)
    driver = await listen(agent, None, signals={"alarm": {}})
    assert not [item for item in await driver.read() if isinstance(item, Event | Refreshed)]
