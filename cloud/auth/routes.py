"""Logging in and out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from cloud import patience
from cloud.auth import accounts, first_link, proof
from cloud.auth.accounts import Principal
from cloud.auth.journal import note
from cloud.auth.limiter import OF_ADDRESS, OF_PAIR, Slowing, network_of
from cloud.auth.rights import Action, Role, lowest
from cloud.auth.scope import PLANT, Scopes
from cloud.auth.tables import Login, User
from cloud.deps import Db, GetParts, Me, Now, Person, check_origin
from cloud.parts import Parts
from cloud.problems import Code, Problem, responses

router = APIRouter(prefix="/auth", tags=["login"])

_OPEN: Final[dict[str, Any]] = {"security": []}
"""In the document: nobody has to be logged in."""
DEVICE_LASTS: Final = timedelta(days=365)
FORGOTTEN: Final = (
    "an admin can make a login link for you, and `shopfloor login`, run where the plant runs, one for the admin"
)


def _is_text(secret: SecretStr) -> SecretStr:
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a surrogate pair") from None
    return secret


Secret = Annotated[SecretStr, AfterValidator(_is_text)]
Password = Annotated[Secret, Field(min_length=proof.MIN_PASSWORD, max_length=proof.MAX_PASSWORD)]


class Credentials(BaseModel):
    """A name and a password."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"username": "li.wei", "password": "correct horse"}]})

    username: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[Secret, Field(min_length=1, max_length=proof.MAX_PASSWORD)]


class LinkSecret(BaseModel):
    """What stands behind the `#` of a login link."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "3q2-7wAAAAB_example"}]})

    token: Annotated[Secret, Field(min_length=1, max_length=256)]


class PasswordChange(BaseModel):
    """A new password, and the present one; who came by a link needs none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"current": "correct horse", "new": "battery staple 42"}]}
    )

    current: Annotated[Secret, Field(max_length=proof.MAX_PASSWORD)] | None = None
    new: Password


class WhoAmI(BaseModel):
    """Who is logged in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "username": "li.wei",
                    "role": "operator",
                    "actions": ["acknowledge", "export", "read"],
                    "needs": {"inject": "trainer"},
                    "roles": ["viewer", "operator", "student", "maker"],
                    "scopes": ["plant"],
                    "must_set_password": False,
                }
            ]
        }
    )

    username: str
    role: Role
    actions: list[Action] = Field(description="what they may do")
    needs: dict[Action, Role] = Field(description="for each of the others the first role that may do it")
    roles: list[Role] = Field(description="what a token of theirs can be")
    scopes: Scopes
    must_set_password: bool


def _who(principal: Principal) -> WhoAmI:
    return WhoAmI(
        username=principal.username,
        role=principal.role,
        actions=sorted(principal.actions),
        needs={action: lowest(action) for action in Action if action not in principal.actions},
        roles=[role for role in Role if principal.role.includes(role)],
        scopes=sorted(principal.limits[-1]) if principal.limits else [PLANT],
        must_set_password=principal.must_set_password,
    )


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by which somebody may come in."""

    request: Request
    response: Response
    parts: Parts
    now: datetime

    @property
    def network(self) -> str:
        """Whose address it comes from."""
        return network_of(self.request.client.host if self.request.client else "")

    def device(self, username: str) -> str | None:
        """Return the number of the browser, None when this user has not logged in by it."""
        return self.parts.devices.number(self.request.cookies.get(self.parts.settings.device_cookie), username)

    def enter(self, db: Session, user: User, *, by_link: bool = False) -> WhoAmI:
        """Let a user in: the answer sets the session cookie."""
        cookie = accounts.start_login(db, user, self.now, by_link=by_link)
        self._set_cookie(self.parts.settings.cookie, cookie, accounts.LOGIN_LASTS)
        if not by_link:
            self._set_cookie(self.parts.settings.device_cookie, self.parts.devices.mark(user.username), DEVICE_LASTS)
        return _who(accounts.principal_of(user, must_set_password=by_link))

    @asynccontextmanager
    async def checking(
        self, *tries: tuple[Hashable, Slowing], whose: Hashable, is_known: bool = True
    ) -> AsyncIterator[None]:
        """Hold a place where a password is checked; raise Problem 429 when the attempt has to wait, 503 `busy`."""
        failures, places = self.parts.failures, self.parts.places.logins
        wait_s = ceil(failures.attempt(tries, self.now.timestamp()))
        if wait_s > 0:
            raise Problem(
                429,
                f"too many failed logins; the next is possible in {wait_s} s",
                f"wait; {FORGOTTEN}",
                code=Code.TOO_MANY_FAILURES,
                args={"wait_s": wait_s},
                headers={"Retry-After": str(wait_s)},
            )
        try:
            await places.take(whose, patience.of(self.request.scope), is_known=is_known)
        except BaseException:
            failures.take_back(tries)
            raise
        try:
            yield
        finally:
            places.give_back()

    def _set_cookie(self, name: str, value: str, lasts: timedelta) -> None:
        self.response.set_cookie(
            name,
            value,
            max_age=int(lasts.total_seconds()),
            httponly=True,
            samesite="strict",
            secure="https" in (self.request.url.scheme, urlsplit(self.parts.settings.public_url).scheme),
        )


