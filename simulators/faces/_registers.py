"""Register maps: where the signals and commands of a machine lie on Modbus, and how 16-bit registers carry them.

Modbus knows bits and 16-bit registers only; what they mean is in the maker's paper. Here it is in a file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from simulators.faces._mapped import Access, commands, float32, from_float32, from_int32, int32
from simulators.machine import Signal, SimulatedMachine, Value

Table: TypeAlias = Literal["coil", "discrete", "holding", "input"]
Type: TypeAlias = Literal["bool", "uint16", "int32", "float32", "string"]
TABLES: Final[tuple[Table, ...]] = ("coil", "discrete", "holding", "input")
WORD_ORDERS: Final = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}
"""Where each byte of a 32-bit number (A is the highest) comes from; each order undoes itself."""
COLUMNS: Final = (
    "machine", "unit_id", "signal", "table", "address", "registers", "type", "word_order", "scale", "unit", "access",
    "description",
)  # fmt: skip

_COUNTS: Final[dict[Type, int]] = {"bool": 1, "uint16": 1, "int32": 2, "float32": 2, "string": 16}
_PERCENT: Final = 0.01
_NO_UINT16: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Field:
    """A signal or a command in a table; `address` counts from 0, as requests do. Its value is the number × `scale`."""

    name: str
    table: Table
    address: int
    type: Type
    word_order: str = "ABCD"
    scale: float = 1.0
    unit: str = ""
    access: Access = "read"
    description: str = ""

    @property
    def count(self) -> int:
        """How many registers, or bits, it takes."""
        return _COUNTS[self.type]

    def encode(self, value: Value | None) -> list[int]:
        """Return the registers of a value; limits hold it in range.

        None is NaN, 65535, −2147483648, an empty text or false.
        """
        match self.type:
            case "bool":
                return [int(bool(value))]
            case "string":
                text = "" if value is None else str(value)
                body = text.encode()[: 2 * self.count].decode(errors="ignore").encode()
                return list(struct.unpack(f">{self.count}H", body.ljust(2 * self.count, b"\0")))
            case "uint16":
                number = None if value is None else round(float(value) / self.scale)
                return [_NO_UINT16 if number is None else max(0, min(number, _NO_UINT16 - 1))]
            case "int32":
                body = int32(value)
            case "float32":
                body = float32(value)
        return list(struct.unpack(">2H", self._ordered(body)))

    def decode(self, registers: Sequence[int]) -> Value | None:
        """Return the value of registers, None for none; raise ValueError for bytes that are no text."""
        body = struct.pack(f">{len(registers)}H", *registers)
        match self.type:
            case "bool":
                return bool(registers[0])
            case "string":
                return body.rstrip(b"\0").decode()
            case "uint16":
                return None if registers[0] == _NO_UINT16 else round(registers[0] * self.scale, 6)
            case "int32":
                return from_int32(self._ordered(body))
            case "float32":
                return from_float32(self._ordered(body))

    def _ordered(self, body: bytes) -> bytes:
        return bytes(body[i] for i in WORD_ORDERS[self.word_order])


def layout(machine: SimulatedMachine, word_order: str) -> list[Field]:
    """Return the map of a machine.

    What only reads lies in discrete inputs and input registers, what can be written in coils and holding registers;
    percentages are 16-bit numbers with a scale, as controllers have them. A command without a value is a coil that
    falls back by itself.
    """
    ends = dict.fromkeys(TABLES, 0)
    fields = []
    for field in (*_signals(machine, word_order), *_commands(machine, word_order)):
        fields.append(_placed(field, ends[field.table]))
        ends[field.table] += field.count
    return fields


def _placed(field: Field, address: int) -> Field:
    return Field(
        field.name, field.table, address, field.type, field.word_order, field.scale, field.unit, field.access,
        field.description,
    )  # fmt: skip


def _signals(machine: SimulatedMachine, word_order: str) -> Iterator[Field]:
    for signal in machine.signals:
        type_ = _type(signal)
        table: Table = "coil" if signal.writable else "discrete"
        if type_ != "bool":
            table = "holding" if signal.writable else "input"
        scale = _PERCENT if type_ == "uint16" else 1.0
        access: Access = "read/write" if signal.writable else "read"
        yield Field(signal.name, table, 0, type_, word_order, scale, signal.unit, access, signal.description)


def _type(signal: Signal) -> Type:
    match signal.datatype:
        case "boolean":
            return "bool"
        case "string":
            return "string"
        case "int64":
            return "int32"
        case "double":
            return "uint16" if signal.unit == "%" and (signal.low or 0.0) >= 0.0 else "float32"


def _commands(machine: SimulatedMachine, word_order: str) -> Iterator[Field]:
    for name, takes, description in commands(machine):
        if takes == "nothing":
            yield Field(name, "coil", 0, "bool", word_order, access="write", description=description)
        else:
            type_: Type = "string" if takes == "word" else "uint16"
            yield Field(name, "holding", 0, type_, word_order, access="write", description=description)


def entry(field: Field) -> dict[str, Any]:
    """Return where a field lies, as the driver of the edge wants it."""
    found: dict[str, Any] = {"register": f"{field.table}/{field.address}", "type": field.type}
    if field.type == "string":
        found["length"] = field.count
    if field.word_order != "ABCD" and field.type in ("int32", "float32"):
        found["order"] = field.word_order
    if field.scale != 1.0:
        found["scale"] = field.scale
    return found


def rows(machine: str, unit_id: int, fields: Sequence[Field]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a machine in the map file."""
    for field in fields:
        order = field.word_order if field.type in ("int32", "float32") else ""
        yield (
            machine, unit_id, field.name, field.table, field.address, field.count, field.type, order,
            f"{field.scale:g}", field.unit, field.access, field.description,
        )  # fmt: skip
