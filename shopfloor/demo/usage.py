"""What a process uses of the machine (Linux; zeros elsewhere)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """CPU time since the start of the process in seconds, and resident memory in bytes."""

    cpu_s: float
    memory: int


def usage(pid: int) -> Usage:
    """Return what process `pid` uses; zeros when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        statm = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return Usage(0.0, 0)
    ticks = os.sysconf("SC_CLK_TCK")
    return Usage((int(stat[11]) + int(stat[12])) / ticks, int(statm[1]) * os.sysconf("SC_PAGE_SIZE"))


def proportional_memory(pid: int) -> int:
    """Return the memory of a process in bytes, shared pages divided among those who share them; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
