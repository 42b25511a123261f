"""Allen-Bradley Logix on EtherNet/IP (ControlLogix, CompactLogix, Micro800): asks for tags by name, many at once."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import islice
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pylogix import PLC
from pylogix.lgx_comm import Connection
from pylogix.utils import parse_tag_name

from contract.model import Datatype, Quality, Sample, Value
from contract.sparkplug_values import shortest
from edge import entry as base
from edge.driver import Counters, DriverError, Lost, Tag, Unreachable, Written
from edge.drivers import _number, _polled
from edge.drivers._poll import Poll
from edge.drivers._polled import LineError, RefusedError, no_line
from edge.recognize import Recognized, answer

_T = TypeVar("_T")
SCHEMES: Final = {"logix": 44818}
_CONTROLLER: Final = 0x0E  # kind of a device
_NAME: Final = 63  # where the name of a device begins in who it is
_TAG: Final = re.compile(
    r"(?:Program:)?[A-Za-z_]\w{0,39}(?::\w{1,40})*(?:\[\d{1,7}(?:,\d{1,7}){0,2}\])?"
    r"(?:\.[A-Za-z_]\w{0,39}(?:\[\d{1,7}(?:,\d{1,7}){0,2}\])?)*(?:\.\d{1,2})?\Z",
    re.ASCII,
)
_CHUNK: Final = 50  # tags in one turn of the thread, which has a time-out
_LOOK_S: Final = 60.0  # for the list of tags of a large program
_CLOSE_S: Final = 1.0
_RETRY: Final = 10  # turns until what the controller has refused is asked for again
_HIDDEN: Final = ("ZZZZZZZZZZ", "__")  # where the bits of a structure lie
_DEEP: Final = 4  # structures in structures that are looked at
_TEXT: Final = 82  # characters in a STRING
_REAL: Final = 0xCA
_TYPES: Final[Mapping[int, _number.Type]] = {
    0xC1: "bool", 0xC2: "int8", 0xC3: "int16", 0xC4: "int32", 0xC5: "int64", 0xC6: "uint8", 0xC7: "uint16",
    0xC8: "uint32", 0xC9: "uint64", 0xCA: "float32", 0xCB: "float64", 0xD1: "uint8", 0xD3: "bool",
}  # fmt: skip
_DATATYPES: Final[Mapping[str, Datatype]] = {
    "BOOL": Datatype.BOOLEAN, "SINT": Datatype.INT8, "INT": Datatype.INT16, "DINT": Datatype.INT32,
    "LINT": Datatype.INT64, "USINT": Datatype.UINT8, "UINT": Datatype.UINT16, "UDINT": Datatype.UINT32,
    "ULINT": Datatype.UINT64, "LWORD": Datatype.UINT64, "REAL": Datatype.FLOAT, "LREAL": Datatype.DOUBLE,
    "BYTE": Datatype.UINT8, "DWORD": Datatype.BOOLEAN, "STRING": Datatype.STRING,
}  # fmt: skip
_NO_TAG: Final = (
    "there is no such tag: is it misspelt, does `Program:Name.` stand before it, and has it external access?"
)
_WHY: Final[Mapping[str, str]] = {
    "Path segment error": _NO_TAG,
    "Path destination unknown": _NO_TAG,
    "Object does not exist": _NO_TAG,
    "Partial transfer": "it is an array or a structure: name an element or a member of it",
    "Privilege violation": "its external access is read only",
    "Attribute not settable": "its external access is read only",
    "Unknown error 255": "there is no such element of the array, or its type is another",
    "Service not supported": "it does not know this kind of request",
}
_ENCAPSULATION: Final[Mapping[int, str]] = {
    1: "it does not know this kind of request",
    2: "it has no memory for another session",
    3: "it does not understand this request",
    8: "it does not know this kind of request",
}
_OPEN: Final[Mapping[int, tuple[str, str]]] = {  # extended status of a Forward Open (CIP Vol. 1, 3-5.6)
    0x0113: ("it has no connection left", "end another one, or wait a minute for those that were cut"),
    0x0204: ("nobody answers in that slot", "is `slot` that of the controller, not of the Ethernet module?"),
    0x0311: ("it has no backplane", "is it a Micro800? Then state `micro800: true`"),
    0x0312: ("there is nothing in that slot", "is `slot` that of the controller, not of the Ethernet module?"),
    0x0315: ("it does not know the way to that slot", "is `slot` right? For a Micro800 state `micro800: true`"),
}


def _address(text: str) -> str:
    return base.with_port(text, "an address of EtherNet/IP", SCHEMES)


def _tag(text: str) -> str:
    if not _TAG.match(text):
        raise ValueError(
            f"{text!r} is no tag: write Speed, Line[3], Axis[0].Position, Word.5 (a bit), or Program:Main.Speed"
        )
    return text


class SignalEntry(base.SignalEntry):
    """A signal and its tag."""

    tag: Annotated[str, BeforeValidator(base.as_written), AfterValidator(_tag)] = Field(
        description="Speed, Line[3], Axis[0].Position, Word.5 (a bit), Program:Main.Speed"
    )


class Entry(_polled.Entry):
    """A controller."""

    driver: Literal["logix"] = "logix"
    address: Annotated[str, AfterValidator(_address)]
    slot: Annotated[int, Field(ge=0, le=63)] = Field(0, description="where in the rack the controller is")
    poll_s: Annotated[float, Field(gt=0, le=30)] = Field(
        1.0, description="how often it is asked; a controller ends a connection that is silent for a minute"
    )
    micro800: bool = Field(False, description="it is a Micro800: no rack, and one tag in each request")
    encoding: base.Encoding = Field("utf-8", description="of STRING")
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)


class _StatusError(LineError):
    """The session has been ended with a status."""


class _Line(Connection):  # type: ignore[misc]
    """The library's connection, whose troubles are a LineError and not a status to guess from."""

    answer = b""
    is_cut = False

    def send(self, request: bytes, connected: bool = True, slot: int | None = None) -> tuple[int, bytes]:
        """Return status and bytes of the answer; raise LineError."""
        status, answer = super().send(request, connected, slot)
        if answer is None:
            raise no_line(ConnectionResetError())
        return status, answer

    def receive_data(self) -> bytes:
        """Return one answer; raise LineError."""
        try:
            head = self._exactly(24)
            command, length, _, status = struct.unpack_from("<HHII", head)
            if command not in (0x65, 0x6F, 0x70):
                raise LineError("an answer that is no EtherNet/IP", "is the port right?")
            self.answer = head + self._exactly(length)
        except OSError as error:
            raise no_line(error) from error
        if status:
            self.SocketConnected = False
            text = _ENCAPSULATION.get(status, f"it ends the session with status {status}")
            raise _StatusError(text, "has it as many connections as it takes?")
        return self.answer

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            if self.is_cut or not (part := self.Socket.recv(count - len(data))):
                raise ConnectionResetError
            data += part
        return data

    def cut(self) -> None:
        """Let whoever waits for an answer have none."""
        self.is_cut = True
        with suppress(OSError):
            self.Socket.shutdown(socket.SHUT_RDWR)
        self.Socket.close()


