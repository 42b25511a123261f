"""Arrays of an OPC UA server as blocks."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua

from contract.block import Block
from contract.model import Sample
from edge.drivers.opcua import Driver, Entry
from edge.entry import Context
from simulators.emitted import Emitted
from tests.edge.conftest import URI
from tests.edge.drivers.test_opcua_events import Hall
from tests.edge.drivers.test_opcua_events import hall as hall_of_machines

hall = hall_of_machines
NODE = f"nsu={URI};s=Machine/Vibration/x/Block"
START = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
START_NS = 1_767_323_045_678_000_000


class Sensor:
    """A server with the block of a sensor, which a test measures."""

    def __init__(self, server: Any) -> None:
        self.server = server.server
        self.url = server.url

    async def start(self, kind: Any = ua.VariantType.Float, *, rate: float | None = 25_600.0) -> None:
        machine = self.server.get_node(ua.NodeId("Machine", 2))
        empty = ua.Variant([], kind, is_array=True)
        self.node = await machine.add_variable(ua.NodeId("Machine/Vibration/x/Block", 2), "2:Block", empty)
        if rate is not None:
            self.rate = await self.node.add_property(ua.NodeId("Machine/Rate", 2), "2:SampleRate", rate)
            unit = ua.EUInformation(DisplayName=ua.LocalizedText("m/s²"))
            await self.node.add_property(ua.NodeId("Machine/Unit", 2), "0:EngineeringUnits", unit)

    async def measure(self, values: Any, kind: Any = ua.VariantType.Float, *, time: datetime | None = START) -> None:
        data = ua.DataValue(ua.Variant(values, kind), SourceTimestamp=time)
        await self.server.write_attribute_value(self.node.nodeid, data)


@pytest.fixture
async def sensor(serve: Any) -> Sensor:
    return Sensor(await serve())


@pytest.fixture
async def listen(sensor: Sensor, context: Context) -> AsyncIterator[Callable[..., Any]]:
    """`await listen(unit=…)`: a driver that hears the blocks of the sensor, after its first empty one."""
    drivers: list[Driver] = []

    async def start(*, mode: str = "subscribe", **options: Any) -> Driver:
        settings = {"address": sensor.url, "security": "none", "publish_s": 0.02, "keep_alive_s": 0.5, "poll_s": 0.02}
        blocks = {"x": {"node": NODE} | options}
        drivers.append(Driver("cnc-01", Entry.model_validate(settings | {"mode": mode, "blocks": blocks}), context))
        await drivers[-1].connect()
        return drivers[-1]

    yield start
    for driver in drivers:
        await driver.close()


async def blocks(driver: Driver, count: int = 1) -> list[Block]:
    found: list[Block] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += [item for item in await driver.read() if isinstance(item, Block)]
    return found


async def test_an_array_is_a_block_with_the_rate_unit_and_time_of_its_source(sensor: Sensor, listen: Any) -> None:
    await sensor.start()
    driver = await listen()
    values = [n / 8 for n in range(16_384)]
    await sensor.measure(values)
    (block,) = await blocks(driver)
    header = block.header
    assert (header.asset, header.sensor, header.number, header.count) == ("cnc-01", "x", "float32", 16_384)
    assert (header.rate_hz, header.unit, header.start_ns) == (25_600.0, "m/s²", START_NS)
    assert block.numbers().tolist() == values


async def test_the_block_that_is_there_at_a_connection_has_the_id_it_had(sensor: Sensor, listen: Any) -> None:
    await sensor.start()
    driver = await listen()
    await sensor.measure([1.0, 2.0])
    (first,) = await blocks(driver)
    await driver.connect()
    (again,) = await blocks(driver)
    assert again == first
    await sensor.measure([1.0, 3.0])
    (other,) = await blocks(driver)
    assert other.header.id != first.header.id


async def test_a_rate_that_changes_holds_for_the_block_that_comes_with_it(sensor: Sensor, listen: Any) -> None:
    await sensor.start()
    driver = await listen(unit="g")
    await sensor.rate.write_value(12_800.0)
    await sensor.measure([1.0, 2.0])
    (block,) = await blocks(driver)
    assert (block.header.rate_hz, block.header.unit) == (12_800.0, "g")


@pytest.mark.parametrize(
    ("values", "kind", "number"),
    [
        ([1, -2], ua.VariantType.Int16, "int16"),
        ([1, 65_535], ua.VariantType.UInt16, "int32"),
        ([1, 2**32 - 1], ua.VariantType.UInt32, "float64"),
        ([0.1, 0.2], ua.VariantType.Double, "float64"),
    ],
)
async def test_numbers_of_all_kinds_are_kept_whole(
    sensor: Sensor, listen: Any, values: Any, kind: Any, number: str
) -> None:
    await sensor.start(kind, rate=None)
    driver = await listen(rate_hz=1000, scale=0.5)
    await sensor.measure(values, kind)
    (block,) = await blocks(driver)
    assert (block.header.number, block.header.scale) == (number, 0.5)
    assert block.numbers().tolist() == values


async def test_a_server_that_cannot_subscribe_is_asked(sensor: Sensor, listen: Any) -> None:
    await sensor.start()
    await sensor.measure([1.0, 2.0])
    driver = await listen(mode="poll")
    first, second = await blocks(driver, 2)
    assert first == second  # the edge knows a repeat by its id
    assert first.header.start_ns == START_NS


async def test_a_block_without_a_time_has_just_been_measured(sensor: Sensor, listen: Any) -> None:
    await sensor.start(rate=None)
    driver = await listen(rate_hz=2)
    await sensor.measure([1.0, 2.0, 3.0, 4.0], time=None)
    (block,) = await blocks(driver)
    assert abs(block.header.end_ns / 1e9 - datetime.now(UTC).timestamp()) < 10


async def test_what_is_no_block_is_told(sensor: Sensor, listen: Any) -> None:
    await sensor.start(rate=None)
    driver = await listen()
    assert "state `rate_hz` or `rate_node`" in driver.counters.notes["block of x"]
    await sensor.measure([1.0])
    async with asyncio.timeout(10):
        while not driver.counters.rejected:
            assert not [item for item in await driver.read() if isinstance(item, Block | Sample)]
    driver = await listen(rate_hz=1, node=f"nsu={URI};s=Machine/Gone")
    assert "BadNodeIdUnknown" in driver.counters.notes["block of x"]


async def test_a_waveform_of_a_simulated_machine_comes_as_it_was_measured(hall: Hall, context: Context) -> None:
    shown = next(each for each in hall.face.shown if each.machine.id == "mill")
    shown.emitted = Emitted(context.home / "emitted.jsonl")
    driver = Driver("mill", Entry.model_validate(hall.entry(events=None)), context)
    await driver.connect()
    try:
        assert shown.command("measure", "spindle") == ""
        await hall.tick()
        lines = (context.home / "emitted.jsonl").read_text().splitlines()
        (told,) = (json.loads(line) for line in lines if '"spindle"' in line and '"block"' in line)
        found: list[Block] = []
        while not any(block.header.start_ns == told["time_ns"] for block in found):
            found += await blocks(driver)
        block = next(block for block in found if block.header.start_ns == told["time_ns"])
        assert (hashlib.sha256(block.data).hexdigest(), block.header.count) == (told["block"]["sha256"], 16_384)
        assert (block.header.rate_hz, block.header.unit, block.header.number) == (25_600.0, "m/s²", "float32")
    finally:
        await driver.close()
