"""Events are kept once, for some days; of each condition it is known whether it holds."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

import orjson
from sqlalchemy import and_, delete, exists, func, select, tuple_
from sqlalchemy.orm import Session

from cloud.blocks.blocks import stand_no_longer
from cloud.db import Base
from cloud.events.tables import ConditionRow, EventRow
from contract.event import Event, State

SWEEP_S: Final = 10.0
MOST_FORGOTTEN: Final = 10_000  # at once
MOST_EVENTS: Final = 1_000_000  # of a plant; then the oldest go, whatever their time


_Row = TypeVar("_Row", EventRow, ConditionRow)


class CursorError(ValueError):
    """What was given as the place to go on is none of ours."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events somebody wants; empty or None: all. Times are ns since 1970, UTC; `end_ns` is not in it."""

    assets: Sequence[str] = ()
    states: Sequence[State] = ()
    condition: str = ""
    severity: int = 1
    start_ns: int | None = None
    end_ns: int | None = None
    active: bool = False


def keep(db: Session, node: str, event: Event) -> EventRow | None:
    """Keep an event and what it says of its condition; None when it was kept before.

    It is written with all others of the transaction: one by one a thousand would take a second.
    """
    if _known(db, EventRow, (event.asset, event.id)) is not None:
        return None
    row = EventRow(node=node, **event.model_dump(mode="json"))
    _add(db, row, (event.asset, event.id))
    if event.condition and event.state:
        _take(db, event)
    return row


def _known(db: Session, table: type[_Row], key: tuple[str, str]) -> _Row | None:
    """Return a row that is in the database, or was added in this transaction."""
    added: _Row | None = db.info.get((table, key))
    if added is not None:
        return added
    with db.no_autoflush:
        return db.get(table, key)


def _add(db: Session, row: Base, key: tuple[str, str]) -> None:
    db.add(row)
    db.info[type(row), key] = row


def _take(db: Session, event: Event) -> None:
    row = _known(db, ConditionRow, (event.asset, event.condition))
    if row is None:
        row = ConditionRow(
            asset=event.asset, name=event.condition, event_id="", time_ns=-1, is_active=True, changed_ns=-1
        )
        _add(db, row, (event.asset, event.condition))
    # events may come out of order, a backlog behind what is live; of one time the later one counts
    if event.time_ns >= row.time_ns:
        row.event_id, row.time_ns = event.id, event.time_ns
    if event.state != "acknowledged" and event.time_ns >= row.changed_ns:
        row.is_active, row.changed_ns = event.state == "active", event.time_ns


def find(db: Session, asked: Asked, after: str, limit: int) -> tuple[list[EventRow], str]:
    """Return events, the newest first, and where to go on ("": that was all); raise CursorError.

    `after` is what the last call returned, "" at first.
    """
    rows = select(EventRow).order_by(EventRow.time_ns.desc(), EventRow.asset.desc(), EventRow.id.desc())
    if asked.active:
        rows = rows.join(
            ConditionRow, and_(ConditionRow.asset == EventRow.asset, ConditionRow.event_id == EventRow.id)
        ).where(ConditionRow.is_active)
    if asked.assets:
        rows = rows.where(EventRow.asset.in_(asked.assets))
    if asked.states:
        rows = rows.where(EventRow.state.in_(asked.states))
    if asked.condition:
        rows = rows.where(EventRow.condition == asked.condition)
    if asked.severity > 1:
        rows = rows.where(EventRow.severity >= asked.severity)
    if asked.start_ns is not None:
        rows = rows.where(EventRow.time_ns >= asked.start_ns)
    if asked.end_ns is not None:
        rows = rows.where(EventRow.time_ns < asked.end_ns)
    if after:
        rows = rows.where(tuple_(EventRow.time_ns, EventRow.asset, EventRow.id) < tuple_(*_read_cursor(after)))
    found = list(db.scalars(rows.limit(limit + 1)))
    return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else ""


def forget(db: Session, before_ns: int | None, most: int = MOST_FORGOTTEN) -> int:
    """Forget the oldest events of before a time (None: of any), at most so many; return how many.

    Those that say that a condition holds stay.
    """
    holds = exists().where(
        ConditionRow.asset == EventRow.asset, ConditionRow.event_id == EventRow.id, ConditionRow.is_active
    )
    rows = select(EventRow.asset, EventRow.id).where(~holds).order_by(EventRow.time_ns).limit(most)
    old = db.execute(rows if before_ns is None else rows.where(EventRow.time_ns < before_ns)).all()
    for asset, id_ in old:
        db.execute(delete(EventRow).where(EventRow.asset == asset, EventRow.id == id_))
        db.execute(delete(ConditionRow).where(ConditionRow.asset == asset, ConditionRow.event_id == id_))
    return len(old)


class Retention:
    """Forgets what is older than `days` (0: never) and what is more than `most` events, a piece at a time."""

    def __init__(self, days: int, most: int = MOST_EVENTS) -> None:
        self._days = days
        self._most = most
        self._not_before_s = 0.0

    def apply(self, db: Session, now: datetime, now_s: float) -> None:
        """Forget a piece of what is too old, at most every SWEEP_S; `now_s` is monotonic."""
        if now_s < self._not_before_s:
            return
        self._not_before_s = now_s + SWEEP_S
        excess = (db.scalar(select(func.count()).select_from(EventRow)) or 0) - self._most
        if excess > 0:
            forget(db, None, min(excess, MOST_FORGOTTEN))
        if self._days:
            before = now - timedelta(days=self._days)
            forget(db, int(before.timestamp()) * 10**9)
            stand_no_longer(db, before)


def _cursor(row: EventRow) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([row.time_ns, row.asset, row.id])).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, str, str]:
    try:
        time_ns, asset, id_ = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise CursorError(f"{text[:80]!r} is no place that was given to go on") from error
    if not (isinstance(time_ns, int) and 0 <= time_ns < 2**63 and isinstance(asset, str) and isinstance(id_, str)):
        raise CursorError(f"{text[:80]!r} is no place that was given to go on")
    return time_ns, asset, id_
