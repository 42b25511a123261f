"""What each source produced, what is stored, what is lost and why."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from cloud.auth.rights import Action
from cloud.deps import Db, Reach, need
from cloud.ledger.tables import LedgerRow
from cloud.problems import responses
from cloud.registry.reach import nodes_of
from cloud.telemetry.times import format_time
from contract.loss import Entry, Reason, SourceLedger, SourceTotals

router = APIRouter(tags=["ledger"], dependencies=[need(Action.READ)])


class EntryView(BaseModel):
    """One loss, gap or clock jump; `first` and `last` are numbers of messages where the source has any."""

    source: str = Field(description="the machine; empty for the edge node itself", examples=["cnc-01"])
    reason: Reason
    outcome: Literal["lost", "filled", "noted"] = Field(
        description="filled: read again from the source's history; noted: nothing was lost by it"
    )
    count: int = Field(description="samples or messages; 0 when nobody can know")
    first: int | None
    last: int | None
    start: str = Field(description="ISO 8601, UTC", examples=["2026-11-23T08:00:00.250000000Z"])
    end: str
    detail: str


class SourceView(SourceTotals):
    """The ledger of one source; `entries` are the newest, `losses` sums up all of them."""

    told: str = Field(description="when its gateway wrote this (ISO 8601, UTC)")
    lost_unknown: bool = Field(description="more is lost than `lost` says, and nobody can know how much")
    entries: list[EntryView]


class LedgerView(BaseModel):
    """The ledger of all sources."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"unexplained": 0, "sources": []}]})

    unexplained: int = Field(description="messages that are lost without an entry; anything but 0 is a fault")
    sources: list[SourceView]


def _entry(entry: Entry) -> EntryView:
    said = entry.model_dump(exclude={"id", "start_ns", "end_ns"})
    return EntryView(**said, start=format_time(entry.start_ns), end=format_time(entry.end_ns))


def _source(row: LedgerRow, reach: frozenset[str] | None) -> SourceView:
    def is_shown(machine: str) -> bool:
        return reach is None or not machine or machine in reach

    told = SourceLedger.model_validate(row.content)
    kept = told.model_copy(
        update={
            "machines": [each for each in told.machines if is_shown(each.asset)],
            "losses": [each for each in told.losses if is_shown(each.source)],
            "entries": [each for each in told.entries if is_shown(each.source)],
        }
    )
    totals = kept.model_dump(exclude={"time", "entries"})
    return SourceView(
        **totals,
        told=format_time(kept.time * 1_000_000),
        lost_unknown=any(each.outcome == "lost" and not each.count for each in told.losses)
        or any(each.outcome == "lost" and not each.count for each in told.entries),
        entries=[_entry(each) for each in kept.entries],
    )


@router.get("/ledger", responses=responses(401, 403))
def ledger(
    db: Db,
    reach: Reach,
    source: Annotated[list[str], Query(max_length=200, description="edge nodes to tell of; none: all of them")] = [],  # noqa: B006  (FastAPI copies it)
) -> LedgerView:
    """Return what each source produced, what is stored, and what is lost, where and why.

    Who sees only a part of the plant gets the edge nodes that serve it, with what is told of its machines.
    """
    rows = select(LedgerRow).order_by(LedgerRow.source)
    if source:
        rows = rows.where(LedgerRow.source.in_(source))
    nodes = None if reach is None else nodes_of(db, reach)
    sources = [_source(row, reach) for row in db.scalars(rows) if nodes is None or row.source in nodes]
    return LedgerView(unexplained=sum(each.unexplained for each in sources), sources=sources)
