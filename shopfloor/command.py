"""`shopfloor write` and `shopfloor commands`: set a signal of a machine, and see what became of each command."""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
import typer

from shopfloor import known
from shopfloor.api import Api, connect
from shopfloor.errors import CommandError, RefusedError, UnreachableError
from shopfloor.output import Utc, cell, err, out, print_json, table

_WAIT_S: Final = 20
_OPEN: Final = ("queued", "sent")


def write(
    asset: Annotated[str, typer.Argument(help="For example cnc-01.")],
    signal: Annotated[str, typer.Argument(help="One that is writable, for example feed_override.")],
    value: Annotated[str, typer.Argument(help="A number, true or false, or else a text; '\"5\"' is the text 5.")],
    *,
    expires: Annotated[float, typer.Option(min=0.1, max=60, help="Void after so many seconds.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Set a signal of a machine, once or not at all, and print what was read back.

    Exit code 4: refused, 3: expired, 1: failed, or unknown whether it was done.
    """
    with connect() as api:
        known.check_signals(api, asset, [signal])
        wish = {"verb": "write", "signal": signal, "value": _value(value), "expires_s": expires}
        told = ended(api, api.post(f"assets/{asset}/commands", wish))
        unit = known.kinds(api, asset)[signal].unit
    if json:
        print_json(told)
    elif told["state"] == "done":
        out.print(f"{asset} {signal} {cell(told['value'])} {unit}".rstrip(), markup=False)
    must_be_done(told, f"{asset} {signal}")


def commands(
    assets: Annotated[list[str] | None, typer.Argument(help="Assets; all of them when none is named.")] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Only the newest ones.")] = 20,
    utc: Utc = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each command, with all its steps.")] = False,
) -> None:
    """Print the newest commands: when, who, what, and what became of it."""
    with connect() as api:
        known.check_assets(api, assets or ())
        found = api.get("commands", [("limit", limit), *(("asset", asset) for asset in assets or ())])["commands"]
    if json:
        for each in found:
            print_json(each)
    elif found:
        rows = [
            (each["created"], each["author"], each["asset"], _said(each["do"]), each["state"], each["reason"] or None)
            for each in found
        ]
        table(("time", "author", "asset", "command", "state", "reason"), rows, utc=utc)
    else:
        err.print("nobody has sent a command yet", markup=False)


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


def _value(text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, str | int | float) else text


def _said(do: dict[str, Any]) -> str:
    """Return a verb and what it is about in one line."""
    shown = {name: value for name, value in do.items() if value not in ("", None) and name not in ("entry", "based_on")}
    verb = shown.pop("verb")
    return " ".join([verb, *map(str, shown.values())])
