"""What is the MC protocol's own; what every driver does stands in conformance.py."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contract.model import Quality, Value
from edge.driver import DriverError, Unreachable
from edge.drivers import mc
from edge.entry import Context
from tests.edge.conftest import unused_port
from tests.edge.drivers.peers.mc import McPeer, peer

SPEED = {"speed": {"device": "D10", "type": "float32"}}


@pytest.fixture
async def cpu() -> AsyncIterator[McPeer]:
    async with peer() as cpu:
        yield cpu


@pytest.fixture
async def make(context: Context) -> AsyncIterator[Callable[..., Any]]:
    """`make(port, signals, network=2)`: a driver, closed with the test."""
    made: list[mc.Driver] = []

    def make(port: int, signals: dict[str, Any], **options: Any) -> mc.Driver:
        settings = {"address": f"mc://127.0.0.1:{port}", "poll_s": 0.01, "timeout_s": 1}
        made.append(mc.Driver("press-1", mc.Entry.model_validate(settings | {"signals": signals} | options), context))
        return made[-1]

    yield make
    for driver in made:
        await driver.close()


async def values(driver: mc.Driver) -> dict[str, Value | None]:
    await driver.connect()
    return {sample.signal: sample.value for sample in await driver.read()}


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ("D1F", "D is counted in decimal"),
        ("M0.1", "M0 is a bit already"),
        ("DB1.DBD0", "is no device: write D100"),
        ("X1G", "is no device"),
        ("D99999999", "devices end at"),
    ],
)
def test_what_is_no_device_is_told_with_what_to_write(device: str, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        mc.SignalEntry.model_validate({"device": device})


@pytest.mark.parametrize(
    ("signal", "text"),
    [
        ({"device": "M0", "type": "int16"}, "M0 is a bit, and no int16"),
        ({"device": "D0", "type": "bool"}, "write D0.0 for its lowest"),
        ({"device": "D0", "type": "uint8"}, "take uint16 for D0"),
        ({"device": "D0", "length": 4}, "only a string has a length"),
    ],
)
def test_a_type_that_does_not_fit_is_told(signal: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        mc.SignalEntry.model_validate(signal)


def test_x_and_y_of_an_fx_are_octal() -> None:
    settings = {"address": "mc://plc", "numbering": "octal"}
    mc.Entry.model_validate(settings | {"signals": {"start": {"device": "X17"}, "word": {"device": "W1F"}}})
    with pytest.raises(ValidationError, match=r"signals\.start: X18: X and Y are counted in octal"):
        mc.Entry.model_validate(settings | {"signals": {"start": {"device": "X18"}}})


async def test_each_device_is_found_where_the_cpu_has_it(cpu: McPeer, make: Any) -> None:
    """The bytes are those of the manual (SH-080008); the driver's own codec has no part in them."""
    await cpu.ask(bytes.fromhex("0114 0000 640000 a8 0200") + struct.pack("<i", -70_000))  # D100, D101
    await cpu.ask(bytes.fromhex("0114 0000 660000 a8 0400") + struct.pack("<d", 0.1))  # D102 to D105
    await cpu.ask(bytes.fromhex("0114 0000 780000 a8 0300") + b"OP-12\0")  # D120 to D122
    await cpu.ask(bytes.fromhex("0114 0000 1f0000 b4 0100") + struct.pack("<h", -5))  # W1F
    await cpu.ask(bytes.fromhex("0114 0000 409c00 b0 0100") + struct.pack("<H", 0x0420))  # ZR40000
    await cpu.ask(bytes.fromhex("0114 0100 1f0000 9c 0300 1010"))  # X1F and X21, X20 not
    await cpu.ask(bytes.fromhex("0114 0100 070000 90 0100 10"))  # M7
    found = await values(
        make(
            cpu.port,
            {
                "count": {"device": "D100", "type": "int32"},
                "length": {"device": "D102", "type": "float64"},
                "recipe": {"device": "D120", "type": "string", "length": 3},
                "offset": {"device": "w1f"},
                "ready": {"device": "ZR40000.A"},
                "busy": {"device": "ZR40000.B"},
                "start": {"device": "X1F"},
                "hold": {"device": "X20"},
                "stop": {"device": "X21"},
                "lamp": {"device": "M7"},
            },
        )
    )
    assert found == {
        "count": -70_000,
        "length": 0.1,
        "recipe": "OP-12",
        "offset": -5,
        "ready": True,
        "busy": False,
        "start": True,
        "hold": False,
        "stop": True,
        "lamp": True,
    }


