"""Ids for the names of others: what a foreign device, edge node, metric or topic level is called here.

A name that can be an id is its own id. Any other is written in Latin letters (温度 is WenDu), in lower case where it
becomes a level of a topic, and what cannot stand in an id becomes `-` or `_`. Many names can look alike by that, so
`Ids` remembers which name has which id: who comes first keeps the readable one, the next gets a suffix that is made of
its exact name. An id once given is never given to another. docs/decisions/0011-names-of-others.md says why.
"""

from __future__ import annotations

import re
import threading
from base64 import b32encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

import orjson
from anyascii import anyascii

from contract.topics import EMPTY_LEVEL, Node, TopicError, check_id

MOST_ROWS: Final = 1_000_000
MOST_IN_SCOPE: Final = 50_000
"""More names than that are not remembered: each further one has its suffix always, which needs no memory."""
MOST_LABEL: Final = 256
UNNAMED: Final = "unnamed"

_LEVEL: Final = 63
_SIGNAL: Final = 128
_SUFFIXES: Final = (6, 12, 24, 48)  # characters; a longer one only where the shorter one is taken
_NOTE: Final = "ids"
ASSETS: Final = "assets"
"""The scope of the assets: each has one id in the whole plant."""
_PLACES: Final = "places"
_SIGNALS: Final = "signals"
_NOT_IN_LEVEL: Final = re.compile(r"[^a-z0-9_-]+")
_NOT_IN_SIGNAL: Final = re.compile(r"[^A-Za-z0-9_./-]+")
_RESERVED: Final = (".quality", ".status")
_NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})

IsLive = Callable[[str], bool]
"""Whether the asset with this path is announced in a session that lives now."""


def level_name(foreign: str) -> str:
    """Return a name as it reads as one level of a topic: an id (`check_id`), maybe the same for several names."""
    text = _NOT_IN_LEVEL.sub("-", anyascii(foreign).lower()).strip("-").lstrip("_-")
    return text[:_LEVEL] or UNNAMED


def signal_name(foreign: str) -> str:
    """Return a metric name of any edge node as it reads as a signal, maybe the same for several names."""
    name = _NOT_IN_SIGNAL.sub("_", anyascii(foreign))[:_SIGNAL] or "_"
    for ending in _RESERVED:
        if name.endswith(ending):
            return f"{name.removesuffix(ending)}_{ending[1:]}"
    return name


def suffixed(readable: str, path: str, most: int, length: int = _SUFFIXES[0]) -> str:
    """Return an id of at most `most` characters that ends in `length` characters made of the exact `path`."""
    digest = sha256(path.encode("utf-8", "surrogatepass")).digest()
    return f"{readable[: most - length - 1]}-{b32encode(digest).decode().lower()[:length]}"


def shortened(text: str, most: int = MOST_LABEL) -> str:
    """Return `text` cut to `most` characters; what is cut gets a suffix, so that two of them stay two."""
    return text if len(text) <= most else suffixed(text, text, most)


def path_of(node: Node, device: str | None) -> str:
    """Return the exact name of an asset among all others: no level of a topic has a slash in it."""
    return "/".join(node if device is None else (*node, device))


def levels_of(node: Node) -> tuple[tuple[str, str], ...]:
    """Return the exact path and name of enterprise, site, area and line of an edge node; both empty for what it lacks.

    A group without two colons is the name of a site.
    """
    group, parts = node.group, node.group.split(":")
    line = path_of(node, None), node.edge_node
    if len(parts) == 3:
        return *((":".join(parts[:depth]), part) for depth, part in enumerate(parts, start=1)), line
    return ("", ""), (group, group), ("", ""), line


def places_scope(above: Iterable[str]) -> str:
    """Return the scope of the places below others."""
    return "/".join((_PLACES, *above))


def signals_scope(path: str) -> str:
    """Return the scope of the signals of the asset with this path."""
    return f"{_SIGNALS}/{path}"


def is_canonical(*names: str) -> bool:
    """Whether all names are ids as they stand."""
    try:
        return bool([check_id(name) for name in names])
    except TopicError:
        return False


