"""What the edge node says of itself, every few seconds, as metrics of the node.

Counts are since the start, those of a machine since its entry is as it is. What is counted in the last seconds before a
kill is never told; losses are in the spool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from contract.birth import PLANT_FILE_TROUBLE
from contract.model import Asset, Datatype, Sample, Signal
from edge import ledger
from edge.entry import Place
from spool import Spool

PERIOD_S: Final = 5.0
_MOST_TEXT: Final = 600
_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(slots=True)
class Health:
    """How a machine is; times in ns since 1970 (0: never)."""

    connected: bool = False
    last_data_ns: int = 0  # the last data that was more than a repeat
    alive_ns: int = 0  # the last sign of life: data, or the driver's word that nothing changed
    samples: int = 0
    losses: int = 0
    failures: int = 0  # of the driver, that it did not foresee
    refused: int = 0  # samples of assets or signals that the plant file does not allow
    misfits: int = 0  # values that do not fit the datatype of their signal, kept as bad
    times_replaced: int = 0  # samples whose source gave no time that can be theirs
    rounded: int = 0  # integers of more digits than a double has, kept as uncertain
    too_large: int = 0  # values and events that no message can hold
    events: int = 0  # events taken, those of detectors too
    events_repeated: int = 0  # events that were told again, and left out
    blocks: int = 0  # blocks taken
    blocks_repeated: int = 0
    blocks_sent: int = 0
    blocks_refused: int = 0  # blocks to be sent that the spool had no room for
    detector_failures: int = 0
    todo: str = ""  # the part of `trouble` that says what to do
    code: str = ""  # what kind of trouble it is, for programs
    trouble: str = ""  # why the machine is not connected or not served, or why reading stands still


@dataclass(slots=True)
class PlantFile:
    """The hash of the plant file that runs, and why the one on disk, if that is another, does not (empty: it does)."""

    sha256: str = ""
    trouble: str = ""


_COUNTED: Final = {
    "events_total": ("events", "events taken since the start, those of detectors too"),
    "events_repeated_total": ("events_repeated", "events that were told again, and left out"),
    "blocks_total": ("blocks", "blocks taken since the start"),
    "blocks_repeated_total": ("blocks_repeated", "blocks that were told again, and left out"),
    "blocks_sent_total": ("blocks_sent", "blocks sent since the start"),
    "blocks_refused_total": ("blocks_refused", "blocks to be sent that the spool had no room for"),
    "detector_failures_total": ("detector_failures", "failures of detectors since the start"),
}


def node_asset(place: Place, machines: Iterable[str]) -> Asset:
    """Return the edge node of a line as an asset, with the metrics of its health and of its ledger."""
    signals = [
        *ledger.SIGNALS,
        Signal("Health/spool_records", description="messages in the spool"),
        Signal("Health/spool_bytes", unit="B", description="size of the messages in the spool"),
        Signal("Health/samples_total", description="samples taken since the start"),
        Signal("Health/tasks", description="tasks of the process"),
        Signal("Health/dropped_total", description="values or messages thrown away since the start, for any reason"),
        *(Signal(f"Health/{name}", description=text) for name, (_, text) in _COUNTED.items()),
        Signal("Health/plant_file", Datatype.STRING, description="the plant file that runs: its hash, 12 digits of it"),
        Signal(
            PLANT_FILE_TROUBLE,
            Datatype.STRING,
            description="why the plant file on disk is another one; empty: it is not",
        ),
    ]
    for machine in machines:
        signals += [
            Signal(f"Health/{machine}/connected", Datatype.BOOLEAN),
            Signal(
                f"Health/{machine}/last_data_age_s",
                unit="s",
                description="since there was anything new; -1: no data yet",
            ),
            Signal(f"Health/{machine}/times_replaced_total", description="times that cannot be the source's, replaced"),
            Signal(f"Health/{machine}/misfits_total", description="values that do not fit their datatype, kept as bad"),
            Signal(f"Health/{machine}/rounded_total", description="integers that a double cannot hold, now uncertain"),
            Signal(f"Health/{machine}/silent_s", unit="s", description="since data or the word that nothing changed"),
            Signal(f"Health/{machine}/failures_total", description="failures of the driver since the start"),
            Signal(f"Health/{machine}/trouble", Datatype.STRING, description="why it is not read; empty: it is"),
            Signal(f"Health/{machine}/trouble_code", Datatype.STRING, description="the same, for programs"),
            Signal(f"Health/{machine}/todo", Datatype.STRING, description="the part of it that says what to do"),
        ]
    return Asset(place.enterprise, place.site, place.area, place.line, place.line, "node", signals=tuple(signals))


def samples(
    spool: Spool,
    machines: Mapping[str, Health],
    plant_file: PlantFile,
    *,
    dropped: int,
    tasks: int,
    now_ns: int,
    asset: str,
) -> list[Sample]:
    """Return the health of a node now; `dropped` is what the drivers threw away, `tasks` how many the process has."""
    stats = spool.stats
    refused = sum(health.refused + health.too_large for health in machines.values())
    values: dict[str, float | bool | str] = {
        "Health/spool_records": float(stats.records),
        "Health/spool_bytes": float(stats.bytes),
        "Health/samples_total": float(sum(health.samples for health in machines.values())),
        "Health/tasks": float(tasks),
        "Health/dropped_total": float(dropped + refused + stats.dropped),
        "Health/plant_file": plant_file.sha256[:12],
        PLANT_FILE_TROUBLE: _shown(plant_file.trouble),
    }
    for name, (counter, _) in _COUNTED.items():
        values[f"Health/{name}"] = float(sum(getattr(health, counter) for health in machines.values()))
    for name, health in machines.items():
        age_s = (now_ns - health.last_data_ns) / 1e9 if health.last_data_ns else -1.0
        silent_s = (now_ns - health.alive_ns) / 1e9 if health.alive_ns else -1.0
        values[f"Health/{name}/connected"] = health.connected
        values[f"Health/{name}/last_data_age_s"] = round(age_s, 3)
        values[f"Health/{name}/times_replaced_total"] = float(health.times_replaced)
        values[f"Health/{name}/misfits_total"] = float(health.misfits)
        values[f"Health/{name}/rounded_total"] = float(health.rounded)
        values[f"Health/{name}/silent_s"] = round(silent_s, 3)
        values[f"Health/{name}/failures_total"] = float(health.failures)
        values[f"Health/{name}/trouble"] = _shown(health.trouble)
        values[f"Health/{name}/trouble_code"] = health.code
        values[f"Health/{name}/todo"] = _shown(health.todo)
    return [Sample(asset, signal, now_ns, value) for signal, value in values.items()]


def _shown(text: str) -> str:
    """Return a text as everybody may see it: not too long, and without what stands before the @ of an address."""
    return _PASSWORD.sub("", text)[:_MOST_TEXT]
