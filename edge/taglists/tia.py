"""Siemens: a tag table of TIA Portal (XLSX or CSV, German too), or of PLCSIM."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from edge.taglists._source import Left, Said, Source, Tag

_ADDRESS: Final = ("logical address", "logische adresse")
_WORDS: Final[Mapping[str, str]] = {
    "name": "name", "logical address": "address", "logische adresse": "address", "address": "address",
    "adresse": "address", "data type": "type", "datentyp": "type", "comment": "description", "kommentar": "description",
}  # fmt: skip
_PLACE: Final = re.compile(
    r"%?(?:DB(?P<block>\d{1,5})\.DB(?P<size>[XBWD])|(?P<area>[MIEQA])(?P<of>[XBWDL]?))(?P<byte>\d{1,5})(?:\.(?P<bit>[0-7]))?(?::P)?\Z",
    re.I,
)
_TEXT: Final = re.compile(r"W?STRING\[\d{1,5}\]\Z")
_BITS: Final[Mapping[str, int]] = {
    "BOOL": 1, "BYTE": 8, "USINT": 8, "SINT": 8, "INT": 16, "UINT": 16, "WORD": 16, "DINT": 32, "UDINT": 32,
    "DWORD": 32, "TIME": 32, "REAL": 32, "LINT": 64, "ULINT": 64, "LWORD": 64, "LREAL": 64,
}  # fmt: skip
_GERMAN: Final = {"E": "I", "A": "Q"}
_SIZES: Final = {8: "B", 16: "W", 32: "D", 64: "D"}


def fits(source: Source) -> bool:
    """Whether it has the columns of such a table."""
    words = source.words
    return "name" in words and bool(words & set(_ADDRESS) or (words & {"data type", "datentyp"} and "address" in words))


def read(source: Source, driver: str) -> Iterator[Said]:
    """Yield each tag with its address as the driver s7 writes it."""
    for line, cells in source.table.entries():
        said = {_WORDS[word.lower()]: cell.strip() for word, cell in cells.items() if word.lower() in _WORDS}
        name = said.get("name", "")
        if driver != "s7":
            yield Left(line, name, "it is a tag of a Siemens controller: the driver is s7")
            continue
        address = place(said.get("address", ""), said.get("type", ""))
        if isinstance(address, Left):
            yield Left(line, name, address.why)
        else:
            yield Tag(line, name, {"address": address} | {k: said[k] for k in ("description",) if said.get(k)})


def place(address: str, kind: str) -> str | Left:
    """Return an address like `DB1.DBD4:REAL` for one like `%DB1.DBD4` and a datatype, or why there is none."""
    found, kind = _PLACE.match(address), kind.upper().strip('"')
    if not address:
        return Left(0, address, "it has no absolute address: it lies in an optimised block, or is a constant")
    if not found:
        return Left(0, address, f"{address!r} is no address of a data block, marker, input or output")
    is_text = bool(_TEXT.match(kind))
    if kind not in _BITS and not is_text:
        return Left(0, address, f"the datatype {kind or 'that is not stated'} is not read: take its members one by one")
    byte, bit = found["byte"], found["bit"]
    if kind == "BOOL" and bit is None:
        return Left(0, address, f"{address!r} is a bit, and says not which")
    area = f"DB{found['block']}.DB" if found["block"] else _GERMAN.get(found["area"].upper(), found["area"].upper())
    if kind == "BOOL":
        return f"{area}{'X' if found['block'] else ''}{byte}.{bit}:BOOL"
    return f"{area}{'B' if is_text else _SIZES[_BITS[kind]]}{byte}:{kind}"