async def get_visit(request: Request, response: Response, parts: GetParts, now: Now) -> Visit:
    """Return the visit that a request is; raise Problem 403 for a foreign web site."""
    check_origin(request)
    return Visit(request, response, parts, now)


GetVisit = Annotated[Visit, Depends(get_visit)]


@router.post("/login", responses=responses(401, 403, 429, 503), openapi_extra=_OPEN)
async def login(body: Credentials, visit: GetVisit) -> WhoAmI:
    """Log in with a password; the answer sets the session cookie."""
    device = visit.device(body.username)
    pair, address = ("login", device or visit.network, body.username), ("login", visit.network)
    # strangers behind the same address do not slow a browser that is known
    tries = [(pair, OF_PAIR), *([] if device else [(address, OF_ADDRESS)])]
    async with visit.checking(*tries, whose=device or visit.network, is_known=device is not None):
        who = await run_in_threadpool(_enter_by_password, body, visit)
    visit.parts.failures.succeeded(pair, shared=None if device else address)
    return who


def _enter_by_password(body: Credentials, visit: Visit) -> WhoAmI:
    sessions = visit.parts.sessions
    # no session is held while a password is checked: that takes long, and anybody may ask for it
    with sessions() as db:
        stored = accounts.stored_password(db, body.username)
    right = proof.is_password(body.password.get_secret_value(), stored)
    with sessions.begin() as db:
        user = accounts.by_stored_password(db, body.username, stored) if right and stored else None
        if user is None:
            visit.parts.failed_logins.count(visit.network)
            todo = f"try again; {FORGOTTEN}"
            raise Problem(401, "the user name or the password is wrong", todo, code=Code.WRONG_NAME_OR_PASSWORD)
        visit.parts.logins.note(db, user.username, visit.network, by="password")
        return visit.enter(db, user)


@router.post("/link", responses=responses(401, 403), openapi_extra=_OPEN)
def redeem_link(body: LinkSecret, visit: GetVisit, db: Db) -> WhoAmI:
    """Log in with a one-time link, to choose a password; the answer sets the session cookie."""
    # not slowed: nobody guesses 256 bits, and whoever tries would keep the others of their address out
    secret = body.token.get_secret_value()
    user = accounts.redeem(db, secret, visit.now)
    if user is None:
        visit.parts.failed_logins.count(visit.network)
        raise Problem(
            401, "the link was used already, has expired, or is not complete", FORGOTTEN, code=Code.LINK_ENDED
        )
    first_link.forget(visit.parts.settings, secret)
    visit.parts.logins.note(db, user.username, visit.network, by="link")
    return visit.enter(db, user, by_link=True)


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


@router.put("/password", status_code=204, responses=responses(401, 403, 429, 503))
async def set_password(body: PasswordChange, me: Person, visit: GetVisit) -> None:
    """Set one's own password; all logins and tokens of the user end, and the answer sets a new session cookie.

    Who came by a link needs no current password.
    """
    key = ("password", me.user_id)
    tries = [] if me.must_set_password else [(key, OF_PAIR)]
    async with visit.checking(*tries, whose=key):
        await run_in_threadpool(_set_password, body, me, visit)
    visit.parts.failures.succeeded(key)


def _set_password(body: PasswordChange, me: Principal, visit: Visit) -> None:
    sessions = visit.parts.sessions
    if not me.must_set_password:
        with sessions() as db:
            stored = accounts.stored_password(db, me.username)
        if not proof.is_password("" if body.current is None else body.current.get_secret_value(), stored):
            raise Problem(403, "the current password is wrong", f"try again; {FORGOTTEN}", code=Code.WRONG_PASSWORD)
    new = proof.hash_password(body.new.get_secret_value())
    with sessions.begin() as db:
        user = db.get_one(User, me.user_id)
        accounts.set_password(db, user, new)
        note(db, "a password was set", username=user.username)
        visit.enter(db, user)
