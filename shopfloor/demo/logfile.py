"""A log file that stays small: at most two files of `max_bytes`, the older one beside it as `<name>.1`."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from contract.private import StrangerError, make_private

MAX_BYTES: Final = 4 * 1024 * 1024
TAIL_LINES: Final = 30


class LogFile:
    """Takes what a process prints. A full disk costs lines (`dropped` counts bytes), never the process."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.dropped = 0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._rest = b""
        self._file: BinaryIO | None = None

    def write(self, chunk: bytes) -> list[str]:
        """Append a piece of output; return the lines that it completes, which `tail` keeps too."""
        *complete, self._rest = (self._rest + chunk).split(b"\n")
        self._rest = self._rest[-4096:]
        lines = [line[:4096].decode(errors="replace") for line in complete]
        self.tail.extend(line for line in lines if line.strip())
        try:
            self._append(chunk)
        except (OSError, StrangerError):
            self.dropped += len(chunk)
            self.close()
        return lines

    def last_words(self, lines: int = 1) -> str:
        """Return the last lines as a person would want to read them: of a JSON line, its event, reason and advice."""
        return "\n".join(_readable(line) for line in list(self.tail)[-lines:])

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _append(self, chunk: bytes) -> None:
        if self._file is None:
            self._file = _open(self.path)
        if self._file.tell() + len(chunk) > self.max_bytes:
            self.close()
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
            self._file = _open(self.path)
        self._file.write(chunk)


def _open(path: Path) -> BinaryIO:
    """Open a log to append to; only its owner may read it, also when it was there. A link there is an OSError."""
    make_private(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "ab", buffering=0)


def _readable(line: str) -> str:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line.strip()
    if not isinstance(entry, dict):
        return line.strip()
    return ": ".join(str(entry[key]) for key in ("event", "reason", "todo", "error", "exception") if entry.get(key))
