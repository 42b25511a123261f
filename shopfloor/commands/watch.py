"""`shopfloor watch`: live values as they arrive."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from contract.model import TIME_REPLACED, Quality, base_quality
from shopfloor import known
from shopfloor.api import Api, connect
from shopfloor.clock import shown
from shopfloor.errors import UnreachableError
from shopfloor.known import Kind
from shopfloor.output import Utc, cell, out, print_json

QUALITY = {Quality.GOOD: "", Quality.STALE: "stale", Quality.UNCERTAIN: "uncertain", Quality.BAD: "bad"}

app = typer.Typer(add_completion=False)


@app.command()
def watch(
    assets: Annotated[list[str] | None, typer.Argument(help="Assets; all of them when none is named.")] = None,
    signal: Annotated[str, typer.Option(help="Only signals that fit this pattern, for example '*temperature*'.")] = "*",
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long; default: at Ctrl-C.")] = None,
    utc: Utc = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each value.")] = False,
) -> None:
    """Print live values as they arrive, until Ctrl-C: time, asset, signal, value, unit, quality."""
    query = [("asset", asset) for asset in assets or ()]
    with suppress(KeyboardInterrupt), connect() as api:
        known.check_assets(api, assets or ())
        if signal != "*":
            known.check_pattern(api, assets or (), signal)
        kinds: dict[str, Mapping[str, Kind]] = {}
        for event, data in api.events("telemetry/stream", query, seconds):
            if event == "state":
                of_asset = _kinds(api, kinds, data["asset"])
                for row in values(data, signal, of_asset):
                    show(row, of_asset.get(row["signal"], Kind()), json=json, utc=utc)
        if seconds is None:
            raise UnreachableError("the platform ended the stream", "it may be restarting: try again")


def _kinds(api: Api, kinds: dict[str, Mapping[str, Kind]], asset: str) -> Mapping[str, Kind]:
    if asset not in kinds:
        kinds[asset] = known.kinds(api, asset)
    return kinds[asset]


def values(data: Any, pattern: str, kinds: Mapping[str, Kind]) -> Iterator[dict[str, Any]]:
    """Yield asset, signal, value, unit, quality and time of each value in a `state` event."""
    for name, sample in data["signals"].items():
        if fnmatch.fnmatchcase(name, pattern):
            said = {key: sample[key] for key in ("quality", "time", "status") if key in sample}
            unit = kinds.get(name, Kind()).unit
            head = {"asset": data["asset"], "signal": name, "value": sample["value"], "unit": unit}
            yield head | said


def quality_text(quality: int) -> str:
    """Return a quality in words: nothing when all is well."""
    word = QUALITY.get(base_quality(quality), str(base_quality(quality)))  # type: ignore[call-overload]
    return f"{word}, time of arrival".lstrip(", ") if quality & TIME_REPLACED else str(word)


def show(row: dict[str, Any], kind: Kind, *, json: bool, utc: bool) -> None:
    """Print one value."""
    if json:
        print_json(row)
        return
    words: Sequence[str] = (
        shown(str(row["time"]), utc=utc).partition(" ")[2],
        f"{row['asset']:<12}",
        f"{row['signal']:<28}",
        f"{cell(kind.readable(row['value']), utc=utc)} {row['unit']}".rstrip(),
        quality_text(row["quality"]),
    )
    out.print(" ".join(words).rstrip(), markup=False)
