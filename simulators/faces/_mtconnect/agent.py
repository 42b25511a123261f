"""The agent without its network: takes requests, answers with documents, or says what to stream."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from xml.etree.ElementTree import Element

from simulators.faces._mtconnect.buffer import Buffer, OutOfRange
from simulators.faces._mtconnect.document import Device, Writer, model
from simulators.faces._mtconnect.tools import ToolAsset

MOST_COUNT: Final = 10_000
"""Observations in one document, whatever was asked for: a client goes on at nextSequence."""
_MOST_PATH: Final = 2048
_MOST_MS: Final = 600_000
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "probe": frozenset(),
    "current": frozenset({"path", "at", "interval"}),
    "sample": frozenset({"path", "from", "to", "count", "interval", "heartbeat"}),
    "assets": frozenset({"type", "removed", "count"}),
    "asset": frozenset({"type", "removed", "count"}),
}
_AND: Final = re.compile(r"\s+and\s+(?=@)")


class Refusal(Exception):
    """A request that is answered by an MTConnectError: the standard's code, the HTTP status, what to do."""

    def __init__(self, code: str, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Stream:
    """A request to stream: a document every `interval_s`, `start` None for current; a heartbeat when nothing is new."""

    devices: Sequence[Device]
    wanted: frozenset[str]
    interval_s: float
    heartbeat_s: float = 10.0
    start: int | None = None
    count: int = 100


@dataclass(slots=True)
class Agent:
    """Some devices, their observations and tools."""

    devices: Sequence[Device]
    buffer: Buffer
    writer: Writer
    tools: OrderedDict[str, ToolAsset]

    def answer(self, path: Sequence[str], query: Mapping[str, str], now_ns: int) -> bytes | Stream:
        """Return the document that answers a request, or what to stream; raise Refusal."""
        devices, rest = self._devices(path)
        if not rest:
            rest = ["probe"]
        if rest[0] not in _KEYS or (len(rest) > 1 and rest[0] not in ("asset", "assets")) or len(rest) > 2:
            have = "/probe, /current, /sample, /assets, /asset/<id>"
            raise Refusal("INVALID_URI", HTTPStatus.NOT_FOUND, f"no {'/'.join(rest)!r}; have: {have}")
        if unknown := query.keys() - _KEYS[rest[0]]:
            have = ", ".join(sorted(_KEYS[rest[0]])) or "none"
            raise _invalid(f"unknown parameter {min(unknown)!r}; have: {have}")
        try:
            match rest[0]:
                case "probe":
                    return self.writer.devices(devices, len(self.tools), now_ns)
                case "current":
                    return self._current(devices, query, now_ns)
                case "sample":
                    return self._sample(devices, query, now_ns)
            return self._assets(devices, rest[1:], query, now_ns)
        except OutOfRange as error:
            raise Refusal("OUT_OF_RANGE", HTTPStatus.NOT_FOUND, str(error)) from error

    def _devices(self, path: Sequence[str]) -> tuple[Sequence[Device], list[str]]:
        """Return the devices that a path speaks of, and what follows them."""
        if not path or path[0] in _KEYS:
            return self.devices, list(path)
        found = [device for device in self.devices if path[0] in (device.name, device.uuid, device.id)]
        if not found:
            have = ", ".join(device.name for device in self.devices)
            raise Refusal("NO_DEVICE", HTTPStatus.NOT_FOUND, f"no device {path[0]!r}; have: {have}")
        return found, list(path[1:])

    def _current(self, devices: Sequence[Device], query: Mapping[str, str], now_ns: int) -> bytes | Stream:
        wanted = selected(devices, query.get("path"))
        if "interval" in query:
            if "at" in query:
                raise _invalid("'at' and 'interval' exclude each other: a past moment does not change")
            return Stream(devices, wanted, _integer(query, "interval", 0, 10, _MOST_MS) / 1000.0)
        if "at" in query:
            return self.current(devices, wanted, now_ns, _integer(query, "at", 0, 0, None))
        return self.current(devices, wanted, now_ns)

    def current(self, devices: Sequence[Device], wanted: frozenset[str], now_ns: int, at: int | None = None) -> bytes:
        """Return the newest observation of each wanted item, or as of a sequence number; raise OutOfRange."""
        state = self.buffer.latest if at is None else self.buffer.at(at)
        seen = [state[id_] for id_ in sorted(wanted & state.keys())]
        return self.writer.streams(devices, seen, now_ns, self.buffer.next)

    def _sample(self, devices: Sequence[Device], query: Mapping[str, str], now_ns: int) -> bytes | Stream:
        buffer, wanted = self.buffer, selected(devices, query.get("path"))
        count = _integer(query, "count", 100, -buffer.size, buffer.size)
        if count == 0:
            raise OutOfRange(f"'count' must be from 1 to {buffer.size}, or negative to go back: it is 0")
        count = max(-MOST_COUNT, min(count, MOST_COUNT))
        start = _integer(query, "from", buffer.first if count > 0 else buffer.last, None, None)
        buffer.check("from", start, buffer.next if count > 0 else buffer.last)
        end = _integer(query, "to", buffer.last, None, None) if "to" in query else None
        if end is not None:
            buffer.check("to", end, buffer.last)
            if end < start:
                raise OutOfRange(f"'to' must not lie before 'from', {start}: it is {end}")
        if "interval" in query:
            if count < 0 or end is not None:
                raise _invalid("a stream goes forward without an end: no negative 'count', no 'to'")
            interval_s = _integer(query, "interval", 0, 0, _MOST_MS) / 1000.0
            heartbeat_s = _integer(query, "heartbeat", 10_000, 1, _MOST_MS) / 1000.0
            return Stream(devices, wanted, interval_s, heartbeat_s, start, count)
        if count < 0:
            if end is not None:
                raise _invalid("'to' and a negative 'count' exclude each other")
            seen = buffer.read_back(start, -count, wanted)
            following = max(buffer.first, seen[-1].sequence - 1) if seen else buffer.first
            return self.writer.streams(devices, seen, now_ns, following)
        return self.sample(devices, wanted, now_ns, start, count=count, end=end)[0]

    def sample(
        self,
        devices: Sequence[Device],
        wanted: frozenset[str],
        now_ns: int,
        start: int,
        *,
        count: int,
        end: int | None = None,
    ) -> tuple[bytes, int, int]:
        """Return a document of observations from `start`, how many are in it, and where to go on; raise OutOfRange."""
        self.buffer.check("from", start, self.buffer.next)
        seen, following = self.buffer.read(start, count, wanted, end)
        return self.writer.streams(devices, seen, now_ns, following), len(seen), following

    def _assets(self, devices: Sequence[Device], ids: Sequence[str], query: Mapping[str, str], now_ns: int) -> bytes:
        if ids:
            wanted = [id_ for id_ in ids[0].split(";") if id_]
            if missing := [id_ for id_ in wanted if id_ not in self.tools]:
                raise Refusal("ASSET_NOT_FOUND", HTTPStatus.NOT_FOUND, f"no asset {missing[0]!r}; /assets lists them")
            found = [self.tools[id_] for id_ in wanted]
        else:
            uuids = {device.uuid for device in devices}
            kept = query.get("removed", "false") == "true"
            found = [tool for tool in self.tools.values() if tool.device in uuids and (kept or not tool.removed)]
            if query.get("type", "CuttingTool") != "CuttingTool":
                found = []
            found = found[: _integer(query, "count", 100, 1, None)]
        return self.writer.assets(found, len(self.tools), now_ns)


def selected(devices: Sequence[Device], path: str | None) -> frozenset[str]:
    """Return the ids of the data items that an XPath selects, all of them for None; raise Refusal.

    The XPath is what `xml.etree` understands, with `and` between attributes, and paths joined by `|`.
    """
    if path is None:
        return frozenset(item.id for device in devices for item in device.observer.items.values())
    host = Element("host")
    document = Element("MTConnectDevices")
    host.append(document)
    below = Element("Devices")
    document.append(below)
    below.extend(model(device) for device in devices)
    found: set[str] = set()
    if len(path) > _MOST_PATH:
        raise _no_path(f"'path' has more than {_MOST_PATH} characters")
    for part in path.split("|"):
        step = _AND.sub("][", part.strip())
        if not step.startswith("/"):
            raise _no_path(f"{part!r} must start with / or //")
        try:
            elements = host.findall(f".{step}")
        except (SyntaxError, KeyError, TypeError) as error:
            raise _no_path(f"{part!r} is no path that this agent reads: {error}") from error
        for element in elements:
            found.update(item.get("id", "") for item in element.iter("DataItem"))
    if not found:
        raise _no_path(f"{path!r} selects no data item")
    return frozenset(found)


def _no_path(text: str) -> Refusal:
    return Refusal("INVALID_PATH", HTTPStatus.BAD_REQUEST, text)


def _invalid(text: str) -> Refusal:
    return Refusal("INVALID_REQUEST", HTTPStatus.BAD_REQUEST, text)


def _integer(query: Mapping[str, str], name: str, default: int, least: int | None, most: int | None) -> int:
    text = query.get(name)
    if text is None:
        return default
    if len(text) > 20 or not re.fullmatch(r"-?[0-9]+", text):
        raise _invalid(f"{name!r} is {text!r}: a whole number is needed")
    value = int(text)
    if (least is not None and value < least) or (most is not None and value > most):
        raise OutOfRange(f"{name!r} must be from {least} to {most if most is not None else 'any'}: it is {value}")
    return value
