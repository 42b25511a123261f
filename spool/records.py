"""What goes into a spool, what comes out of it, what it says of itself, and how it fails."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

RECORD_OVERHEAD: Final = 64


class SpoolError(Exception):
    """The spool cannot do it: the disk fails, the file is in use or closed. The message says what to do."""


class SpoolFull(SpoolError):
    """No room: the spool holds its `max_bytes`, or the disk is full. What was put is not kept."""


class Origin(NamedTuple):
    """Where a message comes from: the n-th one of an epoch of a node. A repeat has the same origin."""

    node: str
    epoch: str
    n: int


class Record(NamedTuple):
    """A durable message: its number in this spool, when it was put (ns since 1970 UTC), where it belongs, its bytes."""

    n: int
    time_ns: int
    topic: str
    body: bytes


class Dropped(NamedTuple):
    """Records that the spool lost on purpose or by damage: `records` of the numbers `first` to `last`."""

    first: int
    last: int
    records: int
    time_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Salvage:
    """What became of a file that was found damaged when the spool was opened.

    `kept` records are in the new file; the damaged one lies at `set_aside` (None: nothing had to be set aside, only
    its tail is missing). `lost` are the numbers that are known to be missing, as closed intervals.
    """

    reason: str
    kept: int
    lost: list[tuple[int, int]] = field(default_factory=list)
    set_aside: Path | None = None
    new_epoch: bool = False


@dataclass(frozen=True, slots=True)
class Stats:
    """State and counters of a spool; counters start at 0 when it is opened, `dropped` is kept in the file.

    `bytes` counts topic, body and 64 bytes for each record, as `max_bytes` does. `oldest_ns` is None when empty.
    """

    records: int
    bytes: int
    max_bytes: int
    oldest_ns: int | None
    last_n: int
    put: int
    repeated: int
    refused: int
    dropped: int
    dropped_ranges: list[Dropped]
    buffered: int
    commits: int


def size_of(topic: str, body: bytes) -> int:
    """Return what a record counts towards `max_bytes`."""
    return len(topic) + len(body) + RECORD_OVERHEAD


def checksum(*parts: int | str | bytes) -> int:
    """Return the CRC-32 of the parts, each with its length, so that moving a border changes it."""
    crc = 0
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        crc = zlib.crc32(data, zlib.crc32(len(data).to_bytes(4, "little"), crc))
    return crc
