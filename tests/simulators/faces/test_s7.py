"""S7, read and written by snap7's client from the map alone, and by bytes on a bare socket."""

from __future__ import annotations

import asyncio
import csv
import json
import math
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from snap7.client import Client
from snap7.error import S7Error
from snap7.type import Area, Block, WordLen
from snap7.util import get_bool, get_dint, get_real, get_string, set_bool, set_string

from simulators import factory as factories
from simulators.face import Setting
from simulators.faces import _datablock as datablock
from simulators.faces._datablock import Field
from simulators.faces.s7 import FACE, MOST_CLIENTS, S7
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
          cnc-01: {kind: cnc, face: s7}
          cnc-02: {kind: cnc, face: s7, options: {s7: {db: 100}}}
          robot-01: {kind: robot, face: s7}
          battery-01: {kind: battery, face: s7}
"""
CONNECT = bytes.fromhex("0300001611e00000000100c0010ac1020100c2020102")
"""Connection request of ISO 8073: TPDUs of 1024 bytes, TSAPs 01.00 and 01.02 (rack 0, slot 2)."""
SETUP = bytes.fromhex("0300001902f08032010000000100080000f0000001000101e0")
"""Setup of communication, PDUs of 480 bytes."""

Result = TypeVar("Result")


class Line:
    """A factory on S7, moved by hand, and a client that knows only the map."""

    def __init__(self, folder: Path, text: str = FACTORY) -> None:
        self.factory = factories.parse(text)
        self.face: S7 = FACE(Setting(folder, s7_port=0))
        for stand in self.factory.stands:
            self.face.show(stand.machine, stand.place)
        self.client = Client()
        self.now_ns = NOW_NS
        self.map: dict[tuple[str, str], dict[str, str]] = {}

    async def __aenter__(self) -> Line:
        await self.face.start()
        with self.face.map.open(encoding="utf-8") as file:
            self.map = {(row["machine"], row["signal"]): row for row in csv.DictReader(file)}
        await self.ask(self.client.connect, "127.0.0.1", 0, 2, self.face.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.client.disconnect)
        await self.face.stop()
        await self.face.stop()

    async def ask(self, method: Callable[..., Result], *arguments: Any) -> Result:
        """Let the client wait in a thread, as its calls block."""
        return await asyncio.wait_for(asyncio.to_thread(method, *arguments), 20)

    async def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.factory.step(0.2)
            self.now_ns += TICK_NS
            await self.face.emit(self.now_ns)

    async def until_it_cuts(self, machine: Any) -> None:
        while machine.execution != "ACTIVE":
            await self.tick()

    def place(self, machine: str, signal: str) -> tuple[int, int, int]:
        row = self.map[machine, signal]
        return int(row["db"]), int(row["byte"]), int(row["bit"] or 0)

    async def block(self, machine: str) -> bytearray:
        rows = [row for (name, _), row in self.map.items() if name == machine]
        size = max(int(row["byte"]) + int(row["bytes"]) for row in rows)
        return await self.ask(self.client.db_read, int(rows[0]["db"]), 0, size)

    def value(self, machine: str, signal: str, block: bytearray) -> Any:
        _, byte, bit = self.place(machine, signal)
        match self.map[machine, signal]["type"]:
            case "BOOL":
                return get_bool(block, byte, bit)
            case "DINT":
                return get_dint(block, byte)
            case "REAL":
                return get_real(block, byte)
            case _:
                return get_string(block, byte)

    async def read(self, machine: str, signal: str) -> Any:
        return self.value(machine, signal, await self.block(machine))

    async def write(self, machine: str, name: str, data: bytes) -> None:
        db, byte, _ = self.place(machine, name)
        await self.ask(self.client.db_write, db, byte, bytearray(data))

    async def press(self, machine: str, name: str, value: bool = True) -> None:
        db, byte, bit = self.place(machine, f"command/{name}")
        await self.ask(self.client.write_area, Area.DB, db, byte * 8 + bit, bytearray([value]), WordLen.Bit)


@pytest_asyncio.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with Line(tmp_path) as running:
        yield running


async def test_a_client_reads_every_signal_of_every_machine_from_the_map_alone(line: Line) -> None:
    for _ in range(300):
        line.factory.step(0.2)
    await line.tick()
    for name, machine in line.factory.machines.items():
        block, reading = await line.block(name), machine.read()
        for signal in machine.signals:
            value, truth = line.value(name, signal.name, block), reading[signal.name]
            assert line.map[name, signal.name]["unit"] == signal.unit
            if signal.name == "sequence":
                assert value == machine.sequence
            elif isinstance(truth, float):
                assert value == pytest.approx(truth, rel=1e-6, abs=1e-30), signal.name
            else:
                assert value == truth, signal.name
    assert {row["type"] for row in line.map.values()} == {"BOOL", "DINT", "REAL", "STRING[62]"}
    assert [line.map[name, "sequence"]["db"] for name in line.factory.machines] == ["1", "100", "101", "102"]


async def test_the_blocks_are_listed_with_their_sizes(line: Line) -> None:
    assert sorted(await line.ask(line.client.list_blocks_of_type, Block.DB, 1024)) == [1, 100, 101, 102]
    info = await line.ask(line.client.get_block_info, Block.DB, 100)
    assert info.MC7Size == len(await line.block("cnc-02")) + len(await line.block("cnc-02")) % 2


async def test_bits_and_several_items_in_one_request(line: Line) -> None:
    await line.until_it_cuts(line.factory.machines["cnc-01"])
    row = next(row for row in line.map.values() if row["machine"] == "robot-01" and row["type"] == "BOOL")
    db, byte, bit = line.place("robot-01", row["signal"])
    got = await line.ask(line.client.read_area, Area.DB, db, byte * 8 + bit, 1, WordLen.Bit)
    assert bool(got[0]) == await line.read("robot-01", row["signal"])
    items = [
        {"area": Area.DB, "db_number": line.place(name, signal)[0], "start": line.place(name, signal)[1], "size": size}
        for name, signal, size in (("cnc-01", "power", 4), ("robot-01", row["signal"], 1), ("cnc-02", "sequence", 4))
    ]
    _, (power, flags, sequence) = await line.ask(line.client.read_multi_vars, items)
    assert get_real(bytearray(power), 0) == await line.read("cnc-01", "power")
    assert get_bool(bytearray(flags), 0, bit) == bool(got[0])
    assert get_dint(bytearray(sequence), 0) == line.factory.machines["cnc-02"].sequence


async def test_a_write_is_a_command(line: Line) -> None:
    await line.tick()
    cnc: Any = line.factory.machines["cnc-02"]
    await line.write("cnc-02", "feed_override", struct.pack(">f", 80.0))
    assert cnc.feed_override == 80.0
    assert await line.read("cnc-02", "feed_override") == 80.0
    await line.tick()
    assert await line.read("cnc-02", "feed_override") == 80.0
    battery: Any = line.factory.machines["battery-01"]
    await line.write("battery-01", "setpoint", struct.pack(">f", -12.5))
    assert battery.setpoint_kw == -12.5
    await line.tick()
    assert await line.read("battery-01", "setpoint") == -12.5


async def test_a_text_may_end_with_its_last_character(line: Line) -> None:
    await line.tick()
    cnc: Any = line.factory.machines["cnc-01"]
    await line.write("cnc-01", "command/power", b"\x3e\x07standby")
    assert cnc.state == "standby"
    whole = bytearray(64)
    set_string(whole, 0, "on", 62)
    await line.write("cnc-01", "command/power", whole)
    assert cnc.state == "on"
    with pytest.raises(S7Error, match="0x05"):
        await line.write("cnc-01", "command/power", b"\x3e\x07stand")
    with pytest.raises(S7Error, match="0x03"):
        await line.write("cnc-01", "command/power", b"\x3e\x05green")
    with pytest.raises(S7Error, match="0x07"):
        await line.write("cnc-01", "command/power", b"\xfe\xfe" + b"on".ljust(62))


async def test_a_button_acts_once_and_falls_back(line: Line) -> None:
    cnc: Any = line.factory.machines["cnc-01"]
    await line.until_it_cuts(cnc)
    await line.press("cnc-01", "program_stop")
    assert cnc.execution == "FEED_HOLD"
    assert await line.read("cnc-01", "command/program_stop") is True
    await line.tick()
    assert await line.read("cnc-01", "command/program_stop") is False
    assert await line.read("cnc-01", "execution") == "FEED_HOLD"
    await line.press("cnc-01", "program_start", False)
    assert cnc.execution == "FEED_HOLD"
    # as many clients do: read the byte, set a bit of it, write it back; the neighbors stay as they are
    db, byte, bit = line.place("cnc-01", "command/program_start")
    flags = await line.ask(line.client.db_read, db, byte, 1)
    set_bool(flags, 0, bit, True)
    await line.ask(line.client.db_write, db, byte, flags)
    assert cnc.execution == "ACTIVE"
    events = [json.loads(text) for _, text in line.factory.journal.read()]
    obeyed = [event["name"] for event in events if event["event"] == "command"]
    assert obeyed == ["program_stop", "program_start"]


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


async def test_what_a_controller_refuses_is_told_and_changes_nothing(line: Line) -> None:
    cnc: Any = line.factory.machines["cnc-01"]
    await line.until_it_cuts(cnc)
    before = await line.block("cnc-01")
    with pytest.raises(S7Error, match="0x03"):
        await line.press("cnc-01", "program_start")  # it runs already
    with pytest.raises(S7Error, match="0x03"):
        await line.write("cnc-01", "feed_override", struct.pack(">f", 200.0))
    with pytest.raises(S7Error, match="0x07"):
        await line.write("cnc-01", "feed_override", struct.pack(">f", math.nan))
    with pytest.raises(S7Error, match="0x05"):
        await line.write("cnc-01", "feed_override", b"\x42\xc8")  # half of a number
    with pytest.raises(S7Error, match="0x03"):
        await line.write("cnc-01", "power", struct.pack(">f", 1.0))  # only reads
    with pytest.raises(S7Error, match="0x05"):
        await line.ask(line.client.db_read, 1, len(before) + 1, 4)
    with pytest.raises(S7Error, match="0x0a"):
        await line.ask(line.client.db_read, 7, 0, 4)
    with pytest.raises(S7Error, match="0x0a"):
        await line.ask(line.client.read_area, Area.MK, 0, 0, 4)
    with pytest.raises(S7Error, match="0x06"):
        await line.ask(line.client.read_area, Area.DB, 1, 0, 1, WordLen.Timer)
    assert await line.block("cnc-01") == before
    assert cnc.feed_override == 100.0


@pytest.mark.parametrize("wish", ["plc_stop", "plc_cold_start", "upload", "download"])
async def test_nobody_stops_the_controller_or_changes_its_program(line: Line, wish: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"upload": (1,), "download": (bytearray(64), 1)}
    before = await line.block("cnc-01")
    with pytest.raises(S7Error):
        await line.ask(getattr(line.client, wish), *arguments.get(wish, ()))
    assert await line.block("cnc-01") == before


async def test_a_silent_link_has_no_values_and_takes_none(line: Line) -> None:
    battery: Any = line.factory.machines["battery-01"]
    battery.link_faults.append(LinkFault("silent", battery.time_s))
    with pytest.raises(S7Error, match="0x01"):
        await line.read("battery-01", "voltage")
    with pytest.raises(S7Error, match="0x01"):
        await line.write("battery-01", "setpoint", struct.pack(">f", -7.5))
    assert battery.setpoint_kw != -7.5
    await line.tick()
    assert await line.read("cnc-01", "sequence") == 1


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readexactly(4), 10)
    return head + await asyncio.wait_for(reader.readexactly(int.from_bytes(head[2:]) - 4), 10)


async def test_bytes_of_requests_and_their_answers(line: Line) -> None:
    """ISO on TCP (RFC 1006), then the protocol's read and write, without any library."""
    await line.tick()
    reader, writer = await asyncio.open_connection("127.0.0.1", line.face.port)
    writer.write(CONNECT)
    assert (await answer(reader))[5] == 0xD0
    writer.write(SETUP)
    assert (await answer(reader))[-2:] == b"\x01\xe0"
    db, byte, _ = line.place("cnc-02", "sequence")
    read = bytes.fromhex("0300001f02f080 32010000 0007 000e0000 0401 120a1002 0004") + struct.pack(">HB", db, 0x84)
    writer.write(read + (byte * 8).to_bytes(3))
    assert await answer(reader) == bytes.fromhex("0300001d02f080 32030000 0007 00020008 0000 0401 ff040020 00000001")
    # two items in one write: the second is refused, the first is not
    fields = [line.place("cnc-02", name)[:2] for name in ("feed_override", "power")]
    items = b"".join(
        bytes.fromhex("120a10020004") + struct.pack(">HBI", db, 0x84, at * 8)[:3] + (at * 8).to_bytes(3)
        for db, at in fields
    )
    values = b"".join(b"\0\x04\0\x20" + struct.pack(">f", 90.0) for _ in fields)
    body = (
        bytes.fromhex("32010000 0008") + struct.pack(">HH", 2 + len(items), len(values)) + b"\x05\x02" + items + values
    )
    writer.write(struct.pack(">BBH", 3, 0, len(body) + 7) + b"\x02\xf0\x80" + body)
    assert await answer(reader) == bytes.fromhex("0300001702f080 32030000 0008 00020002 0000 0502 ff03")
    cnc: Any = line.factory.machines["cnc-02"]
    assert cnc.feed_override == 90.0
    writer.write(bytes.fromhex("0300000b02f080 32010000"))  # ends too soon
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await writer.wait_closed()
    assert await line.read("cnc-02", "feed_override") == 90.0


