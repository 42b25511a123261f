"""The plant file: which machines stand where, and how to talk to them. Checked in full before any socket opens."""

from __future__ import annotations

import codecs
import difflib
import hashlib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from contract.topics import Node
from edge.birth import ROOM, least_birth_bytes
from edge.detectors import UnknownDetectorError
from edge.detectors import load as load_detector
from edge.drivers import UnknownDriverError, load
from edge.entry import IS_FILE, Entry, Id, Model, Names, Place, as_written, read_detector
from edge.templates import MOST, TEMPLATE, TemplateError, expanded, size
from edge.yaml_lines import Document, Loc, YamlError, parse

MAX_BYTES: Final = 8 * 2**20
MAX_PROBLEMS: Final = 200
_MANY_SIGNALS: Final = 2000  # fewer always fit into a birth
_SHOWN: Final = 80
SAID: Final = ("signals", "events", "blocks")
"""The keys of a machine of which at least one says what it is to tell."""
_MOST_TEXT: Final = 300
_OF_KEYS: Final = ("mapping_type", "dict_type", "model_type", "model_attributes_type")
"""What pydantic says when something that is no list of `key: value` stands where one must."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a plant file: the line (from 1; 0: all of it), the place in the file, what to do."""

    line: int
    where: str
    text: str
    file: str = ""  # that is named and is not there


class PlantFileError(ValueError):
    """A plant file that cannot be used; the text has one line `file:line: where: what` for each problem."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = sorted(set(problems))
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        for problem in self.problems:
            where = f"{problem.where}: " if problem.where else ""
            line = f":{problem.line}" if problem.line else ""
            yield f"{self.path}{line}: {where}{problem.text}"


@dataclass(frozen=True, slots=True)
class Line:
    """A production line: one Sparkplug edge node."""

    place: Place
    machines: Mapping[str, Entry]
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
    absent: Sequence[Problem] = ()
    """Files that are named and are not there; their machines say it again when they connect."""
    sha256: str = ""
    """Of the content of the file."""

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
    templates: dict[Id, dict[str, Any]] = Field(
        default_factory=dict, description="what machines of one model have in common: each names it by `template`"
    )
    areas: dict[Id, AreaEntry] = Field(min_length=1)


def load_plant(path: Path) -> Plant:
    """Read and check a plant file; raise PlantFileError with every problem in it."""
    return read_plant(read_content(path), path)


def read_content(path: Path) -> bytes:
    """Return what is in a plant file, unchecked; raise PlantFileError."""
    try:
        if path.is_fifo() or path.is_socket():  # to open one may take for ever
            raise PlantFileError(path, [Problem(0, "", "is no file")])
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise PlantFileError(path, [Problem(0, "", "there is no such file")]) from error
    except OSError as error:
        raise PlantFileError(path, [Problem(0, "", f"cannot be read: {error.strerror}")]) from error
    if len(content) > MAX_BYTES:
        raise PlantFileError(path, [Problem(0, "", f"is larger than {MAX_BYTES // 2**20} MiB: no plant file is")])
    return content


def read_plant(content: bytes, path: Path) -> Plant:
    """Check the content of a plant file; `path` names it in errors. Raises PlantFileError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlantFileError(path, [_not_utf8(content, error.start)]) from error
    return replace(parse_plant(text, path), sha256=hashlib.sha256(content).hexdigest())


