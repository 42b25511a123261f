"""Who somebody is, and the changes to that: pure of HTTP, on one database session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from cloud.auth import proof
from cloud.auth.rights import WITH_SCOPE, Action, Role, actions_of
from cloud.auth.scope import PLANT, Limits, limits_of
from cloud.auth.tables import ApiToken, Login, LoginLink, User
from cloud.problems import Code, Problem

USERNAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
LOGIN_LASTS: Final = timedelta(days=7)
LINK_LASTS: Final = timedelta(hours=24)
LINK_PREFIX: Final = "link."
"""What the cookie of a login by link begins with: it only lets its owner choose a password."""
TOKEN_PREFIX: Final = "sf_"  # noqa: S105  (lets a secret scanner find a token that was committed by mistake)
MAX_TOKENS: Final = 100
MAX_USERS: Final = 1000
MAX_LOGINS: Final = 20


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may do within which limits.

    `user_id` is None for the local command line, `proof_hash` names the login or token.
    """

    username: str
    role: Role
    via: Literal["cookie", "token", "cli"]
    actions: frozenset[Action]
    limits: Limits = ()
    user_id: int | None = None
    proof_hash: str = ""
    must_set_password: bool = False


def principal_of(user: User, proof_hash: str = "", *, must_set_password: bool = False) -> Principal:
    """Return who a user is who has logged in."""
    limits = limits_of(user.scopes)
    actions = actions_of(user.known_role, whole_plant=not limits)
    return Principal(user.username, user.known_role, "cookie", actions, limits, user.id, proof_hash, must_set_password)


def by_cookie(db: Session, cookie: str, now: datetime) -> Principal | None:
    """Return who a session cookie belongs to, None when it is unknown, expired, or the user is disabled."""
    login = db.get(Login, proof.digest(cookie))
    if login is None or login.expires <= now or login.user.disabled:
        return None
    return principal_of(login.user, login.hash, must_set_password=cookie.startswith(LINK_PREFIX))


def by_token(db: Session, token: str, now: datetime) -> Principal | None:
    """Return who a bearer token acts for, None when it is unknown, expired, or the user is disabled.

    It may do what both the user and its own role may, where both the user's scopes and its own are.
    """
    row = db.scalar(select(ApiToken).where(ApiToken.hash == proof.digest(token)))
    if row is None or row.expires <= now or row.user.disabled:
        return None
    user, granted = principal_of(row.user), Role(row.role)
    limits = limits_of(row.user.scopes, row.scopes)
    return Principal(
        user.username,
        granted if user.role.includes(granted) else user.role,
        "token",
        user.actions & actions_of(granted, whole_plant=not limits),
        limits,
        user.user_id,
        row.hash,
    )


def stored_password(db: Session, username: str) -> str | None:
    """Return what is stored of a user's password, None when nobody can log in by it."""
    return db.scalar(select(User.password_hash).where(User.username == username, ~User.disabled))


def by_stored_password(db: Session, username: str, stored: str) -> User | None:
    """Return the user whose stored password that still is."""
    return db.scalar(select(User).where(User.username == username, User.password_hash == stored, ~User.disabled))


def redeem(db: Session, secret: str, now: datetime) -> User | None:
    """Use up a login link; return its user, None when it is unknown, used, expired, or the user is disabled."""
    link = db.get(LoginLink, proof.digest(secret))
    if link is None:
        return None
    user = link.user
    # one statement decides who gets it when two ask at once
    taken = db.execute(delete(LoginLink).where(LoginLink.hash == link.hash).returning(LoginLink.hash)).one_or_none()
    return None if taken is None or link.expires <= now or user.disabled else user


def start_login(db: Session, user: User, now: datetime, *, by_link: bool = False) -> str:
    """Return a new cookie for a user. The oldest logins end when there are too many."""
    db.execute(delete(Login).where(Login.expires <= now))
    rows = db.scalars(select(Login).where(Login.user_id == user.id).order_by(Login.expires.desc()))
    for old in list(rows)[MAX_LOGINS - 1 :]:
        db.delete(old)
    cookie = proof.new_secret(LINK_PREFIX if by_link else "")
    db.add(Login(hash=proof.digest(cookie), user_id=user.id, expires=now + LOGIN_LASTS))
    return cookie


def new_link(db: Session, user: User, now: datetime) -> str:
    """Return the secret of a new login link for a user; older links of theirs end."""
    db.execute(delete(LoginLink).where(LoginLink.user_id == user.id))
    secret = proof.new_secret()
    db.add(LoginLink(hash=proof.digest(secret), user_id=user.id, expires=now + LINK_LASTS))
    return secret


def is_open(db: Session, secret: str) -> bool:
    """Tell whether a login link lets somebody in; its time may be over."""
    return db.get(LoginLink, proof.digest(secret)) is not None


