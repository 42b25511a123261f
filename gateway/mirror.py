"""The mirror of every asset in the unified namespace: JSON, retained, at most twice a second per asset and category.

`info` says what the asset is, `tele` has its numbers, `state` its texts and flags; each message is the full snapshot,
so that a late subscriber sees all. A dead asset's signals are stale. The newest by time is shown: neither a backlog nor
what comes late overwrites a newer value. A value that is far ahead of the gateway's clock gives way, and so do all when
for a minute there came nothing but older ones: the source's clock was set back. Of an asset that only an earlier run
knew `info` is shown until it is born: its last values stand as they are retained, those of its old birth are older.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from contract.identity import path_of, shortened
from contract.model import Datatype, Quality, Value
from contract.sensor import Sensor
from contract.sparkplug import Batch
from contract.topics import Category, Node, UnsTopic
from gateway.birth import Birth, valued
from gateway.fit import MOST_BYTES, fit_info, fit_values

PERIOD_S: Final = 0.5
MS: Final = 1_000_000  # ns
MOST_UNIT: Final = 32  # characters, what the cloud takes
MOST_DESCRIPTION: Final = 4096
AHEAD_NS: Final = 300_000_000_000
GIVES_WAY_NS: Final = 60_000_000_000
NEVER_NS: Final = 1 << 63
CATEGORIES: Final[tuple[Category, ...]] = ("info", "tele", "state")

Publish = Callable[[str, bytes], bool]


class Why(NamedTuple):
    """Why an asset is offline: `code` for programs, which never changes, `text` and what to `do`."""

    code: str
    text: str
    do: str = ""


LOOK_AT_EDGE: Final = "see whether the edge runs and reaches the broker; its log says why it does not"
NOT_HEARD: Final = Why("not_heard", "nothing was heard of it since the gateway started", LOOK_AT_EDGE)
DIED: Final = Why("died", "its edge node says that it has no contact with it (DDEATH)")
EDGE_DIED: Final = Why("edge_died", "its edge node has gone: the broker says so (NDEATH)", LOOK_AT_EDGE)


class Face:
    """What the mirror shows of one asset. Its columns go by metric name; without a quality it is GOOD, a status 0."""

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self.online = False
        self.offline_since_ms: int | None = None
        self.why = NOT_HEARD
        self.values: dict[str, Value | None] = {}
        self.times_ns: dict[str, int] = {}
        self.qualities: dict[str, int] = {}
        self.statuses: dict[str, int] = {}
        self.dirty: set[Category] = set()
        self.not_before = 0.0
        self.shown: dict[Category, bytes] = {}
        self.seq: dict[Category, int] = {}
        self._newest: Batch | None = None  # not in the columns yet: the next one has often the same signals
        self._newest_ns = 0
        self._renewed_ns = 0  # when a batch came last in which nothing was older than what is shown

    def take(self, batch: Batch, now_ns: int = 0) -> None:
        """Take over samples, those that are newer; `now_ns` (UTC, 0: unknown) tells which are ahead."""
        times_ns = batch.times_ns or [0]
        first_ns, last_ns = times_ns[0], times_ns[-1]
        is_ascending = times_ns.count(first_ns) == len(times_ns) or sorted(times_ns) == times_ns
        in_order = is_ascending and first_ns >= self._newest_ns and not batch.historical
        if self._newest is not None and (not in_order or batch.names is not self._newest.names):
            self._settle()
        self.dirty.update(("tele", "state"))
        if not in_order:
            known = [self.times_ns.get(name, -1) for name in batch.names]
            # one source may be ever behind another one of this asset: its batches cost no look at each signal
            if batch.historical or not is_ascending or max(known, default=0) >= first_ns:
                self._take_newer(batch, known, now_ns)
                return
        self._newest, self._renewed_ns = batch, now_ns
        if last_ns > self._newest_ns and (not now_ns or last_ns <= now_ns + AHEAD_NS):
            self._newest_ns = last_ns

    def _settle(self) -> None:
        """Bring the newest batch into the columns."""
        batch, self._newest = self._newest, None
        if batch is None:
            return
        names = batch.names
        self.values.update(zip(names, batch.values, strict=True))
        self.times_ns.update(zip(names, batch.times_ns, strict=True))
        for mine, new in ((self.qualities, batch.qualities), (self.statuses, batch.statuses)):
            if mine:
                for name in names:
                    mine.pop(name, None)
            if new:
                last = {name: index for index, name in enumerate(names)}
                mine.update({name: new[index] for name, index in last.items() if index in new})

    def _take_newer(self, batch: Batch, known: Sequence[int], now_ns: int) -> None:
        """Take over of each signal what is newer than its time in `known` (ns, -1: none)."""
        ahead_ns = now_ns + AHEAD_NS if now_ns else NEVER_NS
        self._renewed_ns = self._renewed_ns or now_ns
        gives_way = not batch.historical and now_ns - self._renewed_ns > GIVES_WAY_NS
        if known and not gives_way and max(batch.times_ns) < min(known) and max(known) <= ahead_ns:
            return
        for index, (name, value, time_ns) in enumerate(zip(batch.names, batch.values, batch.times_ns, strict=True)):
            known_ns = self.times_ns.get(name, -1)
            if time_ns > known_ns - (not batch.historical) or known_ns > ahead_ns or gives_way:
                self.values[name] = value
                self.times_ns[name] = time_ns
                if time_ns <= ahead_ns and self.birth.signal(name):  # not of what is only told by births
                    self._newest_ns = max(self._newest_ns, time_ns)
                for mine, new in ((self.qualities, batch.qualities), (self.statuses, batch.statuses)):
                    mine.pop(name, None)
                    if index in new:
                        mine[name] = new[index]

    def reborn(self, birth: Birth, *, online: bool) -> None:
        """Begin a session: values of signals that are gone are forgotten, those that the birth carries are taken."""
        self._settle()
        self.birth = birth
        self.online = online
        for name in self.values.keys() - birth.metrics.keys():
            del self.values[name]
            del self.times_ns[name]
            self.qualities.pop(name, None)
            self.statuses.pop(name, None)
        self.dirty.update(CATEGORIES)
        if online:
            first = valued(birth.first)
            first.historical = True  # a birth repeats old values, never newer than what is here
            self.take(first)

    def show(self, category: Category, now_ms: int) -> bytes | None:
        """Return the message of a category, None when what it shows has not changed."""
        self._settle()
        content = self._info() if category == "info" else {"signals": self._signals(category)}
        shown = orjson.dumps(content)
        if len(shown) > MOST_BYTES:
            content = fit_info(content) if category == "info" else fit_values(content)
            shown = orjson.dumps(content)
        if self.shown.get(category) == shown or (category != "info" and not content["signals"]):
            return None
        self.shown[category] = shown
        self.seq[category] = self.seq.get(category, 0) + 1
        head = {"time": now_ms} if category == "info" else {"time": now_ms, "seq": self.seq[category]}
        return orjson.dumps(head | content)

    def _info(self) -> dict[str, Any]:
        asset = self.birth.asset
        return {
            "enterprise": asset.enterprise,
            "site": asset.site,
            "area": asset.area,
            "line": asset.line,
            "asset": asset.id,
            "kind": asset.kind,
            "names": dict(asset.names),
            "label": asset.label,
            "state": asset.state,
            **({"sensors": _facts(asset.sensors)} if asset.sensors else {}),
            "edge_node": shortened(path_of(self.birth.node, None)),
            "online": self.online,
            "offline_since": None if self.online else self.offline_since_ms,
            "reason_code": "" if self.online else self.why.code,
            "reason": "" if self.online else self.why.text,
            "do": "" if self.online else self.why.do,
            "signals": [
                {
                    "name": signal.name,
                    "datatype": signal.datatype,
                    "unit": signal.unit[:MOST_UNIT],
                    "low": signal.low,
                    "high": signal.high,
                    "deadband": signal.deadband,
                    "period_s": signal.period_s,
                    "writable": signal.writable,
                    "description": signal.description[:MOST_DESCRIPTION],
                    "label": signal.label,
                }
                for signal in asset.signals
            ],
        }

    def _signals(self, category: Category) -> dict[str, dict[str, Any]]:
        states = {s.name for s in self.birth.asset.signals if s.datatype in (Datatype.STRING, Datatype.BOOLEAN)}
        signals = {}
        for name, value in self.values.items():
            signal = self.birth.signal(name)
            is_state = signal in states or value.__class__ in (str, bool)
            if signal and is_state == (category == "state"):
                quality = self.qualities.get(name, Quality.GOOD) if self.online else Quality.STALE
                shown = {"value": value, "quality": int(quality), "time": self.times_ns[name] // MS}
                status = self.statuses.get(name)
                signals[signal] = {**shown, "status": status} if status else shown
        return signals


def _facts(sensors: Mapping[str, Sensor]) -> dict[str, Any]:
    return {name: sensor.model_dump(exclude_defaults=True) for name, sensor in sensors.items()}


class Mirror:
    """All faces. Births, data and deaths come from the receiving thread, `tick` may run in another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faces: dict[tuple[Node, str | None], Face] = {}

    def born(self, birth: Birth, *, online: bool = True) -> None:
        """Show an asset; `online` False: it was known to an earlier run, and nothing has been heard of it since."""
        key = (birth.node, birth.device)
        with self._lock:
            face = self._faces.get(key)
            if face is None:
                face = self._faces[key] = Face(birth)
            face.reborn(birth, online=online)

    def update(self, birth: Birth, batch: Batch, now_ns: int = 0) -> None:
        """Take over samples of an asset that was born; `now_ns` is UTC, 0 when it is not known."""
        with self._lock:
            face = self._faces.get((birth.node, birth.device))
            if face is not None:
                face.take(batch, now_ns)

    def died(self, node: Node, device: str | None = None, *, time_ms: int | None = None, why: Why = DIED) -> None:
        """Show a device, or with None a node and all its devices, as offline and stale since `time_ms`, and why."""
        with self._lock:
            for (face_node, face_device), face in self._faces.items():
                if face_node == node and device in (None, face_device):
                    if face.online:
                        face.offline_since_ms = time_ms
                    face.online = False
                    face.why = why
                    face.dirty.update(CATEGORIES)
                    face.not_before = 0.0

    def connected(self) -> None:
        """Show everything again: the broker may have forgotten it."""
        with self._lock:
            for face in self._faces.values():
                face.shown.clear()
                face.dirty.update(CATEGORIES)

    def tick(self, now: float, now_ms: int, publish: Publish) -> int:
        """Publish what is due; what `publish` does not take stays due. Return the number of messages."""
        count = 0
        for face in self._due(now):
            asset = face.birth.asset
            for category in CATEGORIES:
                message = self._message(face, category, now_ms)
                if message is None:
                    continue
                topic = UnsTopic(asset.enterprise, asset.site, asset.area, asset.line, asset.id, category)
                if publish(str(topic), message):
                    count += 1
                    continue
                with self._lock:
                    face.shown.pop(category, None)
                    face.dirty.add(category)
        return count

    def _due(self, now: float) -> Iterator[Face]:
        with self._lock:
            due = [face for face in self._faces.values() if face.dirty and now >= face.not_before]
            for face in due:
                face.not_before = now + PERIOD_S
        return iter(due)

    def _message(self, face: Face, category: Category, now_ms: int) -> bytes | None:
        with self._lock:
            if category not in face.dirty:
                return None
            face.dirty.discard(category)
            return face.show(category, now_ms)
