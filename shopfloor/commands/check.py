"""`shopfloor check`: is a plant file right, and, if that is asked, do its machines answer?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

from edge.commissioning import live as visits
from edge.commissioning.live import Reading, Visit
from edge.config import Plant, PlantFileError, load_plant
from shopfloor import known
from shopfloor.errors import Exit, wrong_plant
from shopfloor.home import SECRETS, Home
from shopfloor.machines import context, hush
from shopfloor.output import Utc, err, out, plural, print_json, table

app = typer.Typer(add_completion=False)


@app.command()
def check(
    plant: Annotated[Path, typer.Argument(help="The plant file, for example plant.yaml.")],
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Reach each machine, and read each signal once. Nothing is kept or written.")
    ] = False,
    machine: Annotated[
        list[str] | None, typer.Option("--machine", "-m", help="With --live: only this one (repeatable).")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0.1, max=600, help="With --live: seconds for a machine to connect, and for all values.")
    ] = visits.WAIT_S,
    utc: Utc = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Check a plant file: every problem with its file, its line and what was probably meant.

    With --live also its machines: exit code 1 when one does not answer, or a signal has no good value.
    """
    try:
        checked, later = _served(load_plant(plant))
    except PlantFileError as error:
        if json:
            problems = [{"line": each.line, "where": each.where, "text": each.text} for each in error.problems]
            print_json({"file": str(plant), "ok": False, "problems": problems})
            raise typer.Exit(Exit.USAGE) from None
        raise wrong_plant(error) from error
    if live:
        _visit(checked, plant, machine or [], wait, utc=utc, json=json)
        return
    if json:
        print_json({"file": str(plant), "ok": True, "lines": counted(checked), "made_at_first_start": later})
        return
    for line in counted(checked):
        out.print(
            f"{line['line']}: {plural(line['machines'], 'machine')}, {plural(line['signals'], 'signal')}", markup=False
        )
    out.print(f"{plant} is right", markup=False)
    for file in later:
        err.print(f"{file} is not there yet: the platform makes it at its first start", markup=False)


def _served(plant: Plant) -> tuple[Plant, list[str]]:
    """Return the plant and which of its files the platform itself makes; raise PlantFileError for others.

    Where the platform was never started, as in a container for this alone, all of its secrets are still to be made.
    """
    home = Home.of(os.environ)
    made = {home.secret(name).resolve() for name in SECRETS}
    folder = home.secret("x").resolve().parent
    is_new = not folder.is_dir()

    def is_made(file: Path) -> bool:
        return file in made or (is_new and file.parent == folder)

    later = [problem for problem in plant.absent if is_made(Path(problem.file).resolve())]
    if problems := [*plant.refused, *(problem for problem in plant.absent if problem not in later)]:
        raise PlantFileError(plant.path, problems)
    return plant, sorted({problem.file for problem in later})


class Counted(TypedDict):
    """How many machines and signals a line has."""

    line: str
    machines: int
    signals: int


def counted(plant: Plant) -> list[Counted]:
    """Return for each line of the plant how many machines and signals it has."""
    return [
        {
            "line": str(line.place),
            "machines": len(line.machines),
            "signals": sum(len(machine.signals) for machine in line.machines.values()),
        }
        for line in plant.lines
    ]


def _visit(plant: Plant, file: Path, only: Sequence[str], wait_s: float, *, utc: bool, json: bool) -> None:
    """Visit the machines, say a verdict for each signal, and end with 1 when one is bad."""
    machines = {name: entry for line in plant.lines for name, entry in line.machines.items()}
    known.check("machine", only, machines, f" in {file}")
    hush()
    wanted = {name: machines[name] for name in only or machines}
    visited = asyncio.run(visits.visit_all(wanted, context(file.absolute().parent), wait_s=wait_s))
    bad = [visit for visit in visited if not visit.is_well]
    if json:
        print_json({"file": str(file), "ok": not bad, "machines": [_as_json(visit) for visit in visited]})
    else:
        columns = ("machine", "signal", "verdict", "value", "unit", "time", "why")
        table(
            columns, [_row(visit, each) for visit in visited for each in visit.readings if not visit.trouble], utc=utc
        )
        for visit in bad:
            if visit.trouble:
                out.print(f"{visit.machine}: {visit.trouble.rstrip(': ')}", markup=False)
                out.print(f"  {visit.todo}", markup=False)
        well = len(visited) - len(bad)
        out.print(f"{plural(len(visited), 'machine')}: {well} well, {len(bad)} not", markup=False)
    if bad:
        raise typer.Exit(Exit.FAILED)


def _row(visit: Visit, reading: Reading) -> tuple[Any, ...]:
    verdict = "bad" if reading.why else "good"
    return visit.machine, reading.signal, verdict, reading.value, reading.unit, _time(reading), reading.why


def _time(reading: Reading) -> str | None:
    """Return the time of a reading as the API writes it; None for none, and for what no calendar has."""
    seconds, ns = divmod(reading.time_ns, 10**9)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09}Z" if reading.time_ns else None
    except (OverflowError, ValueError, OSError):
        return None


def _as_json(visit: Visit) -> dict[str, Any]:
    signals = [
        {
            "signal": each.signal,
            "ok": not each.why and not visit.trouble,
            "value": each.value,
            "unit": each.unit,
            "time": _time(each),
            "why": each.why,
        }
        for each in visit.readings
    ]
    return {
        "machine": visit.machine,
        "driver": visit.driver,
        "address": visit.address,
        "ok": visit.is_well,
        "trouble": visit.trouble,
        "todo": visit.todo,
        "signals": signals,
    }
