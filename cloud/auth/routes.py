"""Logging in and out."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from cloud.auth import accounts, first_link, proof
from cloud.auth.accounts import Principal
from cloud.auth.roles import Role
from cloud.auth.tables import Login, User
from cloud.deps import Db, GetParts, Me, Now, check_origin, need
from cloud.parts import Parts
from cloud.problems import Code, Problem, responses

router = APIRouter(prefix="/auth", tags=["login"])

Password = Annotated[SecretStr, Field(min_length=proof.MIN_PASSWORD, max_length=proof.MAX_PASSWORD)]


class Credentials(BaseModel):
    """A name and a password."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"username": "li.wei", "password": "correct horse"}]})

    username: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[SecretStr, Field(min_length=1, max_length=proof.MAX_PASSWORD)]


class LinkSecret(BaseModel):
    """What stands behind the `#` of a login link."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "3q2-7wAAAAB_example"}]})

    token: Annotated[SecretStr, Field(min_length=1, max_length=256)]


class PasswordChange(BaseModel):
    """A new password, and the present one if there is one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"current": "correct horse", "new": "battery staple 42"}]}
    )

    current: Annotated[SecretStr, Field(max_length=proof.MAX_PASSWORD)] | None = None
    new: Password


class WhoAmI(BaseModel):
    """Who is logged in."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"username": "li.wei", "role": "operator", "must_set_password": False}]}
    )

    username: str
    role: Role
    must_set_password: bool


def _who(principal: Principal) -> WhoAmI:
    return WhoAmI(username=principal.username, role=principal.role, must_set_password=principal.must_set_password)


def _enter(*, request: Request, response: Response, parts: Parts, db: Db, user: User, now: Now) -> WhoAmI:
    cookie = accounts.start_login(db, user, now)
    response.set_cookie(
        parts.settings.cookie,
        cookie,
        max_age=int(accounts.LOGIN_LASTS.total_seconds()),
        httponly=True,
        samesite="strict",
        secure="https" in (request.url.scheme, urlsplit(parts.settings.public_url).scheme),
    )
    return WhoAmI(username=user.username, role=user.known_role, must_set_password=user.password_hash is None)


def _limited(parts: Parts, keys: tuple[Any, ...], now: Now) -> None:
    wait_s = max(parts.failures.wait_s(key, now.timestamp()) for key in keys)
    if wait_s > 0:
        raise Problem(
            429,
            f"too many failed logins; the next is possible in {wait_s:.0f} s",
            "wait, or ask an admin for a login link",
            code=Code.TOO_MANY_FAILURES,
            args={"wait_s": round(wait_s)},
            headers={"Retry-After": str(int(wait_s) + 1)},
        )


@router.post("/login", dependencies=[Depends(check_origin)], responses=responses(401, 403, 429, 503))
def login(*, body: Credentials, request: Request, response: Response, parts: GetParts, db: Db, now: Now) -> WhoAmI:
    """Log in with a password; the answer sets the session cookie."""
    address = request.client.host if request.client else ""
    keys = (("login", address, body.username),)
    _limited(parts, keys, now)
    user = accounts.log_in(db, body.username, body.password.get_secret_value())
    if user is None:
        for key in keys:
            parts.failures.failed(key, now.timestamp())
        raise Problem(
            401,
            "the user name or the password is wrong",
            "try again, or ask an admin for a login link",
            code=Code.WRONG_NAME_OR_PASSWORD,
        )
    for key in keys:
        parts.failures.succeeded(key)
    return _enter(request=request, response=response, parts=parts, db=db, user=user, now=now)


@router.post("/link", dependencies=[Depends(check_origin)], responses=responses(401, 403, 429))
def redeem_link(*, body: LinkSecret, request: Request, response: Response, parts: GetParts, db: Db, now: Now) -> WhoAmI:
    """Log in with a one-time link; the answer sets the session cookie."""
    keys = (("link", request.client.host if request.client else ""),)
    _limited(parts, keys, now)
    secret = body.token.get_secret_value()
    user = accounts.redeem(db, secret, now)
    if user is None:
        for key in keys:
            parts.failures.failed(key, now.timestamp())
        raise Problem(
            401,
            "the link was used already, has expired, or is not complete",
            "ask an admin for a new login link",
            code=Code.LINK_ENDED,
        )
    first_link.forget(parts.settings, secret)
    return _enter(request=request, response=response, parts=parts, db=db, user=user, now=now)


@router.post("/logout", status_code=204, responses=responses(401, 403))
def logout(response: Response, parts: GetParts, me: Me, db: Db) -> None:
    """End the login of this browser."""
    login = db.get(Login, me.proof_hash) if me.via == "cookie" else None
    if login is not None:
        db.delete(login)
    response.delete_cookie(parts.settings.cookie, httponly=True, samesite="strict")


@router.get("/me", responses=responses(401))
def me(me: Me) -> WhoAmI:
    """Tell who is logged in."""
    return _who(me)


@router.put("/password", status_code=204, responses=responses(401, 403, 429))
def set_password(
    body: PasswordChange,
    me: Annotated[Principal, need(Role.VIEWER, by="person")],
    parts: GetParts,
    db: Db,
    now: Now,
) -> None:
    """Set one's own password; all other logins of the user end."""
    user = db.get_one(User, me.user_id)
    key = ("password", user.id)
    _limited(parts, (key,), now)
    current = "" if body.current is None else body.current.get_secret_value()
    if user.password_hash is not None and not proof.is_password(current, user.password_hash):
        parts.failures.failed(key, now.timestamp())
        raise Problem(
            403,
            "the present password is wrong",
            "try again, or ask an admin for a login link",
            code=Code.WRONG_PASSWORD,
        )
    accounts.set_password(db, user, body.new.get_secret_value(), keep=me.proof_hash)
