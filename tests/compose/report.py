"""What a run of the containers says, counts and waits for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

passed: list[str] = []


class Failed(Exception):
    """A check failed; says what was wanted and what is."""


class Unable(Exception):
    """This machine cannot run containers; says why."""


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stdout.flush()


def check(condition: object, what: str) -> None:
    """Count a check; raise Failed with what is wrong."""
    if not condition:
        raise Failed(what)
    passed.append(what)


def until(what: str, condition: Callable[[], Any], timeout_s: float, pause_s: float = 0.5) -> Any:
    """Return the first true answer of a condition; raise Failed."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(pause_s)
    return answer
