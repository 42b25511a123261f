"""The options of commands that print the newest of what happened, and how they ask for it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from shopfloor import known
from shopfloor.api import connect
from shopfloor.clock import asked
from shopfloor.output import err, plural

Assets = Annotated[list[str] | None, typer.Argument(help="Assets; all of them when none is named.")]
Start = Annotated[str, typer.Option(help="Only from then on: -1h, -7d, or a time; none: all that is kept.")]
End = Annotated[str, typer.Option(help="Like --start; not included.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Only the newest ones.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for each, for programs.")]


def query_of(assets: list[str] | None, start: str, end: str, limit: int, *, utc: bool) -> list[tuple[str, str | int]]:
    """Return what the API is asked with; raise ConfigurationError for a time that is none."""
    query: list[tuple[str, str | int]] = [("limit", limit), *(("asset", asset) for asset in assets or ())]
    for option, text in (("start", start), ("end", end)):
        if text:
            time, said = asked(f"--{option}", text, utc=utc)
            query.append((option, time))
            if said:
                err.print(said, markup=False)
    return query


def ask(what: str, assets: list[str] | None, query: list[tuple[str, str | int]]) -> dict[str, Any]:
    """Return the newest `what`; raise RefusedError for an asset that is not known."""
    with connect() as api:
        known.check_assets(api, assets or ())
        found: dict[str, Any] = api.get(what, query)
    return found


def say_more(found: dict[str, Any], limit: int) -> None:
    """Say that there are more than the `limit` that were found, if so."""
    if found["after"]:
        err.print(f"the newest {plural(limit, 'row')}; there are more: --limit, --start, --end", markup=False)