async def test_so_many_clients_and_no_more_and_a_stop_ends_them(tmp_path: Path) -> None:
    async with Line(tmp_path) as running:
        second = FACE(Setting(tmp_path, s7_port=running.face.port))
        with pytest.raises(OSError, match=r"\(S7\) cannot be listened on.*--s7-port"):
            await second.start()
        clients = []
        for _ in range(MOST_CLIENTS - 1):  # one is connected already
            reader, writer = await asyncio.open_connection("127.0.0.1", running.face.port)
            writer.write(CONNECT)
            assert (await answer(reader))[5] == 0xD0
            clients.append((reader, writer))
        reader, writer = await asyncio.open_connection("127.0.0.1", running.face.port)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        async with asyncio.timeout(10):
            await running.face.stop()
        for reader, _ in clients:
            assert await asyncio.wait_for(reader.read(), 10) == b""
        for _, each in (*clients, (reader, writer)):
            each.close()
            await each.wait_closed()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", running.face.port)) != 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("{db: 0}", "db 0 is no free one"),
        ("{db: 65536}", "db 65536"),
        ("{db: 1}", "db 1 is no free one"),
        ("{block: 1}", "have: db"),
    ],
)
def test_options_that_are_none(tmp_path: Path, options: str, words: str) -> None:
    with pytest.raises(FactoryFileError, match=words):
        Line(tmp_path, FACTORY.replace("{db: 100}", options))


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.floats(width=32, allow_nan=False), st.text(max_size=80))
def test_values_survive(number: int, real: float, text: str) -> None:
    assert Field("x", "DINT").decode(Field("x", "DINT").encode(number)) == number
    assert Field("x", "REAL").decode(Field("x", "REAL").encode(real)) == real
    expected = text.encode("latin-1", "replace").decode("latin-1")[: datablock.STRING_SIZE]
    assert Field("x", "STRING").decode(Field("x", "STRING").encode(text)) == expected


