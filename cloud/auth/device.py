"""Browsers in which somebody has logged in: each keeps a mark, so that strangers behind its address cannot slow it.

Known as device cookies: https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies. A mark
lets nobody in. The key that marks are made with lives as long as the process: after a restart a browser is a stranger
until it has logged in again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


class Devices:
    """Makes marks and knows its own."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def mark(self, username: str) -> str:
        """Return a new mark for a browser in which this user has logged in."""
        number = secrets.token_hex(16)
        return f"{number}.{self._sign(number, username)}"

    def number(self, mark: str | None, username: str) -> str | None:
        """Return the number of the browser, None when the mark is not one of this user's."""
        number, _, signature = (mark or "").partition(".")
        known = hmac.compare_digest(signature.encode(), self._sign(number, username).encode())
        return number if known else None

    def _sign(self, number: str, username: str) -> str:
        return hmac.new(self._key, f"{number} {username}".encode(errors="replace"), hashlib.sha256).hexdigest()
