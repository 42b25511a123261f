"""An event as it is shown."""

from __future__ import annotations

from pydantic import BaseModel, Field

from cloud.events.tables import EventRow
from cloud.telemetry.times import format_time
from contract.event import State
from contract.model import Value


class EvidenceView(BaseModel):
    """Which data an event stands on: a signal over a time, or a block by its id."""

    signal: str = Field(examples=["spindle_speed"])
    block: str
    start: str
    end: str


class EventView(BaseModel):
    """Something that happened."""

    id: str = Field(description="unique for its asset", examples=["4f1a9c"])
    asset: str = Field(examples=["cnc-01"])
    name: str = Field(examples=["Coolant low"])
    time: str = Field(description="ISO 8601, UTC", examples=["2026-11-23T08:00:00.250000000Z"])
    state: State = Field(description="of the condition; empty for what just happens")
    condition: str = Field(description="what holds for a time, by the source's own name; empty for what just happens")
    severity: int = Field(description="1 to 1000 (OPC UA part 9)", examples=[500])
    texts: dict[str, str] = Field(description='by language; "" where the source does not say which')
    values: dict[str, Value]
    evidence: list[EvidenceView]
    source: str = Field(description="who tells it: the machine, or a detector", examples=["machine"])
    time_replaced: bool = Field(description="the time is not the source's")


def view(row: EventRow) -> EventView:
    """Return an event as it is shown."""
    evidence = [
        EvidenceView(
            signal=each["signal"],
            block=each["block"],
            start=format_time(each["start_ns"]),
            end=format_time(each["end_ns"]),
        )
        for each in row.evidence
    ]
    names = ("id", "asset", "name", "state", "condition", "severity", "texts", "values", "source", "time_replaced")
    said = {name: getattr(row, name) for name in names}
    return EventView(**said, time=format_time(row.time_ns), evidence=evidence)