async def test_what_is_set_is_where_the_cpu_has_it(cpu: McPeer, make: Any) -> None:
    signals = {
        "count": {"device": "D100", "type": "int32", "writable": True},
        "recipe": {"device": "D120", "type": "string", "length": 3, "writable": True},
        "lamp": {"device": "M7", "writable": True},
        "ready": {"device": "D0.3", "writable": True},
    }
    driver = make(cpu.port, signals)
    await driver.connect()
    for signal, value in {"count": -70_000, "recipe": "OP-12", "lamp": True}.items():
        written = await driver.write("press-1", signal, value)
        assert (written.outcome, written.value) == ("done", value)
    assert await cpu.ask(bytes.fromhex("0104 0000 640000 a8 0200")) == struct.pack("<i", -70_000)
    assert await cpu.ask(bytes.fromhex("0104 0000 780000 a8 0300")) == b"OP-12\0"
    assert await cpu.ask(bytes.fromhex("0104 0100 060000 90 0300")) == bytes.fromhex("0100")
    written = await driver.write("press-1", "ready", True)
    assert (written.outcome, written.reason) == ("refused", "a bit of a word cannot be written alone")


async def test_a_look_around_shows_devices_as_they_are_written(cpu: McPeer, make: Any) -> None:
    await cpu.ask(bytes.fromhex("0114 0100 1e0000 a0 0100 10"))  # B1E
    driver = make(cpu.port, {})
    await driver.connect()
    tags = [tag async for tag in driver.browse("B1*")]
    assert [tag.address for tag in tags][:18] == ["B1", *(f"B1{digit:X}" for digit in range(16)), "B100"]
    assert [tag.address for tag in tags if tag.value] == ["B1E"]
    assert [tag.address async for tag in driver.browse("D99")] == ["D99", *(f"D{n}" for n in range(990, 1000))]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0xC056, "it has no device of this number: its range ends before (C056H)"),
        (0xC059, "it does not know this command (C059H)"),
        (0xC05B, "it does not give, or take, devices of this kind (C05BH)"),
        (0x4B21, "for a reason that the manual of the CPU has (4B21H)"),
    ],
)
async def test_an_end_code_is_told_in_words(code: int, text: str, make: Any, tmp_path: Path) -> None:
    async with peer(None, "--fault-plan", _plan(tmp_path, 0x0401, code)) as cpu:
        driver = make(cpu.port, SPEED)
        await driver.connect()
    assert driver.counters.notes["refused of speed"] == f"speed (D10): the device refuses it: {text}"


async def test_writing_that_a_running_cpu_does_not_take_says_what_to_permit(make: Any, tmp_path: Path) -> None:
    async with peer(None, "--fault-plan", _plan(tmp_path, 0x1401, 0x0055)) as cpu:
        driver = make(cpu.port, {"speed": SPEED["speed"] | {"writable": True}})
        await driver.connect()
        written = await driver.write("press-1", "speed", 1.0)
    assert written.outcome == "failed"
    assert "permit online change" in written.reason


@pytest.mark.parametrize(
    ("code", "do"),
    [
        (0xC05F, "are `network`, `station` and `cpu` right?"),
        (0xC06F, "set the communication data code of the port to binary"),
        (0xC201, "take this port out of the remote password"),
    ],
)
async def test_what_is_wrong_with_the_way_says_what_to_do(code: int, do: str, make: Any, tmp_path: Path) -> None:
    async with peer(None, "--fault-plan", _plan(tmp_path, 0x0401, code)) as cpu:
        with pytest.raises(Unreachable) as told:
            await make(cpu.port, SPEED).connect()
    assert do in told.value.do


def _plan(folder: Path, command: int, code: int) -> str:
    """Write a plan for the CPU to answer each such command with an end code."""
    step = {"match": {"command": command}, "times": 1000, "action": {"type": "bad_end_code", "code": code}}
    file = folder / "plan.json"
    file.write_text(json.dumps({"steps": [step]}))
    return str(file)


async def told(driver: mc.Driver) -> DriverError:
    with pytest.raises(Unreachable) as found:
        await driver.connect()
    return found.value


async def test_the_way_to_another_cpu_is_asked_for(make: Any) -> None:
    asked = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.extend(await reader.readexactly(21))
        writer.close()

    port = unused_port()
    async with await asyncio.start_server(listen, "127.0.0.1", port):
        error = await told(make(port, SPEED, network=2, station=3, cpu=2))
    # 3E, network 2, station 3, CPU 2 by its I/O number 03E1; 12 bytes; 1 s; batch read of words; D10, 2 of them
    assert asked == bytes.fromhex("5000 02 03 e103 00 0c00 0400 0104 0000 0a0000 a8 0200")
    assert "has it as many connections as it takes" in error.do


async def test_a_port_that_says_nothing_or_is_shut_says_what_to_do(make: Any) -> None:
    port = unused_port()
    error = await told(make(port, SPEED))
    assert "nothing listens there" in error.what

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", port):
        error = await told(make(port, SPEED, timeout_s=0.2))
    assert "no answer in time" in error.what
    assert "is the port set to MC protocol (SLMP) in binary?" in error.do


async def test_a_number_that_is_none_has_no_value(cpu: McPeer, make: Any) -> None:
    await cpu.say(float("nan"), 0)
    driver = make(cpu.port, SPEED)
    await driver.connect()
    [sample] = await driver.read()
    assert (sample.value, sample.quality) == (None, Quality.BAD)
