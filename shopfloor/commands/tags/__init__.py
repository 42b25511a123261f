"""`shopfloor tags`: lists of tags in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import BaseModel

from edge import apply
from edge.apply import ApplyError
from edge.config import Plant, PlantFileError, load_plant
from edge.drivers import UnknownDriverError
from edge.entry import Entry, Place
from edge.taglist import Left, TagListError, export, take
from edge.taglists import UnknownFormatError
from shopfloor import known
from shopfloor.errors import ConfigurationError, RefusedError, wrong_plant
from shopfloor.output import err, out, plural, print_json, table

_SHOWN: Final = 20

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Lists of tags in and out: CSV, Excel, L5X, TIA.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, XLSX or L5X.")],
    *,
    driver: Annotated[str, typer.Option("--driver", "-d", help="For which driver: modbus, s7, logix, opcua, …")],
    form: Annotated[
        str, typer.Option("--format", help="plain, tia, kepserverex or l5x; found out when not said.")
    ] = "",
    into: Annotated[Path | None, typer.Option(help="The plant file to write the signals to.")] = None,
    machine: Annotated[str, typer.Option(help="Which machine of it; a new one needs --address.")] = "",
    line: Annotated[str, typer.Option(help="Where it stands: AREA/LINE.")] = "",
    address: Annotated[str, typer.Option(help="Of a new machine.")] = "",
    json: Json = False,
) -> None:
    """Take a list of tags as signals of a machine; what cannot be taken is listed with its line and why."""
    try:
        taken = take(file, driver, form)
    except (TagListError, UnknownDriverError, UnknownFormatError) as error:
        raise ConfigurationError(str(error), "docs/taglists.md shows what is taken") from error
    if into is not None:
        if not machine:
            raise ConfigurationError("which machine are they of?", "--machine ID")
        place = _place(_plant(into), machine, line)
        _write(into, place, machine, {"driver": driver, "address": address}, taken.signals)
    left = [{"line": each.line, "what": each.what, "why": each.why} for each in taken.left]
    if json:
        print_json({"signals": taken.signals, "left": left, "written": str(into) if into else None})
        return
    if into is None:
        table(
            ("signal", "entry"),
            [
                (name, ", ".join(f"{key}: {value}" for key, value in entry.items()))
                for name, entry in taken.signals.items()
            ],
        )
    _tell(taken.left)
    where = f" into {into}" if into else "; --into plant.yaml --machine ID --line AREA/LINE writes them"
    out.print(f"{plural(len(taken.signals), 'signal')} taken, {len(taken.left)} left{where}", markup=False)


@app.command("export")
def export_(
    plant: Annotated[Path, typer.Argument(help="The plant file.")],
    *,
    to: Annotated[Path, typer.Option(help="The file: .csv or .xlsx.")],
    machine: Annotated[str, typer.Option(help="Which machine, where there are several.")] = "",
    json: Json = False,
) -> None:
    """Write the signals of a machine as a list, which `tags import` takes back as it was."""
    if to.suffix.lower() not in (".csv", ".xlsx"):
        raise ConfigurationError(f"{to}: a list is .csv or .xlsx", "name the file so")
    entry = _entry(plant, machine)
    signals: dict[str, BaseModel] = dict(entry.signals)
    try:
        to.write_bytes(export(signals, to))
    except TagListError as error:
        raise ConfigurationError(str(error), "write .csv") from error
    except OSError as error:
        raise ConfigurationError(f"{to} cannot be written: {error.strerror}") from error
    if json:
        print_json({"file": str(to), "driver": entry.driver, "signals": len(signals)})
    else:
        out.print(f"{to}: {plural(len(signals), 'signal')} for the driver {entry.driver}", markup=False)


def _entry(path: Path, machine: str) -> Entry:
    plant = _plant(path)
    machines = {name: entry for line in plant.lines for name, entry in line.machines.items()}
    if not machine and len(machines) > 1:
        raise ConfigurationError(f"{path} has {len(machines)} machines", f"--machine {min(machines)}, for example")
    known.check("machine", [machine] if machine else [], machines, f" in {path}")
    return machines[machine] if machine else next(iter(machines.values()))


def _plant(path: Path) -> Plant:
    try:
        return load_plant(path)
    except PlantFileError as error:
        raise wrong_plant(error) from error


def _write(path: Path, place: Place, machine: str, new: dict[str, Any], signals: dict[str, Any]) -> None:
    """Put signals into the entry of a machine, or a `new` one, over those of the same names; comments stay."""
    driver, address = new["driver"], new["address"]
    plant = _plant(path)
    try:
        found = apply.read_machines(path, place)
        entry: dict[str, Any] = found["machines"].get(machine) or new
        if machine not in found["machines"] and not address:
            raise ConfigurationError(f"{path} has no machine {machine!r} on {place}", "a new one needs --address")
        served = next((each.machines[machine] for each in plant.lines if machine in each.machines), None)
        if served is not None and served.driver != driver:
            raise RefusedError(f"{machine} has the driver {served.driver}, not {driver}", f"--driver {served.driver}")
        entry["signals"] = {**(entry.get("signals") or {}), **signals}
        apply.apply(path, place, machine, entry, found["sha256"], is_here=True)
    except ApplyError as error:
        raise RefusedError(str(error), "nothing was written") from error


def _place(plant: Plant, machine: str, line: str) -> Place:
    by_line = {f"{each.place.area}/{each.place.line}": each.place for each in plant.lines}
    found = next((each.place for each in plant.lines if machine in each.machines), None)
    if not line:
        if found is None and len(by_line) > 1:
            raise ConfigurationError(f"where does {machine} stand?", f"--line {min(by_line)}, for example")
        return found or next(iter(by_line.values()))
    known.check("line", [line], by_line, f" in {plant.path}")
    return by_line[line]


def _tell(left: list[Left]) -> None:
    for each in left[:_SHOWN]:
        where = f"line {each.line}: " if each.line else ""
        err.print(f"left: {where}{each.what}: {each.why}", markup=False)
    if len(left) > _SHOWN:
        err.print(f"and {len(left) - _SHOWN} more; --json lists all", markup=False)
