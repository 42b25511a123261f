"""Values of Sparkplug B: datatype codes and how each one lies in a protobuf message (Sparkplug 3.0, chapter 6.4.16).

A value sits in one of the `oneof value` fields that Metric, PropertyValue, DataSetValue and Parameter have in common.
Implementations disagree about sign extension and about which integer field UInt32 takes, so reading goes by datatype,
accepts both integer fields, masks to the width and then converts the sign; writing follows the specification's table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

from contract.model import Datatype


class SparkplugError(ValueError):
    """Bytes that are not a Sparkplug B payload, or a payload that cannot be written as one."""


class Code(IntEnum):
    """Datatype codes of Sparkplug B."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTY_SET = 20
    PROPERTY_SET_LIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table: `types` are datatype codes of the columns, each row has one value (or None) per column."""

    columns: tuple[str, ...]
    types: tuple[int, ...]
    rows: tuple[tuple[Scalar | None, ...], ...] = ()


class Property(NamedTuple):
    """A property of a metric; `value` is None when it is null."""

    datatype: int
    value: Scalar | dict[str, Property] | list[dict[str, Property]] | None


Scalar: TypeAlias = float | int | bool | str
Array: TypeAlias = tuple[int, ...] | tuple[float, ...] | tuple[bool, ...] | tuple[str, ...]

_DATATYPE_OF: Final = {Code[datatype.name]: datatype for datatype in Datatype} | {
    Code.TEXT: Datatype.STRING,
    Code.UUID: Datatype.STRING,
}
_CODE_OF: Final = {datatype: int(Code[datatype.name]) for datatype in Datatype}

# width in bits, and whether it has a sign
_INTEGERS: Final = {
    Code.INT8: (8, True),
    Code.INT16: (16, True),
    Code.INT32: (32, True),
    Code.INT64: (64, True),
    Code.UINT8: (8, False),
    Code.UINT16: (16, False),
    Code.UINT32: (32, False),
    Code.UINT64: (64, False),
    Code.DATETIME: (64, False),
}
_TEXTS: Final = frozenset({Code.STRING, Code.TEXT, Code.UUID})
_NUMERIC_ARRAYS: Final = {
    Code.INT8_ARRAY: "b",
    Code.INT16_ARRAY: "h",
    Code.INT32_ARRAY: "i",
    Code.INT64_ARRAY: "q",
    Code.UINT8_ARRAY: "B",
    Code.UINT16_ARRAY: "H",
    Code.UINT32_ARRAY: "I",
    Code.UINT64_ARRAY: "Q",
    Code.FLOAT_ARRAY: "f",
    Code.DOUBLE_ARRAY: "d",
    Code.DATETIME_ARRAY: "q",
}
ARRAYS: Final = frozenset({*_NUMERIC_ARRAYS, Code.BOOLEAN_ARRAY, Code.STRING_ARRAY})


def code_of(datatype: Datatype) -> int:
    """Return the Sparkplug code of a signal's datatype."""
    return _CODE_OF[datatype]


def datatype_of(code: int) -> Datatype | None:
    """Return the datatype of a signal with this Sparkplug code; None for what no signal can hold (arrays, tables)."""
    return _DATATYPE_OF.get(code)  # type: ignore[call-overload, no-any-return]


def field_of(code: int) -> str:
    """Return the `oneof` field in which a scalar of this datatype is written; raise SparkplugError for others."""
    if code in _INTEGERS:
        return "long_value" if _INTEGERS[Code(code)][0] == 64 else "int_value"
    if code in _TEXTS:
        return "string_value"
    field = {Code.FLOAT: "float_value", Code.DOUBLE: "double_value", Code.BOOLEAN: "boolean_value"}.get(code)  # type: ignore[call-overload]
    if field is None:
        raise SparkplugError(f"datatype {code} is not a scalar of Sparkplug B")
    return str(field)


_FLOAT: Final = struct.Struct("<f")


def shortest(number: float) -> float:
    """Return the number of fewest digits that is the same 32-bit float: 23.4 for 23.399999618530273.

    What is no 32-bit float stays as it is.
    """
    try:
        bits = _FLOAT.pack(number)
    except OverflowError:
        return number
    if _FLOAT.unpack(bits)[0] != number:
        return number
    for digits in (6, 7, 8):
        short = float(f"{number:.{digits}g}")
        if _FLOAT.pack(short) == bits:
            return short
    return float(f"{number:.9g}")


def converter_of(code: int) -> Callable[[Any], float] | None:
    """Return what makes a number of the field it was read from; None where the field is the value already."""
    if code == Code.FLOAT:
        return shortest
    if code not in _INTEGERS:
        return None
    bits, signed = _INTEGERS[Code(code)]
    mask = (1 << bits) - 1
    if not signed:
        return mask.__and__
    half = 1 << (bits - 1)
    return lambda raw: ((raw & mask) ^ half) - half


