"""Passwords and random secrets: how they are made, hashed and compared."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from cloud.places import busy

MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 256

# OWASP password storage: argon2id with 19 MiB, 2 passes, 1 lane
_passwords: Final = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1),))
PASSWORD_HASH: Final = r"\$argon2id\$v=19\$m=\d{1,6},t=\d{1,2},p=\d\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"  # noqa: S105  (a form, no password)
"""The form of what is stored of a password; to check one takes at most 1 GB."""
# each check takes 19 MiB and a core for 20 ms, and anybody may ask for one: a core stays for all else
_checks: Final = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) - 1))
_WAIT_S: Final = 5.0


@contextmanager
def _a_core() -> Iterator[None]:
    if not _checks.acquire(timeout=_WAIT_S):
        raise busy("logins")
    try:
        yield
    finally:
        _checks.release()


def hash_password(password: str) -> str:
    """Return what may be stored of a password (argon2id)."""
    with _a_core():
        return _passwords.hash(password)


_NOBODY: Final = _passwords.hash(secrets.token_urlsafe())


def is_password(password: str, stored: str | None) -> bool:
    """Tell whether a password is the stored one; takes as long when nothing is stored, so that names do not leak.

    What is stored may be no hash at all, such as after a restore: then no password is right.
    """
    with _a_core():
        try:
            return _passwords.verify(password, stored or _NOBODY) and stored is not None
        except UnknownHashError:
            _passwords.verify(password, _NOBODY)
            return False


def new_secret(prefix: str = "") -> str:
    """Return a random secret of 256 bits for a cookie, link or token."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return what may be stored of a random secret: with 256 bits a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_same(given: str, known: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(given.encode(), known.encode())
