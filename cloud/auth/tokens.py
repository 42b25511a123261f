"""API tokens: every person makes and ends their own; an admin sees and ends all.

Only a person does: a token that leaks must not be able to make another one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, select

from cloud.auth import accounts, proof
from cloud.auth.journal import note
from cloud.auth.rights import Role
from cloud.auth.scope import PLANT, Scopes
from cloud.auth.tables import ApiToken
from cloud.deps import Db, Now, Person
from cloud.problems import Code, Problem, responses
from contract.text import Line

router = APIRouter(prefix="/tokens", tags=["tokens"])


class TokenView(BaseModel):
    """A token, without its secret."""

    id: int
    name: str = Field(examples=["grafana"])
    username: str = Field(examples=["li.wei"])
    role: Role
    scopes: Scopes
    created: datetime
    expires: datetime


class NewToken(BaseModel):
    """A token to make; its role is at most one's own, and where one's own scopes are not it may do nothing."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "grafana", "role": "viewer", "days": 90}]}
    )

    name: Annotated[Line, Field(min_length=1, max_length=64)]
    role: Role | None = Field(None, description="none: viewer, or one's own where that may less")
    scopes: Scopes = [PLANT]
    days: Annotated[int, Field(ge=1, le=3650, description="days until it expires")] = 90


class TokenWithSecret(TokenView):
    """A new token; only this answer has its secret."""

    token: str = Field(examples=["sf_example"])


def _view(row: ApiToken) -> dict[str, object]:
    fields = ("id", "name", "role", "scopes", "created", "expires")
    return {"username": row.user.username, **{field: getattr(row, field) for field in fields}}


@router.get("", responses=responses(401, 403))
def list_tokens(me: Person, db: Db) -> list[TokenView]:
    """List one's own tokens; an admin sees those of all users."""
    mine = select(ApiToken).order_by(ApiToken.id)
    if me.role is not Role.ADMIN:
        mine = mine.where(ApiToken.user_id == me.user_id)
    return [TokenView.model_validate(_view(row)) for row in db.scalars(mine)]


@router.post("", status_code=201, responses=responses(401, 403, 409))
def add_token(body: NewToken, me: Person, db: Db, now: Now) -> TokenWithSecret:
    """Make a token for a program that acts for oneself."""
    role = body.role or (Role.VIEWER if me.role.includes(Role.VIEWER) else me.role)
    if not me.role.includes(role):
        raise Problem(
            403,
            f"a token of {me.username} can be {me.role.value} at most",
            "ask for a lower role",
            code=Code.TOKEN_ROLE,
            args={"username": me.username, "role": me.role},
        )
    assert me.user_id is not None
    db.execute(delete(ApiToken).where(ApiToken.user_id == me.user_id, ApiToken.expires <= now))
    count = select(func.count()).select_from(ApiToken).where(ApiToken.user_id == me.user_id)
    if (db.scalar(count) or 0) >= accounts.MAX_TOKENS:
        raise Problem(
            409,
            f"{me.username} has {accounts.MAX_TOKENS} tokens, the limit",
            "delete those that are not used",
            code=Code.TOO_MANY_TOKENS,
            args={"username": me.username, "limit": accounts.MAX_TOKENS},
        )
    secret = proof.new_secret(accounts.TOKEN_PREFIX)
    row = ApiToken(
        hash=proof.digest(secret),
        name=body.name,
        role=role.value,
        scopes=sorted(set(body.scopes)),
        user_id=me.user_id,
        created=now,
        expires=now + timedelta(days=body.days),
    )
    db.add(row)
    db.flush()
    note(
        db,
        "a token was made",
        id=row.id,
        name=row.name,
        role=row.role,
        scopes=row.scopes,
        username=me.username,
        expires=row.expires,
    )
    return TokenWithSecret.model_validate({**_view(row), "token": secret})


@router.delete("/{token_id}", status_code=204, responses=responses(401, 403, 404))
def delete_token(token_id: Annotated[int, Path(ge=1, le=2**31 - 1)], me: Person, db: Db) -> None:
    """End a token: one's own; an admin any."""
    row = db.get(ApiToken, token_id)
    if row is None or (row.user_id != me.user_id and me.role is not Role.ADMIN):
        raise Problem(
            404,
            f"there is no token {token_id} of yours",
            "see GET /api/v1/tokens for the known ones",
            code=Code.UNKNOWN_TOKEN,
            args={"id": token_id},
        )
    note(db, "a token was ended", id=row.id, name=row.name, username=row.user.username, by=me.username)
    db.delete(row)
