"""Messages that tell of events, and that are blocks of numbers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from array import array
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from contract.block import Block
from contract.event import Event
from contract.model import TIME_REPLACED, Quality, Sample
from edge.driver import Counters
from edge.drivers.mqtt.mapping import Mapping
from simulators import machines
from simulators.emitted import Emitted
from simulators.face import Place, Setting
from simulators.faces.mqtt_json import MqttJson

MS = 1_000_000
NOW_NS = 1_700_000_000_000 * MS
ALARM = {
    "topic": "factory/{asset}/alarms",
    "condition": "code",
    "state": "on",
    "severity": {"path": "level", "words": {"high": 800, "low": 200}},
    "text": {"en": "text.en", "zh": "text.zh"},
    "time": {"path": "ts"},
}


@pytest.fixture(name="told")
def _told(machine: Any) -> Any:
    """`told(message, alarm={…})`: what a message on the topic of the alarms tells, and what was counted."""

    def tell(
        message: Any, topic: str = "factory/robot-01/alarms", *, at_ns: int = NOW_NS, untimed: int = 192, **options: Any
    ) -> tuple[list[Any], Counters]:
        counters = Counters()
        payload = message if isinstance(message, bytes) else orjson.dumps(message)
        mapping = Mapping("robots", machine(**options), counters)
        return list(mapping.items(topic, payload, at_ns, untimed)), counters

    return tell


def test_an_alarm_message_becomes_an_event_with_its_condition(told: Any) -> None:
    message = {"code": 4711, "on": True, "level": "HIGH", "text": {"en": "Door", "zh": "门"}, "ts": 5000, "axis": 2}
    (event,), _ = told(message, events={"alarm": ALARM})
    assert (event.asset, event.name, event.condition, event.state) == ("robot-01", "alarm", "alarm/4711", "active")
    assert (event.severity, event.texts, event.time_ns) == (800, {"en": "Door", "zh": "门"}, 5000 * MS)
    assert event.values == {"code": 4711, "on": True, "level": "HIGH", "ts": 5000, "axis": 2}
    assert not event.time_replaced


@pytest.mark.parametrize(
    ("word", "state"),
    [("Raised", "active"), (1, "active"), (0, "cleared"), (" off ", "cleared"), ("ACK", "acknowledged")],
)
def test_a_state_is_read_in_the_words_that_are_usual(told: Any, word: Any, state: str) -> None:
    (event,), _ = told({"code": 1, "on": word}, events={"alarm": ALARM})
    assert event.state == state


@pytest.mark.parametrize("word", ["perhaps", None, 2, 1.0])
def test_a_state_that_is_none_leaves_the_event_out_and_is_told(told: Any, word: Any) -> None:
    events, counters = told({"code": 1, "on": word}, events={"alarm": ALARM})
    assert (events, counters.rejected) == ([], 1)
    assert "say what it means under `state`" in counters.notes["event of alarm"]


@pytest.mark.parametrize("code", [{"n": 1}, [1], None, ""])
def test_a_condition_without_a_name_is_left_out_and_is_told(told: Any, code: Any) -> None:
    events, counters = told({"code": code, "on": True}, events={"alarm": ALARM})
    assert (events, counters.rejected) == ([], 1)
    assert "which `condition` shall find" in counters.notes["event of alarm"]


def test_own_words_of_a_device_are_stated(told: Any) -> None:
    state = {"path": "s", "active": ["kommt"], "cleared": ["geht"]}
    (event,), _ = told({"s": "KOMMT"}, events={"alarm": {"topic": "factory/{asset}/alarms", "state": state}})
    assert (event.state, event.condition) == ("active", "alarm")


def test_every_message_of_a_topic_is_an_event(told: Any) -> None:
    (event,), _ = told({"part": "A7", "ok": True}, events={"part": {"topic": "factory/{asset}/alarms", "severity": 1}})
    assert (event.name, event.state, event.condition) == ("part", "", "")
    assert (event.time_ns, event.severity, event.values) == (NOW_NS, 1, {"part": "A7", "ok": True})


def test_entries_of_a_list_are_events_where_they_say_so(told: Any) -> None:
    entry = ALARM | {"items": "list", "when": "kind == 'alarm'"}
    message = {"list": [{"kind": "alarm", "code": n, "on": True} for n in (1, 2)] + [{"kind": "info", "on": 1}]}
    events, counters = told(message, events={"alarm": entry})
    assert [event.condition for event in events] == ["alarm/1", "alarm/2"]
    assert counters.rejected == 0


def test_the_same_message_has_the_same_id_and_another_one_has_not(told: Any) -> None:
    def id_of(message: Any, **options: Any) -> str:
        (event,), _ = told(message, events={"alarm": ALARM | options.pop("alarm", {})}, **options)
        return str(event.id)

    first = {"code": 1, "on": True, "ts": 5000, "n": 17}
    assert id_of(first) == id_of(first, at_ns=NOW_NS + 1)
    own = {"id": "n"}
    ids = {
        id_of(first), id_of(first | {"ts": 5001}), id_of(first | {"axis": 1}), id_of(first | {"code": 2}),
        id_of(first, topic="factory/robot-02/alarms"), id_of(first, alarm=own), id_of(first | {"on": False}, alarm=own),
    }  # fmt: skip
    assert len(ids) == 7
    assert id_of(first, alarm=own) == id_of(first | {"ts": 6000, "axis": 1}, alarm=own)


def test_a_time_that_is_none_and_a_message_of_unknown_age(told: Any) -> None:
    (event,), counters = told({"code": 1, "on": True, "ts": "soon"}, events={"alarm": ALARM})
    assert event.time_ns == 0  # the edge takes that of arrival, and says so
    assert "time of an event of alarm" in counters.notes
    (kept,), _ = told({"code": 1, "on": True}, untimed=Quality.UNCERTAIN | TIME_REPLACED, events={"alarm": ALARM})
    assert (kept.time_ns, kept.time_replaced) == (NOW_NS, True)


def test_a_severity_that_is_none_is_told(told: Any) -> None:
    (event,), counters = told({"code": 1, "on": True, "level": 5000}, events={"alarm": ALARM})
    assert event.severity == 1000
    assert "severity of alarm" in counters.notes
    (event,), _ = told({"code": 1, "on": True, "level": "odd"}, events={"alarm": ALARM})
    assert event.severity == 500


def test_samples_and_events_of_one_topic(told: Any) -> None:
    entry = {"when": "alarm", "text": "alarm", "values": {}}
    message = {"mode": "auto", "alarm": "hot"}
    found, _ = told(message, "factory/robot-01/telemetry", events={"alarm": entry})
    assert [type(item) for item in found] == [Sample, Event]
    assert (found[1].texts, found[1].values) == ({"": "hot"}, {})
    found, _ = told({"mode": "auto", "alarm": None}, "factory/robot-01/telemetry", events={"alarm": entry})
    assert [type(item) for item in found] == [Sample]


# blocks

VIBRATION = {"topic": "factory/{asset}/vibration/x", "rate_hz": 25_600, "unit": "m/s²"}
X = "factory/robot-01/vibration/x"


def test_a_list_of_numbers_becomes_a_block(told: Any) -> None:
    values = [n / 8 for n in range(16_384)]
    entry = VIBRATION | {"rate_hz": None, "rate": "rate_hz", "start": {"path": "ts"}}
    (block,), _ = told({"ts": 5000, "rate_hz": 25_600, "values": values}, X, blocks={"x": entry})
    header = block.header
    assert (header.asset, header.sensor, header.count) == ("robot-01", "x", 16_384)
    assert (header.rate_hz, header.unit, header.start_ns, header.number) == (25_600, "m/s²", 5000 * MS, "float32")
    assert block.numbers().tolist() == values


@pytest.mark.parametrize(("byte_order", "form"), [("little", "<"), ("big", ">")])
def test_plain_bytes_become_a_block_that_ends_when_they_arrive(told: Any, byte_order: str, form: str) -> None:
    payload = b"head" + struct.pack(f"{form}4h", 1, -2, 3, -4)
    options = {"payload": "binary", "number": "int16", "scale": 0.01, "skip_bytes": 4, "byte_order": byte_order}
    (block,), counters = told(payload, X, blocks={"x": VIBRATION | options | {"rate_hz": 1000}})
    assert (block.numbers(), block.header.scale) == (array("h", [1, -2, 3, -4]), 0.01)
    assert block.header.start_ns == NOW_NS - 4 * MS
    assert counters.rejected == 0


@pytest.mark.parametrize(
    ("message", "options", "why"),
    [
        ({"values": [1, "x"]}, {}, "the numbers are not all float32"),
        ({"values": [70_000]}, {"number": "int16"}, "the numbers are not all int16"),
        ({"values": []}, {}, "no block of 'x'"),
        ({"values": 5}, {}, "a int stands where the numbers should"),
        ({"values": [1], "r": 0}, {"rate_hz": None, "rate": "r"}, "0 is no rate"),
        (b"123", {"payload": "binary"}, "3 bytes are no whole number of float32"),
    ],
)
def test_what_is_no_block_is_counted_and_told(told: Any, message: Any, options: Any, why: str) -> None:
    found, counters = told(message, X, blocks={"x": VIBRATION | options})
    assert (found, counters.rejected) == ([], 1)
    assert why in " ".join(counters.notes.values())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"blocks": {"x": {"topic": "a"}}}, "state `rate_hz`"),
        ({"blocks": {"x": {"topic": "a", "rate": "r", "payload": "binary"}}}, "says neither `rate` nor `start`"),
        ({"events": {"a": {"topic": "a", "condition": "code"}}}, "a condition needs a `state`"),
        ({"events": {"a": {"topic": "a/+"}}}, "may match the topics of several devices"),
        ({"events": {"a": {}}, "topic": None, "signals": {}}, "state `topic` for the machine"),
        ({"events": {"a": {"topic": "a", "severity": 0}}}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_entry_is_refused(machine: Any, options: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        machine(**options)


async def test_events_and_blocks_come_by_a_broker(mosquitto_broker: Any, connect: Any, publisher: Any) -> None:
    driver = await connect(mosquitto_broker, events={"alarm": ALARM}, blocks={"x": VIBRATION})
    session = await publisher(mosquitto_broker)
    session.publish("factory/robot-01/alarms", orjson.dumps({"code": 1, "on": True, "ts": 5000}), qos=1)
    session.publish(X, orjson.dumps({"values": [1.0] * 16_384}), qos=1)
    found: list[Any] = []
    async with asyncio.timeout(10):
        while len(found) < 2:
            found += await driver.read()
    assert sorted(type(item).__name__ for item in found) == ["Block", "Event"]
    assert isinstance(next(item for item in found if isinstance(item, Block)), Block)


async def test_an_alarm_that_is_said_again_is_another_one(mosquitto_broker: Any, connect: Any, publisher: Any) -> None:
    """Samples are known as repeats by their time; an alarm that comes back says the same as before."""
    untimed = {key: value for key, value in ALARM.items() if key != "time"}
    driver = await connect(mosquitto_broker, time={"path": "ts"}, events={"alarm": untimed})
    session = await publisher(mosquitto_broker)
    for is_on in (True, False, True):
        session.publish("factory/robot-01/alarms", orjson.dumps({"code": 1, "on": is_on}), qos=1)
    found: list[Any] = []
    async with asyncio.timeout(10):
        while len(found) < 3:
            found += await driver.read()
    assert [event.state for event in found] == ["active", "cleared", "active"]
    assert len({event.id for event in found}) == 3


async def test_a_waveform_of_a_simulated_machine_comes_as_it_was_measured(
    mosquitto_broker: Any, connect: Any, until: Any, tmp_path: Path
) -> None:
    broker = mosquitto_broker
    setting = Setting(
        tmp_path, mqtt_url=broker.url, mqtt_user=broker.user, mqtt_password_file=broker.password_file, block_every_s=0.0
    )
    face = MqttJson(setting)
    robot = machines.load("robot")("robot-01", 3, options={"sensors": ["joint2"]})
    shown = face.show(robot, Place("demo", "shanghai", "assembly", "line1"))
    shown.emitted = Emitted(tmp_path / "emitted.jsonl")
    entry = face.entry(shown)
    driver = await connect(broker, **{key: entry[key] for key in ("topic", "time", "blocks")})
    found: list[Any] = []
    await face.start()
    try:
        await until(lambda: face.client.is_connected)
        assert shown.command("measure", "joint2") == ""
        robot.step(0.1)
        await face.emit(NOW_NS)
        async with asyncio.timeout(20):
            while not found:
                found = [item for item in await driver.read() if isinstance(item, Block)]
    finally:
        await face.stop()
    (line,) = (json.loads(line) for line in (tmp_path / "emitted.jsonl").read_text().splitlines() if "block" in line)
    digest = hashlib.sha256(found[0].data).hexdigest()
    assert (found[0].header.start_ns, line["block"]["sha256"]) == (line["time_ns"], digest)
