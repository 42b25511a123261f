"""Values of one metric that came within one millisecond in several messages: told apart by 1 ns each, in order.

Sparkplug has milliseconds, and (asset, signal, time) names one sample in a store. Within a message the decoder tells
values apart; between messages this does, of nodes that have no nanoseconds of their own. What is equal to the newest
value of its millisecond is a repeat and gets its time; so is any that comes in a message that is historical, or the
same, byte for byte, as one of the last. A value of an earlier millisecond than the newest of its metric keeps its time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final

import orjson

from contract.model import Quality, Value
from contract.sparkplug import Batch

_GOOD: Final = int(Quality.GOOD)
_MS: Final = 1_000_000
_MOST_METRICS: Final = 10_000  # of one asset
_MOST_GIVEN: Final = 100  # samples of one metric and millisecond that would be recognized
_MOST_NEWER: Final = 32
_MOST_BODIES: Final = 64  # messages of one asset that would be recognized

_LONG: Final = 100

_Said = tuple[Value | None, int, int]  # value (of a long text its digest), quality, status


@dataclass(slots=True)
class _Run:
    """Samples of one metric and millisecond: the next time that is free, the newest and in which message it came.

    `given` has the times of all of them, once there are several.
    """

    ms: int
    next_ns: int
    newest: _Said
    message: int
    given: dict[_Said, int] | None = None


@dataclass(slots=True)
class _Asset:
    """What came last of an asset: runs of metrics, and behind them messages that were simply newer, not looked into."""

    runs: dict[str, _Run] = field(default_factory=dict)
    newer: deque[tuple[int, Batch]] = field(default_factory=lambda: deque(maxlen=_MOST_NEWER))
    newest_ms: int = 0
    bodies: dict[int, None] = field(default_factory=dict)

    def is_known(self, body: bytes) -> bool:
        """Whether the same message was among the last; if not, it is from now on."""
        digest = hash(body)
        if digest in self.bodies:
            return True
        self.bodies[digest] = None
        if len(self.bodies) > _MOST_BODIES:
            del self.bodies[next(iter(self.bodies))]
        return False

    def look_into(self, message: int, batch: Batch) -> None:
        """Take the runs of a message that was newer than all before it."""
        for name, time_ns, said in _samples(batch):
            if name in self.runs or len(self.runs) < _MOST_METRICS:
                self.runs[name] = _Run(time_ns // _MS, time_ns + 1, said, message)


class Runs:
    """By asset, the newest milliseconds. Used by one thread."""

    def __init__(self) -> None:
        self._assets: dict[str, _Asset] = {}
        self._changed: set[str] = set()
        self._message = 0

    def apart(self, name: str, batch: Batch, body: bytes) -> Batch:
        """Return the samples of a message of an asset, at times that no others of these metrics have."""
        times_ns = batch.times_ns
        if not times_ns:
            return batch
        self._message += 1
        self._changed.add(name)
        asset = self._assets.get(name)
        if asset is None:
            asset = self._assets[name] = _Asset()
        is_repeat = asset.is_known(body) or batch.historical
        is_newer = min(times_ns) // _MS > asset.newest_ms
        asset.newest_ms = max(asset.newest_ms, max(times_ns) // _MS)
        if is_newer:
            asset.newer.append((self._message, batch))
            return batch
        while asset.newer:
            asset.look_into(*asset.newer.popleft())
        found = [self._find(asset, *each, is_repeat=is_repeat) for each in _samples(batch)]
        return batch if found == times_ns else replace(batch, times_ns=found)

    def apart_in_birth(self, name: str, batch: Batch) -> Batch:
        """Return the samples of a birth, which repeats what was said; data of the same time take their place.

        Many nodes date all values of a birth with the birth, so that in one millisecond a value may be said that was
        before, and then that which is.
        """
        asset = self._assets.get(name)
        if asset is None:
            return batch
        while asset.newer:
            asset.look_into(*asset.newer.popleft())
        found = []
        for metric, time_ns, said in _samples(batch):
            run = asset.runs.get(metric)
            if run is not None and run.ms == time_ns // _MS and time_ns < run.next_ns:
                found.append((run.given or {}).get(said, run.next_ns - (said == run.newest)))
            else:
                found.append(time_ns)
        return replace(batch, times_ns=found)

    def _find(self, asset: _Asset, name: str, time_ns: int, said: _Said, *, is_repeat: bool) -> int:
        run, ms = asset.runs.get(name), time_ns // _MS
        if run is None or run.ms < ms:
            if run is not None or len(asset.runs) < _MOST_METRICS:
                asset.runs[name] = _Run(ms, time_ns + 1, said, self._message)
            return time_ns
        if run.ms > ms:
            return time_ns
        if run.given is None:
            run.given = {run.newest: run.next_ns - 1}
        if time_ns < run.next_ns and run.message != self._message:
            if said == run.newest:
                return run.next_ns - 1
            if is_repeat and (known_ns := run.given.get(said)) is not None:
                return known_ns
        given_ns = max(time_ns, run.next_ns)
        run.next_ns, run.newest, run.message = given_ns + 1, said, self._message
        if len(run.given) < _MOST_GIVEN:
            run.given.setdefault(said, given_ns)
        return given_ns

    def notes(self) -> dict[str, bytes]:
        """Return what has to be known after a restart: of each asset that has news, its newest millisecond."""
        notes = {}
        for name in self._changed:
            asset = self._assets[name]
            while asset.newer:
                asset.look_into(*asset.newer.popleft())
            newest = {metric: run for metric, run in asset.runs.items() if run.ms == asset.newest_ms}
            notes[name] = orjson.dumps({metric: (run.next_ns, *run.newest) for metric, run in newest.items()})
        self._changed.clear()
        return notes

    def load(self, name: str, note: bytes | None) -> None:
        """Take what an earlier run noted of an asset."""
        last: Mapping[str, tuple[int, Value | None, int, int]] = orjson.loads(note or b"{}")
        asset = self._assets[name] = _Asset()
        for metric, (next_ns, value, quality, status) in last.items():
            asset.newest_ms = (next_ns - 1) // _MS
            asset.runs[metric] = _Run(asset.newest_ms, next_ns, (value, quality, status), 0)


def _samples(batch: Batch) -> Iterator[tuple[str, int, _Said]]:
    qualities, statuses = batch.qualities, batch.statuses
    for index, (name, time_ns, value) in enumerate(zip(batch.names, batch.times_ns, batch.values, strict=True)):
        short = _digest(value) if type(value) is str else value
        yield name, time_ns, (short, qualities.get(index, _GOOD), statuses.get(index, 0))


def _digest(text: str) -> str:
    """Return a short text as it is, of another one what tells it from others."""
    if len(text) < _LONG and text.isascii():
        return text
    return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
