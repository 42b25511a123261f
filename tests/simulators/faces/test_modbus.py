"""Modbus TCP, read and written by pymodbus' client from the register map alone, and by bytes on a bare socket."""

from __future__ import annotations

import asyncio
import csv
import math
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient

from simulators import factory as factories
from simulators.face import Setting
from simulators.faces import _registers as registers
from simulators.faces._registers import WORD_ORDERS, Field
from simulators.faces.modbus import FACE, Modbus
from simulators.factory import FactoryFileError
from simulators.fault import LinkFault
from simulators.machines.cnc import MACHINE as CNC

NOW_NS = 1_700_000_000_000_000_000
TICK_NS = 200_000_000
FACTORY = """\
enterprise: demo
site: shanghai
seed: 5
areas:
  machining:
    lines:
      line1:
        machines:
          cnc-01: {kind: cnc, face: modbus}
          cnc-02: {kind: cnc, face: modbus, options: {modbus: {word_order: CDAB, unit_id: 17}}}
          robot-01: {kind: robot, face: modbus, options: {modbus: {word_order: BADC}}}
          battery-01: {kind: battery, face: modbus, options: {modbus: {word_order: DCBA}}}
"""
# what the words of the map mean to pymodbus: the byte order inside a 32-bit number, as struct and swaps have it
SWAPS = {"ABCD": (False, False), "CDAB": (True, False), "BADC": (False, True), "DCBA": (True, True)}


class Line:
    """A factory on Modbus, moved by hand, and a client that knows only the register map."""

    def __init__(self, folder: Path, text: str = FACTORY) -> None:
        self.factory = factories.parse(text)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.face: Modbus = FACE(Setting(folder, modbus_port=self.port))
        for stand in self.factory.stands:
            self.face.show(stand.machine, stand.place)
        self.client = AsyncModbusTcpClient("127.0.0.1", port=self.port, timeout=5, retries=0)
        self.now_ns = NOW_NS
        self.map: dict[tuple[str, str], dict[str, str]] = {}

    async def __aenter__(self) -> Line:
        await self.face.start()
        with self.face.map.open(encoding="utf-8") as file:
            self.map = {(row["machine"], row["signal"]): row for row in csv.DictReader(file)}
        assert await self.client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()
        await self.face.stop()
        await self.face.stop()

    async def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.factory.step(0.2)
            self.now_ns += TICK_NS
            await self.face.emit(self.now_ns)

    async def read(self, machine: str, signal: str) -> Any:
        row = self.map[machine, signal]
        ask = {
            "coil": self.client.read_coils,
            "discrete": self.client.read_discrete_inputs,
            "holding": self.client.read_holding_registers,
            "input": self.client.read_input_registers,
        }[row["table"]]
        answer = await ask(int(row["address"]), count=int(row["registers"]), device_id=int(row["unit_id"]))
        assert not answer.isError(), answer
        return answer.bits[0] if row["type"] == "bool" else self._value(row, answer.registers)

    def _value(self, row: dict[str, str], words: list[int]) -> Any:
        if row["type"] == "string":
            return self.client.convert_from_registers(words, self.client.DATATYPE.STRING)
        if row["type"] == "uint16":
            return words[0] * float(row["scale"])
        reverse, swap = SWAPS[row["word_order"]]
        words = words[::-1] if reverse else words
        words = [word >> 8 | (word & 0xFF) << 8 for word in words] if swap else words
        return self.client.convert_from_registers(words, getattr(self.client.DATATYPE, row["type"].upper()))

    async def press(self, machine: str, command: str, value: bool = True) -> Any:
        row = self.map[machine, f"command/{command}"]
        return await self.client.write_coil(int(row["address"]), value, device_id=int(row["unit_id"]))

    async def write(self, machine: str, name: str, *words: int) -> Any:
        row = self.map[machine, name]
        return await self.client.write_registers(int(row["address"]), list(words), device_id=int(row["unit_id"]))


@pytest_asyncio.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with Line(tmp_path) as running:
        yield running


