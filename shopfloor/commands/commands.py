"""`shopfloor commands`: who had a machine do what, and what became of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from shopfloor import known
from shopfloor.api import connect
from shopfloor.output import Utc, err, print_json, table

app = typer.Typer(add_completion=False)


@app.command()
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


def _said(do: dict[str, Any]) -> str:
    """Return a verb and what it is about in one line."""
    shown = {name: value for name, value in do.items() if value not in ("", None) and name not in ("entry", "based_on")}
    verb = shown.pop("verb")
    return " ".join([verb, *map(str, shown.values())])
