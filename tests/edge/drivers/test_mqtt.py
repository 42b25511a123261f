"""The MQTT driver against real brokers, and its mapping of messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import jmespath
import orjson
import pytest

from contract.model import Command, Sample
from contract.mqtt import Broker, Session
from edge.driver import Counters, Lost, Unreachable
from edge.drivers.mqtt import Machine, MqttDriver, connection
from edge.drivers.mqtt.mapping import Mapping, MessageError, search, time_of
from edge.drivers.mqtt.options import TimeOption
from edge.machine import Context

MS = 1_000_000


def machine(**options: Any) -> Machine:
    settings = {
        "address": "mqtt://127.0.0.1:1883",
        "topic": "factory/{asset}/telemetry",
        "signals": {"temperature": {"path": "joints[0].temperature"}, "mode": {"path": "mode"}},
    }
    return Machine.model_validate(settings | options)


def mapped(
    payload: bytes, topic: str = "factory/robot-01/telemetry", /, **options: Any
) -> tuple[list[Sample], Counters]:
    counters = Counters()
    return Mapping("robots", machine(**options), counters).samples(topic, payload, 7), counters


def values(samples: list[Sample]) -> dict[tuple[str, str], Any]:
    return {(s.asset, s.signal): s.value for s in samples}


@pytest.fixture
async def connect(context: Context) -> AsyncIterator[Callable[..., Any]]:
    drivers: list[MqttDriver] = []

    async def start(broker: Any, **options: Any) -> MqttDriver:
        (context.folder / "password").write_bytes(broker.password_file.read_bytes())
        account = {"address": broker.url, "user": broker.user, "password_file": "password"}
        driver = connection("robots", machine(**(account | options)), context)
        drivers.append(driver)
        await driver.connect()
        return driver

    yield start
    for driver in drivers:
        await driver.close()


@pytest.fixture
async def publisher(until: Any) -> AsyncIterator[Callable[..., Any]]:
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


async def test_the_topic_names_the_assets(broker: Any, connect: Any, publisher: Any) -> None:
    driver = await connect(broker)
    machines = await publisher(broker)
    for name, degrees in (("robot-01", 41.5), ("Robot-2", 42)):
        body = orjson.dumps({"joints": [{"temperature": degrees}], "mode": "auto", "other": [1, 2]})
        machines.publish(f"factory/{name}/telemetry", body, qos=1)
    samples: list[Sample] = []
    async with asyncio.timeout(5):
        while len(samples) < 4:
            samples += await driver.read()
    assert values(samples) == {
        ("robot-01", "temperature"): 41.5,
        ("robot-01", "mode"): "auto",
        ("robot-2", "temperature"): 42,
        ("robot-2", "mode"): "auto",
    }


@pytest.mark.parametrize("time", [{"path": "ts"}, None], ids=["with its time", "without"])
async def test_a_message_that_is_delivered_again_is_left_out_when_it_has_its_time(
    nats_broker: Any, connect: Any, publisher: Any, time: dict[str, str] | None
) -> None:
    driver = await connect(nats_broker, time=time)
    machines = await publisher(nats_broker)
    for second in (1, 2, 3, 1, 2, 3, 4):
        machines.publish("factory/robot-01/telemetry", orjson.dumps({"ts": 1000 * second, "mode": "auto"}), qos=1)
    machines.publish("factory/robot-01/telemetry", orjson.dumps({"ts": 9000, "mode": "end"}), qos=1)
    samples: list[Sample] = []
    while not samples or samples[-1].value != "end":
        samples += await driver.read()
    if time is None:
        assert len(samples) == 8
    else:
        assert [sample.time_ns // 10**9 for sample in samples] == [1, 2, 3, 4, 9]


async def test_it_is_lost_with_its_broker_and_comes_back(mosquitto_broker: Any, connect: Any) -> None:
    driver = await connect(mosquitto_broker, timeout_s=1)
    mosquitto_broker.stop()
    with pytest.raises(Lost, match="the connection was lost"):
        await driver.read()
    with pytest.raises(Unreachable, match="Connection refused"):
        await driver.connect()
    mosquitto_broker.start()
    await driver.connect()


async def test_a_wrong_password_is_told(mosquitto_broker: Any, connect: Any, context: Context) -> None:
    with pytest.raises(Unreachable, match=r"refuses 'somebody'.*Is the broker on"):
        await connect(mosquitto_broker, user="somebody", timeout_s=1)


async def test_the_oldest_messages_go_when_nobody_reads(
    nats_broker: Any, connect: Any, publisher: Any, until: Any
) -> None:
    driver = await connect(nats_broker, queue=10)
    machines = await publisher(nats_broker)
    for number in range(25):
        machines.publish("factory/robot-01/telemetry", orjson.dumps({"mode": number}), qos=1)
    await until(lambda: driver.counters.dropped == 15)
    assert [s.value for s in await driver.read()] == list(range(15, 25))
    assert "the oldest are thrown away" in driver.counters.notes["queue"]


async def test_browse_listens(nats_broker: Any, connect: Any, publisher: Any) -> None:
    driver = await connect(nats_broker, browse_s=0.5)
    machines = await publisher(nats_broker)

    async def speak() -> None:
        while True:
            machines.publish("factory/robot-01/telemetry", b'{"joints":[{"temperature":1.5}],"odd key":true}', qos=1)
            machines.publish("plain", b"hello", qos=1)
            await asyncio.sleep(0.05)

    speaking = asyncio.create_task(speak())
    tags = [tag async for tag in driver.browse("factory/{asset}/#")]
    speaking.cancel()
    assert [(t.path, t.address, t.value) for t in tags] == [
        ("factory/robot-01/telemetry", "joints[0].temperature", 1.5),
        ("factory/robot-01/telemetry", '"odd key"', True),
    ]


async def test_it_does_not_write(context: Context) -> None:
    reply = await connection("robots", machine(), context).write(Command("1", "robot-01", "mode", "auto", "me", 0))
    assert reply.outcome == "refused"


@pytest.mark.parametrize(
    ("payload", "sort"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"joints":[{"temperature":' + b"[" * 5000, "not JSON"),
        (b'{"joints":[{"temperature":{"value":1}}]}', "path of temperature"),
    ],
)
def test_a_bad_message_is_counted_and_shown_once(payload: bytes, sort: str) -> None:
    samples, counters = mapped(payload)
    assert samples == []
    assert counters.rejected == 1
    assert list(counters.notes) == [sort]


@pytest.mark.parametrize(
    ("name", "asset"), [("铣床1", "xichuang1"), ("Müller 2", "muller-2"), ("+++", "unnamed"), ("Robot_1", "robot_1")]
)
def test_an_asset_has_an_id_whatever_its_topic_calls_it(name: str, asset: str) -> None:
    samples, counters = mapped(b'{"mode":"x"}', f"factory/{name}/telemetry")
    assert (values(samples), counters.rejected) == ({(asset, "mode"): "x"}, 0)


def test_signals_that_are_not_in_the_message_are_left_out() -> None:
    assert values(mapped(b'{"mode":"auto"}')[0]) == {("robot-01", "mode"): "auto"}
    assert mapped(b"[1,2]")[0] == mapped(b'"text"')[0] == mapped(b"null")[0] == []


def test_each_signal_may_have_its_own_topic() -> None:
    signals = {"temperature": {"topic": "t/{asset}/temperature"}, "on": {"topic": "t/+/on", "path": "state == 'on'"}}
    assert values(mapped(b"21.5", "t/a/temperature", topic=None, signals=signals)[0]) == {("a", "temperature"): 21.5}
    assert values(mapped(b'{"state":"on"}', "t/a/on", topic=None, signals=signals)[0]) == {("robots", "on"): True}


def test_text_payloads() -> None:
    signals = {"mode": {}}
    assert values(mapped(b" 21.5\n", payload="text", signals=signals)[0]) == {("robot-01", "mode"): 21.5}
    assert values(mapped("läuft".encode(), payload="text", signals=signals)[0]) == {("robot-01", "mode"): "läuft"}
    assert mapped(b"\xff", payload="text", signals=signals)[1].rejected == 1


def test_a_message_may_hold_many() -> None:
    body = b'{"records":[{"ts":1000,"mode":"a"},{"ts":2000,"mode":"b"},{"ts":"x"}]}'
    samples, counters = mapped(body, items="records", time={"path": "ts"})
    assert [(s.time_ns, s.value) for s in samples] == [(1000 * MS, "a"), (2000 * MS, "b")]
    assert list(counters.notes) == ["no time at `time.path`"]


@pytest.mark.parametrize(
    ("unit", "value", "time_ns"),
    [
        ("ms", 1_700_000_000_123, 1_700_000_000_123 * MS),
        ("s", 1_700_000_000.5, 1_700_000_000_500 * MS),
        ("ns", 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        ("us", 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        ("iso", "2023-11-14T22:13:20.123Z", 1_700_000_000_123 * MS),
        ("iso", "2023-11-15T06:13:20.123+08:00", 1_700_000_000_123 * MS),
    ],
)
def test_times(unit: Any, value: Any, time_ns: int) -> None:
    assert time_of(TimeOption(path="ts", unit=unit), value) == time_ns


@pytest.mark.parametrize(
    ("unit", "value"),
    [("ms", "5"), ("ms", None), ("ms", True), ("s", 1_700_000_000_000), ("ms", -1), ("iso", "now"), ("ms", 1e300)],
)
def test_what_is_no_time(unit: Any, value: Any) -> None:
    with pytest.raises(MessageError):
        time_of(TimeOption(path="ts", unit=unit), value)


def test_plain_paths_and_jmespath_agree() -> None:
    data = {"a": {"b": [{"c": 1}, {"c": 2}], "n": None}, "x": 3}
    for path in ("x", "a.b[1].c", "a.b[7].c", "a.n.c", "y", "a.b[0]", "x.y", "a[0]"):
        assert search(path)(data) == jmespath.search(path, data), path
    assert search("@")(5) == 5
    assert search("length(a.b)")(data) == 2
    assert search("a.b[-1].c")(data) == 2
