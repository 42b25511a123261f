"""What the broker keeps for the driver: messages while the edge is away, and retained ones."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest

from contract.broker import Broker
from contract.model import TIME_REPLACED, Quality, Sample
from contract.mqtt import Session
from edge.driver import Lost
from edge.drivers.mqtt import Driver
from edge.entry import Context
from shopfloor.chaos.proxy import Link
from tests.edge.conftest import until

TOPIC = "factory/robot-01/telemetry"
NUMBER = {"signals": {"n": {"path": "n"}}}


@pytest.fixture
def hasty(broker: Any) -> Any:
    """A broker that waits for an acknowledgement half a second, if it waits at all."""
    broker.stop()
    broker.ack_wait_s = 0.5
    broker.start()
    return broker


async def read(driver: Driver, *, until: Callable[[list[Sample]], bool]) -> list[Sample]:
    samples: list[Sample] = []
    async with asyncio.timeout(10):
        while not until(samples):
            samples += await driver.read()
    return samples


async def durable(driver: Driver) -> None:
    """Let the driver know that what it gave is durable."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            assert await driver.read() == []


async def publish(session: Session, *numbers: int, retain: bool = False, topic: str = TOPIC) -> None:
    """Publish numbers at QoS 1 and wait until the broker has them."""
    for number in numbers:
        assert session.publish(topic, orjson.dumps({"n": number}), qos=1, retain=retain)
    await until(lambda: not session.in_flight)


def numbers(samples: list[Sample]) -> list[Any]:
    return [sample.value for sample in samples]


async def test_e10_what_is_published_while_the_edge_is_away_is_kept(broker: Any, connect: Any, publisher: Any) -> None:
    machines = await publisher(broker)
    driver = await connect(broker, **NUMBER)
    await driver.close()
    await publish(machines, *range(50))
    again = await connect(broker, **NUMBER)
    assert numbers(await read(again, until=lambda s: len(s) >= 50)) == list(range(50))


async def test_e10_what_was_read_but_is_not_durable_comes_again(hasty: Any, connect: Any, publisher: Any) -> None:
    machines = await publisher(hasty)
    driver = await connect(hasty, **NUMBER)
    await publish(machines, 1)
    assert numbers(await driver.read()) == [1]
    reading = asyncio.create_task(driver.read())  # that it is called again says that 1 is durable
    await publish(machines, 2)
    assert numbers(await reading) == [2]
    await driver.close()  # without another read: as if killed
    again = await connect(hasty, **NUMBER)
    await publish(machines, 3)
    found = await read(again, until=lambda s: len(s) == 2)
    assert set(numbers(found)) == {2, 3}  # NATS waits before it delivers again


async def test_e10_a_clean_session_has_what_comes_while_it_is_there(
    broker: Any, connect: Any, publisher: Any, context: Context
) -> None:
    machines = await publisher(broker)
    driver = await connect(broker, **NUMBER)
    await driver.close()
    await publish(machines, 1)
    assert list((context.home / "edge" / "mqtt").glob("robots.json"))
    for number in (2, 3):  # the first one ends the persistent session at the broker
        clean = await connect(broker, session="clean", **NUMBER)
        await publish(machines, number)
        assert numbers(await read(clean, until=bool)) == [number]
        await clean.close()
        assert not list((context.home / "edge" / "mqtt").glob("robots.json"))
    again = await connect(broker, **NUMBER)
    await publish(machines, 4)
    assert numbers(await read(again, until=bool)) == [4]


async def test_e10_a_topic_that_is_no_longer_listened_to_is_forgotten(
    broker: Any, connect: Any, publisher: Any
) -> None:
    machines = await publisher(broker)
    await (await connect(broker, **NUMBER)).close()
    other = await connect(broker, topic="elsewhere/{asset}", **NUMBER)
    await other.close()
    await publish(machines, *range(5))
    await publish(machines, 7, topic="elsewhere/robot-01")
    again = await connect(broker, topic="elsewhere/{asset}", **NUMBER)
    await until(lambda: bool(again._queue))
    assert [message.delivery.topic for message in again._queue] == ["elsewhere/robot-01"]


async def test_e10_a_full_queue_stops_the_broker_and_loses_nothing(hasty: Any, connect: Any, publisher: Any) -> None:
    driver = await connect(hasty, queue=10, **NUMBER)
    machines = await publisher(hasty)
    await publish(machines, *range(100))
    found: list[Any] = []
    async with asyncio.timeout(30):
        while len(set(found)) < 100:
            try:
                found += numbers(await driver.read())
            except Lost:
                await driver.connect()
    assert set(found) == set(range(100))
    assert driver.counters.dropped == 0
    assert len(found) == 100


