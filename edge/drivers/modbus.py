"""Modbus TCP, and RTU over TCP: asks a controller for coils and registers, neighbours in one request."""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU

from contract.model import Datatype
from edge import entry as base
from edge.driver import Tag
from edge.drivers import _number, _polled
from edge.drivers._polled import Cell, LineError, RefusedError, Span, no_line, reach
from edge.recognize import Recognized, answer

SCHEMES: Final = {"modbus": 502}
Table: TypeAlias = Literal["coil", "discrete", "input", "holding"]
TABLES: Final[tuple[Table, ...]] = ("coil", "discrete", "input", "holding")
_MODICON: Final[Mapping[str, Table]] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_REGISTER: Final = re.compile(r"(coil|discrete|input|holding)/(\d{1,5})(?:\.(\d{1,2}))?\Z")
_BITS: Final = frozenset(("coil", "discrete"))
_LAST: Final = 65_535
_VAIN: Final = 300  # requests without anything found, then a look at a table ends
_SILENT: Final = frozenset((ExcCodes.GATEWAY_PATH_UNAVIABLE, ExcCodes.GATEWAY_NO_RESPONSE))
_ABSENT: Final = "its gateway says that this unit is not there: state the unit_id of the device"
_WHY: Final[Mapping[int, str]] = {
    1: "it does not know this kind of request",
    2: "it has nothing at this address",
    3: "it does not take this value, or not so many at once",
    4: "it has failed",
    6: "it is busy",
}


def _address(text: str) -> str:
    return base.with_port(text, "an address of Modbus TCP", SCHEMES)


def _register(text: str) -> str:
    """Return `holding/100` for that and for 40101, the way of Modicon, which counts from 1."""
    if re.match(r"[0134]\d{4,5}\Z", text):
        number = int(text[1:]) - 1
        text = f"{_MODICON[text[0]]}/{number}"
    found = _REGISTER.match(text)
    if not found or int(found[2]) > _LAST or int(found[3] or 0) > 15 or (found[3] and found[1] in _BITS):
        raise ValueError(
            f"{text!r} is no register: write holding/100, input/7, coil/0 or discrete/3, which count from 0; "
            "holding/100.5 is a bit of it, 0 the lowest; or 40101 as the papers of many makers do, which counts from 1"
        )
    return text


Register = Annotated[str, BeforeValidator(base.as_written), AfterValidator(_register)]


class SignalEntry(base.SignalEntry):
    """A signal and the registers that hold it."""

    register_: Register = Field(alias="register", description="holding/100, counted from 0; or 40101, counted from 1")
    type: _number.Type | None = Field(
        None, description="not stated: bool for coils, discretes and bits, uint16 for registers"
    )
    length: Annotated[int, Field(ge=1, le=125)] = Field(1, description="of a string, in registers")
    order: _number.Order | None = Field(None, description="of the bytes; not stated: that of the machine")

    @model_validator(mode="after")
    def _check_type(self) -> Self:
        table, _, bit = _parts(self.register_)
        if self.type not in (None, "bool") and (table in _BITS or bit is not None):
            raise ValueError(f"{self.register_} is a bit, and no {self.type}")
        if self.type == "bool" and table not in _BITS and bit is None:
            raise ValueError(f"a register has 16 bits: write {self.register_}.0 for its lowest")
        if self.type in ("int8", "uint8"):
            raise ValueError(f"a register has 16 bits: take {self.type[:-1]}16 for {self.register_}")
        if self.length != 1 and self.type != "string":
            raise ValueError("only a string has a length")
        return self