def test_no_value_and_values_beyond_the_range() -> None:
    for type_ in ("DINT", "REAL"):
        assert Field("x", type_).decode(Field("x", type_).encode(None)) is None
    assert Field("x", "DINT").encode(2**40) == b"\x7f\xff\xff\xff"
    assert Field("x", "STRING").encode(None) == b"\x3e" + bytes(63)
    assert Field("x", "BOOL").encode(None) == b"\0"


def test_the_block_of_a_machine_has_the_order_and_the_alignment_of_the_controller() -> None:
    """Clients are programmed against it: a change here breaks them."""
    fields = datablock.layout(CNC("cnc-01"))
    assert all(field.byte % 2 == 0 for field in fields if field.type != "BOOL")
    bits = [
        (field.byte * 8 + bit)
        for field in fields
        for bit in ([field.bit] if field.type == "BOOL" else range(8 * field.size))
    ]
    assert len(bits) == len(set(bits))
    first_written = min(field.byte for field in fields if field.access != "read")
    assert all(field.end <= first_written for field in fields if field.access == "read")
    places = {field.name: (field.byte - first_written, field.bit, field.type) for field in fields}
    assert places["feed_override"] == (0, 0, "REAL")
    assert places["command/coolant"] == (8, 0, "STRING")
    assert places["command/power"] == (72, 0, "STRING")
    assert places["command/tool_change"] == (136, 0, "DINT")
    assert places["command/program_start"] == (140, 1, "BOOL")
    assert places["command/program_stop"] == (140, 2, "BOOL")
