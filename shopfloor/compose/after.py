"""`python -m shopfloor.compose.after WHAT… -- COMMAND…`: wait until all of WHAT is there, then become COMMAND.

WHAT is tcp://host:port (something listens), http://… (answers 2xx) or file:/path (exists). Compose's own `depends_on`
cannot wait for services that a variant does not have.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

PATIENCE_S: Final = 600.0
QUIET_S: Final = 10.0
"""After this long it says what it waits for."""
PAUSE_S: Final = 0.5
ANSWER_S: Final = 3.0


def is_there(what: str) -> bool:
    """Tell whether a thing is there now; raise ValueError for what cannot be waited for."""
    parts = urlsplit(what)
    if parts.scheme == "file":
        return Path(parts.path).exists()
    if parts.scheme not in ("tcp", "http") or not parts.hostname:
        raise ValueError(f"{what!r}: write tcp://host:port, http://host:port/path or file:/path")
    try:
        if parts.scheme == "http":
            with urlopen(what, timeout=ANSWER_S):  # noqa: S310 the scheme is checked
                return True
        with socket.create_connection((parts.hostname, parts.port or 0), ANSWER_S):
            return True
    except (URLError, OSError):
        return False


def wait(
    wanted: Sequence[str],
    patience_s: float = PATIENCE_S,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    say: Callable[[str], object] = sys.stderr.write,
) -> str | None:
    """Wait until everything is there; return None then, and after `patience_s` what is still missing.

    What is not there after `QUIET_S` is said, once.
    """
    began = clock()
    for what in wanted:
        said = False
        while not is_there(what):
            if clock() > began + patience_s:
                return what
            if not said and clock() > began + QUIET_S:
                said = True
                say(f"waiting for {what}, for up to {patience_s:.0f} s\n")
            pause(PAUSE_S)
    return None


def main(arguments: Sequence[str]) -> int:
    """Wait, then run the command in place of this process; return an exit code when there is none to run."""
    if "--" not in arguments or arguments[-1] == "--":
        sys.stderr.write(f"{__doc__}\n")
        return 2
    split = list(arguments).index("--")
    wanted, command = arguments[:split], arguments[split + 1 :]
    try:
        missing = wait(wanted)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if missing is not None:
        sys.stderr.write(f"{missing} is not there after {PATIENCE_S:.0f} s; look at the log of who provides it\n")
        return 1
    os.execvp(command[0], list(command))  # noqa: S606 the command of this container


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
