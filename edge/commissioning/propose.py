"""An entry for a machine, made of the tags that were chosen: names, units, datatypes, pace. Nothing is writable."""

from __future__ import annotations

import re
import typing
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from ruamel.yaml.comments import CommentedMap

from contract.identity import level_name, signal_name, suffixed
from contract.model import Datatype
from contract.text import UNSEEN
from edge.config import said_of
from edge.driver import Tag
from edge.drivers import DriverModule, UnknownDriverError, load
from edge.entry import SignalEntry

_MOST_NAME: Final = 64
_MOST_COMMENT: Final = 100
_VALUE: Final = frozenset(("value", "val", "v", "actual", "current", "data", "pv"))
"""What a tag is called whose name is that of what it belongs to."""
_PACES: Final = ("publish_s", "interval_s", "poll_s")
_UNITS: Final = {
    "mm/min": "mm/min", "mm/s": "mm/s", "mm": "mm", "µm": "µm", "um": "µm", "m/s": "m/s", "m": "m", "rpm": "rpm",
    "1/min": "rpm", "degc": "°C", "°c": "°C", "celsius": "°C", "k": "K", "bar": "bar", "mbar": "mbar", "pa": "Pa",
    "kpa": "kPa", "mpa": "MPa", "n": "N", "kn": "kN", "nm": "N·m", "a": "A", "ma": "mA", "v": "V", "mv": "mV",
    "kv": "kV", "w": "W", "kw": "kW", "kwh": "kWh", "wh": "Wh", "kvar": "kvar", "kva": "kVA", "hz": "Hz", "khz": "kHz",
    "s": "s", "ms": "ms", "min": "min", "h": "h", "l/min": "L/min", "m3/h": "m³/h", "l": "L", "kg": "kg", "g": "g",
    "t": "t", "%": "%", "pct": "%", "percent": "%", "deg": "°", "°": "°", "deg/s": "°/s", "ppm": "ppm",
}  # fmt: skip
"""How units are written in names and descriptions, in lower case, and in a plant file."""
_BRACKETED: Final = re.compile(r"[\[(]\s*([^\])]{1,10}?)\s*[\])]")
_BEHIND: Final = re.compile(r"[_ -]([A-Za-zµ]{2,7})\Z")  # one letter behind a name says too little
_NO_NUMBERS: Final = frozenset((Datatype.STRING, Datatype.BOOLEAN, Datatype.DATETIME))
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_IN_NAME: Final = re.compile(r"[^a-z0-9]+")


_NO_VALUE: Final = "without a single value: an array, a structure, or nothing yet"
_PROPERTY: Final = "a property of another one"


class ProposeError(ValueError):
    """No entry can be made of these tags; says why."""


class Proposal(NamedTuple):
    """An entry with comments for the plant file, and the paths of tags that have no place in it, with why."""

    entry: CommentedMap
    left_out: Mapping[str, str]


def propose(
    driver: str,
    address: str,
    options: Mapping[str, Any],
    tags: Sequence[Tag],
    *,
    kind: str = "machine",
    about: str = "",
) -> Proposal:
    """Return an entry whose signals are these tags; raise ProposeError.

    `options` are the driver's beside the address, `about` says in a comment what it is. The entry is right: the model
    of its driver has taken it.
    """
    try:
        module = load(driver)
    except UnknownDriverError as error:
        raise ProposeError(str(error)) from error
    own = {tag.path for tag in signals_of(tags)}
    left_out = {tag.path: _NO_VALUE if tag.path in own else _PROPERTY for tag in tags if not _is_signal(tag, own)}
    taken = [tag for tag in tags if tag.path not in left_out]
    if not taken:
        why = next(iter(left_out.values()), "none was chosen")
        raise ProposeError(f"no tag of these can be a signal: {why}")
    try:
        of_machine, of_signals = _mapped(module, taken)
    except ValueError as error:
        raise ProposeError(str(error)) from error
    said = {"driver": driver, "address": address, "kind": kind} | dict(of_machine) | dict(options)
    entry = CommentedMap(said | _pace(module, said))
    _comment_on(entry, module, about)
    entry["signals"] = signals = CommentedMap()
    for name, tag, mapped in zip(names(taken), taken, of_signals, strict=True):
        signal = CommentedMap({key: _plain(value) for key, value in (mapped | _facts(tag, mapped)).items()})
        signal.fa.set_flow_style()
        signals[name] = signal
        signals.yaml_add_eol_comment(_shown(_about(tag)), name, column=0)
    try:
        module.Entry.model_validate(entry)
    except ValidationError as error:
        where, text = said_of(error, module.Entry)
        raise ProposeError(f"{where}: {text}" if where else text) from error
    return Proposal(entry, left_out)


