"""S7: one controller for all machines that it shows, each with a data block of its own.

What lies where is in `simulators/s7.csv` beside the plant file. A machine chooses in the factory file
`options: {s7: {db: 10}}`; without it the numbers count from 1. Rack and slot may be any. An item that is not obeyed has
a return code: 1 for a machine whose link is silent, 3 for what is refused or only reads, 5 for an address, 6 for a
type, 7 for bytes that are no value, 10 for a block or an area that is not there.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain
from typing import Any, Final

from snap7.error import S7ConnectionError, S7ProtocolError
from snap7.server import Server
from snap7.type import SrvArea

from simulators.face import Face, Place, Setting, Shown, described
from simulators.faces import _datablock as datablock
from simulators.faces import _mapped as mapped
from simulators.faces._datablock import Field
from simulators.faces._mapped import COMMAND, Memory, check_port
from simulators.factory import FactoryFileError
from simulators.machine import SimulatedMachine

MOST_CLIENTS: Final = 64
MAX_DB: Final = 65535
_PDU: Final = 480
_WRITE_TIMEOUT_S: Final = 5.0
_JOB, _ACK, _ACK_DATA, _USERDATA = 1, 2, 3, 7
_READ, _WRITE, _SETUP = 0x04, 0x05, 0xF0
_DB_AREA: Final = 0x84
_BIT: Final = 1
_SIZES: Final = {_BIT: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 4, 8: 4}
"""Bytes of a BIT, BYTE, CHAR, WORD, INT, DWORD, DINT, REAL, by their number in an address."""


class _Code(IntEnum):
    """What became of an item of a request."""

    SILENT = 0x01
    REFUSED = 0x03
    NO_ADDRESS = 0x05
    NO_TYPE = 0x06
    NO_VALUE = 0x07
    NO_OBJECT = 0x0A
    DONE = 0xFF


@dataclass(frozen=True, slots=True)
class _Item:
    """What one item of a request means: bytes of a data block, or one bit."""

    db: int
    byte: int
    bit: int | None
    count: int
    wrong: _Code | None = None


class _Block(Memory[Field, bytes]):
    """A machine as a data block. Clients are answered from `image`, which changes as a whole."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown, datablock.layout(shown.machine))
        self._bytes = bytearray(datablock.size_of(self.fields))
        for field in self.fields:
            self.put(field, field.encode(None))
        self.image = bytes(self._bytes)

    def get(self, field: Field) -> bytes:
        """Return the bytes of a field, 0 or 1 for a BOOL."""
        return _cells(self._bytes, field)

    def put(self, field: Field, cells: bytes) -> None:
        """Let them be these from now on."""
        if field.type == "BOOL":
            self._bytes[field.byte] = self._bytes[field.byte] & ~(1 << field.bit) | cells[0] << field.bit
        else:
            self._bytes[field.byte : field.end] = cells

    def emit(self, time_ns: int) -> None:
        """Take over what the machine reads now."""
        super().emit(time_ns)
        self.image = bytes(self._bytes)

    def read(self, item: _Item) -> tuple[_Code, bytes]:
        """Return the bytes of an item; a bit is a byte that is 0 or 1."""
        if self.silent:
            return _Code.SILENT, b""
        if item.byte + item.count > len(self.image):
            return _Code.NO_ADDRESS, b""
        content = self.image[item.byte : item.byte + item.count]
        return _Code.DONE, content if item.bit is None else bytes([content[0] >> item.bit & 1])

    def write(self, item: _Item, data: bytes) -> _Code:
        """Hand what was changed to the machine; what is there already is no command."""
        if self.silent:
            return _Code.SILENT
        end = item.byte + item.count
        if end > len(self._bytes):
            return _Code.NO_ADDRESS
        hit = [field for field in self.fields if field.byte < end and field.end > item.byte]
        after = self._bytes.copy()
        if item.bit is None:
            after[item.byte : end] = data
        else:
            hit = [field for field in hit if field.type == "BOOL" and field.bit == item.bit]
            after[item.byte] = after[item.byte] & ~(1 << item.bit) | (data[0] & 1) << item.bit
        if not hit or any(_torn(field, item.byte, end, after) for field in hit):
            return _Code.NO_ADDRESS
        if any(field.access == "read" for field in hit):
            return _Code.REFUSED
        codes = (self._command(field, _cells(after, field)) for field in hit)
        code = next((code for code in codes if code is not _Code.DONE), _Code.DONE)
        self.image = bytes(self._bytes)
        return code

    def _command(self, field: Field, cells: bytes) -> _Code:
        try:
            value = field.decode(cells)
        except ValueError:
            return _Code.NO_VALUE
        if field.encode(value) == self.get(field):
            return _Code.DONE
        if value is None:
            return _Code.NO_VALUE
        let_go = field.type == "BOOL" and field.access == "write" and not value
        if not let_go and self.shown.command(field.name.removeprefix(COMMAND), value):
            return _Code.REFUSED
        self.put(field, field.encode(value))
        return _Code.DONE


