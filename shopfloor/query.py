"""`shopfloor query`: last values, history, export."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from shopfloor.api import connect, write_to
from shopfloor.errors import ConfigurationError
from shopfloor.output import err, out, print_json, table

app = typer.Typer(no_args_is_help=True, help="Ask for last values, history or a file of samples.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
Start = Annotated[str, typer.Option(help="ISO 8601 time, or relative to now: -15m, -1h, -7d.")]
End = Annotated[str, typer.Option(help="ISO 8601 time, or relative to now.")]
Signals = Annotated[list[str], typer.Argument(help="Signals of the asset, for example spindle_speed.")]


class Format(StrEnum):
    """File formats of an export."""

    CSV = "csv"
    PARQUET = "parquet"


@app.command()
def last(
    assets: Annotated[list[str] | None, typer.Argument(help="Assets; all of them when none is named.")] = None,
    json: Json = False,
) -> None:
    """Print the last value of every signal: asset, signal, value, unit, quality, time, age."""
    with connect() as api:
        columns = api.get("telemetry/last", [("asset", asset) for asset in assets or ()])
    names = ["asset", "signal", "value", "unit", "quality", "time", "age_s"]
    rows = list(zip(*(columns[name] for name in names), strict=True))
    if json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif rows:
        table(names, rows)
    else:
        err.print("no samples yet")


@app.command()
def history(
    asset: str,
    signals: Signals,
    *,
    start: Start = "-15m",
    end: End = "now",
    points: Annotated[int | None, typer.Option(min=1, help="Buckets with min, mean and max, not raw samples.")] = None,
    json: Json = False,
) -> None:
    """Print the samples of some signals of an asset, or buckets of them."""
    query = _range(asset, signals, start, end)
    if points is not None:
        query.append(("points", points))
    with connect() as api:
        answer = api.get("telemetry/history", query)
    if json:
        print_json(answer)
        return
    if answer["resolution"] != "raw":
        hint = "" if points is not None else "; ask for them with --points"
        err.print(f"there are samples since {answer['raw_since']} alone, and minutes of what was before{hint}")
    for series in answer["series"]:
        names = [name for name, values in series.items() if isinstance(values, list)]
        rows = list(zip(*(series[name] for name in names), strict=True))
        out.print(f"{asset} {series['signal']} {series['unit']}: {len(rows)} rows", markup=False, style="bold")
        if rows:
            table(names, rows)


@app.command()
def export(
    asset: str,
    signals: Signals,
    *,
    start: Start = "-1h",
    end: End = "now",
    format: Annotated[Format, typer.Option(help="File format.")] = Format.CSV,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: standard output.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the raw samples of some signals of an asset to a file."""
    if output is None and format is Format.PARQUET and sys.stdout.isatty():
        raise ConfigurationError("Parquet is not for reading on a terminal", "name a file: --output samples.parquet")
    query = [*_range(asset, signals, start, end), ("format", format.value)]
    with connect() as api:
        size = _save(api, query, output)
    if json and output is not None:
        print_json({"file": str(output), "bytes": size})
    elif output is not None:
        err.print(f"{output}: {size} bytes")


def _save(api: Any, query: list[tuple[str, str | int]], output: Path | None) -> int:
    try:
        with write_to(output) as file:
            return int(api.save("telemetry/export", query, file.write))
    except OSError as error:
        raise ConfigurationError(f"cannot write {output or 'to standard output'}: {error.strerror}") from error


def _range(asset: str, signals: list[str], start: str, end: str) -> list[tuple[str, str | int]]:
    return [("asset", asset), *(("signal", signal) for signal in signals), ("start", start), ("end", end)]
