"""What left the machines, sample by sample, for a checker that trusts nothing behind them.

A line stands for one message of one machine: `source`, `sequence` (counts the messages of a machine since the start of
the process), `time_ns` (UTC, as precise as the protocol carries it) and `values` by signal, as they were sent. It is
written before the message goes out, so that whatever arrives anywhere is in the file, however the process ends.

A block of a sensor is a line without values: `time_ns` is that of its first number, `block` says `sensor`, `count`, and
`sha256` of the numbers (32-bit floats, little-endian). So is an event: `event` says `name`, `state`, `severity` and
`text`. A line of what was carried out has `command` with `name` and `value`, and the wall's time; it is written after
the deed, before anybody is told of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from simulators.machine import Value
from simulators.sensor import Block


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

    def write_block(self, source: str, block: Block) -> None:
        """Add the line of a block."""
        digest = hashlib.sha256(block.values.astype("<f4").tobytes()).hexdigest()
        told = {"sensor": block.sensor, "count": len(block.values), "sha256": digest}
        line = {"source": source, "time_ns": block.start_ns, "values": {}, "block": told}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def write_event(self, source: str, time_ns: int, name: str, *, state: str, severity: int, text: str) -> None:
        """Add the line of an event."""
        told = {"name": name, "state": state, "severity": severity, "text": text}
        line = {"source": source, "time_ns": time_ns, "values": {}, "event": told}
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def write_command(self, source: str, time_ns: int, name: str, value: Value) -> None:
        """Add the line of a command that was carried out."""
        line = {"source": source, "time_ns": time_ns, "values": {}, "command": {"name": name, "value": value}}
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        """Close the file; once."""
        os.close(self._file)