@pytest.mark.parametrize("broker", ["nats"], indirect=True)
async def test_e10_messages_that_nats_delivers_again_are_taken_once(hasty: Any, connect: Any, publisher: Any) -> None:
    driver = await connect(hasty, **NUMBER)
    machines = await publisher(hasty)
    await publish(machines, 5, 5, 6)
    found = await read(driver, until=lambda s: len(s) >= 3)
    await asyncio.sleep(2.5 * hasty.ack_wait_s)  # the spool takes nothing for so long
    assert len(driver._queue) == 0
    reading = asyncio.create_task(driver.read())
    await publish(machines, 7)
    found += await reading
    assert numbers(found) == [5, 5, 6, 7]


async def test_e10_a_line_that_is_cut_before_the_acknowledgement_doubles_nothing(
    hasty: Any, connect: Any, publisher: Any, free_port: int
) -> None:
    line = Link(free_port, hasty.port)
    await line.start()
    driver = await connect(hasty, address=f"mqtt://127.0.0.1:{free_port}", timeout_s=10, **NUMBER)
    machines = await publisher(hasty)
    await publish(machines, 1, 1, 2)
    found = await read(driver, until=lambda s: len(s) >= 3)
    line.stall()
    await durable(driver)
    await line.stop()
    with pytest.raises(Lost):
        found += await driver.read()
    line = Link(free_port, hasty.port)
    await line.start()
    await driver.connect()
    await publish(machines, 3)
    found += await read(driver, until=lambda s: 3 in numbers(s))
    await asyncio.sleep(2.5 * hasty.ack_wait_s)  # NATS waits before it delivers again
    await durable(driver)
    assert numbers(found) == [1, 1, 2, 3]
    await line.stop()


async def test_e10_a_broker_that_is_killed_loses_nothing(broker: Any, connect: Any, publisher: Any) -> None:
    """NATS does not know afterwards what it has delivered before: it may come twice."""
    driver = await connect(broker, **NUMBER)
    await publish(await publisher(broker), 1, 2)
    found = await read(driver, until=lambda s: len(s) >= 2)
    broker.stop()
    with pytest.raises(Lost):
        while True:
            found += await driver.read()
    broker.start()
    await driver.connect()
    await publish(await publisher(broker), 3)
    found += await read(driver, until=lambda s: 3 in numbers(s))
    assert set(numbers(found)) == {1, 2, 3}


PLANT = """
enterprise: demo
site: test
areas: {hall: {lines: {line1: {machines: {robots: {
  driver: mqtt, kind: robot, address: "URL", user: tester, password_file: password, topic: "factory/{asset}/telemetry",
  time: {path: ts}, signals: {n: {path: n, datatype: double}}}}}}}}
"""


