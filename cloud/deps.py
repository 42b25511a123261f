"""What routes ask for: settings, database, store, time, and who is asking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from cloud.auth import accounts, proof
from cloud.auth.accounts import Principal
from cloud.auth.rights import Action, Role, actions_of, lowest
from cloud.chain.message import Hear
from cloud.parts import Parts
from cloud.problems import Code, Problem
from cloud.registry.reach import assets_within
from cloud.settings import Settings
from cloud.telemetry.store import Store


async def get_parts(request: Request) -> Parts:
    """Return the parts of the application."""
    parts: Parts = request.app.state.parts
    return parts


GetParts = Annotated[Parts, Depends(get_parts)]


async def get_hears(request: Request) -> Mapping[str, Hear]:
    """Return who hears each kind of message of a gateway."""
    known: Mapping[str, Hear] = request.app.state.hears
    return known


GetHears = Annotated[Mapping[str, Hear], Depends(get_hears)]


async def get_now() -> datetime:
    """Return the time at which the request came."""
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(get_now)]


def get_db(parts: GetParts) -> Iterator[Session]:
    """Give a database session that is committed when the route ends well, before its answer is sent."""
    with parts.sessions.begin() as session:
        yield session


# scope "function": the commit comes before the answer, so that an answer never tells of what was not kept
Db = Annotated[Session, Depends(get_db, scope="function")]


async def get_store(parts: GetParts) -> Store:
    """Return the store of the samples."""
    return parts.store


GetStore = Annotated[Store, Depends(get_store)]

_WWW = {"WWW-Authenticate": 'Bearer realm="shopfloor"'}
_COMMAND_LINE = Principal("command-line", Role.ENGINEER, "cli", actions_of(Role.ENGINEER, whole_plant=True))
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def check_origin(request: Request) -> None:
    """Refuse what another web site sends through a visitor's browser; a program without Origin is no browser."""
    if request.method not in UNSAFE:
        return
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    foreign = origin is not None and origin.partition("://")[2] != request.headers.get("host")
    if foreign or site not in ("same-origin", "none"):
        raise Problem(
            403,
            f"the request comes from another web site ({origin or site})",
            "use the console's own pages",
            code=Code.FOREIGN_SITE,
            args={"site": origin or site},
        )