def _cells(content: bytes | bytearray, field: Field) -> bytes:
    if field.type == "BOOL":
        return bytes([content[field.byte] >> field.bit & 1])
    return bytes(content[field.byte : field.end])


def _torn(field: Field, start: int, end: int, after: bytearray) -> bool:
    """Return whether only a part of a field was written; a text may end with its last character."""
    if field.type == "STRING" and end >= field.byte + 2:
        return start > field.byte or end < min(field.byte + 2 + after[field.byte + 1], field.end)
    return start > field.byte or end < field.end


class _Server(Server):
    """snap7's server with our memory. Its own knows neither bits nor several items of a write, nor a refusal."""

    def __init__(self, read: Callable[[_Item], tuple[_Code, bytes]], write: Callable[[_Item, bytes], _Code]) -> None:
        super().__init__(log=False, max_clients=MOST_CLIENTS)
        self._read = read
        self._write = write
        self._sockets: set[socket.socket] = set()

    def _server_loop(self) -> None:
        super()._server_loop()
        with self.client_lock:
            for client in self._sockets:  # else each would be waited for until it asks the next time
                client.shutdown(socket.SHUT_RDWR)

    def _handle_client(self, client_socket: socket.socket, address: tuple[str, int]) -> None:
        with self.client_lock:
            self._sockets.add(client_socket)
            if not self.running:
                client_socket.shutdown(socket.SHUT_RDWR)
        try:
            super()._handle_client(client_socket, address)
        finally:
            with self.client_lock:
                self._sockets.discard(client_socket)

    def _process_request(self, request_data: bytes, client_address: tuple[str, int]) -> bytes | None:
        """Answer a request in the client's thread; bytes that are none end the connection."""
        try:
            protocol, kind, sequence, length = struct.unpack_from(">BBxxHH", request_data)
            if protocol != 0x32 or kind not in (_JOB, _USERDATA):
                raise S7ProtocolError("no request")
            function = request_data[10]
            if kind == _USERDATA or function == _SETUP:
                return super()._process_request(request_data, client_address)
            parameters, data = request_data[10 : 10 + length], request_data[10 + length :]
            if function == _READ:
                answer = b"".join(_aligned(self._answer(item) for item in _items(parameters)))
            elif function == _WRITE:
                answer = bytes(self._write(item, body) for item, body in _wishes(parameters, data))
            else:
                return _refusal(sequence, 0x8104)  # start, stop, upload, download: this controller has no function
        except (struct.error, IndexError) as error:
            raise S7ProtocolError("a request that ends too soon") from error
        if len(answer) + 14 > _PDU:
            return _refusal(sequence, 0x8500)
        head = struct.pack(">BBHHHHBB", 0x32, _ACK_DATA, 0, sequence, 2, len(answer), 0, 0)
        return head + parameters[:2] + answer

    def _answer(self, item: _Item) -> bytes:
        code, content = (item.wrong, b"") if item.wrong is not None else self._read(item)
        if code is not _Code.DONE:
            return struct.pack(">BBH", code, 0, 0)
        if item.bit is not None:
            return struct.pack(">BBH", code, 3, 1) + content
        return struct.pack(">BBH", code, 4, len(content) * 8) + content


def _refusal(sequence: int, error: int) -> bytes:
    return struct.pack(">BBHHHHH", 0x32, _ACK, 0, sequence, 0, 0, error)


def _aligned(answers: Iterator[bytes]) -> Iterator[bytes]:
    """Yield items so that each begins at an even byte."""
    odd = False
    for answer in answers:
        yield b"\0" + answer if odd else answer
        odd = len(answer) % 2 == 1