async def test_e10_a_killed_edge_loses_nothing_that_was_published_meanwhile(
    broker: Any, hosts: Any, publisher: Any, context: Context
) -> None:
    """kill -9 while a machine speaks a hundred times a second, twice; all that it said arrives."""
    (context.folder / "plant.yaml").write_text(PLANT.replace("URL", broker.url))
    (context.folder / "password").write_bytes(broker.password_file.read_bytes())
    environment = {
        "SHOPFLOOR_HOME": str(context.home),
        "SHOPFLOOR_MQTT_URL": broker.url,
        "SHOPFLOOR_MQTT_USER": broker.user,
        "SHOPFLOOR_MQTT_PASSWORD_FILE": str(broker.password_file),
    }
    command = [sys.executable, "-m", "edge", str(context.folder / "plant.yaml")]
    host = await hosts(broker)
    machines = await publisher(broker)
    sent: list[int] = []

    async def speak() -> None:
        while True:
            number = len(sent)
            body = orjson.dumps({"ts": time.time_ns() // 10**6, "n": number})
            if machines.publish(TOPIC, body, qos=1):
                sent.append(number)
            await asyncio.sleep(0.01)

    speaking: asyncio.Task[None] | None = None
    try:
        for _ in range(2):
            edge = subprocess.Popen(command, env=environment)  # noqa: ASYNC220
            try:
                if speaking is None:
                    await until((context.home / "edge" / "mqtt" / "robots.json").exists)
                    await asyncio.sleep(0.5)
                    speaking = asyncio.create_task(speak())
                start = len(sent)
                await until(lambda start=start: any(v > start for v in host.values("robot-01")))  # type: ignore[misc]
            finally:
                edge.kill()
                edge.wait()
            await asyncio.sleep(1.0)
        edge = subprocess.Popen(command, env=environment)  # noqa: ASYNC220
        try:
            speaking.cancel()  # type: ignore[union-attr]
            await until(lambda: set(host.values("robot-01")) >= set(map(float, sent)))
        finally:
            edge.kill()
            edge.wait()
    finally:
        if speaking is not None:
            speaking.cancel()
    assert len(sent) > 200


RETAINED = Quality.UNCERTAIN | TIME_REPLACED


async def test_c3_a_retained_message_is_not_fresh_and_comes_as_one_sample(
    broker: Any, connect: Any, publisher: Any
) -> None:
    """Of unknown age at the first start; after that it is known, over restarts too."""
    machines = await publisher(broker)
    await publish(machines, 1, retain=True)
    found = []
    for _ in range(3):
        driver = await connect(broker, **NUMBER)
        found += await read(driver, until=bool)
        assert "retained" in driver.counters.notes
        await driver.close()
    assert {(s.value, s.quality) for s in found} == {(1, RETAINED)}
    assert len({s.time_ns for s in found}) == 1


async def test_c3_a_retained_message_that_was_heard_live_is_the_same_sample(
    broker: Any, connect: Any, publisher: Any
) -> None:
    machines = await publisher(broker)
    driver = await connect(broker, **NUMBER)
    await publish(machines, 1, 2, retain=True)
    live = await read(driver, until=lambda s: len(s) == 2)
    await durable(driver)
    await driver.close()
    again = await connect(broker, **NUMBER)
    found = await read(again, until=lambda s: live[-1] in s)
    assert found[-1] == live[-1]
    assert found[-1].quality == Quality.GOOD
    await publish(machines, 2, retain=True)
    assert (await read(again, until=bool))[0].time_ns > live[-1].time_ns
    await again.close()
    await publish(machines, 3, retain=True)
    await (await connect(broker, session="clean", **NUMBER)).close()
    unknown = await connect(broker, session="clean", **NUMBER)
    assert [(s.value, s.quality) for s in await read(unknown, until=bool)] == [(3, RETAINED)]


async def test_c3_a_retained_message_behind_which_others_came_is_dated_once(
    broker: Any, connect: Any, publisher: Any
) -> None:
    machines = await publisher(broker)
    await publish(machines, 1, retain=True)
    dated = []
    for number in (2, 3, 4):
        driver = await connect(broker, **NUMBER)
        found = await read(driver, until=lambda s: 1 in numbers(s))
        dated += [sample for sample in found if sample.value == 1]
        await publish(machines, number)
        if number not in numbers(found):
            await read(driver, until=lambda s, number=number: number in numbers(s))  # type: ignore[misc]
        await durable(driver)
        await driver.close()
    assert len(set(dated)) == 1


async def test_c3_a_retained_message_has_its_own_time_where_it_states_one(
    broker: Any, connect: Any, publisher: Any
) -> None:
    machines = await publisher(broker)
    machines.publish(TOPIC, b'{"n":1,"ts":1700000000000}', qos=1, retain=True)
    machines.publish("factory/robot-02/telemetry", b'{"n":2,"ts":"?"}', qos=1, retain=True)
    driver = await connect(broker, time={"path": "ts"}, **NUMBER)
    found = await read(driver, until=lambda s: len(s) == 2)
    assert sorted((s.value, s.time_ns, s.quality) for s in found) == [
        (1, 1_700_000_000_000_000_000, Quality.GOOD),
        (2, 0, RETAINED),
    ]


async def test_c3_retained_messages_can_be_ignored(broker: Any, connect: Any, publisher: Any) -> None:
    machines = await publisher(broker)
    await publish(machines, 1, retain=True)
    driver = await connect(broker, retained="ignore", **NUMBER)
    await publish(machines, 2)
    assert numbers(await read(driver, until=bool)) == [2]


def test_e10_a_damaged_memory_begins_anew(context: Context, machine: Any) -> None:
    folder = context.home / "edge" / "mqtt"
    folder.mkdir(parents=True)
    for damage in (b"", b"[]", b'{"client_id":5}', b'{"a":[1,2]}', b'{"a":5}', b"\xff"):
        (folder / "robots.json").write_bytes(damage)
        (folder / "robots.topics.json").write_bytes(damage)
        driver = Driver("robots", machine(), context)
        known = driver._memory.open(make=True)
        assert known.client_id.startswith("shopfloor-robots-")
        assert known.filters == ()
        assert driver._memory.recall("t", b"x", 5, 64) == (5, 64)


async def test_e10_browsing_leaves_the_session_of_the_edge_alone(broker: Any, connect: Any, publisher: Any) -> None:
    machines = await publisher(broker)
    edge = await connect(broker, **NUMBER)
    looking = await connect(broker, topic=None, signals={}, browse_s=0.3)
    assert [tag async for tag in looking.browse("factory/#")] == []
    await publish(machines, 1)
    assert numbers(await read(edge, until=bool)) == [1]
    assert isinstance(edge._session, Session)
    assert edge._session.is_connected


def test_a_session_that_is_not_connected_acknowledges_nothing() -> None:
    Session(Broker(), "alone", on_delivery=lambda _: None).acknowledge([])
