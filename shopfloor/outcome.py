"""What became of a command to a machine."""

from __future__ import annotations

from typing import Any, Final

from shopfloor.api import Api
from shopfloor.errors import CommandError, RefusedError, UnreachableError

_WAIT_S: Final = 20
_OPEN: Final = ("queued", "sent")


def ended(api: Api, command: dict[str, Any]) -> dict[str, Any]:
    """Return a command once it has ended, at the latest some seconds behind its expiry."""
    while command["state"] in _OPEN:
        command = api.get(f"commands/{command['id']}", [("wait_s", _WAIT_S)])
    return command


def must_be_done(told: dict[str, Any], what: str) -> None:
    """Raise the error of a command that was not done; `what` it is about."""
    text = f"{what}: {told['state']}: {told['reason']}"
    match told["state"]:
        case "done":
            return
        case "refused":
            raise RefusedError(text)
        case "expired":
            raise UnreachableError(text, "is the gateway running, and the edge of the machine?")
        case _:
            raise CommandError(text, "look at the machine: shopfloor query last")
