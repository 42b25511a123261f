"""`shopfloor login`: whoever owns the state folder gets in. It asks the database, not the API: no request can do it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import httpx2
import typer

from shopfloor.api import Api, url_of
from shopfloor.errors import RefusedError, UnreachableError
from shopfloor.home import Home, check_database
from shopfloor.output import err, out, print_json

PATIENCE_S: Final = 120.0
PAUSE_S: Final = 0.5
ANSWER_S: Final = 5.0

app = typer.Typer(add_completion=False)


@app.command()
def login(
    *,
    user: Annotated[str, typer.Option(help="Let this user in, not the admin.")] = "",
    wait_s: Annotated[float, typer.Option(help="How long to wait for the console, in seconds.")] = PATIENCE_S,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Wait until the console answers, then print a new link that lets the admin in once, to choose a password."""
    home = Home.of(os.environ)
    home.check_owner(home.secret("cli-token"))
    url = url_of(os.environ)
    wait_for_console(url, wait_s)
    check_same_plant(url)
    username, path = new_link(user)
    address = os.environ.get("SHOPFLOOR_PUBLIC_URL", "").rstrip("/") or url
    if json:
        print_json({"console": address, "username": username, "login": address + path})
        return
    out.print(address + path, markup=False, soft_wrap=True)
    err.print(
        f"it lets {username} in once, within 24 hours, to choose a password; older links have ended, and until then a "
        f"current password counts at {address}",
        markup=False,
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


def check_same_plant(url: str) -> None:
    """Raise RefusedError when the console is that of another state folder: a link of this one would be dead there."""
    file = Home.of(os.environ).secret("cli-token")
    if not file.is_file():
        return
    with Api.of(os.environ) as api:
        try:
            api.get("auth/me")
        except RefusedError as error:
            raise RefusedError(
                f"the console at {url} is not that of the state folder {Home.of(os.environ).path}",
                "set SHOPFLOOR_HOME to the folder, or SHOPFLOOR_PORT to the port, of the plant that you mean",
            ) from error


def new_link(username: str) -> tuple[str, str]:
    """Make a login link in the plant's database; return for whom it is, and its path.

    "" is the admin of last resort. Raise RefusedError for an unknown or disabled user, and where no plant is.
    """
    # what the cloud is made of is loaded only here: the other half of this command answers at once
    from sqlalchemy import make_url, select  # noqa: PLC0415
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415
    from sqlalchemy.orm import sessionmaker  # noqa: PLC0415

    from cloud import db  # noqa: PLC0415
    from cloud.auth import accounts, first_link  # noqa: PLC0415
    from cloud.auth.tables import User  # noqa: PLC0415
    from cloud.settings import Settings  # noqa: PLC0415

    settings = Settings()
    file = make_url(settings.sql_url).database or ""
    if settings.sql_url.startswith("sqlite") and not Path(file).is_file():
        raise RefusedError(f"there is no plant here: {file} does not exist", "set SHOPFLOOR_HOME to its state folder")
    check_database(settings.sql_url)
    now = datetime.now(UTC)
    engine = db.connect(settings.sql_url)
    try:
        with sessionmaker(engine).begin() as session:
            named = select(User).where(User.username == username)
            user = session.scalar(named) if username else accounts.last_resort(session, now)
            if user is None:
                known = ", ".join(session.scalars(select(User.username).order_by(User.username).limit(20)))
                raise RefusedError(f"there is no user {username!r}", f"the users are: {known}")
            if user.disabled:
                raise RefusedError(f"the user {username!r} is disabled", "an admin can enable them: shopfloor login")
            link = first_link.link_path(accounts.new_link(session, user, now))
            first_link.withdraw(settings, session)
            return user.username, link
    except OperationalError as error:
        raise UnreachableError(
            f"the database does not answer: {error.orig}", "is SHOPFLOOR_DATABASE_URL that of the cloud?"
        ) from error
    finally:
        engine.dispose()
