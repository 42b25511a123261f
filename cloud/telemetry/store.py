"""The one interface through which the cloud writes and reads samples.

Every store passes tests/cloud/telemetry/test_store.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import pyarrow as pa

from contract.lineprotocol import TYPED

QUALITY: Final = ".quality"
"""What a line-protocol field that carries the quality of a signal ends with."""
STATUS: Final = ".status"
"""What a field ends with that carries the source's own status (OPC UA) of a sample in the same line."""
TEXT, BOOL, INT, UINT = TYPED
"""What the measurements that carry the values of one type end with."""
BAD: Final = 0
GOOD: Final = 192
MOST_QUALITY: Final = 2**15 - 1

TIME: Final = pa.timestamp("ns", tz="UTC")

RAW: Final = pa.schema(
    [
        ("signal", pa.string()),
        ("time", TIME),
        ("value", pa.float64()),
        ("text", pa.string()),
        ("quality", pa.int16()),
        ("boolean", pa.bool_()),
        ("int64", pa.int64()),
        ("uint64", pa.uint64()),
        ("status", pa.uint32()),
    ]
)
"""Samples in order of (signal, time). Either `value` or `text` is set, or neither: a sample without a value.

What is no double has its exact value in `boolean`, `int64` or `uint64`; `value` then is 0 or 1, or the nearest double.
`status` is null where the source said none.
"""

BUCKETS: Final = pa.schema(
    [
        ("signal", pa.string()),
        ("time", TIME),
        ("min", pa.float64()),
        ("mean", pa.float64()),
        ("max", pa.float64()),
        ("last", pa.float64()),
        ("count", pa.int64()),
    ]
)
"""Numbers per bucket in order of (signal, time). Buckets without a number are absent.

`time` is a bucket's start, `last` its newest number: what holds until the next bucket that there is.
"""

MINUTES: Final = pa.schema([*BUCKETS, ("text", pa.string())])
"""What is kept of a minute of samples, in order of (signal, time): of numbers, or of texts the newest and how many.

A signal that had both has two rows. `time` is the minute's start. Quality is not kept.
"""

LAST: Final = pa.schema([("asset", pa.string()), *RAW])
"""The newest sample of each series, in order of (asset, signal)."""


class Stored(NamedTuple):
    """A series that has samples or minutes, whether or not anybody still announces it."""

    asset: str
    signal: str
    kind: str
    site: str
    area: str
    line: str


class StoreError(Exception):
    """Base of what a store raises. `todo` says what to do."""

    def __init__(self, message: str, todo: str = "") -> None:
        super().__init__(message)
        self.todo = todo


class BadLines(StoreError):
    """The lines are not what the store takes; nothing of them was stored. `line` is the first bad one, from 1."""

    def __init__(self, line: int, message: str, todo: str = "") -> None:
        super().__init__(f"line {line}: {message}", todo)
        self.line = line
        self.what = message


class StoreUnavailable(StoreError):
    """The store cannot work now (disk full, server away); what was not acknowledged is not stored. Try again."""


class StoreRefuses(StoreUnavailable):
    """We have no token that the store takes."""


class TooManyRows(StoreError):
    """The answer would have more rows than the caller allowed."""


class Trouble(NamedTuple):
    """What is wrong with a store, and what to do."""

    what: str
    todo: str


class WriteResult(NamedTuple):
    """What a durable write did: `samples` it carried, of which `late` were not newer than their series' newest."""

    samples: int
    late: int


@dataclass(frozen=True, slots=True)
class Query:
    """Samples of some signals of one asset with `start_ns` <= time < `end_ns` (ns since 1970, UTC)."""

    asset: str
    signals: tuple[str, ...]
    start_ns: int
    end_ns: int


class Store(Protocol):
    """Samples by (asset, signal, time). Safe to call from any thread."""

    def write(self, lines: bytes) -> WriteResult:
        """Store line protocol (times in ns); return when it is durable, all or nothing.

        A sample with the (asset, signal, time) of a stored one replaces it, so that repeats are harmless.
        Raise BadLines, StoreUnavailable.
        """

    def write_minutes(self, lines: bytes) -> None:
        """Store minutes, all or nothing, and move `raw_since`, as cloud.telemetry.rollup says what their lines are.

        A minute replaces that of the same (asset, signal, time). Raise BadLines, StoreUnavailable.
        """

    def raw_since(self) -> int:
        """Return since when there are samples; of what was before there are minutes. Raise StoreUnavailable."""

    def samples(self, query: Query, limit: int) -> pa.Table:
        """Return samples as RAW; raise TooManyRows above `limit`, StoreUnavailable."""

    def at_hand(self, query: Query) -> pa.Table | None:
        """Return samples as RAW if they are few and in memory, else None; it waits for no file and no server."""

    def buckets(self, query: Query, width_ns: int) -> pa.Table:
        """Return BUCKETS of `width_ns`, the first beginning at `start_ns`; raise StoreUnavailable.

        Of minutes before `raw_since`, of samples after it: a bucket that does not begin with a minute and last some
        has the whole of each minute that begins in it.
        """

    def minutes(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Give the minutes before `raw_since` as batches of MINUTES; raise StoreUnavailable. Close it when done."""

    def export(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Give samples as batches of RAW without holding them all; raise StoreUnavailable. Close it when done."""

    def last(self, assets: Sequence[str]) -> pa.Table:
        """Return the newest sample of every series of the assets (of all when empty) as LAST."""

    def series(self, assets: Sequence[str] = ()) -> list[Stored]:
        """Return the series of the assets (of all when empty) in order of (asset, signal); raise StoreUnavailable."""

    def forget(self, asset: str) -> None:
        """Delete all samples and minutes of an asset, for ever; raise StoreUnavailable, then some may be left."""

    def health(self) -> Trouble | None:
        """Return what is wrong with the store, None when it works. In words for everybody: no address, no path."""

    def close(self) -> None:
        """Release files and connections; safe twice."""
