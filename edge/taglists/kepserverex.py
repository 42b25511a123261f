"""KEPServerEX (and ThingWorx Kepware Server): the CSV of a device's tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from edge.taglists._source import Left, Said, Source, Tag
from edge.taglists.tia import place

_TYPES: Final[Mapping[str, str]] = {
    "boolean": "bool", "char": "int8", "byte": "uint8", "short": "int16", "word": "uint16", "long": "int32",
    "dword": "uint32", "llong": "int64", "qword": "uint64", "float": "float32", "double": "float64", "bcd": "bcd16",
    "lbcd": "bcd32",
}  # fmt: skip
_OF_S7: Final[Mapping[str, str]] = {
    "boolean": "BOOL", "char": "SINT", "byte": "BYTE", "short": "INT", "word": "WORD", "long": "DINT", "dword": "DWORD",
    "llong": "LINT", "qword": "LWORD", "float": "REAL", "double": "LREAL",
}  # fmt: skip
_KEYS: Final[Mapping[str, str]] = {"logix": "tag", "opcua": "node"}
_MODBUS: Final = re.compile(r"([0134])(\d{4,5})(?:\.(\d{1,2}))?\Z")


def fits(source: Source) -> bool:
    """Whether it has the columns of such a file."""
    return {"tag name", "address", "client access"} <= source.words


def read(source: Source, driver: str) -> Iterator[Said]:
    """Yield each tag, with a linear scaling as scale and offset."""
    for line, cells in source.table.entries():
        said = {word.lower(): cell.strip() for word, cell in cells.items()}
        name, address = said.get("tag name", ""), said.get("address", "")
        keys = _placed(address, said.get("data type", ""), driver)
        scaled = _scaled(said)
        why = keys if isinstance(keys, str) else scaled if isinstance(scaled, str) else ""
        if why or isinstance(keys, str) or isinstance(scaled, str):
            yield Left(line, name, why)
            continue
        more = {"unit": said.get("eng units", ""), "description": said.get("description", "")}
        yield Tag(line, name.replace(".", "/"), {**keys, **scaled, **{key: text for key, text in more.items() if text}})


def _placed(address: str, kind: str, driver: str) -> dict[str, Any] | str:
    """Return the keys of an address, or why there are none."""
    kind = kind.lower()
    if kind.endswith("array"):
        return "it is an array: state its elements one by one"
    if driver in _KEYS:
        return {_KEYS[driver]: address}
    if driver == "s7":
        found = place(address.split(" ", 1)[0], _OF_S7.get(kind, kind))
        return found.why if isinstance(found, Left) else {"address": found}
    return _register(address, kind) if driver == "modbus" else f"its address is none of the driver {driver}"


def _register(address: str, kind: str) -> dict[str, Any] | str:
    found = _MODBUS.match(address)
    if not found:
        return f"{address!r} is no register: 400001, 300001, 100001 or 000001"
    if kind not in _TYPES:
        return f"the datatype {kind!r} is not read"
    table, number, bit = found.groups()
    register = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}[table] + f"/{int(number) - 1}"
    keys: dict[str, Any] = {"register": register if bit is None else f"{register}.{int(bit)}"}
    if kind != "boolean":
        keys["type"] = _TYPES[kind]
    return keys


def _scaled(said: Mapping[str, str]) -> dict[str, Any] | str:
    """Return scale and offset, or why the scaling is not taken."""
    sort = said.get("scaling", "").lower()
    if sort in ("", "none"):
        return {"scale": -1.0} if said.get("negate value") == "1" else {}
    if sort != "linear":
        return f"the scaling {sort!r} is no factor and offset"
    try:
        low, high = Fraction(said["raw low"]), Fraction(said["raw high"])
        to_low, to_high = Fraction(said["scaled low"]), Fraction(said["scaled high"])
        scale = (to_high - to_low) / (high - low)
    except (KeyError, ValueError, ZeroDivisionError):
        return "its scaling does not say from where to where"
    sign = -1 if said.get("negate value") == "1" else 1
    return {"scale": float(sign * scale), "offset": float(sign * (to_low - low * scale))}