def names(tags: Sequence[Tag]) -> list[str]:
    """Return a name for each tag, all different: the last levels of its path, as few as tell it from the others."""
    levels = [_levels(tag) for tag in tags]
    paths = Counter(tag.path for tag in tags)
    for index, tag in enumerate(tags):
        if paths[tag.path] > 1:  # several values in one message
            levels[index] += _words_of(tag.address)
    depths = [2 if of_tag[-1].lower() in _VALUE and len(of_tag) > 1 else 1 for of_tag in levels]
    while True:
        found = [_joined(of_tag[-depth:]) for of_tag, depth in zip(levels, depths, strict=True)]
        again = {name for name, count in Counter(found).items() if count > 1}
        deeper = [
            (name in again or name[0].isdigit()) and depth < len(of_tag)
            for name, depth, of_tag in zip(found, depths, levels, strict=True)
        ]
        if not any(deeper):
            break
        depths = [depth + more for depth, more in zip(depths, deeper, strict=True)]
    used: set[str] = set()
    for index, name in enumerate(found):
        number, free = 2, name
        while free in used:
            free, number = f"{name}_{number}", number + 1
        used.add(free)
        found[index] = free
    return found


def machine_id(tags: Sequence[Tag], host: str) -> str:
    """Return an id for the machine: the last level that the paths of all tags share, else its address."""
    shared: list[str] = []
    for of_level in zip(*(tag.path.split("/")[:-1] for tag in tags), strict=False):
        if len(set(of_level)) > 1:
            break
        shared.append(of_level[0])
    return level_name(shared[-1] if shared else f"machine-{host}")


def signals_of(tags: Sequence[Tag]) -> list[Tag]:
    """Return the tags without those that lie below another one: the properties of it, like its unit and range."""
    paths = {tag.path for tag in tags}
    return [tag for tag in tags if paths.isdisjoint(_above(tag.path))]


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _is_signal(tag: Tag, own: Container[str]) -> bool:
    return tag.path in own and (tag.datatype is not None or tag.value is not None)


def _mapped(module: DriverModule, tags: Sequence[Tag]) -> tuple[Mapping[str, Any], Sequence[dict[str, Any]]]:
    """Return what the driver wants to have written for tags; raise ValueError.

    A driver that says nothing has one key of its own that each signal must state: the address of the tag.
    """
    if hasattr(module, "map_tags"):
        mapped: tuple[Mapping[str, Any], Sequence[dict[str, Any]]] = module.map_tags(tags)
        return mapped
    model: Any = typing.get_args(module.Entry.model_fields["signals"].annotation)[-1]
    own = {name: field for name, field in model.model_fields.items() if name not in SignalEntry.model_fields}
    keys = [field.alias or name for name, field in own.items() if field.is_required()]
    if len(keys) != 1:
        raise ValueError("this driver does not say how its signals are written: write the entry by hand")
    return {}, [{keys[0]: tag.address} for tag in tags]


def _pace(module: DriverModule, said: Mapping[str, Any]) -> dict[str, float]:
    """Return how often the machine is asked, or asked to send: what the driver would take by itself."""
    fields = module.Entry.model_fields
    return next(({key: fields[key].default} for key in _PACES if key in fields and key not in said), {})


def _comment_on(entry: CommentedMap, module: DriverModule, about: str) -> None:
    if about:
        entry.yaml_add_eol_comment(_shown(about, 200), "driver", column=0)
    for key in entry:
        field = module.Entry.model_fields.get(key)
        if key in _PACES and field is not None and field.description:
            entry.yaml_add_eol_comment(_shown(field.description), key, column=0)
    if entry.get("security") == "none":
        entry.yaml_add_eol_comment("anyone on the network can read and change what passes", "security", column=0)


def _facts(tag: Tag, mapped: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a signal whatever its driver."""
    found: dict[str, Any] = {}
    if tag.datatype is not None and "datatype" not in mapped:
        found["datatype"] = tag.datatype
    if tag.datatype not in _NO_NUMBERS and (unit := tag.unit or unit_of(tag)):
        found["unit"] = unit
    if tag.low is not None and tag.high is not None and tag.low < tag.high:
        found |= {"low": tag.low, "high": tag.high}
    return found


def unit_of(tag: Tag) -> str:
    """Return the unit that the name or the description of a number states, "" for none that is known."""
    last = tag.path.rpartition("/")[2]
    behind = _BEHIND.search(last)
    words = [*_BRACKETED.findall(last), *_BRACKETED.findall(tag.description), *(behind.groups() if behind else ())]
    return next((_UNITS[word.lower()] for word in words if word.lower() in _UNITS), "")


def _levels(tag: Tag) -> list[str]:
    return [level for level in tag.path.split("/") if level] or [tag.address]


def _words_of(address: str) -> list[str]:
    return [word for word in re.split(r"[.\[\]'\"]+", address) if word and word != "@"]


def _joined(levels: Sequence[str]) -> str:
    """Return levels of a path as one name in lower case, its words parted by `_`."""
    text = "_".join(_WORD.sub("_", signal_name(level)) for level in levels).lower()
    name = _NOT_IN_NAME.sub("_", text).strip("_") or "value"
    return name if len(name) <= _MOST_NAME else suffixed(name[-_MOST_NAME:].lstrip("_"), text, _MOST_NAME)


def _about(tag: Tag) -> str:
    value = f"{tag.value:.6g}" if isinstance(tag.value, float) else "no value" if tag.value is None else str(tag.value)
    says_more = tag.description and tag.description != tag.path.rpartition("/")[2]
    return f"{tag.path}: {value[:40]}{f' ({tag.description})' if says_more else ''}"


def _shown(text: str, most: int = _MOST_COMMENT) -> str:
    """Return a text as a comment can hold it: on one line, and not for ever."""
    line = " ".join(UNSEEN.sub(" ", text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Datatype) else value
