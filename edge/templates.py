"""A machine model once, many machines: entries of the plant file that take over a template.

    templates:
      pump:
        parameters: {db: , poll: 1}       # without a value: each machine states it
        driver: s7
        poll_s: "{poll}"
        signals:
          flow: {address: "DB{db}.DBD0:REAL"}
    …
          pump-01: {template: pump, parameters: {db: 12}, address: s7://192.168.0.10}

What the machine states itself goes before what the template says, key by key; lists are taken whole. In the texts of a
template `{db}` stands for a parameter, `{machine}` for the id of the machine; other braces are as they are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from edge.yaml_lines import Loc

TEMPLATE: Final = "template"
PARAMETERS: Final = "parameters"
MACHINE: Final = "machine"
MOST: Final = 600_000
"""Keys and values, and hundreds of characters, that all machines of a plant take over."""
_MOST_TEXT: Final = 100  # characters of a parameter
_PARAMETER: Final = re.compile(r"[A-Za-z_]\w{0,62}\Z", re.ASCII)
_PLACE: Final = re.compile(r"\{([A-Za-z_]\w{0,62})\}", re.ASCII)


class TemplateError(ValueError):
    """An entry that cannot take over its template; `loc` is the place inside the entry."""

    def __init__(self, loc: Loc, text: str) -> None:
        super().__init__(text)
        self.loc = loc


def expanded(templates: Any, entry: Mapping[str, Any], machine: str) -> dict[str, Any]:
    """Return an entry with all that its template says, as it is when it has none; raise TemplateError."""
    if TEMPLATE not in entry:
        return dict(entry)
    name = entry[TEMPLATE]
    known = templates if isinstance(templates, dict) else {}
    if not isinstance(name, str) or not isinstance(known.get(name), dict):
        raise TemplateError((TEMPLATE,), f"no template {_hint(str(name), known)} under `templates:`")
    template = known[name]
    if TEMPLATE in template:
        raise TemplateError((TEMPLATE,), f"the template {name!r} names another one: it takes over none itself")
    values = {**_parameters(template, entry, name), MACHINE: machine}
    body = {key: _filled(value, values) for key, value in template.items() if key != PARAMETERS}
    own = {key: value for key, value in entry.items() if key not in (TEMPLATE, PARAMETERS)}
    found: dict[str, Any] = _merged(body, own)
    return found


def size(value: Any) -> int:
    """Return how many keys and values there are in a part of a file, and hundreds of characters in them."""
    if isinstance(value, dict):
        return sum(1 + size(each) for each in value.values())
    if isinstance(value, list):
        return 1 + sum(map(size, value))
    return 1 + (len(value) // 100 if isinstance(value, str) else 0)


def _parameters(template: Mapping[str, Any], entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    said, given = template.get(PARAMETERS) or {}, entry.get(PARAMETERS) or {}
    if not isinstance(said, dict) or not isinstance(given, dict):
        raise TemplateError((PARAMETERS,), "must be a list of `key: value`")
    for key in given.keys() - said.keys():
        raise TemplateError((PARAMETERS, key), f"the template {name!r} has no parameter {_hint(key, said)}")
    for key, value in {**said, **given}.items():
        if not _PARAMETER.match(key) or key == MACHINE:
            raise TemplateError((PARAMETERS, key), f"{key!r} is no name of a parameter: use letters, digits and _")
        if isinstance(value, dict | list) or len(str(value)) > _MOST_TEXT:
            raise TemplateError((PARAMETERS, key), f"a parameter is a number or a text of {_MOST_TEXT} characters")
        if value is None:
            raise TemplateError((PARAMETERS,), f"the template {name!r} wants the parameter {key!r}")
    return {**said, **given}


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    alone = _PLACE.fullmatch(value)
    if alone and alone[1] in values:
        return values[alone[1]]  # a number stays one
    return _PLACE.sub(lambda found: _text(values[found[1]]) if found[1] in values else found[0], value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(getattr(value, "written", value))


def _merged(template: Any, own: Any) -> Any:
    if not isinstance(template, dict) or not isinstance(own, dict):
        return own
    return {**template, **{key: _merged(template[key], each) if key in template else each for key, each in own.items()}}


def _hint(word: str, known: Mapping[str, Any]) -> str:
    if not known:
        return f"{word!r}; there is none"
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"{word!r}; did you mean {near[0]!r}?" if near else f"{word!r}; have: {', '.join(list(known)[:20])}"
