"""Acquisition: windows of what the platform has stored of an asset; the same data give the same window.

A window is read in two ways that give the same: whole, and by a `Grid` that is brought forward and reads only what is
new. What comes late into a time that a grid has passed is in a window that is read whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud.blocks.blocks import Blocks, BlocksError
from cloud.blocks.tables import BlockRow
from cloud.diagnosis.speed import Speed, speed_of
from cloud.diagnosis.window import Bearing, Measured, Numbers, Subject, Texts, Times, Window
from cloud.events.tables import EventRow
from cloud.registry.tables import AssetRow
from cloud.telemetry.store import Query, Store, TooManyRows
from contract.block import Block
from contract.event import Event
from contract.model import Quality, base_quality
from contract.sensor import Sensor

SECOND_NS: Final = 1_000_000_000
STEP_NS: Final = 10 * SECOND_NS
WINDOW_NS: Final = 7200 * SECOND_NS
"""So much of the past is looked at."""
BLOCK_SLOT_NS: Final = 600 * SECOND_NS
NEWEST_BLOCKS: Final = 4
"""Of each sensor the newest blocks are looked at, and of older ones the first of each BLOCK_SLOT_NS."""
STEADY: Final = 0.02
"""A shaft whose speed moved by a larger share during a block turned too unsteadily to look for lines in it."""
MOST_EVENTS: Final = 1000
"""Of more than so many events in a window the newest count."""
_MOST_ROWS: Final = 500_000  # that are read at once
_OVERLAP_NS: Final = 60 * SECOND_NS  # so late a sample may come and is seen by a grid
_LOOK_BACK_NS: Final = (60 * SECOND_NS, 24 * 3600 * SECOND_NS)
LOOK_BACK_NS: Final = max(_LOOK_BACK_NS)
"""So long before a window it is looked for what a signal held at its start: a state may be said once in a day."""


class Bounds(NamedTuple):
    """The first and the last time of a window, and the step between two (ns)."""

    start_ns: int
    end_ns: int
    step_ns: int = STEP_NS

    @property
    def entries(self) -> int:
        """How many times there are."""
        return (self.end_ns - self.start_ns) // self.step_ns + 1


@dataclass(frozen=True, slots=True)
class Source:
    """An asset as it was announced: the subject, and which of its signals are texts."""

    subject: Subject
    texts: frozenset[str] = frozenset()

    def json(self) -> str:
        """Return it as JSON, for `read_source`."""
        return orjson.dumps({**asdict(self.subject), "texts": sorted(self.texts)}).decode()


def source_of(row: AssetRow) -> Source:
    """Return an asset of the registry."""
    signals = {each.name: Measured(each.unit, each.low, each.high, each.deadband) for each in row.signals}
    sensors = {name: Sensor.model_validate(said) for name, said in row.sensors.items()}
    texts = frozenset(each.name for each in row.signals if each.datatype == "string")
    return Source(Subject(row.id, row.kind, signals, bearings_of(sensors)), texts)


def bearings_of(sensors: Mapping[str, Sensor]) -> dict[str, tuple[Bearing, ...]]:
    """Return the bearings behind sensors, by sensor."""
    return {
        name: tuple(Bearing(of.outer, of.inner, of.ball, of.cage, sensor.speed, sensor.rpm) for of in sensor.bearings)
        for name, sensor in sensors.items()
        if sensor.bearings
    }


def read_source(text: str) -> Source:
    """Return what `Source.json` gave."""
    said = orjson.loads(text)
    signals = {name: Measured(**each) for name, each in said["signals"].items()}
    bearings = {sensor: tuple(Bearing(**each) for each in of) for sensor, of in said["bearings"].items()}
    return Source(Subject(said["id"], said["kind"], signals, bearings), frozenset(said["texts"]))


class Grid:
    """What each signal of an asset held at `size` times, `step_ns` apart: the newest is `end_ns`.

    Not safe to be used by two threads at once.
    """

    def __init__(self, source: Source, step_ns: int, size: int, end_ns: int) -> None:
        self.source = source
        self.step_ns = step_ns
        self.end_ns = end_ns
        names = sorted(source.subject.signals)
        self._numbers = {name: np.full(size, np.nan) for name in names if name not in source.texts}
        self._texts: dict[str, Texts] = {
            name: np.full(size, None, dtype=object) for name in names if name in source.texts
        }
        self._size = size
        self._is_read = False

    @property
    def start_ns(self) -> int:
        """The oldest time."""
        return self.end_ns - (self._size - 1) * self.step_ns

    def read(self, store: Store) -> None:
        """Read all of it from the store; raise StoreError."""
        self._is_read = False
        self._hold(self._before(store, self.start_ns))
        for table in self._rows(store, sorted(self.source.subject.signals), self.start_ns, self.end_ns + 1):
            self._put(table)
        self._is_read = True

    def advance(self, store: Store, end_ns: int) -> None:
        """Bring it to a later time, whole steps on; raise StoreError, and it is as it was."""
        steps = (end_ns - self.end_ns) // self.step_ns
        if not self._is_read or steps >= self._size:
            self.end_ns += steps * self.step_ns
            self.read(store)
        elif steps > 0:
            till_ns = self.end_ns + steps * self.step_ns + 1
            since_ns = max(self.start_ns, self.end_ns - _OVERLAP_NS)
            rows = list(self._rows(store, sorted(self.source.subject.signals), since_ns, till_ns))
            grids: list[Any] = [*self._numbers.values(), *self._texts.values()]
            for values in grids:
                values[:-steps] = values[steps:].copy()
                values[-steps:] = values[-steps - 1]
            self.end_ns = till_ns - 1
            for table in rows:
                self._put(table)

    def window(self, bounds: Bounds) -> tuple[Times, dict[str, Numbers], dict[str, Texts]]:
        """Return times, numbers and texts in steps of a multiple of its own; its times must be some of the grid's."""
        by = bounds.step_ns // self.step_ns
        last = self._size - 1 - (self.end_ns - bounds.end_ns) // self.step_ns
        chosen = np.arange(last - (bounds.entries - 1) * by, last + 1, by)
        times = self.start_ns + chosen.astype(np.int64) * self.step_ns
        numbers = {name: values[chosen] for name, values in self._numbers.items()}
        return times, numbers, {name: values[chosen] for name, values in self._texts.items()}

    def _rows(self, store: Store, names: Sequence[str], start_ns: int, end_ns: int) -> Iterator[pa.Table]:
        """Give samples piece by piece, the oldest first."""
        if start_ns >= end_ns or not names:
            return
        try:
            table = store.samples(Query(self.source.subject.id, tuple(names), start_ns, end_ns), _MOST_ROWS)
        except TooManyRows:
            if end_ns - start_ns < 2 * SECOND_NS:
                raise
            middle_ns = (start_ns + end_ns) // 2
            yield from self._rows(store, names, start_ns, middle_ns)
            yield from self._rows(store, names, middle_ns, end_ns)
        else:
            yield table

    def _before(self, store: Store, start_ns: int) -> dict[str, Any]:
        """Return what signals held at a time."""
        held: dict[str, Any] = {}
        for back_ns in _LOOK_BACK_NS:
            left = sorted(self.source.subject.signals.keys() - held.keys())
            for table in self._rows(store, left, max(0, start_ns - back_ns), start_ns):
                for name, _, values in _series(table, self.source.texts):
                    held[name] = values[-1]
        return held

    def _hold(self, held: Mapping[str, Any]) -> None:
        for name, values in self._numbers.items():
            values[:] = held.get(name, np.nan)
        for name, texts in self._texts.items():
            texts[:] = held.get(name)

    def _put(self, table: pa.Table) -> None:
        """Let samples count from their times on; those of a signal must not be older than what it holds."""
        for name, times, values in _series(table, self.source.texts):
            grid: Any = self._texts.get(name) if name in self.source.texts else self._numbers.get(name)
            if grid is None:
                continue
            # the first entry that is not earlier than the oldest sample; from there on each has a newest one
            first = max(0, -((self.start_ns - int(times[0])) // self.step_ns))
            if first < self._size:
                entries = self.start_ns + np.arange(first, self._size, dtype=np.int64) * self.step_ns
                grid[first:] = values[np.searchsorted(times, entries, side="right") - 1]


def _series(table: pa.Table, texts: frozenset[str]) -> Iterator[tuple[str, Times, Any]]:
    """Give each signal of RAW with its times and what it said: NaN or None where that was bad or nothing."""
    if not len(table):
        return
    names = table["signal"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    times = table["time"].cast(pa.int64()).to_numpy()
    numbers = table["value"].to_numpy(zero_copy_only=False)
    qualities = table["quality"].to_numpy()
    is_bad = np.array([base_quality(int(each)) == Quality.BAD for each in np.unique(qualities)])
    bad = is_bad[np.searchsorted(np.unique(qualities), qualities)]
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        name = names.dictionary[int(codes[start])].as_py()
        values: Any
        if name in texts:
            values = np.array(table["text"].slice(start, end - start).to_pylist(), dtype=object)
            values[bad[start:end]] = None
        else:
            values = np.where(bad[start:end], np.nan, numbers[start:end].astype(np.float64))
        yield name, times[start:end], values


def read_window(db: Session, store: Store, blocks: Blocks, source: Source, bounds: Bounds) -> Window:
    """Return a window that is read whole; raise StoreError."""
    grid = Grid(source, bounds.step_ns, bounds.entries, bounds.end_ns)
    grid.read(store)
    return window_of(db, store, blocks, grid, bounds)


def window_of(db: Session, store: Store, blocks: Blocks, grid: Grid, bounds: Bounds) -> Window:
    """Return a window of a grid that was read, with what else happened in it; raise StoreError.

    It begins with the first number: before the first sample of an asset that is new, nothing is missing.
    """
    times, numbers, texts = grid.window(bounds)
    first = _first_known(numbers)
    times = times[first:]
    numbers = {name: values[first:] for name, values in numbers.items()}
    texts = {name: values[first:] for name, values in texts.items()}
    id_ = grid.source.subject.id
    taken = tuple(_blocks(db, blocks, id_, int(times[0]), bounds.end_ns))
    return Window(
        subject=grid.source.subject,
        times_ns=times,
        numbers=numbers,
        texts=texts,
        blocks=taken,
        events=tuple(_events(db, id_, int(times[0]), bounds.end_ns)),
        speeds=_speeds(store, grid.source.subject, taken),
    )


def _first_known(numbers: Mapping[str, Numbers]) -> int:
    """Return the first entry with a number, 0 when there is none."""
    known = [~np.isnan(values) for values in numbers.values()]
    return int(np.argmax(np.any(known, axis=0))) if known else 0


def _blocks(db: Session, blocks: Blocks, asset: str, start_ns: int, end_ns: int) -> Iterator[Block]:
    rows = db.scalars(
        select(BlockRow)
        .where(BlockRow.asset == asset, BlockRow.start_ns >= start_ns, BlockRow.start_ns <= end_ns)
        .order_by(BlockRow.start_ns, BlockRow.id)
    )
    by_sensor: dict[str, list[BlockRow]] = {}
    for row in rows:
        by_sensor.setdefault(row.sensor, []).append(row)
    chosen = [row for of in by_sensor.values() for row in _chosen(of)]
    for row in sorted(chosen, key=lambda each: (each.start_ns, each.id)):
        try:
            yield blocks.read(row)
        except BlocksError:
            continue  # it made room for a newer one a moment ago


def _chosen(rows: Sequence[BlockRow]) -> list[BlockRow]:
    old, newest = rows[:-NEWEST_BLOCKS], rows[-NEWEST_BLOCKS:]
    slots: dict[int, BlockRow] = {}
    for row in old:
        slots.setdefault(row.start_ns // BLOCK_SLOT_NS, row)
    return [*slots.values(), *newest]


def _speeds(store: Store, subject: Subject, blocks: Sequence[Block]) -> dict[str, float]:
    """Return how fast the shaft turned during the newest blocks of each sensor; NaN where it did not turn steadily."""
    speeds: dict[str, float] = {}
    for sensor, bearings in subject.bearings.items():
        of = [block.header for block in blocks if block.header.sensor == sensor]
        for header in of[-NEWEST_BLOCKS:]:
            speeds[header.id] = steady_rpm(speed_of(store, header, bearings[0]))
    return speeds


def steady_rpm(speed: Speed | None) -> float:
    """Return how fast a shaft turned; NaN where that is not known, or was not steady."""
    return math.nan if speed is None or speed.moved > STEADY else speed.rpm


def _events(db: Session, asset: str, start_ns: int, end_ns: int) -> list[Event]:
    rows = db.scalars(
        select(EventRow)
        .where(EventRow.asset == asset, EventRow.time_ns >= start_ns, EventRow.time_ns <= end_ns)
        .order_by(EventRow.time_ns.desc(), EventRow.id.desc())
        .limit(MOST_EVENTS)
    )
    return [Event.model_validate({name: getattr(row, name) for name in Event.model_fields}) for row in rows][::-1]


def digest(window: Window) -> str:
    """Return a hash of all that is in a window: equal data have equal hashes, on any machine."""
    whole = hashlib.blake2b(digest_size=16)
    whole.update(window.times_ns.astype("<i8").tobytes())
    for name, numbers in sorted(window.numbers.items()):
        # there are many NaN, and one of them is enough
        whole.update(name.encode() + np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes())
    for name, texts in sorted(window.texts.items()):
        whole.update(orjson.dumps([name, texts.tolist()]))
    for block in window.blocks:
        whole.update(block.header.model_dump_json().encode() + block.data)
    whole.update(orjson.dumps(sorted(window.speeds.items())))
    for event in window.events:
        whole.update(event.model_dump_json().encode())
    return whole.hexdigest()
