"""What is Logix's own; what every driver does stands in conformance.py."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import ValidationError
from pylogix.lgx_tag import UDT
from pylogix.lgx_tag import Tag as Listed

from contract.model import Quality, Value
from edge.driver import DriverError, Lost, Unreachable
from edge.drivers import logix
from edge.entry import Context
from tests.edge.conftest import unused_port
from tests.edge.drivers.peers.logix import LogixPeer, peer

SPEED = {"speed": {"tag": "Speed"}}


@pytest.fixture
async def controller() -> AsyncIterator[LogixPeer]:
    async with peer() as controller:
        yield controller


@pytest.fixture
async def make(context: Context) -> AsyncIterator[Callable[..., Any]]:
    """`make(port, signals, slot=2)`: a driver, closed with the test."""
    made: list[logix.Driver] = []

    def make(port: int, signals: dict[str, Any], **options: Any) -> logix.Driver:
        settings = {"address": f"logix://127.0.0.1:{port}", "poll_s": 0.01, "timeout_s": 2}
        entry = logix.Entry.model_validate(settings | {"signals": signals} | options)
        made.append(logix.Driver("mixer-1", entry, context))
        return made[-1]

    yield make
    for driver in made:
        await driver.close()


async def told(driver: logix.Driver) -> DriverError:
    with pytest.raises(Unreachable) as found:
        await driver.connect()
    return found.value


@pytest.mark.parametrize(
    "tag",
    ["Speed", "Line[3]", "Grid[1,2,3]", "Axis[0].Position", "Word.5", "Program:Main.Speed", "Local:1:I.Data.3", "a_1"],
)
def test_tags_are_written_as_in_the_program(tag: str) -> None:
    assert logix.SignalEntry.model_validate({"tag": tag}).tag == tag


@pytest.mark.parametrize("tag", ["", "1Speed", "Line[]", "Line[x]", "Line(3)", "Axis..Position", "N7:0/1", "Speed "])
def test_what_is_no_tag_is_told_with_what_to_write(tag: str) -> None:
    with pytest.raises(ValidationError, match=r"is no tag: write Speed, Line\[3\]"):
        logix.SignalEntry.model_validate({"tag": tag})


async def test_tags_have_values_of_their_types(controller: LogixPeer, make: Any) -> None:
    for tag, value in {"Speed": 23.4, "Line[3]": -7, "Word": 32, "Small": -128, "Axis.Position": 0.1}.items():
        controller.ask(tag, value)
    tags = ("Speed", "Line[3]", "Word", "Word.5", "Word.6", "Flag", "Small", "Axis.Position")
    driver = make(controller.port, {f"s{number}": {"tag": tag} for number, tag in enumerate(tags)})
    await driver.connect()
    found = [sample.value for sample in await driver.read()]
    assert found == [23.4, -7, 32, True, False, False, -128, 0.1]
    assert [type(value) for value in found] == [float, int, int, bool, bool, bool, int, float]


async def test_many_tags_and_one_alone_are_read(controller: LogixPeer, make: Any) -> None:
    controller.ask("Line[9]", 9)
    driver = make(controller.port, {f"s{number}": {"tag": f"Line[{number % 10}]"} for number in range(250)})
    await driver.connect()
    samples = await driver.read()
    assert [sample.value for sample in samples] == [9 if number % 10 == 9 else 0 for number in range(250)]
    driver = make(controller.port, {"last": {"tag": "Line[9]"}})
    await driver.connect()
    assert [sample.value for sample in await driver.read()] == [9]


@pytest.mark.parametrize("others", [{}, SPEED])
@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("Sped", "there is no such tag: is it misspelt, does `Program:Name.` stand before it"),
        ("Line[10]", "there is no such element of the array"),
    ],
)
async def test_a_tag_that_is_not_there_says_what_to_look_at(
    tag: str, text: str, others: dict[str, Any], controller: LogixPeer, make: Any
) -> None:
    driver = make(controller.port, {"wrong": {"tag": tag}, **others})
    await driver.connect()
    assert driver.counters.notes["refused of wrong"].startswith(f"wrong ({tag}): {text}")
    for _ in range(3):  # until it is asked for again, the others are
        assert [sample.signal for sample in await driver.read()] == [*others]


@pytest.mark.parametrize(
    ("tag", "value", "text"),
    [
        ("Small", 200, "200 does not fit into int8"),
        ("Line[3]", 2.5, "2.5 is no whole number"),
        ("Flag", 2, "'2' is neither true nor false"),
        ("Speed", float("inf"), "inf is no number"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused(
    tag: str, value: Value, text: str, controller: LogixPeer, make: Any
) -> None:
    driver = make(controller.port, {"it": {"tag": tag, "writable": True}})
    await driver.connect()
    assert await driver.write("mixer-1", "it", value) == ("refused", text, None)
    assert [sample.quality for sample in await driver.read()] == [Quality.GOOD]  # the line is well


async def test_a_tag_that_is_not_there_is_not_set(controller: LogixPeer, make: Any) -> None:
    driver = make(controller.port, {"it": {"tag": "Sped", "writable": True}})
    await driver.connect()
    written = await driver.write("mixer-1", "it", 1)
    assert written.outcome == "failed"
    assert "is it misspelt" in written.reason


async def test_who_lists_no_tags_is_told(controller: LogixPeer, make: Any) -> None:
    driver = make(controller.port, SPEED | {"last": {"tag": "Line[9]"}})
    await driver.connect()
    assert [(tag.address, tag.value) async for tag in driver.browse()] == [("Speed", 0.0), ("Line[9]", 0)]
    for path in ("Line[9]", "Line", "*ne*"):
        assert [tag.address async for tag in driver.browse(path)] == ["Line[9]"]
    assert "those of the plant file are shown" in driver.counters.notes["no list"]
    driver = make(controller.port, {})
    await driver.connect()
    with pytest.raises(Lost, match="does not list its tags") as found:
        _ = [tag async for tag in driver.browse()]
    assert "write their names" in found.value.do


# answers of other controllers, by their bytes


def refuses_session(status: int) -> Callable[[int], bytes]:
    return lambda command: struct.pack("<HHII12x", command, 0, 0, status)


def refuses_connection(status: int, extended: int) -> Callable[[int], bytes]:
    """Take a session, and answer each Forward Open with a status (CIP Vol. 1, 3-5.6)."""

    def answer(command: int) -> bytes:
        if command == 0x65:
            return struct.pack("<HHII12xHH", command, 4, 1, 0, 1, 0)
        reply = struct.pack("<BBBBH", 0xDB, 0, status, 1, extended)
        items = struct.pack("<IHHHHHH", 0, 0, 2, 0, 0, 0xB2, len(reply))
        return struct.pack("<HHII12x", command, len(items + reply), 1, 0) + items + reply

    return answer


@pytest.mark.parametrize(
    ("answer", "what", "do"),
    [
        (refuses_connection(1, 0x0312), "there is nothing in that slot", "is `slot` that of the controller"),
        (refuses_connection(1, 0x0204), "nobody answers in that slot", "is `slot` that of the controller"),
        (refuses_connection(1, 0x0311), "it has no backplane", "`micro800: true`"),
        (refuses_connection(1, 0x0113), "it has no connection left", "end another one"),
        (refuses_connection(2, 0), "it has no connection left", "end another one"),
        (refuses_connection(8, 0), "it takes no connection (status 08, 0000)", "is it a Logix controller?"),
        (refuses_session(2), "it has no memory for another session", "has it as many connections as it takes?"),
        (lambda _: b"HTTP/1.1 400 Bad Request", "an answer that is no EtherNet/IP", "is the port right?"),
        (lambda _: b"", "the device has closed the line", "has it as many connections as it takes"),
    ],
)
async def test_a_controller_that_does_not_let_us_in_says_what_to_do(
    answer: Callable[[int], bytes], what: str, do: str, make: Any
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(24):
            command, length = struct.unpack_from("<HH", head)
            await reader.readexactly(length)
            if not (reply := answer(command)):
                break
            writer.write(reply)
        writer.close()

    port = unused_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        error = await told(make(port, SPEED))
    assert what in error.what
    assert do in error.do


async def test_a_port_that_says_nothing_or_is_shut_says_what_to_do(make: Any) -> None:
    port = unused_port()
    assert "nothing listens there" in (await told(make(port, SPEED))).what

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", port):
        error = await told(make(port, SPEED, timeout_s=0.2))
    assert "no answer in time" in error.what
    assert "does no firewall drop it" in error.do


def listed(name: str, kind: str, *, dimensions: int = 0, size: int = 0, is_internal: bool = False) -> Any:
    """Return a tag as the library lists it."""
    tag = Listed()
    tag.TagName, tag.DataType, tag.Array, tag.Size, tag.Internal = name, kind, dimensions, size, is_internal
    return tag


def test_a_structure_is_shown_by_its_members() -> None:
    axis, point = UDT(), UDT()
    point.Fields = [listed("X", "REAL"), listed("Y", "REAL")]
    axis.Fields = [
        listed("ZZZZZZZZZZAxis0", "SINT"),
        listed("Ready", "BOOL"),
        listed("Secret", "DINT", is_internal=True),
        listed("Points", "POINT", dimensions=1, size=4),
        listed("Name", "STRING"),
    ]
    tag = listed("Axis", "AXIS", dimensions=2, size=3)
    assert list(logix.leaves(tag, tag.TagName, {"AXIS": axis, "POINT": point})) == [
        ("Axis[0,0].Ready", "BOOL"),
        ("Axis[0,0].Points[0].X", "REAL"),
        ("Axis[0,0].Points[0].Y", "REAL"),
        ("Axis[0,0].Name", "STRING"),
    ]
    assert list(logix.leaves(listed("Line", "DINT", dimensions=1, size=10), "Line", {})) == [("Line[0]", "DINT[10]")]
