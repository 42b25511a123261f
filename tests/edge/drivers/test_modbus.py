"""What is Modbus's own: registers, orders, requests that are merged and cut, devices behind a gateway."""

from __future__ import annotations

import struct

import pytest
from pydantic import ValidationError

from edge.driver import Unreachable
from edge.drivers.modbus import Driver, Entry
from edge.entry import Context
from tests.edge.drivers.peers.modbus import ModbusPeer, peer


def entry(machine: ModbusPeer, signals: dict[str, dict[str, object]], **options: object) -> Entry:
    return Entry.model_validate({"driver": "modbus", **machine.entry(machine.port), **options, "signals": signals})


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        ({"register": "holding"}, "is no register: write holding/100"),
        ({"register": "holding/65536"}, "is no register"),
        ({"register": "coil/3.1"}, "is no register"),
        ({"register": "50001"}, "is no register"),
        ({"register": "coil/3", "type": "int16"}, "coil/3 is a bit, and no int16"),
        ({"register": "input/3", "type": "bool"}, "write input/3.0 for its lowest"),
        ({"register": "input/3", "type": "int8"}, "take int16"),
        ({"register": "input/3", "length": 4}, "only a string has a length"),
        ({"register": "input/3", "type": "float64", "order": "AB"}, "ABCD"),
    ],
)
def test_a_register_that_is_none_is_told_with_what_to_write(signal: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Entry.model_validate({"driver": "modbus", "address": "modbus://plc", "signals": {"x": signal}})


def test_a_register_may_be_written_as_the_papers_do() -> None:
    signals = {"a": {"register": 40001}, "b": {"register": "300010"}, "c": {"register": "00001"}}
    read = Entry.model_validate({"driver": "modbus", "address": "modbus://plc", "signals": signals}).signals
    assert [signal.register_ for signal in read.values()] == ["holding/0", "input/9", "coil/0"]


@pytest.mark.parametrize(
    ("order", "data"),
    [("ABCD", "40490fdb"), ("CDAB", "0fdb4049"), ("BADC", "4940db0f"), ("DCBA", "db0f4940")],
)
async def test_a_float_is_read_and_written_in_each_order(context: Context, order: str, data: str) -> None:
    async with peer() as machine:
        machine.holding[20:22] = struct.unpack(">2H", bytes.fromhex(data))
        where = {"register": "holding/20", "type": "float32", "writable": True}
        driver = Driver("meter", entry(machine, {"pi": where}, order=order), context)
        await driver.connect()
        [sample] = await driver.read()
        assert sample.value == 3.1415927
        assert (await driver.write("meter", "pi", -2.5)).value == -2.5
        await driver.write("meter", "pi", 3.1415927)
        assert struct.pack(">2H", *machine.holding[20:22]).hex() == data
        await driver.close()


async def test_neighbours_are_read_in_one_request(context: Context) -> None:
    async with peer() as machine:
        near = {f"r{at}": {"register": f"holding/{at}"} for at in (3, 4, 9, 20, 60)}
        driver = Driver("meter", entry(machine, near, gap=16), context)
        await driver.connect()
        machine.asked.clear()
        await driver.read()
        await driver.close()
    assert machine.asked == [(3, 3, 18), (3, 60, 1)]


async def test_a_hole_between_neighbours_is_found_once(context: Context) -> None:
    async with peer() as machine:
        there = {f"r{at}": {"register": f"holding/{at}"} for at in (95, 99, 101)}  # it has 100 registers
        machine.holding[95] = 7
        driver = Driver("meter", entry(machine, there), context)
        await driver.connect()
        machine.asked.clear()
        samples = {sample.signal: sample.value for sample in await driver.read()}
        await driver.close()
    assert samples == {"r95": 7, "r99": 0}
    assert len(machine.asked) == 2
    assert "it has nothing at this address" in driver.counters.notes["refused of r101"]


async def test_what_was_refused_is_asked_for_again(context: Context) -> None:
    async with peer() as machine:
        driver = Driver("meter", entry(machine, {"late": {"register": "holding/100"}}, poll_s=0.001), context)
        await driver.connect()
        machine.holding.append(5)
        values = [sample.value for _ in range(10) for sample in await driver.read()]
        await driver.close()
    assert values == [5]


async def test_a_device_that_was_busy_is_asked_in_one_request_again(context: Context) -> None:
    async with peer() as machine:
        near = {f"r{at}": {"register": f"holding/{at}"} for at in (3, 4, 9)}
        driver = Driver("meter", entry(machine, near, poll_s=0.001), context)
        await driver.connect()
        machine.is_busy = True
        assert {sample.value for sample in await driver.read()} == {None}
        machine.is_busy = False
        while not await driver.read():
            pass
        machine.asked.clear()
        assert {sample.value for sample in await driver.read()} == {0}
        await driver.close()
    assert machine.asked == [(3, 3, 7)]


async def test_what_a_device_does_not_take_as_it_was_written_has_failed(context: Context) -> None:
    async with peer() as machine:
        machine.most_value = 100
        driver = Driver("meter", entry(machine, {"x": {"register": "holding/0", "writable": True}}), context)
        await driver.connect()
        done, failed = await driver.write("meter", "x", 100), await driver.write("meter", "x", 101)
        await driver.close()
    assert done == ("done", "", 100)
    assert failed == ("failed", "the device took 101 but shows 100", 100)


async def test_a_number_that_is_none_has_no_value(context: Context) -> None:
    async with peer() as machine:
        machine.holding[10:12] = struct.unpack(">2H", struct.pack(">f", float("nan")))
        machine.holding[30] = 0x12A4
        signals = {
            "nan": {"register": "holding/10", "type": "float32"},
            "bcd": {"register": "holding/30", "type": "bcd16"},
        }
        driver = Driver("meter", entry(machine, signals), context)
        await driver.connect()
        samples = await driver.read()
        await driver.close()
    assert [(sample.value, sample.quality) for sample in samples] == [(None, 0), (None, 0)]
    assert "12a4 is no BCD number" in driver.counters.notes["no value of bcd"]


async def test_a_device_that_is_not_behind_the_gateway_is_told(context: Context) -> None:
    async with peer() as machine:
        machine.is_gateway = True
        driver = Driver("meter", entry(machine, {"x": {"register": "holding/0"}}), context)
        with pytest.raises(Unreachable, match="its device 1 does not: is `unit_id` right"):
            await driver.connect()
        await driver.close()
