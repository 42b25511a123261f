"""NC-Link (T/CMTBA 1008, GB/T 41970) over MQTT: each machine is an adapter whose serial number is its name.

It registers, answers probes, queries and sets, and pushes samples column by column: one array for each path, a second
at once. The texts of the standard are not free; topics and payloads follow public implementations. What can be set is
what the model calls settable; commands are methods.

- `Register/Request`; `Ping/<sn>` → `Pong/<sn>`; `Probe/Version/<sn>` → `Probe/Version/Response/<sn>`
- `Probe/Query/Request/<sn>`, `Query/Request/<sn>`, `Set/Request/<sn>`, `Method/Call/Request/<sn>` → `…/Response/<sn>`
- `Sample/<sn>/ch1`, `Event/<sn>` when an alarm comes or goes
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.face import Face, Reading, Setting, Shown
from simulators.faces._mqtt import Client
from simulators.machine import Signal, SimulatedMachine, Value

VERSION: Final = "1.0"
CHANNEL: Final = "ch1"
UPLOAD_MS: Final = 1000

_NAMES: Final = {
    "execution": "STATUS",
    "alarm": "WARNING",
    "feed_rate": "FEED_SPEED",
    "energy": "ENERGY",
    "position": "MACHINE",
}
"""Names of the data dictionary where they differ from ours in capitals."""
_COMPONENT: Final = re.compile(r"(?P<axis>[xyz])_|joint(?P<joint>\d)_|(?P<spindle>spindle)_(?!override)")
_REQUESTS: Final = (
    "Ping",
    "Probe/Version",
    "Probe/Query/Request",
    "Query/Request",
    "Set/Request",
    "Method/Call/Request",
)


def path_of(name: str) -> str:
    """Return the path of a signal: `/AXIS@0/MACHINE` of x_position, `/AXIS@S/SPEED` of spindle_speed, `/STATUS`."""
    found = _COMPONENT.match(name)
    own = name if found is None else name[found.end() :]
    item = _NAMES.get(own, own.upper())
    if found is None:
        return f"/{item}"
    number = "S" if found["spindle"] else "xyz".index(found["axis"]) if found["axis"] else int(found["joint"]) - 1
    return f"/AXIS@{number}/{item}"


@dataclass(slots=True)
class _Adapter:
    """One machine: its paths, and the samples that wait for the next upload."""

    shown: Shown
    signals: dict[str, Signal] = field(init=False)
    stamps: list[int] = field(default_factory=list)
    rows: list[list[Value | None]] = field(default_factory=list)
    alarm: Value | None = ""

    def __post_init__(self) -> None:
        self.signals = {path_of(signal.name): signal for signal in self.shown.machine.signals}

    def take(self, stamp_ms: int, reading: Reading) -> Iterator[dict[str, Any]]:
        """Add a sample; yield the columns that are full, or that a gap in time ends."""
        interval = self.interval_ms
        if interval and abs(stamp_ms - self.stamps[-1] - interval) > interval // 2:
            yield self.columns()
        self.stamps.append(stamp_ms)
        self.rows.append([reading[signal.name] for signal in self.signals.values()])
        if stamp_ms - self.stamps[0] + self.interval_ms >= UPLOAD_MS:
            yield self.columns()

    @property
    def interval_ms(self) -> int:
        """How far the samples lie apart; 0 as long as that is not known."""
        return self.stamps[1] - self.stamps[0] if len(self.stamps) > 1 else 0

    def columns(self) -> dict[str, Any]:
        """Return the samples that wait, one array for each path, and forget them."""
        message = {
            "id": CHANNEL,
            "beginTime": str(self.stamps[0]),
            "interval": self.interval_ms,
            "uploadInterval": UPLOAD_MS,
            "paths": list(self.signals),
            "data": [{"data": list(column)} for column in zip(*self.rows, strict=True)],
        }
        self.stamps, self.rows = [], []
        return message

    def model(self) -> dict[str, Any]:
        """Return the model: a device with data items, its components with theirs, and a sampling channel."""
        machine = self.shown.machine
        components: dict[str, list[dict[str, Any]]] = {"": []}
        for number, (path, signal) in enumerate(self.signals.items()):
            component, _, item = path[1:].rpartition("/")
            entry = {"id": f"{number + 3:04}", "type": item, "name": signal.name, "settable": signal.writable}
            components.setdefault(component, []).append(entry | ({"unit": signal.unit} if signal.unit else {}))
        axes = [
            {"type": "AXIS", "number": name.partition("@")[2], "dataItems": items}
            for name, items in components.items()
            if name
        ]
        channel = {"id": CHANNEL, "type": "SAMPLE_CHANNEL", "uploadInterval": UPLOAD_MS}
        device = {
            "id": "02",
            "type": "MACHINE",
            "name": machine.id,
            "description": machine.model,
            "version": VERSION,
            "configs": [channel | {"ids": [{"id": path} for path in self.signals]}],
            "dataItems": components[""],
            "components": axes,
            "methods": [{"id": name} for name in _methods(machine)],
        }
        return {"id": "01", "type": "NC_LINK_ROOT", "name": machine.id, "devices": [device]}


def _methods(machine: SimulatedMachine) -> list[str]:
    written = {signal.name for signal in machine.signals if signal.writable}
    return [name for name in machine.commands if name not in written]


class NcLink(Face):
    """Machines as NC-Link adapters on a broker."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.client = Client(setting, "simulators-nclink")
        self._adapters: dict[str, _Adapter] = {}
        self._inbox: deque[tuple[str, bytes]] = deque(maxlen=100)
        self._registered = False
        self._answers: Mapping[str, Callable[[_Adapter, Mapping[str, Any]], dict[str, Any]]] = {
            "Probe/Version": lambda _adapter, _wish: {"version": VERSION},
            "Probe/Query/Request": lambda adapter, _wish: {"probe": adapter.model()},
            "Query/Request": self._query,
            "Set/Request": self._set,
            "Method/Call/Request": self._call,
        }

    async def start(self) -> None:
        """Connect in the background."""
        self._adapters = {shown.machine.id: _Adapter(shown) for shown in self.shown}
        self.client.subscriptions = [f"{request}/{sn}" for sn in self._adapters for request in _REQUESTS]
        self.client.message = lambda topic, body: self._inbox.append((topic, body))
        self.client.connected = lambda: setattr(self, "_registered", False)
        self.client.start()

    async def emit(self, time_ns: int) -> None:
        """Register after a connection, answer what was asked, push what is full."""
        if not self._registered and self.client.is_connected:
            self._registered = all(
                self._say("Register/Request", {"sn": sn, "version": VERSION}) for sn in self._adapters
            )
        while self._inbox:
            self._answer(*self._inbox.popleft())
        for sn, adapter in self._adapters.items():
            for stamp_ns, reading in adapter.shown.messages(time_ns):
                stamp_ms = stamp_ns // 1_000_000
                adapter.shown.note(stamp_ms * 1_000_000, reading)
                adapter.shown.count(list(reading))
                for columns in adapter.take(stamp_ms, reading):
                    self._say(f"Sample/{sn}/{CHANNEL}", columns)
                if reading.get("alarm", "") != adapter.alarm:
                    adapter.alarm = reading.get("alarm", "")
                    self._say(f"Event/{sn}", {"id": "/WARNING", "time": str(stamp_ms), "value": adapter.alarm})

    def _say(self, topic: str, body: Mapping[str, Any]) -> bool:
        return self.client.publish(topic, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())

    def _answer(self, topic: str, body: bytes) -> None:
        request, _, sn = topic.rpartition("/")
        adapter = self._adapters[sn]
        if request == "Ping":
            self._say(f"Pong/{sn}", {})
            return
        try:
            wish = json.loads(body or b"{}")
            answer = self._answers[request](adapter, wish)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wish, answer = {}, {"code": "NG", "reason": f"no such request: {error!r}"}
        number = {"@id": wish["@id"]} if "@id" in wish else {}
        self._say(f"{request.removesuffix('/Request')}/Response/{sn}", number | answer)

    def _query(self, adapter: _Adapter, wish: Mapping[str, Any]) -> dict[str, Any]:
        reading = adapter.shown.machine.read()
        known = {path: reading[signal.name] for path, signal in adapter.signals.items()}
        asked = [str(each["id"]) for each in wish["ids"]]
        return {
            "values": [
                {"id": path, "code": "OK", "values": [known[path]]} if path in known else {"id": path, "code": "NG"}
                for path in asked
            ]
        }

    def _set(self, adapter: _Adapter, wish: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "results": [self._set_one(adapter, str(each["id"]), each["params"]["value"]) for each in wish["values"]]
        }

    def _set_one(self, adapter: _Adapter, path: str, value: Value) -> dict[str, Any]:
        signal = adapter.signals.get(path)
        if signal is None or not signal.writable:
            return {"id": path, "code": "NG", "reason": "not settable"}
        return {"id": path} | _code(adapter.shown.command(signal.name, value))

    def _call(self, adapter: _Adapter, wish: Mapping[str, Any]) -> dict[str, Any]:
        return _code(adapter.shown.command(str(wish["id"]), wish.get("params", {}).get("value", "")))

    async def stop(self) -> None:
        """Disconnect."""
        self.client.stop()

    def entry(self, shown: Shown) -> None:
        """Return None: the edge has no driver for NC-Link."""


def _code(reason: str) -> dict[str, Any]:
    return {"code": "NG", "reason": reason} if reason else {"code": "OK"}


FACE = NcLink
