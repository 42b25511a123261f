"""`shopfloor login`: where the console is, and how to get in."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Annotated, Final

import httpx2
import typer

from shopfloor.api import url_of
from shopfloor.errors import RefusedError, UnreachableError
from shopfloor.home import Home
from shopfloor.output import out, print_json

PATIENCE_S: Final = 120.0
PAUSE_S: Final = 0.5
ANSWER_S: Final = 5.0


def login(
    *,
    new: Annotated[str, typer.Option(help="Let this user in anew: the password ends, and a new link is made.")] = "",
    wait_s: Annotated[float, typer.Option(help="How long to wait for the console, in seconds.")] = PATIENCE_S,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Wait until the console answers, then print its address, and the login link while nobody has a password."""
    wait_for_console(url_of(os.environ), wait_s)
    address = os.environ.get("SHOPFLOOR_PUBLIC_URL", "").rstrip("/") or url_of(os.environ)
    link = address + new_link(new) if new else offered()
    if json:
        print_json({"console": address, "login": link})
    elif link is not None:
        out.print(link, markup=False)
    else:
        out.print(f"{address}: log in with your password; the first link was used", markup=False)
        out.print(
            "a password is lost? `shopfloor login --new USER` makes a new link (the first user: admin)", markup=False
        )


def wait_for_console(url: str, patience_s: float) -> None:
    """Wait until the API answers anything; raise UnreachableError after `patience_s`."""
    until = time.monotonic() + patience_s
    while True:
        try:
            httpx2.get(f"{url}/api/v1/health", timeout=ANSWER_S, trust_env=False)
        except httpx2.HTTPError as error:
            if time.monotonic() < until:
                time.sleep(PAUSE_S)
                continue
            raise UnreachableError(
                f"the console at {url} does not answer within {patience_s:.0f} s: {error}",
                "the log of the cloud says why: logs/cloud.log in the state folder, or docker compose logs cloud",
            ) from error
        return


def offered() -> str | None:
    """Return the link of the first login, None when it was used; raise RefusedError when the file cannot be read."""
    file = Home.of(os.environ).secret("login-link")
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RefusedError(
            f"cannot read {file}: {error.strerror}", "run this where the plant was started, as the same user"
        ) from error


def new_link(username: str) -> str:
    """End a user's password and logins; return the path of a new login link. Raise RefusedError for an unknown user."""
    # what the cloud is made of is loaded only here: the other half of this command answers at once
    from sqlalchemy import select  # noqa: PLC0415
    from sqlalchemy.orm import sessionmaker  # noqa: PLC0415

    from cloud import db  # noqa: PLC0415
    from cloud.auth import accounts, first_link  # noqa: PLC0415
    from cloud.auth.tables import User  # noqa: PLC0415
    from cloud.settings import Settings  # noqa: PLC0415

    settings = Settings()
    engine = db.connect(settings.sql_url)
    try:
        with sessionmaker(engine).begin() as session:
            user = session.scalar(select(User).where(User.username == username))
            if user is None:
                known = ", ".join(session.scalars(select(User.username).order_by(User.username).limit(20)))
                raise RefusedError(f"there is no user {username!r}", f"the users are: {known}")
            link = first_link.link_path(accounts.let_in_anew(session, user, datetime.now(UTC)))
            first_link.withdraw(settings, session)
            return link
    finally:
        engine.dispose()
