"""Users, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from cloud.auth import accounts, proof
from cloud.auth.first_link import link_path
from cloud.auth.journal import note
from cloud.auth.rights import Action, Role
from cloud.auth.routes import Password
from cloud.auth.scope import PLANT, Scopes
from cloud.auth.tables import User
from cloud.deps import Db, Me, Now, need
from cloud.problems import Code, Problem, responses

router = APIRouter(prefix="/users", tags=["users"], dependencies=[need(Action.ADMINISTER)])

Username = Annotated[str, Field(pattern=accounts.USERNAME, examples=["li.wei"])]


class UserView(BaseModel):
    """A user, without secrets."""

    username: str = Field(examples=["li.wei"])
    role: Role
    scopes: Scopes
    disabled: bool
    has_password: bool
    created: datetime


class UserWithLink(UserView):
    """A user, and a one-time login link to hand over to them."""

    login_link: str | None = Field(description="path of the link, to put behind the console's address; valid 24 h")


class NewUser(BaseModel):
    """A user to add. Without a password the answer has a login link."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"username": "li.wei", "role": "operator"}]}
    )

    username: Username
    role: Role
    scopes: Scopes = [PLANT]
    password: Password | None = None


class UserChange(BaseModel):
    """What to change of a user; what is absent stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "engineer"}]})

    role: Role | None = None
    scopes: Scopes | None = None
    disabled: bool | None = None
    new_link: bool = Field(False, description="end the user's password, logins and tokens, and make a login link")


def _view(user: User) -> dict[str, object]:
    return {
        "username": user.username,
        "role": user.role,
        "scopes": user.scopes,
        "disabled": user.disabled,
        "has_password": user.password_hash is not None,
        "created": user.created,
    }


def _find(db: Db, username: str) -> User:
    user = db.scalar(select(User).where(User.username == username))
    if user is None:
        raise Problem(
            404,
            f"there is no user {username!r}",
            "see GET /api/v1/users for the known ones",
            code=Code.UNKNOWN_USER,
            args={"username": username},
        )
    return user


Name = Annotated[str, Path(max_length=64, examples=["li.wei"])]


@router.get("", responses=responses(401, 403))
def list_users(db: Db) -> list[UserView]:
    """List all users."""
    return [UserView.model_validate(_view(user)) for user in db.scalars(select(User).order_by(User.username))]


@router.post("", status_code=201, responses=responses(401, 403, 409))
def add_user(body: NewUser, me: Me, db: Db, now: Now) -> UserWithLink:
    """Add a user."""
    stored = None if body.password is None else proof.hash_password(body.password.get_secret_value())
    user = accounts.add_user(db, body.username, body.role, now, body.scopes)
    note(db, "a user was added", username=user.username, role=user.role, scopes=user.scopes, by=me.username)
    if stored is None:
        return UserWithLink.model_validate({**_view(user), "login_link": link_path(accounts.new_link(db, user, now))})
    accounts.set_password(db, user, stored)
    return UserWithLink.model_validate({**_view(user), "login_link": None})


@router.patch("/{username}", responses=responses(401, 403, 404, 409))
def change_user(username: Name, body: UserChange, me: Me, db: Db, now: Now) -> UserWithLink:
    """Change a user's role or scopes, disable or enable them, or let them in anew with a login link."""
    accounts.lock_admins(db)
    user = _find(db, username)
    loses_admin = body.disabled is True or (body.role is not None and body.role is not Role.ADMIN)
    if loses_admin:
        accounts.check_an_admin_stays(db, user)
    if body.role is not None:
        accounts.set_role(db, user, body.role)
    if body.role is not None or body.scopes is not None:
        accounts.set_scopes(user, user.known_role, body.scopes or user.scopes)
    if body.disabled is not None:
        user.disabled = body.disabled
    if body.disabled:
        accounts.end_access(db, user)
    changed = body.model_dump(mode="json", exclude_unset=True)
    note(db, "a user was changed", username=user.username, **changed, by=me.username)
    link = link_path(accounts.let_in_anew(db, user, now)) if body.new_link else None
    return UserWithLink.model_validate({**_view(user), "login_link": link})


@router.delete("/{username}", status_code=204, responses=responses(401, 403, 404, 409))
def delete_user(username: Name, me: Me, db: Db) -> None:
    """Delete a user, and with them their logins and tokens."""
    accounts.lock_admins(db)
    user = _find(db, username)
    accounts.check_an_admin_stays(db, user)
    note(db, "a user was deleted", username=user.username, role=user.role, by=me.username)
    db.delete(user)
