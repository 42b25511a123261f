"""Numbers and texts as the memory of a controller holds them: so many bytes, in one of four orders."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from contract.model import Value
from contract.sparkplug_values import shortest

Order: TypeAlias = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""How a number of several 16-bit words lies there, A being its highest byte: CDAB has the words the other way round,
BADC the bytes in each word, DCBA both. It holds for 64 bits alike (CDAB: GHEFCDAB)."""
Type: TypeAlias = Literal[
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float32", "float64", "bcd16", "bcd32", "string",
]  # fmt: skip
ORDERS: Final[tuple[Order, ...]] = ("ABCD", "CDAB", "BADC", "DCBA")
BYTES: Final[Mapping[Type, int]] = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float32": 4, "float64": 8, "bcd16": 2, "bcd32": 4,
}  # fmt: skip
"""How many bytes each takes; a text as many as its entry says."""
_FORMATS: Final[Mapping[Type, str]] = {
    "int8": ">b", "uint8": ">B", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q",
    "uint64": ">Q", "float32": ">f", "float64": ">d",
}  # fmt: skip
_SWAPS_WORDS: Final = frozenset(("CDAB", "DCBA"))
_SWAPS_BYTES: Final = frozenset(("BADC", "DCBA"))


@dataclass(frozen=True, slots=True)
class Codec:
    """How a value becomes bytes and back; raises ValueError for what is none, or does not fit.

    `decode` returns None for what is no number (NaN, infinity).
    """

    decode: Callable[[bytes], Value | None]
    encode: Callable[[Value], bytes]


def ordered(data: bytes, order: Order) -> bytes:
    """Return the bytes of a number in another order; each order undoes itself."""
    if order in _SWAPS_BYTES:
        data = b"".join(data[at : at + 2][::-1] for at in range(0, len(data), 2))
    if order in _SWAPS_WORDS:
        data = b"".join(data[at : at + 2] for at in range(len(data) - 2, -2, -2))
    return data


def number(kind: Type, order: Order = "ABCD") -> Codec:
    """Return the codec of a number; raise KeyError for a text."""
    if kind == "bool":
        return Codec(any, lambda value: b"\1" if _truth(value) else b"\0")
    if kind in ("bcd16", "bcd32"):
        digits = 2 * BYTES[kind]
        return Codec(lambda data: _bcd(ordered(data, order)), lambda value: ordered(_to_bcd(value, digits), order))
    packed = struct.Struct(_FORMATS[kind])
    if kind in ("float32", "float64"):
        return Codec(
            lambda data: _finite(packed.unpack(ordered(data, order))[0], kind),
            lambda value: ordered(_pack(packed, kind, _float(value)), order),
        )
    return Codec(
        lambda data: packed.unpack(ordered(data, order))[0],
        lambda value: ordered(_pack(packed, kind, _whole(value)), order),
    )


def text(length: int, encoding: str, *, swapped: bool = False) -> Codec:
    """Return the codec of a text of so many bytes that ends at its first NUL, or is filled up with blanks.

    `swapped`: the two characters in each word stand the other way round. What is no text has replacement characters.
    """
    order: Order = "BADC" if swapped else "ABCD"

    def encode(value: Value) -> bytes:
        data = str(value).encode(encoding)
        if len(data) > length:
            raise ValueError(f"the text has {len(data)} bytes, and there is room for {length}")
        return ordered(data.ljust(length, b"\0"), order)

    return Codec(lambda data: ordered(data, order).split(b"\0", 1)[0].decode(encoding, "replace").rstrip(" "), encode)


def bit(number_of_it: int, order: Order = "ABCD") -> Codec:
    """Return the codec of a bit of a 16-bit word, 0 the lowest; a word alone cannot be encoded from it."""

    def encode(_value: Value) -> bytes:
        raise ValueError("a bit of a word cannot be written alone")

    return Codec(lambda data: bool(int.from_bytes(ordered(data, order), "big") >> number_of_it & 1), encode)


def readings(data: bytes) -> dict[tuple[Type, Order], Value]:
    """Return what 4 or 8 bytes mean as a number of each type in each order, but for what is none.

    What a person looks at who does not know the order of a device: one of them is plausible.
    """
    kinds: tuple[Type, ...] = ("float32", "int32", "uint32") if len(data) == 4 else ("float64", "int64", "uint64")
    found = {(kind, order): number(kind, order).decode(data) for kind in kinds for order in ORDERS}
    return {key: value for key, value in found.items() if value is not None}


def _pack(packed: struct.Struct, kind: Type, value: float) -> bytes:
    try:
        return packed.pack(value)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{value} does not fit into {kind}") from error


def _finite(value: float, kind: Type) -> float | None:
    if not math.isfinite(value):
        return None
    return shortest(value) if kind == "float32" else value


def _float(value: Value) -> float:
    if isinstance(value, str):
        raise ValueError(f"{value[:40]!r} is no number")  # noqa: TRY004 as everything here that does not fit
    return float(value)


def _whole(value: Value) -> int:
    number_of_it = _float(value)
    if isinstance(value, int):
        return value
    if number_of_it != int(number_of_it):
        raise ValueError(f"{value} is no whole number")
    return int(number_of_it)


def _truth(value: Value) -> bool:
    if isinstance(value, str) or value not in (0, 1):
        raise ValueError(f"{str(value)[:40]!r} is neither true nor false")
    return bool(value)


def _bcd(data: bytes) -> int:
    digits = data.hex()
    if not digits.isdecimal():
        raise ValueError(f"{digits} is no BCD number")
    return int(digits)


def _to_bcd(value: Value, digits: int) -> bytes:
    whole = _whole(value)
    if not 0 <= whole < 10**digits:
        raise ValueError(f"{whole} does not fit into {digits} decimal digits")
    return bytes.fromhex(f"{whole:0{digits}d}")