async def test_a_client_reads_every_signal_of_every_machine_from_the_map_alone(line: Line) -> None:
    for _ in range(300):
        line.factory.step(0.2)
    await line.tick()
    for name, machine in line.factory.machines.items():
        reading = machine.read()
        for signal in machine.signals:
            value, truth = await line.read(name, signal.name), reading[signal.name]
            if signal.name == "sequence":
                assert value == machine.sequence
            elif line.map[name, signal.name]["type"] in ("float32", "uint16"):
                assert isinstance(truth, float)
                if line.map[name, signal.name]["type"] == "uint16":
                    truth = max(truth, 0.0)  # noise around 0 has no place in an unsigned register
                assert value == pytest.approx(truth, rel=1e-6, abs=0.0051), signal.name
            else:
                assert value == truth, signal.name
    assert {row["type"] for row in line.map.values()} == {"bool", "uint16", "int32", "float32", "string"}
    assert {row["table"] for row in line.map.values()} == {"coil", "discrete", "holding", "input"}
    assert [line.map[name, "sequence"]["unit_id"] for name in line.factory.machines] == ["1", "17", "18", "19"]


async def test_registers_of_a_machine_do_not_overlap_and_leave_no_gap(line: Line) -> None:
    taken: dict[tuple[str, str], list[int]] = {}
    for row in line.map.values():
        start = int(row["address"])
        taken.setdefault((row["machine"], row["table"]), []).extend(range(start, start + int(row["registers"])))
    assert all(sorted(addresses) == list(range(len(addresses))) for addresses in taken.values())


async def test_a_write_is_a_command(line: Line) -> None:
    await line.tick()
    cnc: Any = line.factory.machines["cnc-02"]
    assert not (await line.write("cnc-02", "feed_override", 8000)).isError()
    assert cnc.feed_override == 80.0
    assert await line.read("cnc-02", "feed_override") == 80.0
    await line.tick()
    assert await line.read("cnc-02", "feed_override") == 80.0
    battery: Any = line.factory.machines["battery-01"]
    words = struct.unpack(">2H", struct.pack("<f", -12.5))  # DCBA
    assert not (await line.write("battery-01", "setpoint", *words)).isError()
    assert battery.setpoint_kw == -12.5
    await line.tick()
    assert await line.read("battery-01", "setpoint") == -12.5


async def test_a_button_acts_once_and_falls_back(line: Line) -> None:
    cnc: Any = line.factory.machines["cnc-01"]
    while cnc.execution != "ACTIVE":
        await line.tick()
    assert not (await line.press("cnc-01", "program_stop")).isError()
    assert cnc.execution == "FEED_HOLD"
    assert await line.read("cnc-01", "command/program_stop") is True
    await line.tick()
    assert await line.read("cnc-01", "command/program_stop") is False
    assert await line.read("cnc-01", "execution") == "FEED_HOLD"
    assert not (await line.press("cnc-01", "program_start", False)).isError()
    assert cnc.execution == "FEED_HOLD"
    assert not (await line.press("cnc-01", "program_start")).isError()
    assert cnc.execution == "ACTIVE"


async def test_a_failed_machine_says_so_and_a_repaired_one_is_ready(line: Line) -> None:
    cnc = line.factory.machines["cnc-01"]
    cnc.inject("drawbar_force_loss", growth_s=0.0)
    await line.tick(25)
    assert await line.read("cnc-01", "alarm") == "TOOL CLAMPING FORCE TOO LOW"
    assert await line.read("cnc-01", "execution") == "INTERRUPTED"
    cnc.clear("drawbar_force_loss")
    await line.tick(6)
    assert await line.read("cnc-01", "alarm") == ""
    assert await line.read("cnc-01", "execution") == "READY"


async def test_what_a_controller_refuses_is_an_exception(line: Line) -> None:
    cnc: Any = line.factory.machines["cnc-01"]
    while cnc.execution != "ACTIVE":
        await line.tick()
    assert (await line.press("cnc-01", "program_start")).exception_code == 6  # it runs already
    assert (await line.write("cnc-01", "feed_override", 20000)).exception_code == 3  # 200 %
    assert (await line.write("cnc-01", "feed_override", 0xFFFF)).exception_code == 3  # no value
    assert (await line.write("cnc-01", "command/power", *struct.unpack(">16H", b"\xff" * 32))).exception_code == 3
    assert (await line.write("battery-01", "setpoint", 0)).exception_code == 2  # half of a number
    assert (await line.client.write_registers(9000, [1], device_id=1)).exception_code == 2
    assert (await line.client.read_input_registers(9000, count=1, device_id=1)).exception_code == 2
    assert (await line.client.read_input_registers(0, count=1, device_id=99)).exception_code == 11
    assert cnc.feed_override == 100.0


