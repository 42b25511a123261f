"""A factory: the machines of one YAML file at their places, moved together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from simulators import faces, machines
from simulators.face import Place
from simulators.grid import Grid
from simulators.journal import Journal
from simulators.machine import NS, SimulatedMachine
from simulators.production.logistics import Logistics
from simulators.production.roles import Plan, ProductionError, plan_of

DEFAULT: Final = "default.yaml"
STEP_S: Final = 0.1
"""Length of a step in simulated seconds when nobody says otherwise."""

_MACHINE_KEYS: Final = {"kind", "names", "face", "options"}


class FactoryFileError(ValueError):
    """A factory file that cannot be used; the text says where and what to do."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A machine, where it stands, and the protocol that it speaks."""

    machine: SimulatedMachine
    place: Place
    face: str


@dataclass(slots=True)
class Factory:
    """Machines that share a clock and a journal. `names` are display names of areas and lines by their path.

    With a `plan` parts and orders move between the machines; without one each machine supplies itself.
    """

    enterprise: str
    site: str
    stands: list[Stand]
    names: dict[tuple[str, ...], Mapping[str, str]] = field(default_factory=dict)
    journal: Journal = field(default_factory=Journal)
    plan: Plan | None = None
    time_ns: int = 0
    logistics: Logistics | None = field(init=False, default=None)
    grid: Grid = field(init=False)

    def __post_init__(self) -> None:
        for stand in self.stands:
            stand.machine.record = self._recorder(stand.machine)
        self.grid = Grid(self.machines)
        if self.plan is not None:
            self.logistics = Logistics(self.plan, self.machines, self.journal)

    def _recorder(self, machine: SimulatedMachine) -> Any:
        def record(event: str, **facts: Any) -> None:
            self.journal.write(machine.at_s, machine.id, event, **facts)

        return record

    @property
    def machines(self) -> dict[str, SimulatedMachine]:
        """The machines by id."""
        return {stand.machine.id: stand.machine for stand in self.stands}

    def step(self, dt: float = STEP_S) -> None:
        """Let `dt` simulated seconds pass for every machine."""
        self.time_ns += round(dt * 1e9)
        for machine in self.grid.others.values():
            machine.step(dt)
        if self.logistics is not None:
            self.logistics.step(dt)
        self.grid.step(dt)

    def show_every(self, period_s: float) -> None:
        """Let every signal, slow ones too, be shown every `period_s` seconds; before the machines are on faces."""
        for machine in self.machines.values():
            machine.signals = tuple(replace(signal, period_s=period_s) for signal in machine.signals)

    def balance(self) -> dict[str, Any]:
        """Return the accounts of energy and, when the factory makes parts, of material and orders.

        `journal` is how many lines the journal had then.
        """
        when = {"time_s": self.time_ns / NS, "journal": self.journal.written}
        return when | self.grid.balance() | ({} if self.logistics is None else self.logistics.balance())


def shipped(name: str) -> str:
    """Return the text of a factory file that ships with the simulators; raise FactoryFileError with the known ones."""
    folder = files("simulators") / "factories"
    known = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    if f"{name}.yaml" in known:
        name += ".yaml"
    if name not in known:
        raise FactoryFileError(f"no factory {name!r} ships; have: {', '.join(known)}")
    return (folder / name).read_text(encoding="utf-8")


def load(path: Path | None = None, seed: int | None = None, journal: Journal | None = None) -> Factory:
    """Read a factory file, or one that ships, by its name (the default one for None); raise FactoryFileError."""
    where = str(path or DEFAULT)
    try:
        if path is None or (path.parent == Path() and not path.exists()):
            text = shipped(where)
        else:
            text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FactoryFileError(f"{where}: cannot be read: {error.strerror}") from error
    return parse(text, where, seed, journal)


def parse(text: str, where: str = DEFAULT, seed: int | None = None, journal: Journal | None = None) -> Factory:
    """Build the factory that a YAML text describes; raise FactoryFileError."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FactoryFileError(f"{where}: {error}") from error
    if not isinstance(data, dict) or not {"enterprise", "site", "areas"} <= data.keys():
        raise FactoryFileError(f"{where}: a factory file has enterprise, site and areas")
    chosen = int(data.get("seed", 1)) if seed is None else seed
    names: dict[tuple[str, ...], Mapping[str, str]] = {}
    stands = list(_stands(data, where, chosen, names))
    seen: set[str] = set()
    for stand in stands:
        if stand.machine.id in seen:
            raise FactoryFileError(f"{where}: two machines are called {stand.machine.id}: ids are unique in a factory")
        seen.add(stand.machine.id)
    try:
        plan = plan_of(data["production"]) if "production" in data else None
        return Factory(str(data["enterprise"]), str(data["site"]), stands, names, journal or Journal(), plan)
    except ProductionError as error:
        raise FactoryFileError(f"{where}: {error}") from error


def _stands(
    data: dict[str, Any], where: str, seed: int, names: dict[tuple[str, ...], Mapping[str, str]]
) -> Iterator[Stand]:
    enterprise, site = str(data["enterprise"]), str(data["site"])
    for area, area_body in _entries(data["areas"], f"{where}: areas"):
        names[area,] = area_body.get("names", {})
        for line, line_body in _entries(area_body.get("lines"), f"{where}: areas.{area}.lines"):
            names[area, line] = line_body.get("names", {})
            place = Place(enterprise, site, area, line)
            for name, body in _entries(line_body.get("machines"), f"{where}: areas.{area}.lines.{line}.machines"):
                yield Stand(
                    _machine(name, body, seed, f"{where}: machines.{name}"),
                    place,
                    _face(body, f"{where}: machines.{name}"),
                )


def _entries(body: Any, where: str) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(body, dict) or not all(isinstance(entry, dict) for entry in body.values()):
        raise FactoryFileError(f"{where}: must be names, each with its entries below it")
    return [(str(name), entry) for name, entry in body.items()]


def _machine(name: str, body: dict[str, Any], seed: int, where: str) -> SimulatedMachine:
    if unknown := body.keys() - _MACHINE_KEYS:
        raise FactoryFileError(f"{where}: unknown key {min(unknown)!r}; have: {', '.join(sorted(_MACHINE_KEYS))}")
    try:
        kind = machines.load(str(body.get("kind", "")))
    except machines.UnknownKind as error:
        raise FactoryFileError(f"{where}: {error}") from error
    return kind(name, seed, body.get("names"), body.get("options"))


def _face(body: dict[str, Any], where: str) -> str:
    face = str(body.get("face", ""))
    try:
        faces.load(face)
    except faces.UnknownFace as error:
        raise FactoryFileError(f"{where}: {error}") from error
    return face
