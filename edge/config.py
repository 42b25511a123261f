"""The plant file: which machines stand where, and how to talk to them. Checked in full before any socket opens."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from contract.topics import Node
from edge.birth import ROOM, least_birth_bytes
from edge.drivers import UnknownDriverError, load
from edge.machine import Id, Machine, Model, Names, Place
from edge.yaml_lines import Document, Loc, YamlError, parse

_MANY_SIGNALS: Final = 2000  # fewer always fit into a birth


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a plant file: the line (from 1), the place in the file, and what to do."""

    line: int
    where: str
    text: str


class PlantFileError(ValueError):
    """A plant file that cannot be used; the text has one line `file:line: where: what` for each problem."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = sorted(set(problems))
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        for problem in self.problems:
            where = f"{problem.where}: " if problem.where else ""
            yield f"{self.path}:{problem.line}: {where}{problem.text}"


@dataclass(frozen=True, slots=True)
class Line:
    """A production line: one Sparkplug edge node."""

    place: Place
    machines: Mapping[str, Machine]
    refused: Mapping[str, Problem] = field(default_factory=dict)
    """Machines that cannot be served, though their entries are right; their neighbors can."""

    @property
    def node(self) -> Node:
        """The Sparkplug edge node of this line."""
        return Node.of(self.place.enterprise, self.place.site, self.place.area, self.place.line)


@dataclass(frozen=True, slots=True)
class Plant:
    """A checked plant file."""

    path: Path
    enterprise: str
    site: str
    lines: Sequence[Line]

    @property
    def refused(self) -> list[Problem]:
        """Why machines of any line cannot be served."""
        return [problem for line in self.lines for problem in line.refused.values()]

    def select(self, names: Sequence[str]) -> list[Line]:
        """Return the lines `area/line` in `names`, all of them when empty; raise PlantFileError for an unknown one."""
        known = {str(line.place): line for line in self.lines}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise PlantFileError(
                self.path, [Problem(1, "", f"no line {_choice(name, sorted(known))}") for name in unknown]
            )
        return [known[name] for name in names] if names else list(self.lines)


class LineEntry(Model):
    """One entry under `lines:`."""

    names: Names = Field(default_factory=dict)
    machines: dict[Id, dict[str, Any]] = Field(min_length=1)


class AreaEntry(Model):
    """One entry under `areas:`."""

    names: Names = Field(default_factory=dict)
    lines: dict[Id, LineEntry] = Field(min_length=1)


class PlantEntry(Model):
    """The plant file, but for what stands under `machines:`: each driver checks its own."""

    enterprise: Id
    site: Id
    names: Names = Field(default_factory=dict)
    areas: dict[Id, AreaEntry] = Field(min_length=1)


def load_plant(path: Path) -> Plant:
    """Read and check a plant file; raise PlantFileError with every problem in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PlantFileError(path, [Problem(1, "", "there is no such file")]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PlantFileError(path, [Problem(1, "", f"cannot be read: {error}")]) from error
    return parse_plant(text, path)


def parse_plant(text: str, path: Path) -> Plant:
    """Check the text of a plant file; `path` names it in errors. Raises PlantFileError."""
    try:
        document = parse(text)
    except YamlError as error:
        raise PlantFileError(path, [Problem(error.line, "", error.text)]) from error
    if not isinstance(document.data, dict):
        raise PlantFileError(path, [Problem(1, "", "a plant file begins with `enterprise:`, `site:` and `areas:`")])
    reader = _Reader(document)
    lines = reader.read()
    if reader.problems:
        raise PlantFileError(path, reader.problems)
    return Plant(path, document.data["enterprise"], document.data["site"], lines)


class _Reader:
    """Collects the lines of a plant and every problem on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.assets: dict[str, int] = {}

    def read(self) -> list[Line]:
        try:
            PlantEntry.model_validate(self.document.data)
        except ValidationError as error:
            self._take(error, PlantEntry, ())
        enterprise = str(self.document.data.get("enterprise", ""))
        site = str(self.document.data.get("site", ""))
        lines = []
        for area, body in _mapping(self.document.data, "areas"):
            for line, entry in _mapping(body, "lines"):
                loc = ("areas", area, "lines", line, "machines")
                machines = dict(self._machines(entry, loc))
                lines.append(self._line(Place(enterprise, site, area, line), machines, loc))
        return lines

    def _line(self, place: Place, machines: dict[str, Machine], loc: Loc) -> Line:
        refused = {}
        for name, machine in machines.items():
            size = _birth_bytes(machine, place, name)
            if size > ROOM:
                text = (
                    f"{len(machine.signals)} signals are too many: to announce them takes up to {size} bytes, and a "
                    f"message has at most {ROOM}; make two machines of it, or shorten the names of its signals"
                )
                refused[name] = Problem(self.document.line((*loc, name)), _where((*loc, name)), text)
        return Line(place, {n: m for n, m in machines.items() if n not in refused}, refused)

    def _machines(self, entry: Any, loc: Loc) -> Iterator[tuple[str, Machine]]:
        for name, body in _mapping(entry, "machines"):
            where = (*loc, name)
            self._check_once(name, where)
            if not isinstance(body, dict):
                continue  # the plant's own model has said so
            machine = self._machine(body, where)
            if machine is not None:
                yield name, machine

    def _check_once(self, name: str, loc: Loc) -> None:
        line = self.document.line(loc)
        if name in self.assets:
            text = f"a machine {name!r} stands on line {self.assets[name]} already: ids are unique in the whole plant"
            self.problems.append(Problem(line, _where(loc), text))
        self.assets.setdefault(name, line)

    def _machine(self, body: dict[str, Any], loc: Loc) -> Machine | None:
        if not isinstance(body.get("driver"), str):
            text = "missing key 'driver'" if "driver" not in body else "driver must be the name of a driver"
            self.problems.append(Problem(self.document.line(loc), _where(loc), text))
            return None
        try:
            model = load(body["driver"]).Machine
        except UnknownDriverError as error:
            self.problems.append(Problem(self.document.line((*loc, "driver")), _where(loc), str(error)))
            return None
        try:
            machine = model.model_validate(body)
        except ValidationError as error:
            self._take(error, model, loc)
            return None
        if not machine.signals:
            text = "no signals: state at least one under `signals:` (`shopfloor browse` shows what a machine offers)"
            self.problems.append(Problem(self.document.line(loc), _where(loc), text))
        return machine

    def _take(self, error: ValidationError, model: type[BaseModel], prefix: Loc) -> None:
        for detail in error.errors(include_url=False):
            loc = tuple(part for part in detail["loc"] if part != "[key]")
            place, text = _describe(detail, loc, model)
            full = (*prefix, *loc)
            self.problems.append(Problem(self.document.line(full), _where((*prefix, *place)), text))


def _birth_bytes(machine: Machine, place: Place, name: str) -> int:
    return least_birth_bytes(machine.asset(place, name)) if len(machine.signals) > _MANY_SIGNALS else 0


def _mapping(body: Any, key: str) -> list[tuple[str, Any]]:
    inner = body.get(key) if isinstance(body, dict) else None
    return list(inner.items()) if isinstance(inner, dict) else []


def _where(loc: Loc) -> str:
    """Show a path without what the reader of a plant file knows anyway (areas and lines before a machine)."""
    parts = [str(part) for part in loc]
    if "machines" in parts:
        parts = parts[parts.index("machines") :]
    return ".".join(parts)


def _choice(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"{word!r}; did you mean {near[0]!r}?" if near else f"{word!r}; have: {', '.join(known)}"


def _describe(detail: ErrorDetails, loc: Loc, model: type[BaseModel]) -> tuple[Loc, str]:
    """Say in plain words what pydantic found: the place to show and the text."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return loc[:-1], f"unknown key {_choice(str(loc[-1]), sorted(_keys(model, loc[:-1])))}"
    if kind == "missing":
        return loc[:-1], f"missing key {str(loc[-1])!r}"
    if kind in ("value_error", "assertion_error"):
        return loc, str(context.get("error", detail["msg"]))
    if kind in ("enum", "literal_error"):
        known = [word.strip().strip("'") for word in context["expected"].replace(" or ", ", ").split(",")]
        return loc, f"unknown value {_choice(str(value), known)}"
    if value is None:
        return loc, "is empty"
    wanted = detail["msg"].replace("Input should be", "must be").replace("a valid dictionary", "a list of `key: value`")
    shown = "" if isinstance(value, dict | list) else f", not {value!r}"
    return loc, f"{wanted[:1].lower()}{wanted[1:]}{shown}"


def _keys(model: type[BaseModel], loc: Loc) -> set[str]:
    """Return the keys that are known at `loc` inside `model`."""
    current: Any = model
    for part in loc:
        current = _inner(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            named = {field.alias or name: field for name, field in current.model_fields.items()}
            if str(part) not in named:
                return set()
            current = named[str(part)].annotation
        else:
            current = typing.get_args(current)[-1] if typing.get_args(current) else None
    current = _inner(current)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return {field.alias or name for name, field in current.model_fields.items()}
    return set()


def _inner(annotation: Any) -> Any:
    """Strip `Annotated` and `| None`; of a union, return the model in it."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (typing.Union, types.UnionType):
            options = [option for option in typing.get_args(annotation) if option is not type(None)]
            models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
            annotation = (models or options)[0]
        else:
            return annotation
