"""Entries with their comments, into a plant file that is there or a new one."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from edge import apply
from edge.apply import ApplyError
from edge.config import PlantFileError, parse_plant
from edge.entry import Place


def as_yaml(name: str, entry: Mapping[str, Any]) -> str:
    """Return the entry of a machine as it stands under `machines:`, with its comments."""
    return _dumped(CommentedMap({name: apply.quoted(entry)}))


def write(path: Path, place: Place, machine: str, entry: CommentedMap, *, replaces: bool = False) -> None:
    """Put the entry of a machine into a plant file, which is made where there is none; raise ApplyError.

    Enterprise and site of `place` count for a new file alone. Area and line are made when the file has none of that
    name. `replaces`: an entry of this name that stands there is taken out.
    """
    if not path.exists():
        _make(path, place, machine, entry)
        return
    try:
        based_on = hashlib.sha256(path.read_bytes()).hexdigest()
        if not replaces and machine in apply.machines_of(path):
            raise ApplyError(f"{path} has a machine {machine!r} already: give this one another name, or replace it")
        apply.apply(path, place, machine, entry, based_on, is_here=True)
    except OSError as error:
        raise ApplyError(f"{path} cannot be read: {error.strerror}") from error


def _make(path: Path, place: Place, machine: str, entry: CommentedMap) -> None:
    lines = {place.line: {"machines": {machine: entry}}}
    whole = {"enterprise": place.enterprise, "site": place.site, "areas": {place.area: {"lines": lines}}}
    text = _dumped(apply.quoted(CommentedMap(whole)))
    try:
        plant = parse_plant(text, path)
        if plant.absent:
            raise ApplyError("; ".join(f"{each.where}: {each.text}" for each in plant.absent)[:1000])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except PlantFileError as error:
        raise ApplyError("; ".join(f"{each.where}: {each.text}" for each in error.problems)[:1000]) from error
    except OSError as error:
        raise ApplyError(f"{path} cannot be written: {error.strerror}") from error


def _dumped(whole: CommentedMap) -> str:
    writer = YAML()
    writer.width = 4096
    out = io.StringIO()
    writer.dump(whole, out)
    return re.sub(r"[ \t]+$", "", out.getvalue(), flags=re.M)
