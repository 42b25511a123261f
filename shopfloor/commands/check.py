"""`shopfloor check`: is a plant file right? Nothing is connected."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from edge.config import Plant, PlantFileError, load_plant
from shopfloor.errors import Exit, wrong_plant
from shopfloor.home import SECRETS, Home
from shopfloor.output import err, out, plural, print_json

app = typer.Typer(add_completion=False)


@app.command()
def check(
    plant: Annotated[Path, typer.Argument(help="The plant file, for example plant.yaml.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Check a plant file: every problem with its file, its line and what was probably meant."""
    try:
        checked, later = _served(load_plant(plant))
    except PlantFileError as error:
        if json:
            problems = [{"line": each.line, "where": each.where, "text": each.text} for each in error.problems]
            print_json({"file": str(plant), "ok": False, "problems": problems})
            raise typer.Exit(Exit.USAGE) from None
        raise wrong_plant(error) from error
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
