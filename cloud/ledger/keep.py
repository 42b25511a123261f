"""The ledger keeps what the gateways tell of each source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cloud.ledger.tables import LedgerRow
from contract.loss import SourceLedger

MAX_SOURCES: Final = 10_000


class LedgerError(ValueError):
    """A message that tells no ledger, or one too many; says why."""


def read_ledger(payload: bytes) -> SourceLedger:
    """Return what a ledger message says; raise LedgerError."""
    try:
        return SourceLedger.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise LedgerError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def keep(db: Session, told: SourceLedger) -> None:
    """Keep what was told of a source, unless something newer was; raise LedgerError when there are too many."""
    at = datetime.fromtimestamp(min(told.time / 1000, 253_402_300_799), UTC)
    row = db.get(LedgerRow, told.source)
    if row is None:
        if (db.scalar(select(func.count()).select_from(LedgerRow)) or 0) >= MAX_SOURCES:
            raise LedgerError(f"there are {MAX_SOURCES} sources, and that is the limit")
        db.add(LedgerRow(source=told.source, told=at, content=told.model_dump(mode="json")))
    elif at >= row.told:
        row.told, row.content = at, told.model_dump(mode="json")
