"""Rockwell: the tags of a controller and its programs from an L5X file of Studio 5000.

Members of structures (UDT, AOI, timers, counters) and elements of arrays are taken one by one, of an array the first
MOST_ELEMENTS; an alias is what it stands for. A document type is refused, no entity is expanded, nothing is fetched.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.taglists._source import Left, Said, Source, Tag, TagListError

MOST_ELEMENTS: Final = 100
"""Elements of one array."""
MOST_TAGS: Final = 100_000
_DEEP: Final = 8
_MOST_STEPS: Final = 1_000_000  # to members and elements, most of which lead to a tag
_ATOMIC: Final[Mapping[str, str]] = {
    "BOOL": "boolean", "BIT": "boolean", "SINT": "int8", "INT": "int16", "DINT": "int32", "LINT": "int64",
    "USINT": "uint8", "UINT": "uint16", "UDINT": "uint32", "ULINT": "uint64", "REAL": "float", "LREAL": "double",
    "STRING": "string",
}  # fmt: skip
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "TIMER": {"PRE": "DINT", "ACC": "DINT", "EN": "BOOL", "TT": "BOOL", "DN": "BOOL"},
    "COUNTER": {"PRE": "DINT", "ACC": "DINT", "CU": "BOOL", "CD": "BOOL", "DN": "BOOL", "OV": "BOOL", "UN": "BOOL"},
    "CONTROL": {"LEN": "DINT", "POS": "DINT", "EN": "BOOL", "EU": "BOOL", "DN": "BOOL", "EM": "BOOL", "ER": "BOOL"},
}
_STEP: Final = re.compile(r"\.?([A-Za-z_]\w*)|\[([\d,]+)\]|\.(\d+)\Z", re.ASCII)
_WHY_ARRAY: Final = "of an array the first {most} elements are taken: state others by hand"


@dataclass(frozen=True, slots=True)
class _Variable:
    """A tag or a member: its datatype, the sizes of an array, a text, whether it may be read."""

    kind: str
    sizes: tuple[int, ...] = ()
    text: str = ""
    is_open: bool = True
    alias: str = ""
    line: int = 0


def fits(source: Source) -> bool:
    """Whether it is such a file."""
    return source.is_xml and b"RSLogix5000Content" in source.content[:4096].replace(b"\0", b"")


def read(source: Source, driver: str) -> Iterator[Said]:
    """Yield what can be read, as the driver logix names it; raise TagListError."""
    program = _Program(_root(source.content))
    for count, said in enumerate(program.read()):
        if count >= MOST_TAGS:
            yield Left(0, source.path.name, f"it has more than {MOST_TAGS} tags: the others are left out")
            return
        if driver != "logix" and isinstance(said, Tag):
            yield Left(said.line, said.name, "it is a tag of a Logix controller: the driver is logix")
        else:
            yield said


def _root(content: bytes) -> Any:
    from lxml import etree  # noqa: PLC0415

    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise TagListError(f"no XML that can be read: {error}"[:300]) from error
    if root.getroottree().docinfo.doctype:
        raise TagListError("it has a document type of its own, as no L5X has")
    return root


class _Program:
    """What a file says of types and tags."""

    def __init__(self, root: Any) -> None:
        self._steps = 0
        self._types: dict[str, dict[str, _Variable]] = {
            name: {member: _Variable(kind) for member, kind in members.items()} for name, members in _WORDS.items()
        }
        for each in root.iterfind(".//DataTypes/DataType"):
            self._types[each.get("Name", "").upper()] = {
                member.get("Name", ""): _variable(member, "Dimension")
                for member in each.iterfind("Members/Member")
                if member.get("Hidden") != "true"
            }
            if each.get("Family") == "StringFamily":
                self._types.pop(each.get("Name", "").upper())
        for each in root.iterfind(".//AddOnInstructionDefinitions/AddOnInstructionDefinition"):
            self._types[each.get("Name", "").upper()] = {
                part.get("Name", ""): _variable(part, "Dimensions") for part in each.iterfind("Parameters/Parameter")
            }
        self._scopes: dict[str, dict[str, _Variable]] = {"": self._tags(root.find("Controller/Tags"))}
        for each in root.iterfind("Controller/Programs/Program"):
            self._scopes[f"Program:{each.get('Name', '')}."] = self._tags(each.find("Tags"))

    @staticmethod
    def _tags(element: Any) -> dict[str, _Variable]:
        found = () if element is None else element.iterfind("Tag")
        return {each.get("Name", ""): _variable(each, "Dimensions") for each in found}

    def read(self) -> Iterator[Said]:
        for scope, tags in self._scopes.items():
            for name, tag in tags.items():
                yield from self._said(f"{scope}{name}", self._meant(tag, scope), 0)

    def _meant(self, tag: _Variable, scope: str) -> _Variable | Left:
        """Return what an alias stands for."""
        found, hops = tag, 0
        while found.alias:
            hops += 1
            target = self._target(found.alias, scope) if hops <= _DEEP else None
            if target is None:
                return Left(tag.line, found.alias, f"an alias of {found.alias}, which the file does not describe")
            found = target
        return _Variable(found.kind, found.sizes, tag.text or found.text, tag.is_open and found.is_open, "", tag.line)

    def _target(self, path: str, scope: str) -> _Variable | None:
        """Return what lies at a path like `Axis[2].Speed` or `Word.3`."""
        name = re.match(r"[A-Za-z_]\w*", path, re.ASCII)
        if name is None:
            return None
        found = self._scopes[scope].get(name[0]) or self._scopes[""].get(name[0])
        at = name.end()
        while found is not None and at < len(path):
            step = _STEP.match(path, at)
            if step is None:
                return None
            at = step.end()
            if step[2]:
                found = _Variable(found.kind, (), found.text, found.is_open)
            elif step[3]:
                found = _Variable("BOOL", (), found.text, found.is_open)
            else:
                found = self._types.get(found.kind, {}).get(step[1])
        return found

    def _said(self, address: str, tag: _Variable | Left, deep: int) -> Iterator[Said]:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise TagListError(f"its structures have more than {_MOST_STEPS} members and elements, as {address[:80]!r}")
        if isinstance(tag, Left):
            yield Left(tag.line, address, tag.why)
        elif not tag.is_open:
            yield Left(tag.line, address, "its external access is None")
        elif tag.sizes:
            yield from self._elements(address, tag, deep)
        elif tag.kind in _ATOMIC:
            text = {"description": tag.text} if tag.text else {}
            yield Tag(tag.line, signal_name(address), {"tag": address, "datatype": _ATOMIC[tag.kind], **text})
        elif tag.kind not in self._types:
            yield Left(tag.line, address, f"the file does not say what is in its type {tag.kind or '(none)'}")
        elif deep == _DEEP:
            yield Left(tag.line, address, f"it lies more than {_DEEP} structures deep")
        else:
            for name, member in self._types[tag.kind].items():
                text_of_it = member.text or tag.text
                inner = _Variable(member.kind, member.sizes, text_of_it, member.is_open, "", tag.line)
                yield from self._said(f"{address}.{name}", inner, deep + 1)

    def _elements(self, address: str, tag: _Variable, deep: int) -> Iterator[Said]:
        element = _Variable(tag.kind, (), tag.text, tag.is_open, "", tag.line)
        places = itertools.product(*(range(size) for size in tag.sizes))
        for place in itertools.islice(places, MOST_ELEMENTS):
            yield from self._said(f"{address}[{','.join(map(str, place))}]", element, deep)
        if next(places, None) is not None:
            yield Left(tag.line, address, _WHY_ARRAY.format(most=MOST_ELEMENTS))


def _variable(element: Any, sizes: str) -> _Variable:
    numbers = re.findall(r"\d{1,7}", element.get(sizes) or "")
    found = element.find("Description")
    text = "" if found is None else " ".join("".join(found.itertext()).split())
    return _Variable(
        kind=element.get("DataType", "").upper(),
        sizes=tuple(int(each) for each in numbers if int(each)),
        text=text[:1000],
        is_open=element.get("ExternalAccess") != "None",
        alias=element.get("AliasFor", "") if element.get("TagType") == "Alias" else "",
        line=element.sourceline or 0,
    )


def signal_name(address: str) -> str:
    """Return the name of a signal for an address: `Program:Main.Axis[0].Speed` is Main/Axis.0.Speed."""
    text = address.removeprefix("Program:")
    if text != address:
        text = text.replace(".", "/", 1)
    return re.sub(r"[:,]", "/", text.replace("[", ".").replace("]", ""))
