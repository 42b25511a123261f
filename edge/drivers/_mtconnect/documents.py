"""An agent's XML documents: the model of its devices, observations, errors (MTConnect 1.2 to 2.x, any namespace)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from edge.drivers._http import AnswerError

_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CONTAINERS: Final = ("Components", "DataItems")


class Refusal(AnswerError):
    """A MTConnectError: the agent has understood, and says no."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"the agent refuses: {text or 'it says no more'} ({code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Header:
    """Which run of the agent speaks, what its buffer holds, and where to go on (`next`)."""

    instance: str
    buffer_size: int
    first: int
    last: int
    next: int
    model_changed: str  # when, by agents of 1.7 and later


@dataclass(frozen=True, slots=True)
class Streams:
    """Observations: elements with `dataItemId`, `sequence` and `timestamp`, in the order of the document."""

    header: Header
    observations: Sequence[Element]


@dataclass(frozen=True, slots=True)
class DataItem:
    """Something that a device observes; `path` leads to it: device, components, its name."""

    id: str
    name: str
    category: str
    type: str
    sub_type: str
    units: str
    representation: str
    range: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """A device of an agent (from 2.0 on, `kind` Agent: the agent itself), with its data items."""

    kind: str
    name: str
    uuid: str
    items: Sequence[DataItem]


class _Builder(TreeBuilder):
    """Builds a tree, but of no document that declares a type: nobody's entities are ever looked at."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise AnswerError(f"its answer declares a document type ({name}), which no MTConnect document does")


def parse(body: bytes) -> Element:
    """Return the root of a document; raise Refusal for a MTConnectError, AnswerError for what is none at all."""
    parser = XMLParser(target=_Builder())  # noqa: S314 _Builder refuses what makes XML unsafe
    try:
        parser.feed(body)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError) as error:  # the last two: of its encoding
        raise AnswerError(f"its answer is no XML ({error}); it begins {body[:80]!r}") from error
    if local(root) == "MTConnectError":
        raise _refusal(root)
    return root


def _refusal(root: Element) -> Refusal:
    for element in root.iter():
        code = element.get("errorCode")
        if code is not None:
            text = " ".join(" ".join(element.itertext()).split())
            return Refusal(code, text[:300])
    return Refusal("no errorCode", "")


def streams(body: bytes) -> Streams:
    """Return a document of observations; raise AnswerError."""
    root = parse(body)
    head = _head(root, "MTConnectStreams")
    try:
        first, following = int(head["firstSequence"]), int(head["nextSequence"])
        last = int(head.get("lastSequence", following - 1))
        size, changed = int(head.get("bufferSize", 0)), head.get("deviceModelChangeTime", "")
        header = Header(head["instanceId"], size, first, last, following, changed)
    except (KeyError, ValueError) as error:
        raise AnswerError(f"the header of its answer lacks a number: {error}") from error
    return Streams(header, [element for element in root.iter() if element.get("dataItemId")])


def devices(body: bytes) -> list[Device]:
    """Return the devices of a model; raise AnswerError."""
    root = parse(body)
    _head(root, "MTConnectDevices")
    found = []
    for parent in root:
        if local(parent) == "Devices":
            for device in parent:
                uuid = device.get("uuid", "")
                name = device.get("name", uuid)
                found.append(Device(local(device), name, uuid, list(_items(device, (name,)))))
    return found


def _head(root: Element, kind: str) -> Mapping[str, str]:
    if local(root) != kind:
        raise AnswerError(f"its answer is a document {local(root)!r}, not {kind}: is that the address of an agent?")
    return next((child.attrib for child in root if local(child) == "Header"), {})


def _items(parent: Element, path: tuple[str, ...]) -> Iterator[DataItem]:
    """Yield the data items below a device, each component's own before those of its components."""
    waiting = [(parent, path)]
    while waiting:
        element, where = waiting.pop()
        below: list[tuple[Element, tuple[str, ...]]] = []
        for container in element:
            if local(container) not in _CONTAINERS:
                continue
            for child in container:
                name = child.get("name", child.get("id", ""))
                if local(child) != "DataItem":
                    below.append((child, (*where, child.get("name", local(child)))))
                elif child.get("id"):
                    yield _item(child, (*where, name))
        waiting += reversed(below)


def _item(element: Element, path: tuple[str, ...]) -> DataItem:
    found: dict[str, list[str]] = {}
    for each in element.iter():
        found.setdefault(local(each), []).append((each.text or "").strip())
    words = found.get("Value", [])
    low, high = (found.get(bound, [""])[0] for bound in ("Minimum", "Maximum"))
    return DataItem(
        id=element.get("id", ""),
        name=element.get("name", ""),
        category=element.get("category", ""),
        type=element.get("type", ""),
        sub_type=element.get("subType", ""),
        units=element.get("units", ""),
        representation=element.get("representation", "VALUE"),
        range=f"{low} to {high}" if low or high else ", ".join(words),
        path=path,
    )


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    tag: Any = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def time_of(observation: Element) -> int:
    """Return the time of an observation as ns since 1970; 0 when it states none that can be understood."""
    try:
        return nanoseconds(observation.get("timestamp", ""))
    except ValueError:
        return 0


def nanoseconds(stamp: str) -> int:
    """Return a timestamp (ISO 8601; UTC unless it says otherwise) as ns since 1970; raise ValueError."""
    match = _STAMP.fullmatch(stamp.strip())
    if match is None:
        raise ValueError(f"{stamp!r} is no time")
    zone = "+00:00" if match[3] in (None, "Z") else match[3]
    is_leap = match[1].endswith(":60")
    text = match[1][:-2] + "59" if is_leap else match[1]
    whole = datetime.fromisoformat(text + zone) - _EPOCH
    seconds = whole.days * 86_400 + whole.seconds + is_leap
    return seconds * 1_000_000_000 + int((match[2] or "0")[:9].ljust(9, "0"))
