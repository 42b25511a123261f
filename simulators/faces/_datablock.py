"""Data blocks: where the signals and commands of a machine lie in the memory of an S7 controller, byte by byte.

The layout is that of a block without optimized access, as other stations need it: REAL, DINT and STRING begin at even
bytes, BOOLs share bytes, the highest byte of a number comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from simulators.faces._mapped import Access, commands, float32, from_float32, from_int32, int32
from simulators.machine import Datatype, SimulatedMachine, Value

Type: TypeAlias = Literal["BOOL", "DINT", "REAL", "STRING"]
STRING_SIZE: Final = 62
"""A STRING[62] has 64 bytes: how many characters it may have, how many it has, the characters."""
COLUMNS: Final = ("machine", "db", "signal", "byte", "bit", "bytes", "type", "unit", "access", "description")

_TYPES: Final[dict[Datatype, Type]] = {"boolean": "BOOL", "int64": "DINT", "double": "REAL", "string": "STRING"}
_SIZES: Final[dict[Type, int]] = {"BOOL": 1, "DINT": 4, "REAL": 4, "STRING": STRING_SIZE + 2}


@dataclass(frozen=True, slots=True)
class Field:
    """A signal or a command in a data block; `bit` is that of a BOOL, from 0."""

    name: str
    type: Type
    byte: int = 0
    bit: int = 0
    unit: str = ""
    access: Access = "read"
    description: str = ""

    @property
    def size(self) -> int:
        """How many bytes it takes; a BOOL has a bit of one."""
        return _SIZES[self.type]

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.byte + self.size

    def encode(self, value: Value | None) -> bytes:
        """Return the bytes of a value (0 or 1 for a BOOL); None is NaN, −2147483648, an empty text or false.

        A STRING has the characters of ISO 8859-1; others become question marks.
        """
        match self.type:
            case "BOOL":
                return bytes([bool(value)])
            case "DINT":
                return int32(value)
            case "REAL":
                return float32(value)
            case "STRING":
                text = b"" if value is None else str(value).encode("latin-1", "replace")[:STRING_SIZE]
                return bytes([STRING_SIZE, len(text)]) + text.ljust(STRING_SIZE, b"\0")

    def decode(self, cells: bytes) -> Value | None:
        """Return the value of bytes, None for none; raise ValueError for a text that is longer than it may be."""
        match self.type:
            case "BOOL":
                return bool(cells[0])
            case "DINT":
                return from_int32(cells)
            case "REAL":
                return from_float32(cells)
            case "STRING":
                if cells[1] > STRING_SIZE:
                    raise ValueError(f"{cells[1]} characters in a STRING[{STRING_SIZE}]")
                return cells[2 : 2 + cells[1]].decode("latin-1")


def layout(machine: SimulatedMachine) -> list[Field]:
    """Return the data block of a machine.

    First lies what only reads, behind it from an even byte what can be written; in both the numbers and texts come
    before the BOOLs. A command without a value is a BOOL that falls back by itself.
    """
    every = [*_signals(machine), *_commands(machine)]
    only_read = [field for field in every if field.access == "read"]
    written = [field for field in every if field.access != "read"]
    placed = list(_placed(only_read, 0))
    return [*placed, *_placed(written, size_of(placed))]


def size_of(fields: Sequence[Field]) -> int:
    """Return how many bytes the block has: an even number."""
    end = max((field.end for field in fields), default=0)
    return end + end % 2


def _placed(fields: Sequence[Field], byte: int) -> Iterator[Field]:
    for field in fields:
        if field.type != "BOOL":
            yield replace(field, byte=byte)
            byte += field.size
    for index, field in enumerate(field for field in fields if field.type == "BOOL"):
        yield replace(field, byte=byte + index // 8, bit=index % 8)


def _signals(machine: SimulatedMachine) -> Iterator[Field]:
    for signal in machine.signals:
        access: Access = "read/write" if signal.writable else "read"
        yield Field(
            signal.name, _TYPES[signal.datatype], unit=signal.unit, access=access, description=signal.description
        )


def _commands(machine: SimulatedMachine) -> Iterator[Field]:
    types: dict[str, Type] = {"nothing": "BOOL", "number": "DINT", "word": "STRING"}
    for name, takes, description in commands(machine):
        yield Field(name, types[takes], access="write", description=description)


def address(db: int, field: Field) -> str:
    """Return where a field lies, as drivers write it: DB1.DBD4:REAL."""
    if field.type == "BOOL":
        return f"DB{db}.DBX{field.byte}.{field.bit}:BOOL"
    if field.type == "STRING":
        return f"DB{db}.DBB{field.byte}:STRING[{STRING_SIZE}]"
    return f"DB{db}.DBD{field.byte}:{field.type}"


def rows(machine: str, db: int, fields: Sequence[Field]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a machine in the map file."""
    for field in fields:
        bit = field.bit if field.type == "BOOL" else ""
        type_ = f"STRING[{STRING_SIZE}]" if field.type == "STRING" else field.type
        yield (
            machine, db, field.name, field.byte, bit, field.size, type_, field.unit, field.access, field.description,
        )  # fmt: skip