class Notebook(Protocol):
    """Where the table is kept: the notes of a spool."""

    def note(self, key: str) -> bytes | None:
        """Return a note, None when there is none or it is damaged."""


class Row(NamedTuple):
    """One id that was given in a scope; `name` None: to nobody, as several had it. `stated`: by a plant file."""

    scope: str
    name: str | None
    id: str
    stated: bool = False


@dataclass(slots=True)
class _Scope:
    id_of: dict[str, str] = field(default_factory=dict)
    names_of: dict[str, list[str]] = field(default_factory=dict)  # only stated ones can be more than one
    stated: set[str] = field(default_factory=set)


class Ids:
    """Which foreign name has which id. Safe to use from several threads.

    Rows that were not written yet stand in `notes`, which never change once they were given out: they can be written
    in any order, and again. Whoever uses an id writes them before or with it, and says `noted` when they are durable.
    """

    def __init__(self, most_in_scope: int = MOST_IN_SCOPE) -> None:
        self._most_in_scope = most_in_scope
        self._lock = threading.RLock()
        self._scopes: dict[str, _Scope] = {}
        self._rows = 0
        self._new: list[Row] = []
        self._notes = 0
        self._pending: dict[str, bytes] = {}

    # the durable part

    @classmethod
    def load(cls, notebook: Notebook, most_in_scope: int = MOST_IN_SCOPE) -> Ids:
        """Read the table; what is damaged of it is as if it had never been given."""
        ids = cls(most_in_scope)
        count = int(notebook.note(_NOTE) or b"0")
        while (body := notebook.note(f"{_NOTE}/{ids._notes}")) is not None or ids._notes < count:
            for row in orjson.loads(body or b"[]"):
                ids._keep(Row(*row))
            ids._notes += 1
        return ids

    @property
    def is_empty(self) -> bool:
        """Whether no id was ever given."""
        return not self._rows

    def notes(self) -> Mapping[str, bytes]:
        """Return the notes that are not durable yet."""
        if not self._new and not self._pending:
            return _NOTHING
        with self._lock:
            if self._new:
                self._pending[f"{_NOTE}/{self._notes}"] = orjson.dumps([list(row) for row in self._new])
                self._new = []
                self._notes += 1
            return {**self._pending, _NOTE: b"%d" % self._notes}

    def noted(self, notes: Mapping[str, bytes]) -> None:
        """Say that these notes are durable."""
        with self._lock:
            for key in notes:
                self._pending.pop(key, None)

    # what is asked

    def place(self, node: Node) -> tuple[str, str, str, str]:
        """Return enterprise, site, area and line of an edge node; a group without two colons is a site of its own."""
        place: tuple[str, ...] = ()
        for path, name in levels_of(node):
            place = *place, self.level(place, path, name)
        enterprise, site, area, line = place
        return enterprise, site, area, line

    def level(self, above: tuple[str, ...], path: str, name: str) -> str:
        """Return what the place with this path and name is called below the places `above`."""
        if not path:
            return EMPTY_LEVEL
        return self._assign(places_scope(above), {path: name}, level_name, _LEVEL)[path]

    def asset(self, node: Node, device: str | None, *, stated: bool = False, is_live: IsLive | None = None) -> str:
        """Return the id of a device, or with None that of the edge node itself: site-area-line.

        `stated`: a plant file says the id of the device. It stays with a machine that moves to another line of its
        enterprise; if both are announced at once (`is_live`), they are two, and the later one has a suffix.
        """
        with self._lock:
            if device is None:
                name = "-".join(level for level in self.place(node)[1:] if level != EMPTY_LEVEL)
            else:
                name = device
            path = path_of(node, device)
            stated = stated and device is not None
            if stated and (held := self._shared(path, name, is_live or (lambda _: False))):
                return held
            return self._assign(ASSETS, {path: name}, level_name, _LEVEL, stated=stated)[path]

    def _shared(self, path: str, name: str, is_live: IsLive) -> str | None:
        """Return the id of a machine whose plant file says `name`, if another machine had that id or has it, too."""
        scope = self._scope(ASSETS)
        held = scope.id_of.get(path)
        others = [other for other in scope.names_of.get(name, ()) if other != path and scope.id_of[other] == name]
        if held not in (None, name) or not others or len(name) > _LEVEL:
            return None
        enterprise = path.split(":", 1)[0]
        same = all(other in scope.stated and other.split(":", 1)[0] == enterprise for other in others)
        if not any(map(is_live, others)) and (held is not None or same):
            if held is None:
                self._give(Row(ASSETS, path, name, stated=True))
            return name
        own = self._free(scope, path, name, _LEVEL, always=True)
        self._give(Row(ASSETS, path, own, stated=True))
        return own

    def signals(self, node: Node, device: str | None, names: Iterable[str]) -> Mapping[str, str]:
        """Return the signals of metrics that were named together, by metric name; their order does not matter."""
        path = path_of(node, device)
        return self._assign(signals_scope(path), {name: name for name in names}, signal_name, _SIGNAL)

    def named(self, scope: str, name: str, readable: str, is_taken: Callable[[str], bool]) -> str:
        """Return the id of a name in a scope of the caller's own: none that others have taken."""
        with self._lock:
            table = self._scope(scope)
            held = table.id_of.get(name)
            if held is None or is_taken(held):
                full = self._is_full(table)
                held = self._free(table, f"{scope}/{name}", readable, _LEVEL, always=full, is_taken=is_taken)
                if not full:
                    self._give(Row(scope, name, held))
            return held

    def names(self, scope: str) -> list[str]:
        """Return the names that have an id in a scope of the caller's own."""
        with self._lock:
            return list(self._scope(scope).id_of)

    def seed(self, rows: Iterable[Row]) -> None:
        """Take ids that were given before there was a table."""
        with self._lock:
            for row in rows:
                self._give(row)

    # how an id is given

    def _assign(
        self, scope_name: str, names: Mapping[str, str], read: Callable[[str], str], most: int, *, stated: bool = False
    ) -> dict[str, str]:
        """Return the ids of names, which go by their exact path in the scope.

        Of those that are new, the ones that are ids as they stand choose first, the others in the order of their text.
        """
        with self._lock:
            scope = self._scope(scope_name)
            found = {path: scope.id_of[path] for path in names if path in scope.id_of}
            new = [(read(names[path]), path) for path in names.keys() - found.keys()]
            for readable, path in sorted(new, key=lambda pair: (pair[0] != names[pair[1]], pair[1])):
                full = self._is_full(scope)
                exact = f"{scope_name}/{path}" if scope_name.startswith(_SIGNALS) else path
                found[path] = self._free(scope, exact, readable, most, always=full)
                if not full:
                    self._give(Row(scope_name, path, found[path], stated))
            return found

    def _is_full(self, scope: _Scope) -> bool:
        return self._rows >= MOST_ROWS or len(scope.id_of) >= self._most_in_scope

    @staticmethod
    def _free(
        scope: _Scope,
        path: str,
        readable: str,
        most: int,
        *,
        always: bool,
        is_taken: Callable[[str], bool] = lambda _: False,
    ) -> str:
        """Return an id that nobody has, with a suffix if need be; `always`: even if the readable one is free."""
        choices = [] if always else [readable]
        choices += [suffixed(readable, path, most, length) for length in _SUFFIXES]
        return next((id_ for id_ in choices if id_ not in scope.names_of and not is_taken(id_)), choices[-1])

    def _give(self, row: Row) -> None:
        self._keep(row)
        self._new.append(row)

    def _keep(self, row: Row) -> None:
        scope = self._scope(row.scope)
        names = scope.names_of.setdefault(row.id, [])
        self._rows += 1
        if row.name is None:
            return
        names.append(row.name)
        scope.id_of[row.name] = row.id
        if row.stated:
            scope.stated.add(row.name)

    def _scope(self, name: str) -> _Scope:
        return self._scopes.setdefault(name, _Scope())
