"""Lists of tags become signals of a machine, and signals a list: what goes out comes back equal.

What cannot be taken is told with its line and why; it never stops the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from edge import taglists
from edge.config import said_of
from edge.drivers import load
from edge.entry import SignalEntry, SignalName
from edge.taglists import _source
from edge.taglists._source import Left, Source, Tag, TagListError

__all__ = ["Left", "TagListError", "Taken", "export", "take"]

MOST_SIGNALS: Final = 100_000
NAME: Final = "name"
_WORDS: Final[Mapping[str, str]] = {
    "comment": "description", "kommentar": "description", "beschreibung": "description", "\u63cf\u8ff0": "description",
    "units": "unit", "einheit": "unit", "eng units": "unit", "\u5355\u4f4d": "unit", "\u5730\u5740": "address",
    "min": "low", "max": "high", "data type": "datatype",
}  # fmt: skip
_COMMA: Final = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?\Z")
_NAME: Final[TypeAdapter[str]] = TypeAdapter(SignalName)
_TRUTHS: Final = {"wahr": "true", "falsch": "false", "\u662f": "true", "\u5426": "false"}


@dataclass(slots=True)
class Taken:
    """The signals of a list as they stand in the plant file, by name, and what is not taken."""

    signals: dict[str, dict[str, Any]] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)


def take(path: Path, driver: str, form: str = "") -> Taken:
    """Read a list of tags for a driver; `form`: which format, found out when it is not said.

    Raises TagListError, UnknownDriverError, UnknownFormatError.
    """
    model = signal_model(driver)
    source = Source(path)
    names = [form] if form else taglists.format_names()
    found = next((each for each in map(taglists.load, names) if form or each.fits(source)), None)
    if found is None:
        known = ", ".join(taglists.format_names())
        raise TagListError(f"{path.name}: no list of tags that is known ({known}): a table needs a column `name`")
    taken, odd = Taken(), set[str]()
    decimal = "." if source.is_xml else source.table.decimal
    for said in found.read(source, driver):
        if isinstance(said, Left):
            taken.left.append(said)
        elif len(taken.signals) >= MOST_SIGNALS:
            taken.left.append(Left(said.line, said.name, f"a machine has at most {MOST_SIGNALS} signals in a list"))
        else:
            _take(said, model, decimal, taken, odd)
    have = ", ".join(sorted(_keys(model)))
    taken.left += [Left(1, word, f"no key of a signal of {driver}; have: {have}") for word in sorted(odd)]
    return taken


def signal_model(driver: str) -> type[BaseModel]:
    """Return the model of the signals of a driver; raise UnknownDriverError."""
    model: type[BaseModel] = get_args(load(driver).Entry.model_fields["signals"].annotation)[-1]
    return model


def _keys(model: type[BaseModel]) -> dict[str, str]:
    """Return the keys of a signal as a plant file has them, by the name of the field."""
    return {info.alias or name: name for name, info in model.model_fields.items()}


def _take(tag: Tag, model: type[BaseModel], decimal: str, taken: Taken, odd: set[str]) -> None:
    keys = _keys(model)
    said: dict[str, Any] = {}
    for word, cell in tag.keys.items():
        key = word if word in keys else _WORDS.get(word, word)
        if key in keys:
            said[key] = cell
        else:
            odd.add(word)
    name = re.sub(r"[ \u00a0]+", "_", tag.name.strip())
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        taken.left.append(Left(tag.line, tag.name, str(error.errors()[0].get("ctx", {}).get("error", "no name"))))
        return
    if name in taken.signals:
        taken.left.append(Left(tag.line, tag.name, f"there is a signal {name!r} already"))
        return
    entry = _checked(said, model, decimal)
    if isinstance(entry, str):
        taken.left.append(Left(tag.line, tag.name, entry))
    else:
        taken.signals[name] = entry


def _checked(said: Mapping[str, Any], model: type[BaseModel], decimal: str) -> dict[str, Any] | str:
    """Return the entry of a signal in its plainest form, or why it cannot be one."""
    texts_only = _texts(model)
    texts = {key: cell if key in texts_only else _parsed(cell) for key, cell in said.items()}
    meant = {key: _meant(each, decimal) for key, each in texts.items()}
    attempts = [texts, {key: each for key, each in meant.items() if each != ""}]
    why = ""
    for attempt in attempts:
        try:
            found = model.model_validate(attempt)
        except ValidationError as error:
            where, text = said_of(error, model)
            why = f"{where}: {text}" if where else text
        else:
            return entry_of(found)
    return why


@cache
def _texts(model: type[BaseModel]) -> frozenset[str]:
    """Return the keys that are a text, whatever stands in it."""
    properties = model.model_json_schema(by_alias=True)["properties"]
    return frozenset(key for key, said in properties.items() if said.get("type") == "string")


def _parsed(cell: Any) -> Any:
    """Return what stands in a cell as JSON: lists and mappings."""
    if isinstance(cell, str) and cell[:1] in ("{", "["):
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
        return found if isinstance(found, dict | list) else cell
    return cell


def _meant(cell: Any, decimal: str) -> Any:
    """Return a cell without blanks around, with a point in its number, and with an English word for truth."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if decimal == "," and _COMMA.match(text):
        return text.replace(",", ".")
    return _TRUTHS.get(text.lower(), text)


def entry_of(signal: BaseModel) -> dict[str, Any]:
    """Return a signal as it stands in a plant file, where it is found first, without what is so by default."""
    found = signal.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {key: found[key] for key in _ordered(type(signal)) if key in found}


def export(signals: Mapping[str, BaseModel], path: Path) -> bytes:
    """Return a list of these signals as XLSX or CSV, by the name of the file; raise TagListError."""
    entries = {name: entry_of(signal) for name, signal in signals.items()}
    model = type(next(iter(signals.values()))) if signals else BaseModel
    used = {key for entry in entries.values() for key in entry}
    header = [NAME, *(key for key in _ordered(model) if key in used)]
    rows = [[name, *(_shown(entry.get(key)) for key in header[1:])] for name, entry in entries.items()]
    return (_source.write_xlsx if path.suffix.lower() == ".xlsx" else _source.write_csv)(header, rows)


@cache
def _ordered(model: type[BaseModel]) -> Sequence[str]:
    """Return the keys of a driver's signals, where it is found first."""
    of_all = SignalEntry.model_fields
    return sorted(_keys(model), key=lambda key: _keys(model)[key] in of_all)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
