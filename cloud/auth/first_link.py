"""The login link of the first admin: there is no default password, so this is how the first person gets in."""

from __future__ import annotations

import os
import sys
from datetime import datetime

from sqlalchemy.orm import Session

from cloud.auth import accounts
from cloud.db import Sessions
from cloud.settings import Settings, make_private


def link_path(secret: str) -> str:
    """Return the path of a login link: the secret stands behind `#`, which browsers do not send or log."""
    return f"/login#{secret}"


def offer(settings: Settings, sessions: Sessions, address: str, now: datetime) -> None:
    """While no admin has a password, print a new link and keep it in the file `settings.login_link`; raise OSError."""
    file = settings.login_link
    with sessions.begin() as db:
        secret = accounts.first_link(db, now)
    if secret is None:
        file.unlink(missing_ok=True)
        return
    link = f"{address}{link_path(secret)}"
    make_private(file.parent)
    draft = file.with_name(file.name + ".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.write(link + "\n")
    draft.replace(file)
    sys.stdout.write(f"login: {link}\n")
    sys.stdout.flush()


def forget(settings: Settings, secret: str) -> None:
    """Delete the file when its link was used."""
    file = settings.login_link
    if file.is_file() and file.read_text("utf-8").strip().endswith(link_path(secret)):
        file.unlink(missing_ok=True)


def withdraw(settings: Settings, db: Session) -> None:
    """Delete the file when its link lets nobody in any more."""
    file = settings.login_link
    if file.is_file() and not accounts.is_open(db, file.read_text("utf-8").strip().partition("#")[2]):
        file.unlink(missing_ok=True)
