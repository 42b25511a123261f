"""Room on the disk that is kept for the day it is full: removing records needs some, and only removing makes room."""

from __future__ import annotations

import os
from pathlib import Path


class Reserve:
    """A file of `size` bytes, at least what the log of the database beside it may bring into the database's file."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    @property
    def is_kept(self) -> bool:
        """Whether the room is there."""
        try:
            return self._path.stat().st_size == self._size
        except OSError:
            return False

    def keep(self) -> bool:
        """Take the room; False when the disk has none."""
        if self.is_kept:
            return True
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, self._size)
            finally:
                os.close(fd)
        except OSError:
            self.give()
            return False
        return True

    def give(self) -> None:
        """Give the room away."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return