class Entry(_polled.Entry):
    """A device on Modbus."""

    driver: Literal["modbus"] = "modbus"
    address: Annotated[str, AfterValidator(_address)]
    unit_id: Annotated[int, Field(ge=0, le=255)] = Field(1, description="which device behind the address")
    framing: Literal["tcp", "rtu"] = Field("tcp", description="rtu: of a converter that only passes bytes on")
    order: _number.Order = Field("ABCD", description="of the bytes of numbers of several registers")
    encoding: base.Encoding = Field("utf-8", description="of texts")
    most: Annotated[int, Field(ge=1, le=125)] = Field(125, description="registers that one request may ask for")
    gap: Annotated[int, Field(ge=0, le=125)] = Field(
        16, description="so many registers that nobody wants are read along rather than to ask twice"
    )
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_most(self) -> Self:
        for name, signal in self.signals.items():
            if (count := _cell(signal, self).span.count) > self.most:
                raise ValueError(f"signals.{name}: it has {count} registers, and `most` lets one ask for {self.most}")
        return self


def _parts(register: str) -> tuple[Table, int, int | None]:
    found = cast("re.Match[str]", _REGISTER.match(register))
    return cast("Table", found[1]), int(found[2]), None if found[3] is None else int(found[3])


def _cell(entry: SignalEntry, machine: Entry) -> Cell:
    table, start, bit = _parts(entry.register_)
    kind = entry.type or ("bool" if table in _BITS or bit is not None else "uint16")
    order = entry.order or machine.order
    if bit is not None:
        return Cell(entry.register_, Span(table, start, 1), _number.bit(bit))
    if kind == "string":
        swapped = order in ("BADC", "DCBA")
        codec = _number.text(2 * entry.length, machine.encoding, swapped=swapped)
        return Cell(entry.register_, Span(table, start, entry.length), codec)
    if _number.BYTES[kind] == 2:
        order = entry.order or "ABCD"  # a single register is as Modbus says, unless the signal says otherwise
    count = max(1, _number.BYTES[kind] // 2)
    return Cell(entry.register_, Span(table, start, count), _number.number(kind, order))


class _Memory:
    """The tables of one device."""

    def __init__(self, entry: Entry) -> None:
        self.gap = entry.gap
        self._entry = entry
        self._client: AsyncModbusTcpClient | None = None

    def most(self, area: str) -> int:
        """Return how many registers, or bits, one request may ask for."""
        return self._entry.most * (16 if area in _BITS else 1)

    async def open(self) -> None:
        """Connect."""
        parts = urlsplit(self._entry.address)
        host, port = str(parts.hostname), int(parts.port or 0)
        self._client = AsyncModbusTcpClient(
            host,
            port=port,
            framer=FramerType.RTU if self._entry.framing == "rtu" else FramerType.SOCKET,
            timeout=self._entry.timeout_s,
            retries=0,
            reconnect_delay=0,
        )
        if not await self._client.connect():  # which does not say why
            _, writer = await reach(host, port, self._entry.timeout_s)
            writer.close()
            raise no_line(ConnectionResetError())

    async def read(self, span: Span) -> bytes:
        """Return the bytes of registers, or a byte for each bit."""
        client = self._connected()
        ask = {
            "coil": client.read_coils,
            "discrete": client.read_discrete_inputs,
            "input": client.read_input_registers,
            "holding": client.read_holding_registers,
        }[span.area]
        answer = await self._answer(ask(span.start, count=span.count, device_id=self._entry.unit_id))
        if span.area in _BITS:
            found = bytes(answer.bits[: span.count])
        else:
            found = struct.pack(f">{len(answer.registers)}H", *answer.registers)
        if len(found) != span.count * (1 if span.area in _BITS else 2):
            raise LineError(f"it answers with {len(found)} bytes to a request for {span.count} of {span.area}")
        return found

    async def write(self, span: Span, data: bytes) -> None:
        """Set registers, or one coil."""
        client, unit = self._connected(), self._entry.unit_id
        if span.area == "coil":
            await self._answer(client.write_coil(span.start, bool(data[0]), device_id=unit))
        elif span.area == "holding":
            words = list(struct.unpack(f">{span.count}H", data))
            call = (
                client.write_register(span.start, words[0], device_id=unit)
                if span.count == 1
                else client.write_registers(span.start, words, device_id=unit)
            )
            await self._answer(call)
        else:
            raise RefusedError(f"Modbus has no way to write to {span.area}")

    async def look(self, ask: Callable[..., Awaitable[Any]], path: str) -> AsyncIterator[Tag]:
        """Yield each register (as uint16) and bit that can be read; `path`: how their addresses begin."""
        for table in TABLES:
            if not table.startswith(path.split("/", 1)[0].rstrip("*")):
                continue
            wanted = path.partition("/")[2].rstrip("*")
            async for start, cells in self._found(ask, table):
                for at, cell in enumerate(cells, start):
                    if str(at).startswith(wanted):
                        register = f"{table}/{at}"
                        kind = Datatype.BOOLEAN if table in _BITS else Datatype.UINT16
                        value = bool(cell) if table in _BITS else cell
                        yield Tag(register, register, kind, value, table in ("coil", "holding"))

    async def _found(self, ask: Callable[..., Awaitable[Any]], table: Table) -> AsyncIterator[tuple[int, list[int]]]:
        """Yield what lies from which address on; a table of which much in vain was asked for ends."""
        vain, most = 0, self.most(table)
        waiting = [Span(table, at, min(most, _LAST + 1 - at)) for at in range(0, _LAST + 1, most)]
        while waiting and vain < _VAIN:
            span = waiting.pop(0)
            try:
                data = await ask(self.read, span)
            except RefusedError:
                vain += 1
                half = span.count // 2
                if half:
                    waiting[:0] = [replace(span, count=half), Span(table, span.start + half, span.count - half)]
                continue
            vain = 0
            yield span.start, list(data if table in _BITS else struct.unpack(f">{span.count}H", data))

    async def close(self) -> None:
        """Let go of the connection; safe twice, safe unconnected."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # a client that never connected has nothing to close
                client.close()

    def _connected(self) -> AsyncModbusTcpClient:
        if self._client is None or not self._client.connected:  # it would connect by itself
            raise LineError("the device has closed the line", "has it as many connections as it takes?")
        return self._client

    async def _answer(self, call: Awaitable[ModbusPDU]) -> ModbusPDU:
        try:
            answer = await call
        except ModbusException as error:
            raise LineError(f"no answer that is Modbus ({error})", "is `framing` right?") from error
        if not answer.isError():
            return answer
        code = answer.exception_code
        if code in _SILENT:
            text = f"the gateway answers that its device {self._entry.unit_id} does not"
            raise LineError(text, "is `unit_id` right, and the device on?")
        raise RefusedError(_WHY.get(code, f"Modbus exception {code}"))


class Driver(_polled.Device):
    """Asks one device."""

    silence = "is it on, does no firewall drop it, and are `unit_id` and `framing` its own?"

    def __init__(self, name: str, entry: Entry, context: base.Context) -> None:
        cells = {signal: _cell(said, entry) for signal, said in entry.signals.items()}
        super().__init__(name, entry, _Memory(entry), cells)


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Ask for the first holding register of the usual units; None when nobody answers as Modbus does.

    A device that refuses the request has understood it. (Modbus Application Protocol 1.1b3, 6.3 and 7.)
    """
    for unit in (1, 255):
        request = struct.pack(">BHH", 3, 0, 1)
        said = await answer(host, port, struct.pack(">HHHB", 0x5346, 0, 6, unit) + request, timeout_s)
        if said is not None and len(said) >= 9 and said[:4] == b"SF\0\0" and said[6] == unit and said[7] & 0x7F == 3:
            why = _ABSENT if said[7] & 0x80 and said[8] in _SILENT else ""
            return Recognized(
                "modbus", 1.0, f"a Modbus device, unit {unit}", "", {"unit_id": unit, "framing": "tcp"}, why
            )
        if said:
            return None
    framed = struct.pack(">BBHH", 1, 3, 0, 1) + b"\x84\x0a"  # with its CRC
    said = await answer(host, port, framed, timeout_s)
    if said is not None and len(said) >= 5 and said[0] == 1 and said[1] & 0x7F == 3:
        return Recognized(
            "modbus", 0.9, "a Modbus device behind a converter, unit 1", "", {"unit_id": 1, "framing": "rtu"}
        )
    return None
