"""The lines of an adapter: `time|key|value|key|value`, conditions, messages, data sets, assets, commands.

Each observation becomes an element as an agent would show it, so that what reads an agent's documents reads it, too.
Facts: MTConnect cppagent (adapter protocol). A line has several pairs, but what has more fields than a value (a
condition, a message, a time series) stands alone.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias
from xml.etree.ElementTree import Element, SubElement

from edge.driver import Counters
from edge.drivers._mtconnect.documents import DataItem, Device
from edge.drivers._mtconnect.items import UNAVAILABLE

MOST_BYTES: Final = 1 << 20  # of one line
_MOST_KEYS: Final = 10_000  # that are not in a model
_LEVELS: Final = {level.lower(): level for level in ("Normal", "Warning", "Fault", "Unavailable")}
_SEPARATOR: Final = re.compile(r"(?<!\\)\|")
_MULTILINE: Final = "--multiline--"
_PAIR: Final = re.compile(r"""(?P<key>[^\s=]+)(?:=(?P<value>\{[^}]*\}|'[^']*'|"[^"]*"|\S*))?""")
_FIELDS: Final = {"condition": 5, "message": 2, "series": 3}
"""How many fields follow the key of what stands alone."""


Others: TypeAlias = Literal["taken", "left", "told"]


class Lines:
    """Reads the lines of one device with these data items; what cannot be understood is counted."""

    def __init__(
        self, asset: str, device: Device, counters: Counters, others: Literal["taken", "left", "told"]
    ) -> None:
        """`others`: what becomes of keys that the device does not have; told: left out, and counted as odd."""
        self._asset = asset
        self._device = device.name
        self._counters = counters
        self._items: dict[str, DataItem] = {}
        for item in device.items:  # a key is the name or the id of a data item
            self._items.setdefault(item.id, item)
        for item in device.items:
            if item.name:
                self._items.setdefault(item.name, item)
        self._others = others
        self._sequence = 0
        self._rest = b""
        self._is_cut = False  # what comes until the end of the line belongs to one that was too long
        self._until = ""  # the tag that ends what takes several lines

    def feed(self, data: bytes, encoding: str) -> tuple[list[Element], list[str]]:
        """Return the observations of the lines that end in `data`, in order, and the commands (`* PONG 10000`)."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        observations: list[Element] = []
        commands: list[str] = []
        for body in whole:
            if self._is_cut:
                self._is_cut = False
                continue
            line = body.decode(encoding, "replace").strip("\r\0 ")
            if self._until:
                if self._until in line:
                    self._until = ""
            elif line.startswith("*"):
                commands.append(line[1:].strip())
            elif line:
                observations += self._read(line)
        if len(self._rest) > MOST_BYTES:
            self._rest, self._is_cut = b"", True
            self._reject("too long", f"a line has more than {MOST_BYTES} bytes")
        return observations, commands

    def _read(self, line: str) -> list[Element]:
        stamp, *fields = _SEPARATOR.split(line)
        if not fields:
            self._reject("no line", f"{line[:80]!r} is no line of an adapter")
            return []
        if fields[0].startswith("@"):  # assets: tools and fixtures, which are no signals
            if _MULTILINE in line:
                self._until = line[line.index(_MULTILINE) :].split("|", 1)[0]
            return []
        stamp = stamp.partition("@")[0]  # behind it is how long it lasted
        found: list[Element] = []
        at = 0
        while at < len(fields):
            key = fields[at].strip()
            item = self._item(key)
            count = 1 if item is None else _FIELDS.get(_kind(item), 1)
            if at + 1 >= len(fields):
                if key:
                    self._reject("no value", f"the line ends behind the key {key!r}", key)
                break
            if not key:
                pass  # of a condition that nobody knows
            elif item is None:
                self._unknown(key)
            elif (element := self._observation(stamp, item, fields[at + 1 : at + 1 + count])) is not None:
                found.append(element)
            at += 1 + count
        return found

    def _item(self, key: str) -> DataItem | None:
        found = self._items.get(key)
        if found is None and ":" in key:
            device, _, bare = key.partition(":")
            found = self._items.get(bare) if device == self._device else None
        if found is None and self._others == "taken" and key and len(self._items) < _MOST_KEYS:
            found = self._items[key] = plain(key, is_number=False)
        return found

    def _observation(self, stamp: str, item: DataItem, fields: list[str]) -> Element | None:
        values = [_unescaped(field) for field in fields]
        kind = _kind(item)
        self._sequence += 1
        element = Element("Value", dataItemId=item.id, timestamp=stamp, sequence=str(self._sequence))
        if kind == "condition":
            level = _LEVELS.get(values[0].strip().lower())
            if level is None:
                self._reject("no level", f"{values[0][:40]!r} of {item.id} is no level of a condition", item.id)
                return None
            element.tag = level
            told = [*values, "", "", "", ""]
            for name, value in zip(("nativeCode", "nativeSeverity", "qualifier"), told[1:4], strict=True):
                if value:
                    element.set(name, value)
            element.text = told[4]
            element.set("mark", f"{stamp} {level}")
        elif kind == "message":
            element.set("nativeCode", values[0])
            element.text = values[-1]
        elif kind == "set":
            _entries(element, values[0])
        else:
            element.text = values[0]
        if (element.text or "").strip().upper() == UNAVAILABLE:
            element.text = UNAVAILABLE
        return element

    def _unknown(self, key: str) -> None:
        if self._others == "left":
            return
        text = "the model does not have it; what it says is left out"
        self._counters.rejected += 1
        self._counters.notes.tell("key", f"{self._asset}: the adapter tells of {key!r}: {text}", key)

    def _reject(self, kind: str, text: str, of: str = "") -> None:
        self._counters.rejected += 1
        self._counters.notes.tell(kind, f"{self._asset}: {text}: it is left out", of)


def _kind(item: DataItem) -> str:
    if item.category == "CONDITION":
        return "condition"
    if item.type == "MESSAGE":
        return "message"
    return {"TIME_SERIES": "series", "DATA_SET": "set"}.get(item.representation, "")


def _unescaped(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] == '"':
        field = field[1:-1]
    return field.replace("\\|", "|")


def _entries(element: Element, text: str) -> None:
    """Put the entries of a data set below its element: `a=1 b="x y" c`; one without a value is removed."""
    for found in _PAIR.finditer(text):
        entry = SubElement(element, "Entry", key=found["key"])
        if found["value"] is None:
            entry.set("removed", "true")
        else:
            entry.text = found["value"].strip("{}'\"")


def plain(key: str, *, is_number: bool) -> DataItem:
    """Return the data item of a key of which no model says anything."""
    return DataItem(key, "", "SAMPLE" if is_number else "EVENT", "", "", "", "VALUE", "", (key,))
