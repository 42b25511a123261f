"""The MQTT driver against real brokers, and its mapping of messages."""

from __future__ import annotations

import asyncio
from typing import Any

import jmespath
import orjson
import pytest

from contract.model import Sample
from edge.driver import Unreachable
from edge.drivers._json.paths import search
from edge.entry import Context


def values(samples: list[Sample]) -> dict[tuple[str, str], Any]:
    return {(s.asset, s.signal): s.value for s in samples}


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


async def test_a_wrong_password_is_told(mosquitto_broker: Any, connect: Any, context: Context) -> None:
    with pytest.raises(Unreachable, match=r"refuses 'somebody'.*Is the broker on") as caught:
        await connect(mosquitto_broker, user="somebody", timeout_s=1)
    assert caught.value.code == "login_refused"


async def test_the_oldest_messages_go_when_nobody_reads(
    nats_broker: Any, connect: Any, publisher: Any, until: Any
) -> None:
    driver = await connect(nats_broker, queue=10, session="clean")
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


@pytest.mark.parametrize(
    ("payload", "sort"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"joints":[{"temperature":' + b"[" * 5000, "not JSON"),
        (b'{"joints":[{"temperature":{"value":1}}]}', "structure of temperature"),
    ],
)
def test_a_bad_message_is_counted_and_shown_once(mapped: Any, payload: bytes, sort: str) -> None:
    samples, counters = mapped(payload)
    assert samples == []
    assert counters.rejected == 1
    assert list(counters.notes) == [sort]


@pytest.mark.parametrize(
    ("name", "asset"), [("铣床1", "xichuang1"), ("Müller 2", "muller-2"), ("+++", "unnamed"), ("Robot_1", "robot_1")]
)
def test_an_asset_has_an_id_whatever_its_topic_calls_it(mapped: Any, name: str, asset: str) -> None:
    samples, counters = mapped(b'{"mode":"x"}', f"factory/{name}/telemetry")
    assert (values(samples), counters.rejected) == ({(asset, "mode"): "x"}, 0)


def test_signals_that_are_not_in_the_message_are_left_out(mapped: Any) -> None:
    assert values(mapped(b'{"mode":"auto"}')[0]) == {("robot-01", "mode"): "auto"}
    assert mapped(b"[1,2]")[0] == mapped(b'"text"')[0] == []


def test_each_signal_may_have_its_own_topic(mapped: Any) -> None:
    signals = {"temperature": {"topic": "t/{asset}/temperature"}, "on": {"topic": "t/+/on", "path": "state == 'on'"}}
    options = {"topic": None, "signals": signals, "one_asset": True}
    assert values(mapped(b"21.5", "t/a/temperature", **options)[0]) == {("a", "temperature"): 21.5}
    assert values(mapped(b'{"state":"on"}', "t/a/on", **options)[0]) == {("robots", "on"): True}


def test_text_payloads(mapped: Any) -> None:
    signals = {"mode": {}}
    assert values(mapped(b" 21.5\n", payload="text", signals=signals)[0]) == {("robot-01", "mode"): 21.5}
    assert values(mapped("läuft".encode(), payload="text", signals=signals)[0]) == {("robot-01", "mode"): "läuft"}


def test_a_message_may_hold_many(mapped: Any) -> None:
    body = b'{"records":[{"ts":1000,"mode":"a"},{"ts":2000,"mode":"b"},{"ts":"x","mode":"c"}]}'
    samples, counters = mapped(body, items="records", time={"path": "ts"})
    assert [(s.time_ns, s.value) for s in samples] == [(10**9, "a"), (2 * 10**9, "b"), (0, "c")]
    assert list(counters.notes) == ["no time at `time.path`"]


def test_plain_paths_and_jmespath_agree() -> None:
    data = {"a": {"b": [{"c": 1}, {"c": 2}], "n": None}, "x": 3}
    for path in ("x", "a.b[1].c", "a.b[7].c", "a.n.c", "y", "a.b[0]", "x.y", "a[0]"):
        assert search(path)(data) == jmespath.search(path, data), path
    assert search("@")(5) == 5
    assert search("length(a.b)")(data) == 2
    assert search("a.b[-1].c")(data) == 2


async def test_browse_shows_what_is_odd(nats_broker: Any, connect: Any, publisher: Any) -> None:
    driver = await connect(nats_broker, browse_s=1.0)
    machines = await publisher(nats_broker)
    odd = b'\xef\xbb\xbf{"a":NaN,"b \\"c\\\\":"M\xf6tor","n":null,"\xf6":1,"big":' + b"9" * 400 + b',"ok":1}\0'
    for topic, body in (("odd", odd), ("deep", b"[" * 5000), ("text", b"l\xe4uft"), ("empty", b"")):
        machines.publish(topic, body, qos=1, retain=True)
    found = [tag async for tag in driver.browse("#")]
    tags = {(tag.path, tag.address): tag.value for tag in found}
    assert tags["odd", "ok"] == 1
    assert tags["odd", "a"] is tags["odd", "n"] is tags["odd", "big"] is None
    assert tags["odd", '"b \\"c\\\\"'] == "M\ufffdtor"
    assert tags["text", "@"] == "l\ufffduft"
    assert ("deep", "@") in tags
    orjson.dumps([tag.value for tag in found])
    assert tags["odd", '"\\udcf6"'] == 1
    for _, address in (key for key in tags if key[0] == "odd"):
        search(address)
