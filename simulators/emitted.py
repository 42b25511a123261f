"""What left the machines, sample by sample, for a checker that trusts nothing behind them.

A line stands for one message of one machine: `source`, `sequence` (counts the messages of a machine since the start of
the process), `time_ns` (UTC, as precise as the protocol carries it) and `values` by signal, as they were sent. It is
written before the message goes out, so that whatever arrives anywhere is in the file, however the process ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from simulators.machine import Value


class Emitted:
    """Appends to a file, which goes on when the process is started again."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self._file, b"\n")  # what came before may have been cut off inside a line

    def write(self, source: str, sequence: int, time_ns: int, values: Mapping[str, Value | None]) -> None:
        """Add a line; it is with the operating system when this returns."""
        line = {"source": source, "sequence": sequence, "time_ns": time_ns, "values": dict(values)}
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        """Close the file; once."""
        os.close(self._file)
