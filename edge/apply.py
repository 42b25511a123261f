"""Changes of the plant file from afar: based on what it is now, checked whole before, with its comments kept.

Only the lines of one machine's entry are written anew; all others stay as they are, byte for byte. What was changed is
applied as what is changed by hand is (see edge.plant).
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import re
import shutil
import threading
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from edge.config import PlantFileError, load_plant, parse_plant
from edge.entry import Place
from edge.templates import TemplateError, expanded
from edge.yaml_lines import Document, Loc, YamlError, parse

BEFORE: Final = ".before"
"""Behind the name of the file: what it was before the last change."""
_BY_HAND: Final = "it is written in a way that cannot be changed from afar: change it by hand"
_resolver: Final[Any] = yaml.SafeLoader("")  # has no types
_TEXT: Final = "tag:yaml.org,2002:str"
_LOCK: Final = threading.Lock()  # the lines of a process share one file


class ApplyError(ValueError):
    """A change that is not made; says why."""


def read_machines(path: Path, place: Place) -> dict[str, Any]:
    """Return the entries of the `machines` of a line as they stand in the file, and its `sha256`; raise ApplyError."""
    content = _content(path)
    return {"sha256": _hash(content), "machines": _at(_parsed(_text(content)).data, _loc(place))}


def machines_of(path: Path) -> set[str]:
    """Return the machines of all lines of a plant file; raise ApplyError."""
    _content(path)
    return {name for line in load_plant(path).lines for name in (*line.machines, *line.refused)}


def apply(path: Path, place: Place, machine: str, entry: JsonValue, based_on: str, *, is_here: bool = False) -> str:
    """Put the entry of a machine of a line into the file, or take it out (None); return the new hash.

    Raises ApplyError: the file is no longer the one with the hash `based_on`, it would not be right, or it cannot be
    written. What it was stays beside it, under its name with `.before`. `is_here`: whoever wishes it sits at this
    computer, so that the entry may name files of it, and the line may be new.
    """
    with _LOCK:
        content = _content(path)
        if _hash(content) != based_on:
            raise ApplyError(f"the plant file has changed meanwhile, its hash is {_hash(content)}: look at it again")
        before = _parsed(_text(content))
        wanted = deepcopy(before.data)
        loc = (*_loc(place), machine)
        if is_here and entry is not None:
            loc, entry = _with_line(before.data, loc, entry)
        machines = _at(wanted, loc[:-1])
        if not is_here:
            templates = wanted.get("templates")
            _check_files(_whole(templates, machines.get(machine), machine), _whole(templates, entry, machine))
        if entry is not None:
            machines[str(loc[-1])] = entry
        elif machines.pop(machine, None) is None:
            raise ApplyError(f"there is no machine {machine!r} on {place}")
        text = _changed(_text(content), before, loc, entry)
        try:
            plant = parse_plant(text, path)
        except PlantFileError as error:
            raise ApplyError("; ".join(f"{each.where}: {each.text}" for each in error.problems)[:1000]) from error
        if _parsed(text).data != wanted:
            raise ApplyError(f"the plant file, or the entry of {machine}: {_BY_HAND}")
        if plant.absent:
            raise ApplyError("; ".join(f"{each.where}: {each.text}" for each in plant.absent)[:1000])
        return _replace(path, content, text)


def _with_line(data: Any, loc: Loc, entry: JsonValue) -> tuple[Loc, JsonValue]:
    """Return where to put an entry, and what: with its line and its area where the file has none of that name."""
    while len(loc) > 2 and not _has(data, loc[:-1]):
        loc, entry = loc[:-1], {str(loc[-1]): entry}
    return loc, entry


def _has(data: Any, loc: Loc) -> bool:
    for part in loc:
        data = data.get(part) if isinstance(data, dict) else None
    return isinstance(data, dict)


def _whole(templates: Any, entry: Any, machine: str) -> Any:
    """Return an entry with what its template says, files and all; raise ApplyError."""
    try:
        return expanded(templates, entry, machine) if isinstance(entry, dict) else entry
    except TemplateError as error:
        raise ApplyError(f"machines.{machine}: {error}") from error


def _check_files(old: Any, new: JsonValue) -> None:
    """Raise ApplyError when a change from afar would name a file of this computer, or show one to another address.

    What stands in it, a password say, would go where the author wishes.
    """
    before, after = _files(old), _files(new)
    if after and after != before:
        raise ApplyError("files (passwords, keys, certificates) are named at the edge, not from afar")
    if after and isinstance(old, dict) and isinstance(new, dict) and old.get("address") != new.get("address"):
        raise ApplyError("a machine with files (passwords, keys, certificates) gets another address at the edge alone")


def _files(entry: Any, where: str = "") -> dict[str, Any]:
    """Return the options of an entry that name files, by place."""
    if not isinstance(entry, dict):
        return {}
    found = {f"{where}{key}": value for key, value in entry.items() if str(key).endswith("_file") or key == "trust"}
    for key, value in entry.items():
        found |= _files(value, f"{where}{key}.")
    return found


def _content(path: Path) -> bytes:
    """Return a plant file that is right; raise ApplyError."""
    try:
        load_plant(path)
        return path.read_bytes()
    except (PlantFileError, OSError) as error:
        raise ApplyError(f"the plant file cannot be changed: {error}"[:1000]) from error


def _text(content: bytes) -> str:
    return content.decode("utf-8-sig")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parsed(text: str) -> Document:
    try:
        return parse(text)
    except YamlError as error:
        raise ApplyError(f"line {error.line}: {error.text}") from error


def _loc(place: Place) -> Loc:
    return ("areas", place.area, "lines", place.line, "machines")


def _at(data: Any, loc: Loc) -> dict[str, Any]:
    for part in loc:
        data = data.get(part) if isinstance(data, dict) else None
    if not isinstance(data, dict):
        raise ApplyError(f"the plant file has no line {loc[1]}/{loc[3]} any more")
    return data


def _changed(text: str, document: Document, loc: Loc, entry: JsonValue) -> str:
    """Return the text with another entry at `loc`, at the end of its mapping when there was none."""
    lines = text.splitlines(keepends=True)
    is_new = loc not in document.lines
    last = list(_at(document.data, loc[:-1]))[-1]
    start, end = _span(lines, document, (*loc[:-1], last) if is_new else loc)
    old = lines[start:end]
    indent = _indent(old[0])
    if not re.match(r" *(['\"]?)[\w-]+\1 *:", old[0]):
        raise ApplyError(f"what stands beside {'.'.join(map(str, loc))}: {_BY_HAND}")
    name, written = str(loc[-1]), ""
    if entry is not None:
        written = _written("".join(old), name, entry, is_new=is_new)
    new = [f"{indent}{line}" if line.strip() else line for line in written.splitlines(keepends=True)]
    if "\r\n" in old[0]:
        new = [line.replace("\n", "\r\n") for line in new]
    if is_new and not old[-1].endswith("\n"):
        lines[end - 1] += "\n"
    return "".join([*lines[: end if is_new else start], *new, *lines[end:]])


def _span(lines: list[str], document: Document, loc: Loc) -> tuple[int, int]:
    """Return the first line of an entry, and the first behind it; comments behind it are no part of it."""
    start = document.lines[loc] - 1
    others = (line - 1 for place, line in document.lines.items() if place[: len(loc)] != loc)
    end = min((line for line in others if line > start), default=len(lines))
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return start, end


def _written(old: str, name: str, entry: JsonValue, *, is_new: bool) -> str:
    """Return an entry as YAML that begins at the left: what it has of the old one stands as it stood."""
    round_trip = YAML()
    round_trip.preserve_quotes = True
    round_trip.width = 4096
    found = CommentedMap()
    if not is_new:
        try:
            found = round_trip.load(re.sub(f"(?m)^{_indent(old)}", "", old))
        except YAMLError as error:
            raise ApplyError(f"the entry of {name}: {_BY_HAND}") from error
    if isinstance(found.get(name), CommentedMap) and isinstance(entry, dict):
        _merge(found[name], entry)
    else:
        found[name] = quoted(entry)
    out = io.StringIO()
    round_trip.dump(found, out)
    return out.getvalue()


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" "))]


def _merge(old: CommentedMap, new: dict[str, JsonValue]) -> None:
    for key in [key for key in old if key not in new]:
        del old[key]
    for key, value in new.items():
        if isinstance(old.get(key), CommentedMap) and isinstance(value, dict):
            _merge(old[key], value)
        elif key not in old or old[key] != value or isinstance(old[key], bool) is not isinstance(value, bool):
            old[key] = quoted(value)


def quoted(value: Any) -> Any:
    """Return a value whose texts have quotes where the edge, which reads YAML 1.1, would read another thing.

    A mapping with comments keeps them.
    """
    if isinstance(value, CommentedMap):
        for key, each in value.items():
            value[key] = quoted(each)
        return value
    if isinstance(value, dict):
        return {key: quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [quoted(each) for each in value]
    if isinstance(value, str) and _resolver.resolve(yaml.ScalarNode, value, (True, False)) != _TEXT:
        return DoubleQuotedScalarString(value)
    return value


def _replace(path: Path, before: bytes, text: str) -> str:
    """Put the new file in the place of the old one, of which a copy stays; return the hash. Raises ApplyError."""
    bom = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    content = bom + text.encode()
    path = path.resolve()
    new = path.with_name(f".{path.name}.new")
    try:
        path.with_name(path.name + BEFORE).write_bytes(before)
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, new)
        new.replace(path)
    except OSError as error:
        raise ApplyError(f"the plant file cannot be written: {error}") from error
    return _hash(content)
