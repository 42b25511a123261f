"""Whether the cloud works."""

from __future__ import annotations

import sqlite3
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from cloud.db import BUSY_MS
from cloud.deps import Db, GetParts
from cloud.problems import Code, Problem, responses

router = APIRouter(tags=["health"])

_PATIENCE_MS: Final = 1000  # longer than any write of ours, shorter than the patience of who asks


class Health(BaseModel):
    """That the cloud works."""

    status: str = Field(examples=["ok"])


@router.get("/health", responses=responses(503))
def health(parts: GetParts, db: Db) -> Health:
    """Answer `ok` while database and store work, else 503 and what to do; needs no login, and so names no address."""
    db.execute(text("SELECT 1"))
    if db.get_bind().dialect.name == "sqlite":
        _take_lock(db)
    if (trouble := parts.store.health()) is not None:
        raise Problem(503, *trouble, headers={"Retry-After": "5"}, code=Code.UNAVAILABLE)
    return Health(status="ok")


def _take_lock(db: Session) -> None:
    """Take the lock that each login needs: to read a constant SQLite does not even open its file."""
    db.execute(text(f"PRAGMA busy_timeout={_PATIENCE_MS}"))
    try:
        db.execute(text("BEGIN IMMEDIATE"))
    except OperationalError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        raise Problem(
            503,
            "the database is locked by another process",
            "end what else has the file of SHOPFLOOR_DATABASE_URL open: a copy under way, or a tool for SQLite",
            headers={"Retry-After": "5"},
            code=Code.DATABASE_LOCKED,
        ) from error
    finally:
        db.execute(text(f"PRAGMA busy_timeout={BUSY_MS}"))
