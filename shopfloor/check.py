"""`shopfloor check`: is a plant file right? Nothing is connected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.config import Plant, PlantFileError, load_plant
from shopfloor.errors import ConfigurationError, Exit
from shopfloor.output import out, print_json


def check(
    plant: Annotated[Path, typer.Argument(help="The plant file, for example plant.yaml.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Check a plant file: every problem with its file, its line and what was probably meant."""
    try:
        checked = _served(load_plant(plant))
    except PlantFileError as error:
        if json:
            problems = [{"line": each.line, "where": each.where, "text": each.text} for each in error.problems]
            print_json({"file": str(plant), "ok": False, "problems": problems})
            raise typer.Exit(Exit.USAGE) from None
        raise wrong(error) from error
    if json:
        print_json({"file": str(plant), "ok": True, "lines": counted(checked)})
        return
    for line in counted(checked):
        out.print(f"{line['line']}: {line['machines']} machines, {line['signals']} signals", markup=False)
    out.print(f"{plant} is right", markup=False)


def _served(plant: Plant) -> Plant:
    if problems := [*plant.refused, *plant.absent]:
        raise PlantFileError(plant.path, problems)
    return plant


def counted(plant: Plant) -> list[dict[str, str | int]]:
    """Return for each line of the plant how many machines and signals it has."""
    return [
        {
            "line": str(line.place),
            "machines": len(line.machines),
            "signals": sum(len(machine.signals) for machine in line.machines.values()),
        }
        for line in plant.lines
    ]


def wrong(error: PlantFileError) -> ConfigurationError:
    """Return the error of the command line for a wrong plant file."""
    count = len(error.problems)
    return ConfigurationError(f"{'a problem' if count == 1 else f'{count} problems'} in {error.path}\n{error}")
