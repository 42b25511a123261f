"""`shopfloor query`: last values, history, export."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shopfloor import known
from shopfloor.api import Api, connect, write_to
from shopfloor.clock import asked, shown
from shopfloor.commands.query.spreadsheet import WithUnits
from shopfloor.errors import ConfigurationError
from shopfloor.known import Kind
from shopfloor.output import Utc, err, out, plural, print_json, reader_gone, table

MOST_TEXT: Final = 60
"""Characters of a value in the table of last values."""
MS_OF_1973: Final = 100_000_000_000

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Ask for last values, history or a file of samples.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
Start = Annotated[
    str,
    typer.Option(
        help="Relative to now (-15m, -1h, -7d), or a time: 2026-11-23T08:00:00 in the zone of this machine, or with "
        "an offset (…Z, …+01:00)."
    ),
]
End = Annotated[str, typer.Option(help="Like --start; not included.")]
Asset = Annotated[str, typer.Argument(help="For example cnc-01.")]
Signals = Annotated[list[str], typer.Argument(help="Signals of the asset, for example spindle_speed.")]


class Format(StrEnum):
    """File formats of an export."""

    CSV = "csv"
    PARQUET = "parquet"


@app.command()
def last(
    assets: Annotated[list[str] | None, typer.Argument(help="Assets; all of them when none is named.")] = None,
    *,
    nodes: Annotated[bool, typer.Option("--nodes", help="Also the health of the edge nodes.")] = False,
    utc: Utc = False,
    json: Json = False,
) -> None:
    """Print the last value of every signal: asset, signal, value, unit, quality, time, age.

    The table cuts long texts, and has the health of edge nodes only with --nodes or when one is named; --json has all.
    """
    names = ["asset", "signal", "value", "unit", "quality", "time", "age_s"]
    with connect() as api:
        known.check_assets(api, assets or ())
        columns = api.get("telemetry/last", [("asset", asset) for asset in assets or ()])
        rows = list(zip(*(columns[name] for name in names), strict=True))
        if json:
            print_json([dict(zip(names, row, strict=True)) for row in rows])
            return
        edge_nodes = set() if assets or nodes else {each["id"] for each in api.get("assets") if each["kind"] == "node"}
        shown = [row for row in rows if row[0] not in edge_nodes]
        readable = _readable(api, shown)
    if readable:
        table(names, readable, utc=utc)
    else:
        err.print("no samples yet")
    if left := sorted({row[0] for row in rows} & edge_nodes):
        count = len(rows) - len(shown)
        are, them = ("is", "it") if count == 1 else ("are", "them")
        of = f"{plural(count, 'value')} of edge nodes ({', '.join(left)})"
        err.print(f"{of} {are} left out: --nodes shows {them}", markup=False)


def _readable(api: Api, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows with times as such, and with texts cut; only assets with a number that may be a time are asked."""
    kinds = {asset: known.kinds(api, asset) for asset in {row[0] for row in rows if _may_be_time(row[2])}}
    return [
        (asset, signal, _cut(kinds.get(asset, {}).get(signal, Kind()).readable(value)), *others)
        for asset, signal, value, *others in rows
    ]


def _cut(value: object) -> object:
    return f"{value[: MOST_TEXT - 1]}…" if isinstance(value, str) and len(value) > MOST_TEXT else value


def _may_be_time(value: object) -> bool:
    return isinstance(value, int) and value >= MS_OF_1973


@app.command()
def history(
    asset: Asset,
    signals: Signals,
    *,
    start: Start = "-15m",
    end: End = "now",
    points: Annotated[int | None, typer.Option(min=1, help="Buckets with min, mean and max, not raw samples.")] = None,
    utc: Utc = False,
    json: Json = False,
) -> None:
    """Print the samples of some signals of an asset, or buckets of them."""
    query = _range(asset, signals, start, end, utc=utc)
    if points is not None:
        query.append(("points", points))
    with connect() as api:
        kinds = known.check_signals(api, asset, signals)
        answer = api.get("telemetry/history", query)
    if json:
        print_json(answer)
        return
    if answer["resolution"] != "raw":
        hint = "" if points is not None else "; ask for them with --points"
        since = shown(answer["raw_since"], utc=utc)
        err.print(f"there are samples since {since} alone, and minutes of what was before{hint}")
    for series in answer["series"]:
        names = [name for name, values in series.items() if isinstance(values, list)]
        if "value" in names:
            kind = kinds[series["signal"]]
            series["value"] = [kind.readable(value) for value in series["value"]]
        rows = list(zip(*(series[name] for name in names), strict=True))
        head = f"{asset} {series['signal']} {series['unit']}: {plural(len(rows), 'row')}"
        out.print(head, markup=False, style="bold")
        if rows:
            table(names, rows, utc=utc)


@app.command()
def export(
    asset: Asset,
    signals: Signals,
    *,
    start: Start = "-1h",
    end: End = "now",
    format: Annotated[Format, typer.Option(help="File format.")] = Format.CSV,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: standard output.")
    ] = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="CSV begins with a byte order mark: so Excel reads Chinese right.")
    ] = False,
    utc: Utc = False,
    json: Json = False,
) -> None:
    """Write the raw samples of some signals of an asset to a file; times in it are in UTC, to the nanosecond.

    CSV has the columns asset, signal, time, value, unit, quality, status.
    """
    if output is None and format is Format.PARQUET and sys.stdout.isatty():
        raise ConfigurationError("Parquet is not for reading on a terminal", "name a file: --output samples.parquet")
    if bom and format is Format.PARQUET:
        raise ConfigurationError("Parquet has no byte order mark", "leave --bom out, or write CSV")
    query = [*_range(asset, signals, start, end, utc=utc), ("format", format.value)]
    with connect() as api:
        units = {name: kind.unit for name, kind in known.check_signals(api, asset, signals).items()}
        size = _save(api, query, output, None if format is Format.PARQUET else WithUnits(units, bom=bom))
    if json and output is not None:
        print_json({"file": str(output), "bytes": size})
    elif output is not None:
        err.print(f"{output}: {size} bytes")


def _save(api: Api, query: list[tuple[str, str | int]], output: Path | None, change: WithUnits | None) -> int:
    """Write the file; return its size in bytes. Raise ConfigurationError when it cannot be written."""
    size = 0
    try:
        with write_to(output) as file:

            def write(piece: bytes) -> None:
                nonlocal size
                size += file.write(piece if change is None else change.take(piece))

            api.save("telemetry/export", query, write)
    except BrokenPipeError:
        reader_gone()
    except OSError as error:
        raise ConfigurationError(f"cannot write {output or 'to standard output'}: {error.strerror}") from error
    return size


def _range(asset: str, signals: list[str], start: str, end: str, *, utc: bool) -> list[tuple[str, str | int]]:
    times = []
    for option, text in (("start", start), ("end", end)):
        time, said = asked(f"--{option}", text, utc=utc)
        times.append((option, time))
        if said:
            err.print(said, markup=False)
    return [("asset", asset), *(("signal", signal) for signal in signals), *times]
