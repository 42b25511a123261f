"""`shopfloor events` and `shopfloor blocks`: what happened to machines, and the arrays that their sensors measured."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shopfloor import known
from shopfloor.api import connect
from shopfloor.clock import asked
from shopfloor.command import ended, must_be_done
from shopfloor.errors import ConfigurationError
from shopfloor.output import Utc, err, plural, print_json, table

Assets = Annotated[list[str] | None, typer.Argument(help="Assets; all of them when none is named.")]
Start = Annotated[str, typer.Option(help="Only from then on: -1h, -7d, or a time; none: all that is kept.")]
End = Annotated[str, typer.Option(help="Like --start; not included.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Only the newest ones.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for each, for programs.")]

_MOST_VALUES: Final = 3


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
    query = [*_query(assets, start, end, limit, utc=utc), ("severity", severity)]
    if active:
        query.append(("active", "true"))
    found = _ask("events", assets, query)
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
    _say_more(found, limit)


def blocks(
    assets: Assets = None,
    *,
    sensor: Annotated[str, typer.Option(help="Only of this sensor.")] = "",
    send: Annotated[
        bool, typer.Option("--send", help="First ask the edge for the newest block of --sensor of one asset.")
    ] = False,
    start: Start = "",
    end: End = "",
    limit: Limit = 50,
    utc: Utc = False,
    json: Json = False,
) -> None:
    """Print which blocks are kept, the newest first: id, asset, sensor, time, samples, rate, unit, why it was sent.

    GET /api/v1/blocks/ID gives the numbers, or their spectrum.
    """
    if send and (not sensor or len(assets or ()) != 1):
        raise ConfigurationError("--send asks for a block of one sensor", "name one asset, and --sensor")
    query = _query(assets, start, end, limit, utc=utc)
    if send and assets:
        _send(assets[0], sensor)
    found = _ask("blocks", assets, [*query, *([("sensor", sensor)] if sensor else [])])
    if json:
        for each in found["blocks"]:
            print_json(each)
    elif found["blocks"]:
        names = ("id", "asset", "sensor", "start", "count", "rate_hz", "unit", "reason")
        rows = [[each[name] for name in names] for each in found["blocks"]]
        table(("id", "asset", "sensor", "time", "samples", "rate_hz", "unit", "reason"), rows, utc=utc)
    else:
        err.print("no blocks; --send asks the edge for the newest one of a sensor", markup=False)
    _say_more(found, limit)


def _send(asset: str, sensor: str) -> None:
    with connect() as api:
        known.check_assets(api, [asset])
        told = ended(api, api.post(f"assets/{asset}/commands", {"verb": "send_block", "sensor": sensor}))
    must_be_done(told, f"{asset} {sensor}")


def _query(assets: list[str] | None, start: str, end: str, limit: int, *, utc: bool) -> list[tuple[str, str | int]]:
    query: list[tuple[str, str | int]] = [("limit", limit), *(("asset", asset) for asset in assets or ())]
    for option, text in (("start", start), ("end", end)):
        if text:
            time, said = asked(f"--{option}", text, utc=utc)
            query.append((option, time))
            if said:
                err.print(said, markup=False)
    return query


def _ask(what: str, assets: list[str] | None, query: list[tuple[str, str | int]]) -> dict[str, Any]:
    with connect() as api:
        known.check_assets(api, assets or ())
        found: dict[str, Any] = api.get(what, query)
    return found


def _say_more(found: dict[str, Any], limit: int) -> None:
    if found["after"]:
        err.print(f"the newest {plural(limit, 'row')}; there are more: --limit, --start, --end", markup=False)


def _told(event: dict[str, Any]) -> str:
    """Return what an event is called, with its text where that says more."""
    texts: dict[str, str] = event["texts"]
    text = texts.get("en") or texts.get("") or next(iter(texts.values()), "")
    return event["name"] if text in ("", event["name"]) else f"{event['name']}: {text}"


def _values(values: dict[str, Any]) -> str | None:
    shown = [f"{name}={value}" for name, value in list(values.items())[:_MOST_VALUES]]
    return " ".join([*shown, *(["…"] if len(values) > _MOST_VALUES else [])]) or None
