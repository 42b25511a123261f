"""Mitsubishi MELSEC on MC protocol 3E (SLMP): asks a CPU for devices (D100, M0, X1F), neighbours in one request."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from contract.model import Datatype
from edge import entry as base
from edge.driver import Tag
from edge.drivers import _number, _polled
from edge.drivers._polled import Cell, LineError, RefusedError, Span, no_line, reach
from edge.recognize import Recognized, answer

SCHEMES: Final = {"mc": 5007}


class _Kind(NamedTuple):
    """A kind of device: its code on the wire (SH-080008, 8.1), whether it is a bit, and how its numbers are written."""

    code: int
    is_bit: bool
    numbers: int = 10


_KINDS: Final[Mapping[str, _Kind]] = {
    "D": _Kind(0xA8, False), "W": _Kind(0xB4, False, 16), "R": _Kind(0xAF, False), "ZR": _Kind(0xB0, False),
    "SD": _Kind(0xA9, False), "SW": _Kind(0xB5, False, 16), "TN": _Kind(0xC2, False), "SN": _Kind(0xC8, False),
    "CN": _Kind(0xC5, False), "M": _Kind(0x90, True), "X": _Kind(0x9C, True, 16), "Y": _Kind(0x9D, True, 16),
    "B": _Kind(0xA0, True, 16), "L": _Kind(0x92, True), "F": _Kind(0x93, True), "V": _Kind(0x94, True),
    "SM": _Kind(0x91, True), "SB": _Kind(0xA1, True, 16), "TS": _Kind(0xC1, True), "TC": _Kind(0xC0, True),
    "SS": _Kind(0xC7, True), "SC": _Kind(0xC6, True), "CS": _Kind(0xC4, True), "CC": _Kind(0xC3, True),
}  # fmt: skip
_DEVICE: Final = re.compile(rf"({'|'.join(sorted(_KINDS, key=len, reverse=True))})([0-9A-F]{{1,8}})(?:\.([0-9A-F]))?\Z")
_LAST: Final = 0xFFFFFF
_FAR: Final = 65_536  # cells of a kind that are looked at
_MOST_BITS: Final = 3584  # that an FX5 answers at once; the others take more
_READ: Final = 0x0401
_WRITE: Final = 0x1401
_HEAD: Final = struct.Struct("<HBBHBH")  # subheader, network, station, module, drop, length of the rest
_WHY: Final[Mapping[int, str]] = {
    0x0055: "it does not take writing while it runs: permit online change (write during RUN) for this port",
    0x4030: "it has no devices of this kind",
    0x4031: "it has no device of this number: its range ends before",
    0xC051: "not so many words at once: lower `most`",
    0xC052: "not so many bits at once: lower `most`",
    0xC056: "it has no device of this number: its range ends before",
    0xC059: "it does not know this command",
    0xC05A: "it does not give, or take, devices of this kind",
    0xC05B: "it does not give, or take, devices of this kind",
    0xC05C: "it does not take this request: bits of a word device, perhaps",
    0xC060: "it does not take this value",
    0xC061: "it does not take this length",
}
_NO_WAY: Final[Mapping[int, tuple[str, str]]] = {
    0x4A00: ("it knows no way to this network", "is `network` right, and has the CPU routing parameters?"),
    0x4A01: ("it knows no way to this network", "is `network` right, and has the CPU routing parameters?"),
    0x4A02: ("it does not reach this station", "is `station` right, and is it on?"),
    0x4B00: ("what lies behind it does not answer", "are `network`, `station` and `cpu` right?"),
    0xC050: ("its port speaks ASCII", "set the communication data code of the port to binary"),
    0xC05F: ("it is not the one that is asked for", "are `network`, `station` and `cpu` right?"),
    0xC06F: ("its port speaks ASCII", "set the communication data code of the port to binary"),
    0xC200: ("a remote password locks it", "take this port out of the remote password, or unlock it there"),
    0xC201: ("a remote password locks it", "take this port out of the remote password, or unlock it there"),
}


def _address(text: str) -> str:
    return base.with_port(text, "an address of MC protocol", SCHEMES)


def _device(text: str) -> str:
    text = text.upper()
    found = _DEVICE.match(text)
    if not found:
        raise ValueError(
            f"{text!r} is no device: write D100, W1F, R0, ZR40000, M0, X1F, Y20, B0, L0, SM400 or SD0; "
            f"D100.A is a bit of it. Have: {', '.join(_KINDS)}"
        )
    kind = _KINDS[found[1]]
    if kind.numbers == 10 and not found[2].isdecimal():
        raise ValueError(f"{text!r}: {found[1]} is counted in decimal, unlike W, B, X and Y")
    if int(found[2], kind.numbers) > _LAST:
        raise ValueError(f"{text!r}: devices end at {_LAST}")
    if found[3] and kind.is_bit:
        raise ValueError(f"{text!r}: {found[1]}{found[2]} is a bit already")
    return text


Device = Annotated[str, BeforeValidator(base.as_written), AfterValidator(_device)]


class SignalEntry(base.SignalEntry):
    """A signal and the devices that hold it."""

    device: Device = Field(
        description="D100, W1F, R0, ZR40000, SD0; M0, X1F, Y20, B0, L0, SM400; D100.A is a bit of a word"
    )
    type: _number.Type | None = Field(None, description="not stated: bool for bits, int16 for words")
    length: Annotated[int, Field(ge=1, le=960)] = Field(1, description="of a string, in words")
    order: _number.Order | None = Field(None, description="of the bytes; not stated: that of the machine")

    @model_validator(mode="after")
    def _check_type(self) -> Self:
        is_bit = _is_bit(self.device)
        if is_bit and self.type not in (None, "bool"):
            raise ValueError(f"{self.device} is a bit, and no {self.type}")
        if self.type == "bool" and not is_bit:
            raise ValueError(f"a word has 16 bits: write {self.device}.0 for its lowest")
        if self.type in ("int8", "uint8"):
            raise ValueError(f"a word has 16 bits: take {self.type[:-1]}16 for {self.device}")
        if self.length != 1 and self.type != "string":
            raise ValueError("only a string has a length")
        return self


class Entry(_polled.Entry):
    """A CPU of MELSEC iQ-R, iQ-F (FX5), Q or L."""

    driver: Literal["mc"] = "mc"
    address: Annotated[str, AfterValidator(_address)]
    network: Annotated[int, Field(ge=0, le=239)] = Field(0, description="of the CPU; 0: that of the port itself")
    station: Annotated[int, Field(ge=0, le=255)] = Field(
        255, description="of the CPU on its network (PC number); 255: the one with the port"
    )
    cpu: Annotated[int, Field(ge=0, le=4)] = Field(0, description="of several in one rack; 0: the one in control")
    numbering: Literal["hex", "octal"] = Field("hex", description="of X and Y: octal on iQ-F (FX5)")
    order: _number.Order = Field("CDAB", description="of the bytes of numbers of several words: the low word is first")
    encoding: base.Encoding = Field("utf-8", description="of texts")
    most: Annotated[int, Field(ge=1, le=960)] = Field(960, description="words that one request may ask for")
    gap: Annotated[int, Field(ge=0, le=960)] = Field(
        32, description="so many devices that nobody wants are read along rather than to ask twice"
    )
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_signals(self) -> Self:
        for name, signal in self.signals.items():
            try:
                span = _cell(signal, self).span
            except ValueError as error:
                raise ValueError(f"signals.{name}: {signal.device}: X and Y are counted in octal here") from error
            if span.count > self.most:
                raise ValueError(f"signals.{name}: it has {span.count} words, and `most` lets one ask for {self.most}")
        return self


def _is_bit(device: str) -> bool:
    found = _parts(device)
    return found[3] is not None or _KINDS[found[1]].is_bit


def _parts(device: str) -> re.Match[str]:
    found = _DEVICE.match(device)
    assert found is not None  # checked
    return found


def _numbers(kind: str, numbering: str) -> int:
    return 8 if numbering == "octal" and kind in ("X", "Y") else _KINDS[kind].numbers


def _cell(entry: SignalEntry, machine: Entry) -> Cell:
    """Return where a signal lies; raise ValueError for a number that is none."""
    kind, number, bit = _parts(entry.device).groups()
    start = int(number, _numbers(kind, machine.numbering))
    order = entry.order or machine.order
    if bit is not None:
        return Cell(entry.device, Span(kind, start, 1), _number.bit(int(bit, 16)))
    if entry.type == "string":  # its first character is the lower byte of the first word
        codec = _number.text(2 * entry.length, machine.encoding, swapped=order in ("ABCD", "CDAB"))
        return Cell(entry.device, Span(kind, start, entry.length), codec)
    wanted = entry.type or ("bool" if _KINDS[kind].is_bit else "int16")
    if _number.BYTES[wanted] == 2:
        order = entry.order or "ABCD"  # a single word is as the CPU says, unless the signal says otherwise
    return Cell(entry.device, Span(kind, start, max(1, _number.BYTES[wanted] // 2)), _number.number(wanted, order))


class _Memory:
    """The devices of one CPU. Words come as two bytes, the high one first."""

    def __init__(self, entry: Entry) -> None:
        self.gap = entry.gap
        self._entry = entry
        self._route = entry.network, entry.station, 0x03FF if entry.cpu == 0 else 0x03DF + entry.cpu, 0
        self._timer = max(1, int(4 * entry.timeout_s))  # so long the CPU may take, in 250 ms
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def most(self, area: str) -> int:
        """Return how many words, or bits, one request may ask for."""
        return min(_MOST_BITS, 16 * self._entry.most) if _KINDS[area].is_bit else self._entry.most

    async def open(self) -> None:
        """Connect."""
        parts = urlsplit(self._entry.address)
        self._line = await reach(str(parts.hostname), int(parts.port or 0), self._entry.timeout_s)

    async def read(self, span: Span) -> bytes:
        """Return the bytes of words, or a byte for each bit."""
        data = await self._answer(_READ, span)
        is_bit = _KINDS[span.area].is_bit
        if len(data) != ((span.count + 1) // 2 if is_bit else 2 * span.count):
            raise LineError(f"it answers with {len(data)} bytes to a request for {span.count} of {span.area}")
        if is_bit:  # four bits each, the first one above
            return bytes(half for byte in data for half in (byte >> 4 & 1, byte & 1))[: span.count]
        return _number.ordered(data, "BADC")

    async def write(self, span: Span, data: bytes) -> None:
        """Set words, or one bit."""
        await self._answer(
            _WRITE, span, bytes([data[0] << 4]) if _KINDS[span.area].is_bit else _number.ordered(data, "BADC")
        )

    async def look(self, ask: Callable[..., Awaitable[Any]], path: str) -> AsyncIterator[Tag]:
        """Yield each device that can be read (words as int16); `path`: how their names begin."""
        path = path.upper().rstrip("*")
        for area, kind in _KINDS.items():
            if not area.startswith(path) and not re.fullmatch(rf"{area}[0-9A-F]*", path):
                continue
            async for at, cell in self._found(ask, area):
                device = f"{area}{_written(at, _numbers(area, self._entry.numbering))}"
                if device.startswith(path):
                    datatype = Datatype.BOOLEAN if kind.is_bit else Datatype.INT16
                    yield Tag(device, device, datatype, cell, area not in ("X", "SM", "SD"))

    async def _found(self, ask: Callable[..., Awaitable[Any]], area: str) -> AsyncIterator[tuple[int, int | bool]]:
        """Yield number and value of each device of a kind up to the last that there is, or the 65536th."""
        start, count = 0, self.most(area)
        while count and start < _FAR:
            span = Span(area, start, count)
            try:
                data = await ask(self.read, span)
            except RefusedError:
                count //= 2
                continue
            values = map(bool, data) if _KINDS[area].is_bit else struct.unpack(f">{count}h", data)
            for at, value in enumerate(values, start):
                yield at, value
            start += count

    async def close(self) -> None:
        """Let go of the connection; safe twice, safe unconnected."""
        line, self._line = self._line, None
        if line is not None:
            line[1].transport.abort()
            with suppress(OSError):
                await line[1].wait_closed()

    async def _answer(self, command: int, span: Span, data: bytes = b"") -> bytes:
        """Ask once (SH-080008, 3E frame in binary); raise RefusedError and LineError."""
        if self._line is None:
            raise LineError("not connected")
        reader, writer = self._line
        kind = _KINDS[span.area]
        body = struct.pack("<HHH", self._timer, command, kind.is_bit)
        body += span.start.to_bytes(3, "little") + struct.pack("<BH", kind.code, span.count) + data
        try:
            writer.write(_HEAD.pack(0x0050, *self._route, len(body)) + body)
            await writer.drain()
            subheader, *_, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
            if subheader != 0x00D0 or length < 2:
                raise LineError(
                    "an answer that is no MC protocol (3E, binary)", "is the port right, and set to binary?"
                )
            answer = await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise no_line(ConnectionResetError()) from error
        except OSError as error:
            raise no_line(error) from error
        code = int.from_bytes(answer[:2], "little")
        if code in _NO_WAY:
            raise LineError(*_NO_WAY[code])
        if code:
            raise RefusedError(_WHY.get(code, "for a reason that the manual of the CPU has") + f" ({code:04X}H)")
        return answer[2:]


def _written(number: int, base_of_it: int) -> str:
    return f"{number:X}" if base_of_it == 16 else f"{number:o}" if base_of_it == 8 else str(number)


class Driver(_polled.Device):
    """Asks one CPU."""

    silence = "is it on, does no firewall drop it, and is the port set to MC protocol (SLMP) in binary?"

    def __init__(self, name: str, entry: Entry, context: base.Context) -> None:
        cells = {signal: _cell(said, entry) for signal, said in entry.signals.items()}
        super().__init__(name, entry, _Memory(entry), cells)


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Ask for the type of the CPU (SH-080008, 12.1); None when nobody answers as MC protocol does, in 3E frames."""
    said = await answer(host, port, b"\x50\0\0\xff\xff\x03\0\x06\0\x10\0\x01\x01\0\0", timeout_s)
    if said is None or len(said) < _HEAD.size + 2 or said[:2] != b"\xd0\0":
        return None
    end, name = said[_HEAD.size : _HEAD.size + 2], said[_HEAD.size + 2 :][:16].decode("ascii", "replace").strip(" \0")
    return Recognized("mc", 1.0, f"a MELSEC CPU {name}".rstrip() if end == b"\0\0" else "a MELSEC CPU")