def _not_utf8(content: bytes, position: int) -> Problem:
    """Return the problem of a file in another encoding: line and word, in what it probably is."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Problem(1, "", "the file is in UTF-16: save it as UTF-8")
    start = content.rfind(b"\n", 0, position) + 1
    line = content[start:].partition(b"\n")[0].strip()
    number = content.count(b"\n", 0, position) + 1
    try:
        said = f"{line.decode('gb2312')[:_SHOWN]!r} is in GBK, not in UTF-8"
    except UnicodeDecodeError:
        said = f"{line.decode('utf-8', 'backslashreplace')[:_SHOWN]!r} is not in UTF-8"
    return Problem(number, "", f"{said}: save the file as UTF-8")


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
    absent = list(_absent(lines, path.parent, document))
    enterprise, site = (as_written(document.data[name]) for name in ("enterprise", "site"))
    return Plant(path, enterprise, site, lines, absent)


class _Reader:
    """Collects the lines of a plant and every problem on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.assets: dict[str, int] = {}
        self.taken_over = 0

    def read(self) -> list[Line]:
        try:
            PlantEntry.model_validate(self.document.data)
        except ValidationError as error:
            self._take(error, PlantEntry, ())
        enterprise, site = (str(as_written(self.document.data.get(name, ""))) for name in ("enterprise", "site"))
        lines = []
        for area, body in _mapping(self.document.data, "areas"):
            for line, entry in _mapping(body, "lines"):
                loc = ("areas", area, "lines", line, "machines")
                machines = dict(self._machines(entry, loc))
                lines.append(self._line(Place(enterprise, site, area, line), machines, loc))
        return lines

    def _line(self, place: Place, machines: dict[str, Entry], loc: Loc) -> Line:
        refused = {}
        for name, entry in machines.items():
            size = _birth_bytes(entry, place, name)
            if size > ROOM:
                text = (
                    f"{len(entry.signals)} signals are too many: to announce them takes up to {size} bytes, and a "
                    f"message has at most {ROOM}; make two machines of it, or shorten the names of its signals"
                )
                refused[name] = Problem(self.document.line((*loc, name)), _where((*loc, name)), text)
        return Line(place, {n: m for n, m in machines.items() if n not in refused}, refused)

    def _machines(self, body: Any, loc: Loc) -> Iterator[tuple[str, Entry]]:
        for name, said in _mapping(body, "machines"):
            where = (*loc, name)
            self._check_once(name, where)
            if not isinstance(said, dict):
                continue  # the plant's own model has said so
            body = self._expanded(said, where)
            entry = None if body is None else self._entry(body, where)
            if entry is not None:
                yield name, entry

    def _expanded(self, said: dict[str, Any], loc: Loc) -> dict[str, Any] | None:
        """Return the entry of a machine with what its template says."""
        templates = self.document.data.get("templates")
        try:
            body = expanded(templates, said, str(loc[-1]))
        except TemplateError as error:
            place = (*loc, *error.loc)
            self.problems.append(Problem(self.document.line(place), _where(place), str(error)))
            return None
        if TEMPLATE in said:
            self.taken_over += size(body)
            if self.taken_over > MOST:
                text = f"machines take over more than {MOST} keys and values of templates: make several plants of it"
                self.problems.append(Problem(self.document.line(loc), _where(loc), text))
                return None
            self.document.taken_over[loc] = ("templates", said[TEMPLATE])
        return body

    def _check_once(self, name: str, loc: Loc) -> None:
        line = self.document.line(loc)
        if name in self.assets:
            text = f"a machine {name!r} stands on line {self.assets[name]} already: ids are unique in the whole plant"
            self.problems.append(Problem(line, _where(loc), text))
        self.assets.setdefault(name, line)

    def _entry(self, body: dict[str, Any], loc: Loc) -> Entry | None:
        if not isinstance(body.get("driver"), str):
            text = "missing key 'driver'" if "driver" not in body else "driver must be the name of a driver"
            self.problems.append(Problem(self.document.line(loc), _where(loc), text))
            return None
        try:
            model = load(body["driver"]).Entry
        except UnknownDriverError as error:
            self.problems.append(Problem(self.document.line((*loc, "driver")), _where(loc), str(error)))
            return None
        if not self._detectors(body, loc):
            body = {key: value for key, value in body.items() if key != "detectors"}
        try:
            entry = model.model_validate(body)
        except ValidationError as error:
            self._take(error, model, loc)
            return None
        if not any(getattr(entry, key, None) for key in SAID):
            text = "no signals: state at least one under `signals:` (`shopfloor browse` shows what a machine offers)"
            self.problems.append(Problem(self.document.line(loc), _where(loc), text))
        return entry

    def _detectors(self, body: dict[str, Any], loc: Loc) -> bool:
        """Check the detectors of a machine each by its own model; return whether all are right."""
        entries, before = body.get("detectors"), len(self.problems)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            where = (*loc, "detectors", index)
            try:
                read_detector(entry)
            except UnknownDetectorError as error:
                self.problems.append(Problem(self.document.line((*where, "kind")), _where(where), str(error)))
            except ValidationError as error:
                self._take(error, load_detector(entry["kind"]).Options, where)
        return len(self.problems) == before

    def _take(self, error: ValidationError, model: type[BaseModel], prefix: Loc) -> None:
        for detail in error.errors(include_url=False):
            if len(self.problems) >= MAX_PROBLEMS:
                return  # who mends these sees the others
            loc = tuple(part for part in detail["loc"] if part != "[key]")
            full = (*prefix, *loc)
            place, text = _describe(detail, loc, model)
            text = _misread(detail, self.document.word(full)) or text
            self.problems.append(Problem(self.document.line(full), _where((*prefix, *place)), _short(text)))