async def test_a_silent_link_does_not_answer_for_the_machine(line: Line) -> None:
    robot = line.factory.machines["robot-01"]
    robot.link_faults.append(LinkFault("silent", robot.time_s))
    assert (await line.client.read_input_registers(0, count=1, device_id=18)).exception_code == 11
    assert not (await line.client.read_input_registers(0, count=1, device_id=1)).isError()


async def test_bytes_of_a_request_and_its_answer(line: Line) -> None:
    """Function 4 as the specification has it (MODBUS Application Protocol V1.1b3, 6.4), without any library."""
    await line.tick()
    row = line.map["cnc-02", "sequence"]
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    writer.write(struct.pack(">HHHBBHH", 7, 0, 6, int(row["unit_id"]), 4, int(row["address"]), 2))
    answer = await asyncio.wait_for(reader.readexactly(13), 5)
    writer.close()
    await writer.wait_closed()
    assert answer == struct.pack(">HHHBBBHH", 7, 0, 7, 17, 4, 4, 1, 0)  # CDAB: the low word first


async def test_a_port_that_is_taken_and_a_stop_that_ends_connections(tmp_path: Path) -> None:
    async with Line(tmp_path) as running:
        second = FACE(Setting(tmp_path, modbus_port=running.port))
        with pytest.raises(OSError, match=r"\(Modbus\) cannot be listened on"):
            await second.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, 1))
        assert await asyncio.wait_for(reader.readexactly(11), 5)
        await running.face.stop()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("{word_order: ABDC}", "no word order 'ABDC'; have: ABCD, CDAB, BADC, DCBA"),
        ("{unit_id: 248}", "unit_id 248"),
        ("{unit_id: 1}", "unit_id 1 is no free one"),
        ("{wordorder: ABCD}", "have: word_order, unit_id"),
    ],
)
def test_options_that_are_none(tmp_path: Path, options: str, words: str) -> None:
    with pytest.raises(FactoryFileError, match=words):
        Line(tmp_path, FACTORY.replace("{word_order: CDAB, unit_id: 17}", options))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("ABCD", [0x42F6, 0xE979]),
        ("CDAB", [0xE979, 0x42F6]),
        ("BADC", [0xF642, 0x79E9]),
        ("DCBA", [0x79E9, 0xF642]),
    ],
)
def test_word_orders(order: str, words: list[int]) -> None:
    """123.456 is 0x42F6E979 in IEEE 754."""
    field = Field("x", "input", 0, "float32", order)
    assert field.encode(123.456) == words
    assert field.decode(words) == pytest.approx(123.456, rel=1e-7)


@given(st.sampled_from(sorted(WORD_ORDERS)), st.integers(-(2**31) + 1, 2**31 - 1), st.text(max_size=40))
def test_values_survive(order: str, number: int, text: str) -> None:
    assert (
        Field("x", "input", 0, "int32", order).decode(Field("x", "input", 0, "int32", order).encode(number)) == number
    )
    field = Field("x", "input", 0, "string")
    assert text.encode().startswith(str(field.decode(field.encode(text.rstrip("\0")))).encode())


def test_no_value_and_values_beyond_the_range() -> None:
    for type_ in ("uint16", "int32", "float32"):
        field = Field("x", "input", 0, type_)
        assert field.decode(field.encode(None)) is None
    assert math.isnan(struct.unpack(">f", struct.pack(">2H", *Field("x", "input", 0, "float32").encode(None)))[0])
    assert Field("x", "input", 0, "uint16", scale=0.01).encode(-3.0) == [0]
    assert Field("x", "input", 0, "uint16", scale=0.01).encode(1e6) == [0xFFFE]
    assert Field("x", "input", 0, "int32").decode(Field("x", "input", 0, "int32").encode(2**40)) == 2**31 - 1


def test_the_map_of_a_machine_stays_as_it_is() -> None:
    """Clients are programmed against it: a change here breaks them."""
    fields = {field.name: (field.table, field.address, field.type) for field in registers.layout(CNC("cnc-01"), "ABCD")}
    assert fields["feed_override"] == ("holding", 0, "uint16")
    assert fields["command/program_start"] == ("coil", 1, "bool")
    assert fields["command/coolant"] == ("holding", 2, "string")
    assert fields["command/power"] == ("holding", 18, "string")
    assert fields["command/tool_change"] == ("holding", 34, "uint16")
    assert fields["power"][0] == "input"
