"""`shopfloor events`: what happened to machines."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shopfloor.newest import Assets, End, Json, Limit, Start, ask, query_of, say_more
from shopfloor.output import Utc, err, print_json, table

_MOST_VALUES: Final = 3

app = typer.Typer(add_completion=False)


@app.command()
def events(
    assets: Assets = None,
    *,
    active: Annotated[bool, typer.Option("--active", help="Only what holds now, the newest word of each.")] = False,
    severity: Annotated[int, typer.Option(min=1, max=1000, help="Only from this severity on.")] = 1,
    start: Start = "",
    end: End = "",
    limit: Limit = 50,
    utc: Utc = False,
    json: Json = False,
) -> None:
    """Print events, the newest first: time, asset, severity, state, what happened, what was measured."""
    query = [*query_of(assets, start, end, limit, utc=utc), ("severity", severity)]
    if active:
        query.append(("active", "true"))
    found = ask("events", assets, query)
    if json:
        for each in found["events"]:
            print_json(each)
    elif found["events"]:
        rows = [
            (each["time"], each["asset"], each["severity"], each["state"] or None, _told(each), _values(each["values"]))
            for each in found["events"]
        ]
        table(("time", "asset", "severity", "state", "event", "values"), rows, utc=utc)
    else:
        err.print("nothing holds now" if active else "no events", markup=False)
    say_more(found, limit)


def _told(event: dict[str, Any]) -> str:
    """Return what an event is called, with its text where that says more."""
    texts: dict[str, str] = event["texts"]
    text = texts.get("en") or texts.get("") or next(iter(texts.values()), "")
    return event["name"] if text in ("", event["name"]) else f"{event['name']}: {text}"


def _values(values: dict[str, Any]) -> str | None:
    shown = [f"{name}={value}" for name, value in list(values.items())[:_MOST_VALUES]]
    return " ".join([*shown, *(["…"] if len(values) > _MOST_VALUES else [])]) or None
