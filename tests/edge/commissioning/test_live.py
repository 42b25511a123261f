"""A visit to machines: each signal has a verdict, who is not there delays nobody, and the edge's own session stays."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import Any

import pytest

from edge.commissioning.live import Visit, visit, visit_all
from edge.drivers import load
from edge.entry import Context, Entry
from tests.edge.commissioning.conftest import serving, silent
from tests.edge.conftest import URI, machine_server, unused_port
from tests.edge.drivers.peers.mqtt import peer as mqtt_peer


def opcua(port: int, **signals: Any) -> Entry:
    nodes = {
        name: {"node": f"nsu={URI};s=Machine/{node}", "datatype": datatype}
        for name, (node, datatype) in signals.items()
    }
    entry = {"driver": "opcua", "address": f"opc.tcp://127.0.0.1:{port}", "security": "none", "timeout_s": 1}
    return load("opcua").Entry.model_validate(entry | {"signals": nodes})


async def test_each_signal_is_read_once_and_has_a_verdict(context: Context) -> None:
    async with machine_server(port := unused_port()) as server:
        await server.write("Speed", 1234.5)
        entry = opcua(
            port, speed=("Speed", None), state=("State", "string"), gone=("Gone", None), text=("State", "int32")
        )
        seen = await visit("cnc-1", entry, context, wait_s=5)
    readings = {reading.signal: reading for reading in seen.readings}
    assert readings["speed"].value == 1234.5
    assert readings["speed"].why == readings["state"].why == ""
    assert readings["speed"].time_ns > 0
    assert "does not exist" in readings["gone"].why
    assert "'idle' is no int32: state another `datatype`" in readings["text"].why
    assert not seen.is_well


async def test_a_reading_is_in_the_unit_of_the_plant_file(context: Context) -> None:
    async with machine_server(port := unused_port()) as server:
        await server.write("Speed", 1234.5)
        entry = opcua(port, speed=("Speed", None), state=("State", None)).model_dump(by_alias=True, exclude_unset=True)
        entry["signals"]["speed"] |= {"scale": 0.1, "unit": "rpm"}
        entry["signals"]["state"] |= {"scale": 0.1}
        seen = await visit("cnc-1", load("opcua").Entry.model_validate(entry), context, wait_s=5)
    speed, state = seen.readings
    assert (speed.value, speed.unit, speed.why) == (123.45, "rpm", "")
    assert (state.value, state.why) == ("idle", "'idle' is no double: state another `datatype`")


async def test_a_machine_that_lists_its_own_signals_is_read_by_them(
    context: Context, request: pytest.FixtureRequest
) -> None:
    peers = import_module("tests.edge.drivers.peers.shdr")
    async with peers.peer(request) as machine:
        said = {key: value for key, value in machine.entry(machine.port).items() if key != "signals"}
        seen = await visit("m", load("shdr").Entry.model_validate({"driver": "shdr", **said}), context, wait_s=3)
    assert len(seen.readings) == 2
    assert {reading.value for reading in seen.readings} >= {0.0}


async def test_who_is_not_there_delays_nobody_and_all_end(context: Context) -> None:
    async with serving(silent) as mute, machine_server(port := unused_port()):
        machines = {
            "dead": opcua(unused_port(), a=("Speed", None)),
            "mute": opcua(mute, a=("Speed", None)),
            "well": opcua(port, a=("Speed", None)),
        }
        done: dict[str, float] = {}
        start_s = time.monotonic()
        tasks = {name: asyncio.create_task(visit(name, each, context, wait_s=2)) for name, each in machines.items()}
        for name, task in tasks.items():
            task.add_done_callback(lambda _, name=name: done.setdefault(name, time.monotonic() - start_s))
        found = {name: await task for name, task in tasks.items()}
    assert found["well"].is_well
    assert done["well"] < done["mute"] < 20
    assert "refuses port" in found["dead"].trouble
    assert found["dead"].todo
    assert found["mute"].trouble
    assert [reading.why for reading in found["mute"].readings] == ["not read"]


async def test_what_answers_in_the_place_of_a_machine_is_said(context: Context, mosquitto_broker: Any) -> None:
    [seen] = await visit_all({"m": opcua(mosquitto_broker.port, a=("Speed", None))}, context, wait_s=3)
    assert "what answers there is an MQTT broker" in seen.trouble
    assert f"`address: mqtt://127.0.0.1:{mosquitto_broker.port}`" in seen.todo


async def test_a_topic_on_which_nothing_is_said_is_no_value(context: Context, request: pytest.FixtureRequest) -> None:
    async with mqtt_peer(request) as machine:
        entry = load("mqtt").Entry.model_validate({"driver": "mqtt", **machine.entry(machine.port)})
        quiet = await visit("m", entry, context, wait_s=0.5)
        task = asyncio.create_task(visit("m", entry, context, wait_s=5))
        while not task.done():
            await machine.say(7.0, time.time_ns() // 10**6 * 10**6)
            await asyncio.sleep(0.05)
    assert "no value within 0.5 s" in quiet.readings[0].why
    assert [(reading.signal, reading.value, reading.why) for reading in task.result().readings] == [("speed", 7.0, "")]


async def test_a_visit_takes_no_session_of_the_edge_and_keeps_nothing(
    context: Context, request: pytest.FixtureRequest
) -> None:
    async with mqtt_peer(request) as machine:
        module = load("mqtt")
        entry = module.Entry.model_validate({"driver": "mqtt", **machine.entry(machine.port)})
        driver = module.Driver("m", entry, context)
        await driver.connect()
        kept = {file: file.read_bytes() for file in context.home.rglob("*") if file.is_file()}
        await visit("m", entry, context, wait_s=0.5)
        assert {file: file.read_bytes() for file in context.home.rglob("*") if file.is_file()} == kept
        await machine.say(9.0, time.time_ns() // 10**6 * 10**6)
        async with asyncio.timeout(5):
            while not [item for item in await driver.read() if getattr(item, "value", None) == 9.0]:
                pass  # it is still connected: Lost would be raised
        await driver.close()


def test_a_machine_without_readings_is_well_when_it_answers() -> None:
    assert Visit("m", "mqtt", "mqtt://b").is_well
    assert not Visit("m", "mqtt", "mqtt://b", (), "no answer").is_well