class _Controller:
    """A connection to a controller. The library waits for answers, so it does so in a thread of its own."""

    def __init__(self, entry: Entry) -> None:
        parts = urlsplit(entry.address)
        self._host, self._encoding = parts.hostname, entry.encoding
        self._plc = PLC("", entry.slot, entry.timeout_s, entry.micro800, parts.port)
        self._plc.conn.Socket.close()
        self._plc.conn.msg_socket.close()
        self._plc.conn = self._line = _Line(self._plc)
        self._line.msg_socket.close()
        self._plc.StringEncoding = "latin-1"  # takes all bytes; what they mean is said here
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="logix")

    async def run(self, call: Callable[..., _T], *arguments: object) -> _T:
        """Let the thread call one of the methods below; what the library cannot make sense of is a LineError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, call, *arguments)

    def _guarded(self, call: Callable[..., _T], *arguments: object) -> _T:
        try:
            return call(*arguments)
        except (struct.error, IndexError, KeyError, TypeError, AttributeError) as error:
            raise LineError(f"an answer that is no Logix ({error})", "is it a Logix controller?") from error
        except OSError as error:
            raise no_line(error) from error
        finally:
            if self._line.is_cut:  # meanwhile: what was opened after that is closed, too
                self._line.cut()

    def cut(self) -> None:
        """End the connection and the thread, whatever they are at."""
        self._line.cut()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def open(self) -> None:
        """Open a session and a connection; raise LineError."""
        [first, *_] = socket.getaddrinfo(self._host, None, socket.AF_INET)  # the library knows no IPv6
        self._plc.IPAddress = first[4][0]
        is_open, why = self._line.connect()
        if isinstance(why, OSError):
            raise no_line(why)
        if not is_open:
            raise not_opened(self._line.answer)

    def leave(self) -> None:
        """End connection and session, so that the controller has them for others."""
        self._line.Socket.settimeout(_CLOSE_S)
        self._plc.Close()

    def read(self, tags: Sequence[str]) -> list[Value | RefusedError | None]:
        """Return the value of each tag, None for what is no number, or why there is none; raise LineError."""
        asked = [*tags, *tags] if len(tags) == 1 else [*tags]  # of one alone, the library reads no refusal
        answers = self._plc.Read(asked)
        if len(answers) != len(asked):
            raise LineError(f"it answers to {len(answers)} tags instead of {len(asked)}")
        return [self._value(tag, answer.Value, answer.Status) for tag, answer in zip(tags, answers, strict=False)]

    def _value(self, tag: str, value: Any, status: str) -> Value | RefusedError | None:
        if status != "Success":
            return _refused(status)
        if not isinstance(value, Value):
            return _refused("Partial transfer")
        if isinstance(value, str):
            return value.encode("latin-1").decode(self._encoding, "replace")
        if isinstance(value, float):
            return None if not math.isfinite(value) else shortest(value) if self._type(tag) == _REAL else value
        return value

    def _type(self, tag: str) -> int:
        code: int = self._plc.KnownTags[parse_tag_name(tag)[1]][0]
        return code

    def fitting(self, tag: str, value: Value) -> Value:
        """Return a value as the type of a tag wants it; raise ValueError, RefusedError and LineError."""
        [before] = self.read([tag])
        if isinstance(before, RefusedError):
            raise before
        if isinstance(before, str):
            data = str(value).encode(self._encoding)
            if len(data) > _TEXT:
                raise ValueError(f"the text has {len(data)} bytes, and there is room for {_TEXT}")
            return data.decode("latin-1")
        kind = "bool" if isinstance(before, bool) else _TYPES.get(self._type(tag))
        if kind is None:
            raise ValueError(f"{tag} has a type that cannot be written")
        codec = _number.number(kind)
        wanted = codec.decode(codec.encode(value))
        if wanted is None:
            raise ValueError(f"{value} is no number")
        return wanted

    def set(self, tag: str, value: Value) -> None:
        """Set a tag; raise RefusedError and LineError."""
        status = self._plc.Write(tag, value).Status
        if status != "Success":
            raise _refused(status)

    def look(self) -> Iterator[tuple[str, str]]:
        """Return what can be read, with its type; raise RefusedError when the controller has no list of it."""
        try:
            answer = self._plc.GetTagList()
        except _StatusError as error:
            self.open()
            raise RefusedError(str(error)) from error
        if answer.Value is None:
            raise _refused(answer.Status)
        structures = self._plc.UDTByName
        return (leaf for tag in answer.Value for leaf in leaves(tag, tag.TagName, structures))


def _refused(status: str) -> RefusedError:
    return RefusedError(_WHY.get(status, f"it answers {status!r}"))


def not_opened(answer: bytes) -> LineError:
    """Return what the answer to a Forward Open that did not open anything means."""
    status, words, extended = struct.unpack_from("<BBH", answer.ljust(46, b"\0"), 42)
    if words and extended in _OPEN:
        return LineError(*_OPEN[extended])
    if status == 2:
        return LineError(*_OPEN[0x0113])
    return LineError(f"it takes no connection (status {status:02X}, {extended:04X})", "is it a Logix controller?")


def leaves(tag: Any, address: str, structures: Mapping[str, Any], deep: int = _DEEP) -> Iterator[tuple[str, str]]:
    """Yield address and type of what can be read of a tag, or member, of the library; of arrays the first element."""
    if tag.Array:
        address = f"{address}[{','.join('0' * tag.Array)}]"
    if tag.DataType in _DATATYPES:
        yield address, f"{tag.DataType}[{tag.Size}]" if tag.Array else tag.DataType
    elif deep and tag.DataType in structures:
        for member in structures[tag.DataType].Fields:
            if not member.Internal and not member.TagName.startswith(_HIDDEN):
                yield from leaves(member, f"{address}.{member.TagName}", structures, deep - 1)


class Driver:
    """Asks one controller for all signals each `poll_s`; what it refuses is asked for again each tenth time."""

    def __init__(self, name: str, entry: Entry, context: base.Context) -> None:
        self.counters = Counters()
        self._name, self._entry = name, entry
        self._poll = Poll(entry.poll_s)
        self._controller: _Controller | None = None
        self._refused: dict[str, int] = {}  # signals, and in how many turns they are asked for again

    async def connect(self) -> None:
        """Connect and ask once for what there is; raise Unreachable."""
        await self.close()
        try:
            async with self._poll.line:
                self._controller = _Controller(self._entry)
                await self._exchange(self._controller.open)
                self._refused = {}
                await self._ask()
        except LineError as error:
            raise self._told(Unreachable, error) from error
        except BaseException:
            await self.close()
            raise

    async def read(self) -> Sequence[Sample]:
        """Ask when it is time; raise Lost."""
        async with self._poll.turn():
            try:
                return await self._ask()
            except LineError as error:
                raise self._told(Lost, error) from error

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        """Set a tag and read it back."""
        entry = self._entry.signals.get(signal)
        if entry is None or not entry.writable:
            return Written("refused", f"{self._name} has no writable signal {signal!r}")
        async with self._poll.line:
            try:
                wanted = await self._exchange(self._connected().fitting, entry.tag, value)
            except ValueError as error:
                return Written("refused", str(error))
            except (RefusedError, LineError) as error:
                return Written("failed", str(error))
            return await self._set(entry.tag, wanted)

    async def _set(self, tag: str, value: Value) -> Written:
        try:
            await self._exchange(self._connected().set, tag, value)
        except RefusedError as error:
            return Written("failed", f"the controller refuses it: {error}")
        except LineError as error:
            return Written("unknown", str(error))
        try:
            [found] = await self._exchange(self._connected().read, [tag])
        except LineError as error:
            found = RefusedError(str(error))
        if isinstance(found, RefusedError):
            return Written("unknown", f"it was set, and cannot be read back: {found}")
        return Written("done", value=found)

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Yield the tags of controller and programs, at most `browse_limit`, whose names begin with `path`; raise Lost.

        Of a controller that does not list them, those of the plant file.
        """
        if self._controller is None:
            await self.connect()
        async with self._poll.line:
            try:
                found = await self._listed()
                fitting = (tag for tag in found if tag[0].startswith(path) or fnmatchcase(tag[0], f"{path}*"))
                wanted = islice(fitting, self._entry.browse_limit)
                while some := list(islice(wanted, _CHUNK)):
                    values = await self._exchange(self._connected().read, [tag for tag, _ in some])
                    for (tag, kind), value in zip(some, values, strict=True):
                        datatype = _DATATYPES.get(kind.partition("[")[0])
                        shown = None if isinstance(value, RefusedError) else value
                        yield Tag(tag, tag, datatype, shown, description=kind)
            except LineError as error:
                raise self._told(Lost, error) from error

    async def _listed(self) -> Iterable[tuple[str, str]]:
        try:
            return await self._exchange(self._connected().look, limit_s=_LOOK_S)
        except RefusedError as error:
            text = f"it does not list its tags ({error})"
            self.counters.notes.tell("no list", f"{text}: those of the plant file are shown")
            if not self._entry.signals:
                raise LineError(text, "write their names from its program into the plant file") from error
            return [(signal.tag, "") for signal in self._entry.signals.values()]

    async def close(self) -> None:
        """Let go of the controller; safe twice, safe unconnected."""
        controller, self._controller = self._controller, None
        if controller is not None:
            try:
                with suppress(TimeoutError, LineError):
                    async with asyncio.timeout(_CLOSE_S):
                        await controller.run(controller.leave)
            finally:
                controller.cut()

    async def _ask(self) -> list[Sample]:
        """Ask for all signals that the controller has not just refused; raise LineError."""
        controller = self._connected()
        self._refused = {name: turns - 1 for name, turns in self._refused.items() if turns > 1}
        wanted = iter([name for name in self._entry.signals if name not in self._refused])
        samples: list[Sample] = []
        while names := list(islice(wanted, _CHUNK)):
            values = await self._exchange(controller.read, [self._entry.signals[name].tag for name in names])
            now_ns = time.time_ns()
            samples += [self._sample(name, value, now_ns) for name, value in zip(names, values, strict=True)]
        return samples

    def _sample(self, name: str, value: Value | RefusedError | None, now_ns: int) -> Sample:
        if isinstance(value, RefusedError):
            self._refused[name] = _RETRY
            self.counters.notes.tell("refused", f"{name} ({self._entry.signals[name].tag}): {value}", name)
            value = None
        is_odd = isinstance(value, str) and "\ufffd" in value
        quality = Quality.BAD if value is None else Quality.UNCERTAIN if is_odd else Quality.GOOD
        return Sample(self._name, name, now_ns, value, quality)

    def _connected(self) -> _Controller:
        if self._controller is None:
            raise LineError("not connected")
        return self._controller

    async def _exchange(self, call: Callable[..., _T], *arguments: object, limit_s: float = 0) -> _T:
        """Let the controller answer in time; after anything but its answer the line is cut. Raises LineError."""
        controller = self._connected()
        try:
            async with asyncio.timeout(limit_s or self._entry.timeout_s):
                return await controller.run(call, *arguments)
        except (RefusedError, ValueError):
            raise
        except BaseException as error:  # also when it is canceled: the answer would be taken for that of the next one
            self._controller = None
            controller.cut()
            if isinstance(error, TimeoutError):
                raise no_line(error) from error
            raise

    def _told(self, wanted: type[DriverError], error: LineError) -> DriverError:
        return wanted(f"{self._entry.address}: {error}{': ' if error.do else ''}", error.do)


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Ask who it is (ListIdentity, CIP volume 2, 2-4.3); None when nobody answers as EtherNet/IP does."""
    said = await answer(host, port, b"\x63" + bytes(23), timeout_s)
    if said is None or len(said) < _NAME or said[:2] != b"\x63\0" or said[8:12] != bytes(4):
        return None
    kind, name = int.from_bytes(said[50:52], "little"), said[_NAME : _NAME + said[_NAME - 1]].decode("latin-1")
    if kind == _CONTROLLER:
        return Recognized("logix", 1.0, f"an EtherNet/IP controller {name!r}")
    return Recognized("logix", 0.6, f"an EtherNet/IP device {name!r}, which is no controller")