def _items(parameters: bytes) -> Iterator[_Item]:
    for n in range(parameters[1]):
        kind, length, syntax, type_, count, db, area, high, low = struct.unpack_from(
            ">BBBBHHBBH", parameters, 2 + 12 * n
        )
        if (kind, length, syntax) != (0x12, 10, 0x10):
            raise S7ProtocolError("an address that is none of S7-Any")
        address = high << 16 | low
        bit = address % 8 if type_ == _BIT else None
        wrong = None
        if type_ not in _SIZES or (bit is not None and count != 1):
            wrong = _Code.NO_TYPE
        elif area != _DB_AREA:
            wrong = _Code.NO_OBJECT
        elif count == 0 or (bit is None and address % 8):
            wrong = _Code.NO_ADDRESS
        yield _Item(db, address // 8, bit, count * _SIZES.get(type_, 1), wrong)


def _wishes(parameters: bytes, data: bytes) -> Iterator[tuple[_Item, bytes]]:
    """Yield items and what shall be written there; every one but the last is filled up to an even number of bytes."""
    at = 0
    for item in _items(parameters):
        type_, length = struct.unpack_from(">xBH", data, at)
        size = -(-length // 8) if type_ in (3, 4, 5) else length
        body = data[at + 4 : at + 4 + size]
        if len(body) < size:
            raise S7ProtocolError("a request that ends too soon")
        at += 4 + size + size % 2
        yield item, body


class S7(Face):
    """An S7 server with a data block for each machine."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.map = setting.folder / "simulators" / "s7.csv"
        self.port = setting.s7_port
        self._blocks: dict[int, _Block] = {}
        self._server: _Server | None = None

    def show(self, machine: SimulatedMachine, place: Place) -> Shown:
        """Give the machine a data block; raise FactoryFileError for options that are none."""
        options = machine.options.get("s7", {})
        where = f"machines.{machine.id}.options.s7"
        if not isinstance(options, Mapping) or options.keys() - {"db"}:
            raise FactoryFileError(f"{where}: {options!r}; have: db")
        db = options.get("db", max(self._blocks, default=0) + 1)
        if not isinstance(db, int) or not 1 <= db <= MAX_DB or db in self._blocks:
            raise FactoryFileError(f"{where}: db {db!r} is no free one of 1 to {MAX_DB}")
        shown = super().show(machine, place)
        self._blocks[db] = _Block(shown)
        return shown

    async def start(self) -> None:
        """Write the map and listen; port 0 takes a free one. Raises OSError when the port is taken."""
        host = socket.gethostbyname(self.setting.listen)
        check_port((host, self.port), "S7")  # its server shares a port with another that listens
        maps = (datablock.rows(block.shown.machine.id, db, block.fields) for db, block in self._blocks.items())
        mapped.write(self.map, datablock.COLUMNS, chain.from_iterable(maps))
        loop = asyncio.get_running_loop()

        async def write(item: _Item, data: bytes) -> _Code:
            return self._write(item, data)

        def in_loop(item: _Item, data: bytes) -> _Code:
            done = asyncio.run_coroutine_threadsafe(write(item, data), loop)
            try:
                return done.result(_WRITE_TIMEOUT_S)
            except TimeoutError:
                done.cancel()  # the client hears nothing, and no command comes true long after it
                raise

        server = _Server(self._read, in_loop)
        for db, block in self._blocks.items():
            server.register_area(SrvArea.DB, db, bytearray(len(block.image)))  # so that it is listed, with its size
        try:
            server.start_to(host, self.port)
        except S7ConnectionError as error:
            raise OSError(f"port {self.port} (S7): {error}") from error
        if server.server_socket is not None:
            self.port = int(server.server_socket.getsockname()[1])
        self._server = server

    async def emit(self, time_ns: int) -> None:
        """Show what the machines read now."""
        for block in self._blocks.values():
            block.emit(time_ns)

    async def stop(self) -> None:
        """End the connections and close the port; safe twice."""
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.stop)

    def entry(self, shown: Shown) -> dict[str, Any]:
        """Return the entry for the driver `s7`, once it listens."""
        machine = shown.machine
        [(db, block)] = [(db, block) for db, block in self._blocks.items() if block.shown is shown]
        where = {field.name: datablock.address(db, field) for field in block.fields}
        return {
            "kind": machine.kind,
            "names": dict(machine.names),
            "driver": "s7",
            "address": f"s7://{self.setting.host}:{self.port}",
            "signals": {signal.name: described(signal, {"address": where[signal.name]}) for signal in machine.signals},
        }

    def _read(self, item: _Item) -> tuple[_Code, bytes]:
        block = self._blocks.get(item.db)
        return (_Code.NO_OBJECT, b"") if block is None else block.read(item)

    def _write(self, item: _Item, data: bytes) -> _Code:
        if item.wrong is not None:
            return item.wrong
        block = self._blocks.get(item.db)
        if block is None:
            return _Code.NO_OBJECT
        return block.write(item, data) if len(data) == item.count else _Code.NO_VALUE


FACE = S7
