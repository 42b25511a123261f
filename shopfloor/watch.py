"""`shopfloor watch`: live values as they arrive."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from contract.model import TIME_REPLACED, Quality, base_quality
from shopfloor.api import connect
from shopfloor.errors import UnreachableError
from shopfloor.output import cell, out, print_json

QUALITY = {Quality.GOOD: "", Quality.STALE: "stale", Quality.UNCERTAIN: "uncertain", Quality.BAD: "bad"}


def watch(
    assets: Annotated[list[str] | None, typer.Argument(help="Assets; all of them when none is named.")] = None,
    signal: Annotated[str, typer.Option(help="Only signals that fit this pattern, for example '*temperature*'.")] = "*",
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long; default: at Ctrl-C.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each value.")] = False,
) -> None:
    """Print live values as they arrive, until Ctrl-C."""
    ends = None if seconds is None else time.monotonic() + seconds
    query = [("asset", asset) for asset in assets or ()]
    with suppress(KeyboardInterrupt), connect() as api:
        for event, data in api.events("telemetry/stream", query):
            if event == "state":
                for row in values(data, signal):
                    show(row, json=json)
            if ends is not None and time.monotonic() >= ends:
                return
        raise UnreachableError("the platform ended the stream", "it may be restarting: try again")


def values(data: Any, pattern: str) -> Iterator[dict[str, Any]]:
    """Yield asset, signal, value, quality and time of each value in a `state` event."""
    for name, sample in data["signals"].items():
        if fnmatch.fnmatchcase(name, pattern):
            said = {key: sample[key] for key in ("value", "quality", "time", "status") if key in sample}
            yield {"asset": data["asset"], "signal": name, **said}


def quality_text(quality: int) -> str:
    """Return a quality in words: nothing when all is well."""
    word = QUALITY.get(base_quality(quality), str(base_quality(quality)))  # type: ignore[call-overload]
    return f"{word}, time of arrival".lstrip(", ") if quality & TIME_REPLACED else str(word)


def show(row: dict[str, Any], *, json: bool) -> None:
    """Print one value."""
    if json:
        print_json(row)
        return
    words: Sequence[str] = (
        str(row["time"])[11:23],
        f"{row['asset']:<12}",
        f"{row['signal']:<28}",
        cell(row["value"]),
        quality_text(row["quality"]),
    )
    out.print(" ".join(words).rstrip(), markup=False)