def proofs_of(request: Request, settings: Settings) -> tuple[str | None, str | None]:
    """Return the cookie and the bearer token with which a request shows who asks."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.cookies.get(settings.cookie), token.strip() or None if scheme.lower() == "bearer" else None


def find_principal(parts: Parts, cookie: str | None, bearer: str | None, now: datetime) -> Principal | None:
    """Return who asks: a bearer token counts before a cookie. It holds a session only while it looks."""
    secret = cookie if bearer is None else bearer
    if secret is None:
        return None

    def look() -> Principal | None:
        with parts.sessions() as db:
            return accounts.by_cookie(db, secret, now) if bearer is None else accounts.by_token(db, secret, now)

    return known_principal(parts, cookie, bearer) or parts.proofs.read(proof_key(cookie, bearer), look)


def known_principal(parts: Parts, cookie: str | None, bearer: str | None) -> Principal | None:
    """Return who asks if that needs no look into the database."""
    if bearer is not None and parts.cli_token is not None and proof.is_same(bearer, parts.cli_token):
        return _COMMAND_LINE
    return parts.proofs.known(proof_key(cookie, bearer))


def proof_key(cookie: str | None, bearer: str | None) -> tuple[str, str]:
    """Return under what it is remembered who asks."""
    return ("cookie", proof.digest(cookie or "")) if bearer is None else ("token", proof.digest(bearer))


# all of it from the request: each parameter that is a dependency of its own costs every request
async def get_principal(request: Request, now: Now) -> Principal:
    """Return who asks; raise Problem 401 for nobody, 403 for a foreign web site or before a password was chosen."""
    parts = await get_parts(request)
    cookie, bearer = proofs_of(request, parts.settings)
    principal = known_principal(parts, cookie, bearer)
    if principal is None:
        principal = await run_in_threadpool(find_principal, parts, cookie, bearer, now)
    if principal is None:
        known = cookie is not None or bearer is not None
        detail = "the login or token is unknown, expired or ended" if known else "nobody is logged in"
        code = Code.LOGIN_ENDED if known else Code.NOT_LOGGED_IN
        raise Problem(
            401, detail, "log in, or send a valid token as 'Authorization: Bearer …'", code=code, headers=_WWW
        )
    if principal.via == "cookie":
        check_origin(request)
    if principal.must_set_password and not request.url.path.startswith("/api/v1/auth/"):
        raise Problem(
            403,
            f"{principal.username} came by a link and has not chosen a password yet",
            "choose one: PUT /api/v1/auth/password, or open the console",
            code=Code.MUST_SET_PASSWORD,
            args={"username": principal.username},
        )
    return principal


Me = Annotated[Principal, Depends(get_principal)]


def reach_of(parts: Parts, principal: Principal) -> frozenset[str] | None:
    """Return the assets that somebody may see and act on; None: all."""
    if not principal.limits:
        return None

    def look() -> frozenset[str]:
        with parts.sessions() as db:
            return assets_within(db, principal.limits)

    return parts.reaches.read(principal.limits, look)


async def get_reach(request: Request, principal: Me) -> frozenset[str] | None:
    """Return the assets that who asks may see and act on; None: all."""
    return await run_in_threadpool(reach_of, request.app.state.parts, principal) if principal.limits else None


Reach = Annotated[frozenset[str] | None, Depends(get_reach)]


def within(reach: frozenset[str] | None, assets: Sequence[str]) -> Sequence[str] | None:
    """Return which of the assets that were asked for somebody gets, where none means all that there are; None: all."""
    if reach is None:
        return assets or None
    return [asset for asset in assets if asset in reach] if assets else sorted(reach)


def check_within(reach: frozenset[str] | None, *assets: str) -> None:
    """Raise Problem 404 for an asset that is out of reach: what is not there and what nobody may see is the same."""
    if reach is None:
        return
    for asset in assets:
        if asset not in reach:
            raise unknown_asset(asset)


def unknown_asset(asset: str) -> Problem:
    """Return the problem that there is no such asset."""
    return Problem(
        404,
        f"there is no asset {asset!r}",
        "see GET /api/v1/assets for the known ones",
        code=Code.UNKNOWN_ASSET,
        args={"asset": asset},
    )


def scope_needed(principal: Principal) -> Problem:
    """Return the problem that somebody may do this only elsewhere in the plant."""
    return Problem(
        403,
        f"{principal.username} may do this only with another scope",
        "ask an admin, or use a token that has it",
        code=Code.SCOPE_NEEDED,
        args={"username": principal.username},
    )


def demand(principal: Principal, action: Action) -> None:
    """Raise Problem 403 for who may not do this."""
    if action in principal.actions:
        return
    if any(action in actions_of(principal.role, whole_plant=whole) for whole in (True, False)):
        raise scope_needed(principal)
    role = lowest(action)
    raise Problem(
        403,
        f"this needs the role {role.value}, and {principal.username} is {principal.role.value}",
        "ask an admin",
        code=Code.ROLE_NEEDED,
        args={"role": role, "username": principal.username, "has": principal.role},
    )


def need(action: Action) -> Any:
    """Return a dependency that lets only those pass who may do this; it gives who asks.

    The assets that an address names as `asset`, in its path or query, must be within their limits: Problem 404. An
    address that tells of assets without naming them asks for `Reach`.
    """

    async def check(request: Request, principal: Me) -> Principal:
        demand(principal, action)
        if principal.limits:
            named = [*request.query_params.getlist("asset"), *filter(None, [request.path_params.get("asset")])]
            check_within(await get_reach(request, principal), *named)
        return principal

    return Depends(check)


async def get_person(principal: Me) -> Principal:
    """Return who is logged in; raise Problem 403 for a token."""
    if principal.via != "cookie":
        raise Problem(
            403, "this needs a person who is logged in, not a token", "use the console", code=Code.PERSON_NEEDED
        )
    return principal


Person = Annotated[Principal, Depends(get_person)]
