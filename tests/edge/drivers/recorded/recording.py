"""What the adapter of a real machine has said, day by day, as it was recorded: lines of SHDR.

The recordings are no part of the project: tests that use them skip where they are not there.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SHARED = Path(__file__).parents[5] / "shared" / "data" / "cnc_nist"
MODEL = SHARED / "Devices.xml"
DAYS = sorted((SHARED / "raw").glob("*.txt.gz"))
DEVICE = DAYS[0].name.partition("-")[0] if DAYS else ""
WHY_NOT = "no recordings at ../shared/data/cnc_nist"


@dataclass(frozen=True, slots=True)
class Said:
    """One line: when, of which data item, and the fields behind it (one, or the five of a condition)."""

    stamp: str
    key: str
    fields: tuple[str, ...]


def chunks(days: Sequence[Path] = DAYS, size: int = 1 << 18) -> Iterator[bytes]:
    """Yield the recorded bytes of all days in whole lines, one behind the other: gaps between them are jumped."""
    for day in days:
        with gzip.open(day) as file:
            while lines := file.readlines(size):
                yield b"".join(lines)


def said(days: Sequence[Path] = DAYS) -> Iterator[Said]:
    """Yield each line as it was recorded, read apart from all that is ours."""
    for day in days:
        with gzip.open(day, "rt", encoding="utf-8", newline="\n") as file:
            for line in file:
                stamp, key, *fields = line.rstrip("\n").split("|")
                yield Said(stamp, key, tuple(fields))