def set_password(db: Session, user: User, password_hash: str) -> None:
    """Set a password, as `proof.hash_password` returns it. All logins, open links and tokens end."""
    user.password_hash = password_hash
    end_access(db, user)


def let_in_anew(db: Session, user: User, now: datetime) -> str:
    """Return the secret of a new login link for a user whose password, logins and tokens end."""
    end_access(db, user)
    user.password_hash = None
    return new_link(db, user, now)


def end_access(db: Session, user: User) -> None:
    """End all logins, open links and tokens of a user."""
    for table in (Login, LoginLink, ApiToken):
        db.execute(delete(table).where(table.user_id == user.id))


def set_role(db: Session, user: User, role: Role) -> None:
    """Give a user a role; tokens with a higher one end, and do not revive when the user rises again."""
    user.role = role.value
    higher = [each.value for each in Role if not role.includes(each)]
    db.execute(delete(ApiToken).where(ApiToken.user_id == user.id, ApiToken.role.in_(higher)))


def set_scopes(user: User, role: Role, scopes: Sequence[str]) -> None:
    """Give a user scopes that fit a role; raise Problem 422.

    Who administers users could give themselves any, and a maker sees the machines that it made.
    """
    if role is Role.ADMIN and PLANT not in scopes:
        what, todo = "an admin has the scope of the plant", "leave the scopes out, or choose another role"
    elif role in WITH_SCOPE and PLANT in scopes:
        what, todo = f"a {role.value} has the scope of some machines", "name them in `scopes`: asset:<id>, …"
    else:
        user.scopes = sorted(set(scopes))
        return
    raise Problem(422, what, todo, code=Code.WRONG_SCOPE, args={"role": role})


def add_user(db: Session, username: str, role: Role, now: datetime, scopes: Sequence[str] = (PLANT,)) -> User:
    """Add a user without a password; raise Problem 409 when the name is taken, 422 when the scopes do not fit."""
    if db.scalar(select(User.id).where(User.username == username)) is not None:
        raise Problem(
            409,
            f"there is a user {username!r} already",
            "choose another name, or change that user",
            code=Code.USER_EXISTS,
            args={"username": username},
        )
    if (db.scalar(select(func.count()).select_from(User)) or 0) >= MAX_USERS:
        raise Problem(
            409,
            f"there are {MAX_USERS} users, and that is the limit",
            "delete users that nobody needs",
            code=Code.TOO_MANY_USERS,
            args={"limit": MAX_USERS},
        )
    user = User(username=username, role=role.value, created=now)
    set_scopes(user, role, scopes)
    db.add(user)
    db.flush()
    return user


def lock_admins(db: Session) -> None:
    """Let no other session change an admin until this one ends; call it before they are read."""
    # SQLite knows no SELECT … FOR UPDATE: only what writes waits for who wrote before
    db.execute(update(User).where(User.role == Role.ADMIN.value).values(role=User.role))


def check_an_admin_stays(db: Session, user: User) -> None:
    """Raise Problem 409 when no other user could administer the users; see `lock_admins`."""
    admins = db.scalars(select(User.id).where(User.role == Role.ADMIN.value, ~User.disabled)).all()
    if user.role == Role.ADMIN.value and not user.disabled and set(admins) <= {user.id}:
        raise Problem(
            409,
            f"{user.username!r} is the last admin",
            "make another user an admin first",
            code=Code.LAST_ADMIN,
            args={"username": user.username},
        )


def last_resort(db: Session, now: datetime) -> User:
    """Return an admin who can be let in, for the owner of the state folder.

    The first admin; one who is disabled is enabled again, and where there is none the user `admin` becomes one. Their
    old password, logins and tokens then end: who is let in is who opens the link.
    """
    admins = select(User).where(User.role == Role.ADMIN.value).order_by(User.disabled, User.id).limit(1)
    user = db.scalar(admins) or db.scalar(select(User).where(User.username == "admin"))
    if user is None:
        return add_user(db, "admin", Role.ADMIN, now)
    if user.disabled or user.role != Role.ADMIN.value:
        user.disabled, user.role, user.scopes, user.password_hash = False, Role.ADMIN.value, [PLANT], None
        end_access(db, user)
    return user


def first_link(db: Session, now: datetime) -> str | None:
    """Return the secret of a login link for the first admin, None when somebody could log in with a password."""
    user = db.scalar(select(User).where(User.role == Role.ADMIN.value).order_by(User.id).limit(1))
    if user is None:
        user = add_user(db, "admin", Role.ADMIN, now)
    if db.scalar(select(User.id).where(User.password_hash.is_not(None), User.role == Role.ADMIN.value).limit(1)):
        return None
    return new_link(db, user, now)
