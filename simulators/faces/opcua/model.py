"""The companion models that the face serves: nodes of DI, Machinery, Machine Tools 1.02 and Robotics 1.01.

They are read from the OPC Foundation's nodesets, in the folder where the user has them (see `nodesets`). Ids are
`index:number` with the index of `Model.uris`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from simulators.faces.opcua.nodesets import URIS, read

SUBTYPE: Final = "0:45"
TYPE_OF: Final = "0:40"
RULE: Final = "0:37"
MANDATORY: Final = "0:78"
OPTIONAL: Final = "0:80"
_BRANCHES: Final = frozenset(("0:46", "0:47", "0:49", "0:35", "0:17604"))


@dataclass(frozen=True, slots=True)
class Row:
    """One node: its class without `UA`, name as `index:name`, references as (type, target)."""

    id: str
    node_class: str
    name: str
    to: tuple[tuple[str, str], ...]
    above: tuple[tuple[str, str], ...] = ()
    """References that nodes of OPC UA itself have to this node."""
    data: str = ""
    rank: int = -1
    abstract: bool = False
    value: Any = None
    enum: tuple[tuple[int, str], ...] = ()

    @property
    def label(self) -> str:
        """The browse name without its namespace."""
        return self.name.partition(":")[2]

    def target(self, kind: str) -> str:
        """Return the target of the first reference of this type, or an empty text."""
        return next((other for reference, other in self.to if reference == kind), "")


@dataclass(frozen=True, slots=True)
class Child:
    """A declaration below a type: by which reference, and the row."""

    reference: str
    row: Row


@dataclass(frozen=True, slots=True)
class Model:
    """All rows by id."""

    uris: tuple[str, ...]
    rows: Mapping[str, Row]
    shared: frozenset[str]
    """Ids of the nodes that lie below two parents."""
    _above: Mapping[str, str]

    def supertype(self, type_id: str) -> str:
        """Return the id of the type's supertype, empty when it is one of OPC UA itself."""
        return self._above.get(type_id, "")

    def children(self, row: Row) -> dict[str, Child]:
        """Return what a type or a declaration declares below itself, by label; its own instead of inherited ones."""
        declared: dict[str, Child] = {}
        above = self.supertype(row.id) if row.node_class.endswith("Type") else row.target(TYPE_OF)
        if above in self.rows:
            declared.update(self.children(self.rows[above]))
        for kind, other in row.to:
            if kind in _BRANCHES and other in self.rows:
                child = self.rows[other]
                declared[child.label] = Child(kind, child)
        return declared

    def states(self, machine: Row) -> Iterator[Row]:
        """Yield the states of a state machine (0:2307) and its initial state (0:2309)."""
        for child in self.children(machine).values():
            if child.row.target(TYPE_OF) in ("0:2307", "0:2309"):
                yield child.row


@cache
def load(folder: Path) -> Model:
    """Read the model once from the nodesets in `folder`; raise FaceError."""
    rows = (
        Row(
            item["id"],
            item["class"],
            item["name"],
            tuple(item["to"]),
            tuple(item["from"]),
            item.get("data", ""),
            item.get("rank", -1),
            item.get("abstract", False),
            item.get("value"),
            tuple(map(tuple, item.get("enum", ()))),
        )
        for item in read(folder)
    )
    by_id = {row.id: row for row in rows}
    references = [(row.id, kind, other) for row in by_id.values() for kind, other in row.to]
    parents = Counter(other for _, kind, other in references if kind in _BRANCHES)
    shared = frozenset(node for node, count in parents.items() if count > 1)
    above = {other: source for source, kind, other in references if kind == SUBTYPE}
    return Model(URIS, by_id, shared, above)
