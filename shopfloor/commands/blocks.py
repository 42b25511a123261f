"""`shopfloor blocks`: the arrays that the sensors of machines measured."""

from __future__ import annotations

from typing import Annotated

import typer

from shopfloor import known
from shopfloor.api import connect
from shopfloor.errors import CommandError, ConfigurationError
from shopfloor.newest import Assets, End, Json, Limit, Start, ask, query_of, say_more
from shopfloor.outcome import ended, must_be_done
from shopfloor.output import Utc, err, print_json, table

app = typer.Typer(add_completion=False)


@app.command()
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
    query = query_of(assets, start, end, limit, utc=utc)
    if send and assets:
        _send(assets[0], sensor)
    found = ask("blocks", assets, [*query, *([("sensor", sensor)] if sensor else [])])
    if json:
        for each in found["blocks"]:
            print_json(each)
    elif found["blocks"]:
        names = ("id", "asset", "sensor", "start", "count", "rate_hz", "unit", "reason")
        rows = [[each[name] for name in names] for each in found["blocks"]]
        table(("id", "asset", "sensor", "time", "samples", "rate_hz", "unit", "reason"), rows, utc=utc)
    else:
        err.print("no blocks; --send asks the edge for the newest one of a sensor", markup=False)
    say_more(found, limit)


def _send(asset: str, sensor: str) -> None:
    with connect() as api:
        known.check_assets(api, [asset])
        told = ended(api, api.post(f"assets/{asset}/commands", {"verb": "send_block", "sensor": sensor}))
        kept = api.get("blocks", [("asset", asset), ("limit", 100)])["blocks"]
        # a sensor that has no data sheet and sent nothing yet is known to the edge alone
        sensors = {*api.get(f"assets/{asset}")["sensors"], *(each["sensor"] for each in kept)}
    if told["state"] not in ("done", "expired") and sensors and sensor not in sensors:
        raise CommandError(f"{asset} {sensor}: {told['state']}: {told['reason']}", known.nearest(sensor, sensors))
    must_be_done(told, f"{asset} {sensor}")
