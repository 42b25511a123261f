"""Whether the cloud works."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import text

from cloud.deps import Db, GetParts
from cloud.problems import Problem, responses

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """That the cloud works."""

    status: str = Field(examples=["ok"])


@router.get("/health", responses=responses(503))
def health(parts: GetParts, db: Db) -> Health:
    """Answer `ok` while database and store work, else 503 and what to do; needs no login, and so names no address."""
    db.execute(text("SELECT 1"))
    if (trouble := parts.store.health()) is not None:
        raise Problem(503, *trouble, headers={"Retry-After": "5"}, code="unavailable")
    return Health(status="ok")
