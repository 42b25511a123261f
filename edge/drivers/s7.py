"""Siemens S7-300 to S7-1500: asks the CPU for data blocks, markers, inputs and outputs by their absolute addresses."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from snap7 import Area, Block
from snap7.async_client import AsyncClient
from snap7.datatypes import S7Area, S7WordLen
from snap7.error import S7ConnectionError, S7Error, S7ProtocolError, S7TimeoutError
from snap7.tags import Tag as S7Tag
from snap7.tags import parse_tag

from contract.model import Value
from edge import entry as base
from edge.driver import Tag
from edge.drivers import _number, _polled
from edge.drivers._number import Codec
from edge.drivers._polled import Cell, LineError, RefusedError, Span, no_line
from edge.recognize import Recognized, answer

SCHEMES: Final = {"s7": 102}
_CONFIRMED: Final = 5  # byte of an answer that says whether there is a connection
_TYPES: Final[Mapping[str, _number.Type]] = {
    "BOOL": "bool", "BYTE": "uint8", "USINT": "uint8", "SINT": "int8", "INT": "int16", "UINT": "uint16",
    "WORD": "uint16", "DINT": "int32", "UDINT": "uint32", "DWORD": "uint32", "TIME": "int32", "LINT": "int64",
    "ULINT": "uint64", "LWORD": "uint64", "REAL": "float32", "LREAL": "float64",
}  # fmt: skip
_TEXT: Final = re.compile(r"(W?STRING)\[(\d{1,5})\]\Z")
_AREAS: Final[Mapping[Area, str]] = {Area.MK: "M", Area.PE: "I", Area.PA: "Q"}
_OF: Final[Mapping[str, tuple[Area, S7Area]]] = {
    "M": (Area.MK, S7Area.MK), "I": (Area.PE, S7Area.PE), "Q": (Area.PA, S7Area.PA), "DB": (Area.DB, S7Area.DB),
}  # fmt: skip
_OVERHEAD: Final = 18  # bytes of an answer that are no data
_MOST_BLOCKS: Final = 1024
_CLOSE_S: Final = 1.0
_CODE: Final = re.compile(r"\(?0x([0-9a-f]+)\)?\Z")
_WHY: Final[Mapping[int, str]] = {
    0x01: "the CPU reports trouble of its hardware",
    0x03: "the CPU does not permit it: is PUT/GET permitted in its protection settings?",
    0x05: "there is no such address: the block is shorter",
    0x06: "the CPU does not know this type there",
    0x0A: "there is no such block, or its optimised access is on (TIA Portal: properties of the block, Attributes)",
    0x8104: "the CPU does not permit it: is PUT/GET permitted in its protection settings?",
    0xD241: "a password protects it",
}


def _address(text: str) -> str:
    return base.with_port(text, "an address of S7", SCHEMES)


def _tag(text: str) -> str:
    parsed = _parsed(text)
    if parsed.count != 1:
        raise ValueError(f"{text!r} is an array: state one element of it for each signal")
    if parsed.datatype not in _TYPES and not _TEXT.match(parsed.datatype):
        raise ValueError(
            f"{text!r}: the type {parsed.datatype} is not read; have: {', '.join(_TYPES)}, STRING[n], WSTRING[n]"
        )
    if not 0 <= parsed.byte_offset <= 65_535 or not 0 <= parsed.bit <= 7 or not 0 <= parsed.db_number <= 65_535:
        raise ValueError(f"{text!r}: bytes and blocks end at 65535, bits at 7")
    return text


def _parsed(text: str) -> S7Tag:
    try:
        return parse_tag(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no address: write DB1.DBD4:REAL, DB1.DBX0.3:BOOL, MW20:INT, I0.0:BOOL or QB3:BYTE"
        ) from error


class SignalEntry(base.SignalEntry):
    """A signal and where it lies."""

    address: Annotated[str, BeforeValidator(base.as_written), AfterValidator(_tag)] = Field(
        description="DB1.DBD4:REAL, DB1.DBX0.3:BOOL, DB2.DBB10:STRING[20], MW20:INT, I0.0:BOOL; or as nodeS7: DB1,R4"
    )


class Entry(_polled.Entry):
    """A CPU."""

    driver: Literal["s7"] = "s7"
    address: Annotated[str, AfterValidator(_address)]
    rack: Annotated[int, Field(ge=0, le=7)] = 0
    slot: Annotated[int, Field(ge=0, le=31)] = Field(1, description="S7-1200 and S7-1500: 1, S7-300: 2")
    connection: Literal["pg", "op", "basic"] = Field(
        "pg", description="which of the CPU's connections is taken: those of programming devices, of panels, or others"
    )
    encoding: base.Encoding = Field("latin-1", description="of STRING")
    gap: Annotated[int, Field(ge=0, le=200)] = Field(
        32, description="so many bytes that nobody wants are read along rather than to ask twice"
    )
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)


def _cell(entry: SignalEntry, encoding: str) -> Cell:
    tag = _parsed(entry.address)
    area = _AREAS.get(tag.area, f"DB{tag.db_number}")
    span = Span(area, tag.byte_offset, tag.size)
    if text := _TEXT.match(tag.datatype):
        return Cell(entry.address, span, _string(int(text[2]), "utf-16-be" if text[1] == "WSTRING" else encoding))
    if tag.datatype == "BOOL":
        return Cell(entry.address, span, _bit(tag.bit))
    return Cell(entry.address, span, _number.number(_TYPES[tag.datatype]))


def _bit(bit: int) -> Codec:
    """Return the codec of a bit; it is written alone, as a byte that is 16 · bit, and 1 more when it is set."""
    truth = _number.number("bool")
    return Codec(lambda data: bool(data[0] >> bit & 1), lambda value: bytes([bit << 4 | truth.encode(value)[0]]))


def _string(most: int, encoding: str) -> Codec:
    """Return the codec of a STRING or WSTRING: how many characters it may have, how many it has, and those."""
    head, width = (">HH", 2) if encoding == "utf-16-be" else (">BB", 1)
    size = struct.calcsize(head)

    def decode(data: bytes) -> str:
        length = min(struct.unpack(head, data[:size])[1], most)
        return data[size : size + width * length].decode(encoding, "replace")

    def encode(value: Value) -> bytes:
        content = str(value).encode(encoding)
        if len(content) > width * most:
            raise ValueError(f"the text has {len(content) // width} characters, and there is room for {most}")
        return struct.pack(head, most, len(content) // width) + content

    return Codec(decode, encode)


class _Memory:
    """What a CPU shows of its memory."""

    def __init__(self, entry: Entry) -> None:
        self.gap = entry.gap
        self._entry = entry
        self._bits = {
            Span(cell.span.area, cell.span.start, 1)
            for signal in entry.signals.values()
            if (cell := _cell(signal, entry.encoding)) and _parsed(signal.address).datatype == "BOOL"
        }
        self._client: AsyncClient | None = None

    def most(self, _area: str) -> int:
        """Return how many bytes one answer can have: what was agreed on with the CPU."""
        return 222 if self._client is None else self._client.pdu_length - _OVERHEAD

    async def open(self) -> None:
        """Connect."""
        parts, entry = urlsplit(self._entry.address), self._entry
        self._client = AsyncClient()
        self._client.set_connection_type({"pg": 1, "op": 2, "basic": 3}[entry.connection])
        try:
            await self._client.connect(str(parts.hostname), entry.rack, entry.slot, int(parts.port or 0))
        except S7Error as error:
            if isinstance(error.__context__, OSError | TimeoutError):
                raise no_line(error.__context__) from error
            raise LineError(
                f"the CPU does not take the connection ({error})",
                "are rack and slot right (S7-300: 0 and 2, S7-1200 and S7-1500: 0 and 1), has it a connection left, "
                "and is this S7 at all?",
            ) from error

    async def read(self, span: Span) -> bytes:
        """Return the bytes of a span."""
        area, number = _area(span)
        return bytes(await self._answer(lambda client: client.read_area(area[0], number, span.start, span.count)))

    async def write(self, span: Span, data: bytes) -> None:
        """Set the bytes of a span, or one bit."""
        area, number = _area(span)
        if span not in self._bits:
            await self._answer(lambda client: client.write_area(area[0], number, span.start, bytearray(data)))
            return

        async def set_bit(client: AsyncClient) -> None:  # the library would read the byte and set all of its bits
            at = span.start * 8 + (data[0] >> 4)
            request = client.protocol.build_write_request(area[1], number, at, S7WordLen.BIT, bytes([data[0] & 1]))
            client.protocol.check_write_response(await client._send_receive(request))

        await self._answer(set_bit)

    async def look(self, ask: Callable[..., Awaitable[Any]], path: str) -> AsyncIterator[Tag]:
        """Yield what lies in the data blocks, each four bytes as the number that they are likely to be."""
        try:
            blocks = await ask(self._blocks)
        except RefusedError as error:
            raise LineError(f"the CPU does not list its blocks: {error}") from error
        for block in blocks:
            area, at = f"DB{block}", 0
            while f"{area}.".startswith(path[: len(area) + 1]):
                try:
                    data = await ask(self.read, Span(area, at, 4))
                except RefusedError:
                    break
                tag = _likely(area, at, data)
                if tag.address.startswith(path.rstrip("*")):
                    yield tag
                at += 4

    async def close(self) -> None:
        """Let go of the connection; safe twice, safe unconnected."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(TimeoutError, S7Error, OSError):
                async with asyncio.timeout(_CLOSE_S):
                    await client.disconnect()

    async def _blocks(self) -> list[int]:
        return sorted(await self._answer(lambda client: client.list_blocks_of_type(Block.DB, _MOST_BLOCKS)))

    async def _answer(self, call: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
        if self._client is None:
            raise LineError("not connected")
        try:
            return await call(self._client)
        except (S7ConnectionError, S7TimeoutError, OSError) as error:
            raise LineError(f"the line was lost ({error})") from error
        except S7ProtocolError as error:
            code = error.error_code
            if code is None and (found := _CODE.search(str(error))):
                code = int(found[1], 16)
            if code is None:
                raise LineError(f"an answer that is no S7 ({error})") from error
            raise RefusedError(_WHY.get(code, str(error))) from error
        except (ValueError, struct.error, IndexError, KeyError) as error:
            raise LineError(f"an answer that is no S7 ({error})") from error


def _area(span: Span) -> tuple[tuple[Area, S7Area], int]:
    return (_OF["DB"], int(span.area[2:])) if span.area.startswith("DB") else (_OF[span.area], 0)


def _likely(area: str, at: int, data: bytes) -> Tag:
    """Return four bytes as a REAL where that is a usual number, else as a DINT; and what else they may be."""
    real, whole = _number.number("float32").decode(data), _number.number("int32").decode(data)
    words = ", ".join(str(_number.number("int16").decode(data[i : i + 2])) for i in (0, 2))
    if isinstance(real, float) and (real == 0 or 1e-6 < abs(real) < 1e9):
        return Tag(
            f"{area}.DBD{at}:REAL", f"{area}.DBD{at}:REAL", value=real, description=f"or DINT {whole}, INT {words}"
        )
    return Tag(f"{area}.DBD{at}:DINT", f"{area}.DBD{at}:DINT", value=whole, description=f"or INT {words}")


class Driver(_polled.Device):
    """Asks one CPU."""

    def __init__(self, name: str, entry: Entry, context: base.Context) -> None:
        cells = {signal: _cell(said, entry.encoding) for signal, said in entry.signals.items()}
        super().__init__(name, entry, _Memory(entry), cells)


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Ask for a connection to the usual slots; None when nobody answers as ISO on TCP does (RFC 1006, ISO 8073)."""
    for slot in (1, 2, 0):
        ask = b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc1\x02\x01\0\xc2\x02\x01" + bytes([slot]) + b"\xc0\x01\x0a"
        said = await answer(host, port, ask, timeout_s)
        if said is None or (said and not said.startswith(b"\x03\0")):
            return None
        if len(said) > _CONFIRMED and said[_CONFIRMED] == 0xD0:
            return Recognized("s7", 0.95, f"an S7 CPU, in rack 0 and slot {slot}", "", {"slot": slot})
    return None
