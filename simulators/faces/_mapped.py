"""Protocols without names: where each signal and command lies is told by a file, not by the wire."""

from __future__ import annotations

import csv
import inspect
import math
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from simulators.face import Shown
from simulators.machine import SimulatedMachine, Value

Access = Literal["read", "write", "read/write"]
Takes = Literal["nothing", "number", "word"]
Cells = TypeVar("Cells")

COMMAND: Final = "command/"
"""What the names of commands begin with in a map: a command and a signal may have the same name."""
_WORDS: Final = {"power", "coolant"}
"""Commands whose value is a word; the others that are no signals take a whole number, or none."""
_NO_INT32: Final = -(2**31)


class Mapped(Protocol[Cells]):
    """A signal or a command at its place, and how cells (registers, bytes) carry its value."""

    @property
    def name(self) -> str:
        """Name of the signal; of a command with `command/` before it."""

    @property
    def access(self) -> Access:
        """What a client may do; `write` is a command."""

    def encode(self, value: Value | None) -> Cells:
        """Return the cells of a value."""

    def decode(self, cells: Cells) -> Value | None:
        """Return the value of cells, None for none."""


Field = TypeVar("Field", bound=Mapped[Any])


class Memory(ABC, Generic[Field, Cells]):
    """A machine as the memory of its controller."""

    def __init__(self, shown: Shown, fields: Sequence[Field]) -> None:
        self.shown = shown
        self.fields = fields
        self._by_name = {field.name: field for field in fields}

    @abstractmethod
    def get(self, field: Field) -> Cells:
        """Return what lies there now."""

    @abstractmethod
    def put(self, field: Field, cells: Cells) -> None:
        """Let it lie there from now on."""

    @property
    def silent(self) -> bool:
        """Whether the machine's link is silent now."""
        return self.shown.is_silent

    def emit(self, time_ns: int) -> None:
        """Take over what the machine reads now."""
        for field in self.fields:
            if field.access == "write":
                self.put(field, field.encode(None))  # what was pressed is let go
        for stamp_ns, reading in self.shown.messages(time_ns):
            changed: dict[str, Cells] = {}
            for signal in self.shown.machine.signals:
                if self.shown.due(signal, stamp_ns):
                    field = self._by_name[signal.name]
                    cells = field.encode(reading[signal.name])
                    if cells != self.get(field):
                        changed[signal.name] = cells
            self.shown.note(stamp_ns, {name: self._by_name[name].decode(cells) for name, cells in changed.items()})
            for name, cells in changed.items():
                self.put(self._by_name[name], cells)
            self.shown.count(list(changed))


def commands(machine: SimulatedMachine) -> Iterator[tuple[str, Takes, str]]:
    """Yield (name in a map, what it takes, description) of the commands that are not writes of a signal."""
    written = {signal.name for signal in machine.signals if signal.writable}
    for name in machine.commands:
        if name in written:
            continue
        method = getattr(machine, f"set_{name}")
        description = (inspect.getdoc(method) or "").partition("\n")[0]
        (parameter,) = inspect.signature(method).parameters
        takes: Takes = "word" if name in _WORDS else "number"
        yield COMMAND + name, "nothing" if parameter.startswith("_") else takes, description


def int32(value: Value | None) -> bytes:
    """Return four bytes, the highest first; limits hold the number in range, None is −2147483648."""
    return struct.pack(">i", _NO_INT32 if value is None else max(_NO_INT32 + 1, min(int(value), 2**31 - 1)))


def from_int32(body: bytes) -> int | None:
    """Return the number of four bytes."""
    whole = int(struct.unpack(">i", body)[0])
    return None if whole == _NO_INT32 else whole


def float32(value: Value | None) -> bytes:
    """Return four bytes of IEEE 754, the highest first; None is NaN."""
    return struct.pack(">f", math.nan if value is None else float(value))


def from_float32(body: bytes) -> float | None:
    """Return the number of four bytes."""
    number = float(struct.unpack(">f", body)[0])
    return None if math.isnan(number) else number


def write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a map as a CSV file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    draft.replace(path)


def check_port(address: tuple[str, int], protocol: str) -> None:
    """Raise OSError with what to do when nobody could listen there, for servers that do not tell why they cannot."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            option = f"--{protocol.lower()}-port"
            text = f"port {address[1]} ({protocol}) cannot be listened on: {error.strerror} (see {option})"
            raise OSError(error.errno, text) from error