def as_datatype(raw: object, code: int) -> Scalar:
    """Return a raw field value as a scalar of the datatype; raise SparkplugError if it cannot be one."""
    if isinstance(raw, bytes):
        raise SparkplugError("a text is not UTF-8" if code in _TEXTS else f"bytes where datatype {code} was expected")
    if code in _TEXTS and isinstance(raw, str):
        return raw
    if isinstance(raw, (int, float)) and code not in _TEXTS:
        if code == Code.BOOLEAN:
            return bool(raw)
        if code == Code.DOUBLE:
            return float(raw)
        if code == Code.FLOAT:
            return shortest(float(raw))
        convert = converter_of(code)
        if convert is not None and isinstance(raw, int):
            return convert(raw)
    raise SparkplugError(f"{type(raw).__name__} where datatype {code} was expected")


def read_scalar(message: Any, code: int) -> Scalar | None:
    """Return the scalar that a message with a `oneof value` holds, None without one; raise SparkplugError.

    With datatype UNKNOWN the raw value is returned, to be converted by `as_datatype` once the datatype is known.
    """
    field = message.WhichOneof("value")
    if field is None:
        return None
    raw = getattr(message, field)
    if code == Code.UNKNOWN and isinstance(raw, (int, float, str)):
        return raw
    return as_datatype(raw, code)


def write_scalar(message: Any, code: int, value: object) -> None:
    """Write a scalar into the field of its datatype; raise SparkplugError when it does not fit."""
    if code in _INTEGERS:
        message_field, number = field_of(code), _checked_integer(code, value)
        setattr(message, message_field, number)
    elif code in _TEXTS and isinstance(value, str):
        message.string_value = value
    elif code == Code.BOOLEAN and isinstance(value, (bool, int)):
        message.boolean_value = bool(value)
    elif code in (Code.FLOAT, Code.DOUBLE) and isinstance(value, (float, int)):
        setattr(message, field_of(code), value)
    elif code == Code.UNKNOWN:
        write_scalar(message, _guess(value), value)
    else:
        raise SparkplugError(f"{value!r} is not a value of datatype {code}")


def _guess(value: object) -> int:
    if isinstance(value, bool):
        return Code.BOOLEAN
    if isinstance(value, int):
        return Code.INT64 if value < 0 else Code.UINT64
    if isinstance(value, float):
        return Code.DOUBLE
    if isinstance(value, str):
        return Code.STRING
    raise SparkplugError(f"a {type(value).__name__} needs a datatype")


def _checked_integer(code: int, value: object) -> int:
    bits, signed = _INTEGERS[Code(code)]
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if not isinstance(value, int) or not low <= value <= high:
        raise SparkplugError(f"{value!r} is not a value of {Code(code).name}: it holds {low} to {high}")
    # the 32-bit field takes the small ones sign-extended to 32 bits, as Tahu's Java library writes them
    return value & (0xFFFFFFFFFFFFFFFF if bits == 64 else 0xFFFFFFFF)


def pack_array(code: int, values: Sequence[Any]) -> bytes:
    """Return the bytes of an array metric (Sparkplug 3.0, chapter 6.4.16); raise SparkplugError."""
    try:
        if code == Code.STRING_ARRAY:
            if any("\0" in text for text in values):
                raise SparkplugError("a text of a string array may not hold a NUL character")
            return b"".join(text.encode() + b"\0" for text in values)
        if code == Code.BOOLEAN_ARRAY:
            bits = "".join("1" if value else "0" for value in values)
            octets = (len(bits) + 7) // 8
            return struct.pack("<I", len(values)) + int(bits.ljust(8 * octets, "0") or "0", 2).to_bytes(octets, "big")
        return struct.pack(f"<{len(values)}{_NUMERIC_ARRAYS[Code(code)]}", *values)
    except (struct.error, OverflowError, TypeError, AttributeError, UnicodeEncodeError) as error:
        raise SparkplugError(f"not an array of {Code(code).name}: {error}") from error


def unpack_array(code: int, data: bytes) -> Array:
    """Return the values of an array metric; raise SparkplugError when the bytes do not fit the datatype."""
    if code == Code.STRING_ARRAY:
        return _unpack_texts(data)
    if code == Code.BOOLEAN_ARRAY:
        return _unpack_booleans(data)
    letter = _NUMERIC_ARRAYS[Code(code)]
    size = struct.calcsize(f"<{letter}")
    if len(data) % size:
        raise SparkplugError(f"{len(data)} bytes are not a whole number of {size}-byte values of {Code(code).name}")
    values = struct.unpack(f"<{len(data) // size}{letter}", data)
    return tuple(map(shortest, values)) if letter == "f" else values


def _unpack_texts(data: bytes) -> tuple[str, ...]:
    if not data:
        return ()
    if not data.endswith(b"\0"):
        raise SparkplugError("the last text of a string array does not end with NUL")
    try:
        return tuple(part.decode() for part in data[:-1].split(b"\0"))
    except UnicodeDecodeError as error:
        raise SparkplugError("a text of a string array is not UTF-8") from error


def _unpack_booleans(data: bytes) -> tuple[bool, ...]:
    if len(data) < 4:
        raise SparkplugError(f"a boolean array starts with a count of 4 bytes, this one has {len(data)} bytes")
    count = int(struct.unpack_from("<I", data)[0])
    if (count + 7) // 8 != len(data) - 4:
        raise SparkplugError(f"a boolean array says {count} values and has {len(data) - 4} bytes of them")
    return tuple(bool(data[4 + index // 8] & (0x80 >> (index % 8))) for index in range(count))