def _absent(lines: Iterable[Line], folder: Path, document: Document) -> Iterator[Problem]:
    for line in lines:
        place = ("areas", line.place.area, "lines", line.place.line, "machines")
        for name, entry in line.machines.items():
            for loc, file in files_of(entry):
                if not (folder / file).exists():
                    full, missing = (*place, name, *loc), str(folder / file)
                    yield Problem(document.line(full), _where(full), f"there is no file {missing!r}", missing)


def files_of(model: BaseModel) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the place and name of each file that a model names."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from (((name, *loc), file) for loc, file in files_of(value))
        elif isinstance(value, str) and IS_FILE in (*info.metadata, *_metadata(info.annotation)):
            yield (name,), value


def _metadata(annotation: Any) -> list[Any]:
    """Return what the parts of `File | None` are marked with."""
    marked = [part for part in typing.get_args(annotation) if typing.get_origin(part) is typing.Annotated]
    return [mark for part in marked for mark in typing.get_args(part)[1:]]


def _birth_bytes(entry: Entry, place: Place, name: str) -> int:
    return least_birth_bytes(entry.asset(place, name)) if len(entry.signals) > _MANY_SIGNALS else 0


def _mapping(body: Any, key: str) -> list[tuple[str, Any]]:
    inner = body.get(key) if isinstance(body, dict) else None
    return list(inner.items()) if isinstance(inner, dict) else []


def said_of(error: ValidationError, model: type[BaseModel]) -> tuple[str, str]:
    """Return the place and the text, in plain words, of the first thing that a model found wrong."""
    detail = error.errors(include_url=False)[0]
    loc, text = _describe(detail, tuple(part for part in detail["loc"] if part != "[key]"), model)
    return _where(loc), _short(_misread(detail, None) or text)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"


def _where(loc: Loc) -> str:
    """Show a path without what the reader of a plant file knows anyway (areas and lines before a machine)."""
    parts = [str(part) for part in loc]
    if "machines" in parts:
        parts = parts[parts.index("machines") :]
    return ".".join(parts)


def _choice(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
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
    if kind in _OF_KEYS:
        return loc, f"must be a list of `key: value`, not {value!r}"
    wanted = detail["msg"].replace("Input should be", "must be").replace("a valid dictionary", "a list of `key: value`")
    shown = "" if isinstance(value, dict | list) else f", not {value!r}"
    return loc, f"{wanted[:1].lower()}{wanted[1:]}{shown}"


def _misread(detail: ErrorDetails, word: str | None) -> str | None:
    """Say that YAML reads a word as true or false, or that nothing is written; None when it is neither."""
    if detail["type"] in ("extra_forbidden", "missing"):
        return None
    if word is not None and detail["type"] not in _OF_KEYS:
        return f"{word} is read as {str(detail['input']).lower()} by YAML: put it in quotes if it is a word"
    return "is empty" if detail["input"] is None else None


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
