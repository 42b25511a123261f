"""A small file beside the spool that says how far its numbers went.

SQLite silently ends at the last transaction it can read, so a lost or cut write-ahead log looks like an older spool
and its numbers would be given out twice. The mark is written after each commit and not synced: it survives the death
of the process, and after a power loss it is never ahead of what a disk that keeps its promise has kept.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from spool.records import checksum

_FORM: Final = struct.Struct("<16sQI")


class Mark(NamedTuple):
    """The last number that was given out in an epoch."""

    epoch: str
    n: int


def read_mark(path: Path) -> Mark | None:
    """Return what the file says, None when there is none or it is damaged."""
    try:
        epoch_bytes, n, crc = _FORM.unpack(path.read_bytes())
        epoch = epoch_bytes.decode("ascii")
    except (OSError, struct.error, UnicodeDecodeError):
        return None
    return Mark(epoch, n) if crc == checksum(epoch, n) else None


class MarkFile:
    """The open mark of one spool."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, epoch: str, n: int) -> None:
        """Say that numbers of `epoch` up to `n` were given out."""
        # a mark that cannot be written only makes the next salvage less exact
        with suppress(OSError):
            os.pwrite(self._fd, _FORM.pack(epoch.encode("ascii"), n, checksum(epoch, n)), 0)

    def close(self) -> None:
        """Close the file; safe once."""
        os.close(self._fd)
