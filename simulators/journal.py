"""The truth as it happens: one JSON object per line, kept in memory (the newest) and, if wanted, in a file.

A line has `t` (simulated seconds), `asset`, `event` and what the event says; when machines stamp simulated time also
`time`, ISO 8601. It holds no wall time, so the same seed gives the same bytes.
"""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

_KEPT: Final = 20_000


class Journal:
    """Collects events. `dropped` counts those that no longer lie in memory (a file keeps all).

    `from_ns` is when simulated time begins (ns since 1970, UTC), if machines stamp that.
    """

    def __init__(self, path: Path | None = None, from_ns: int | None = None) -> None:
        self._from_ns = from_ns
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        self._lines: deque[tuple[int, str]] = deque(maxlen=_KEPT)
        self.written = 0

    @property
    def dropped(self) -> int:
        """How many lines are no longer in memory."""
        return self.written - len(self._lines)

    def write(self, time_s: float, asset: str, event: str, **facts: Any) -> None:
        """Add a line."""
        when: dict[str, float | str] = {"t": round(time_s, 6)}
        if self._from_ns is not None:
            stamp = datetime.fromtimestamp(self._from_ns / 1e9 + time_s, UTC)
            when["time"] = stamp.isoformat(timespec="milliseconds")
        line = json.dumps({**when, "asset": asset, "event": event, **facts}, ensure_ascii=False)
        self.written += 1
        self._lines.append((self.written, line))
        if self._file is not None:
            self._file.write(line + "\n")

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, str]]:
        """Return up to `limit` lines after number `after` (from 1) that are still in memory."""
        return [(number, line) for number, line in self._lines if number > after][:limit]

    def flush(self) -> None:
        """Bring what was written to the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file; safe twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
