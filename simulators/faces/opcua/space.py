"""Nodes of the companion models in asyncua's server: the types as they are, and machines made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from asyncua import Server, ua

from simulators.catalogs.companion import Bind, Companion
from simulators.faces.opcua.model import MANDATORY, RULE, TYPE_OF, Child, Model, Row, load
from simulators.faces.opcua.values import unit


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


_KINDS: Final[dict[str, tuple[ua.VariantType, Callable[[Any], Any]]]] = {
    "0:1": (ua.VariantType.Boolean, bool),
    "0:4": (ua.VariantType.Int16, int),
    "0:5": (ua.VariantType.UInt16, int),
    "0:7": (ua.VariantType.UInt32, int),
    "0:9": (ua.VariantType.UInt64, int),
    "0:11": (ua.VariantType.Double, float),
    "0:12": (ua.VariantType.String, str),
    "0:13": (ua.VariantType.DateTime, _time),
    "0:21": (ua.VariantType.LocalizedText, ua.LocalizedText),
    "0:290": (ua.VariantType.Double, float),
    "0:291": (ua.VariantType.String, str),
    "0:294": (ua.VariantType.DateTime, _time),
    "0:884": (ua.VariantType.ExtensionObject, lambda ends: ua.Range(*ends)),
    "0:887": (ua.VariantType.ExtensionObject, unit),
    "0:18806": (ua.VariantType.ExtensionObject, lambda parts: ua.RationalNumber(*parts)),
    "0:24263": (ua.VariantType.String, str),
}
"""How a value of a data type is made from what the model or a companion says."""
_INTEGER: Final = (ua.VariantType.Int32, int)
"""Enumerations and Int32."""
_HAS_ADD_IN, _HAS_COMPONENT = "0:17604", "0:47"
_BASE_OBJECT: Final = "0:58"
_FINITE_STATE: Final = "0:2760"


@dataclass(frozen=True, slots=True)
class Shows:
    """A node of a machine whose value follows from signals."""

    node: ua.NodeId
    row: Row
    bind: Bind
    machine: Row | None = None
    """The state machine of a state."""


class Space:
    """The address space of one server, with the companion models whose nodesets lie in a folder."""

    def __init__(self, server: Server, own: int, nodesets: Path) -> None:
        self._nodes = server.iserver.node_mgt_service
        self._model: Model = load(nodesets)
        self._index: list[int] = []
        self._server = server
        self._own = own

    async def start(self) -> None:
        """Register the namespaces and put the types into the address space."""
        self._index = [0, *[await self._server.register_namespace(uri) for uri in self._model.uris[1:]]]
        rows = sorted(self._model.rows.values(), key=lambda row: not row.node_class.endswith("Type"))  # types first
        self._add([self._item(row) for row in rows])
        references: list[ua.AddReferencesItem] = []
        for row in rows:
            for kind, other in row.to:
                if kind != TYPE_OF:
                    references += self._both(row.id, kind, other)
            for kind, other in row.above:
                references += self._both(other, kind, row.id)
        left = list(self._nodes.try_add_references(references))
        if left:
            names = ", ".join(item.TargetNodeId.to_string() for item in left[:5])
            raise RuntimeError(f"the nodesets refer to nodes that are not there: {names}")

    def id(self, text: str) -> ua.NodeId:
        """Return the server's node id for `index:number` of the model."""
        space, _, number = text.partition(":")
        return ua.NodeId(int(number), self._index[int(space)])

    def name(self, text: str) -> ua.QualifiedName:
        """Return the server's browse name for `index:name` of the model."""
        space, _, name = text.partition(":")
        return ua.QualifiedName(name, self._index[int(space)])

    def machine(self, machine: str, names: ua.LocalizedText, companion: Companion) -> list[Shows]:
        """Add a machine below Machines; return what is to be kept up to date."""
        made = _Instance(self, self._model, self._own, machine, companion)
        type_id = companion.type or _BASE_OBJECT
        root = self.item(
            ua.NodeId(machine, self._own), ua.QualifiedName(machine, self._own), ua.NodeClass.Object, names
        )
        root.ParentNodeId, root.ReferenceTypeId = self.id("2:1001"), self.id("0:35")
        root.TypeDefinition = self.id(type_id)
        made.items.append(root)
        made.below(machine, "", self._model.rows.get(type_id))
        made.link()
        self._add(made.items)
        list(self._nodes.try_add_references([r for link in made.links for r in self._both_ids(*link)]))
        missing = made.wanted - made.used
        if missing:
            raise ValueError(f"{machine}: the companion models know no {', '.join(sorted(missing))}")
        return made.shows

    def item(
        self, node: ua.NodeId, name: ua.QualifiedName, node_class: ua.NodeClass, text: ua.LocalizedText | None = None
    ) -> ua.AddNodesItem:
        """Return a node to be added, with the attributes that its class wants."""
        attributes = {
            ua.NodeClass.Object: ua.ObjectAttributes,
            ua.NodeClass.Variable: ua.VariableAttributes,
            ua.NodeClass.Method: ua.MethodAttributes,
            ua.NodeClass.ObjectType: ua.ObjectTypeAttributes,
            ua.NodeClass.VariableType: ua.VariableTypeAttributes,
            ua.NodeClass.DataType: ua.DataTypeAttributes,
            ua.NodeClass.ReferenceType: ua.ReferenceTypeAttributes,
        }[node_class]()
        attributes.DisplayName = text or ua.LocalizedText(name.Name)
        return ua.AddNodesItem(
            RequestedNewNodeId=node, BrowseName=name, NodeClass=node_class, NodeAttributes=attributes
        )

    def _item(self, row: Row) -> ua.AddNodesItem:
        item = self.item(self.id(row.id), self.name(row.name), getattr(ua.NodeClass, row.node_class))
        if row.node_class.endswith("Type"):
            item.NodeAttributes.IsAbstract = row.abstract
        if row.enum:
            item.NodeAttributes.DataTypeDefinition = ua.EnumDefinition(
                Fields=[ua.EnumField(Value=value, Name=name) for value, name in row.enum]
            )
        if row.data:
            self.declare(item, row, row.value)
        item.TypeDefinition = self.id(row.target(TYPE_OF)) if row.target(TYPE_OF) else ua.NodeId()
        return item

    def declare(self, item: ua.AddNodesItem, row: Row, value: Any) -> None:
        """Give a variable its data type and a value."""
        item.NodeAttributes.DataType = self.id(row.data)
        item.NodeAttributes.ValueRank = row.rank
        item.NodeAttributes.Value = self.variant(row, value)

    def variant(self, row: Row, value: Any) -> ua.Variant:
        """Return a value as the row's data type; a null one for None."""
        if value is None:
            return ua.Variant()
        if isinstance(value, list):
            texts = [ua.LocalizedText(text) for text in value]
            return ua.Variant(texts, ua.VariantType.LocalizedText, is_array=True)
        if row.data == "0:20":
            return ua.Variant(self.name(value), ua.VariantType.QualifiedName)
        kind, made = _KINDS.get(row.data, _INTEGER)
        return ua.Variant(made(value), kind)

    def value(self, shows: Shows, found: Any) -> ua.Variant:
        """Return what a node shows; `found` is the result of its Bind."""
        if shows.machine is None:
            return self.variant(shows.row, found)
        state = next(row for row in self._model.states(shows.machine) if row.label == found)
        if shows.row.label == "Id":
            return ua.Variant(self.id(state.id), ua.VariantType.NodeId)
        if shows.row.label == "Number":
            return self.variant(shows.row, self._model.children(state)["StateNumber"].row.value)
        return self.variant(shows.row, found)

    def _add(self, items: list[ua.AddNodesItem]) -> None:
        left = list(self._nodes.try_add_nodes(items, check=False))
        if left:
            names = ", ".join(f"{item.RequestedNewNodeId.to_string()} {item.BrowseName.Name}" for item in left[:5])
            raise RuntimeError(f"the server does not take {len(left)} nodes: {names}")

    def _both(self, source: str, kind: str, target: str) -> Iterator[ua.AddReferencesItem]:
        yield from self._both_ids(self.id(source), self.id(kind), self.id(target))

    def _both_ids(self, source: ua.NodeId, kind: ua.NodeId, target: ua.NodeId) -> Iterator[ua.AddReferencesItem]:
        for one, other, forward in ((source, target, True), (target, source, False)):
            yield ua.AddReferencesItem(SourceNodeId=one, ReferenceTypeId=kind, IsForward=forward, TargetNodeId=other)


class _Instance:
    """One machine as it is made from its type: what is mandatory, and the optional parts that its companion names."""

    def __init__(self, space: Space, model: Model, own: int, machine: str, companion: Companion) -> None:
        self.items: list[ua.AddNodesItem] = []
        self.links: list[tuple[ua.NodeId, ua.NodeId, ua.NodeId]] = []
        self.shows: list[Shows] = []
        self.used: set[str] = set()
        self._space, self._model, self._own = space, model, own
        self._machine, self._companion = machine, companion
        self._shared: dict[str, ua.NodeId] = {}
        named = {*companion.values, *companion.placed, *companion.present}
        self.wanted = {"/".join(path.split("/")[:n]) for path in named for n in range(1, path.count("/") + 2)}

    def below(self, parent: str, path: str, row: Row | None, machine: Row | None = None) -> None:
        """Make the children of one node."""
        declared = self._model.children(row) if row is not None else {}
        for label, child in declared.items():
            place = f"{path}/{label}".lstrip("/")
            if place in self._companion.placed:  # with a subtype of what is declared
                continue
            if child.row.target(RULE) == MANDATORY or (place in self.wanted and child.row.target(RULE)):
                self._make(parent, place, child, self._space.name(child.row.name), machine)
        for place, type_id in self._companion.placed.items():
            above, _, label = place.rpartition("/")
            if above == path:
                self._place(parent, place, label, self._model.rows[type_id], declared)

    def _place(self, parent: str, place: str, label: str, type_row: Row, declared: dict[str, Child]) -> None:
        default = self._model.children(type_row).get("DefaultInstanceBrowseName")
        holders = [child for key, child in declared.items() if key.startswith("<")]
        reference = holders[0].reference if holders else _HAS_ADD_IN if default else _HAS_COMPONENT
        name = self._space.name(default.row.value) if default else ua.QualifiedName(label, self._own)
        row = Row("", "Object", "", ((TYPE_OF, type_row.id),))
        self._make(parent, place, Child(reference, row), name, None)

    def _make(self, parent: str, place: str, child: Child, name: ua.QualifiedName, machine: Row | None) -> None:
        row = child.row
        self.used.add(place)
        above, reference = ua.NodeId(parent, self._own), self._space.id(child.reference)
        if row.id in self._shared:  # one node below two parents, as in the type
            self.links.append((above, reference, self._shared[row.id]))
            self.used.update(path for path in self.wanted if path.startswith(f"{place}/"))
            return
        text = f"{self._machine}/{place}"
        node = ua.NodeId(text, self._own)
        if row.id in self._model.shared:
            self._shared[row.id] = node
        item = self._space.item(node, name, getattr(ua.NodeClass, row.node_class))
        item.ParentNodeId, item.ReferenceTypeId = above, reference
        item.TypeDefinition = self._space.id(row.target(TYPE_OF))
        self.items.append(item)
        if row.node_class == "Variable":
            self._fill(item, place, row, machine)
        type_row = self._model.rows.get(row.target(TYPE_OF))
        if row.target(TYPE_OF) == _FINITE_STATE:
            type_row = machine
        self.below(text, place, row, type_row)

    def _fill(self, item: ua.AddNodesItem, place: str, row: Row, machine: Row | None) -> None:
        given = self._companion.values.get(place)
        if given is None and row.label in ("Id", "Number") and machine is not None:
            given = self._companion.values.get(place.rpartition("/")[0])
        else:
            machine = machine if row.target(TYPE_OF) == _FINITE_STATE else None
        if isinstance(given, Bind):
            self.shows.append(Shows(item.RequestedNewNodeId, row, given, machine))
            self._space.declare(item, row, None)
        else:
            self._space.declare(item, row, given)

    def link(self) -> None:
        """Add the references between parts that the companion names."""
        for source, kind, target in self._companion.links:
            ids = [ua.NodeId(f"{self._machine}/{place}", self._own) for place in (source, target)]
            self.links.append((ids[0], self._space.id(kind), ids[1]))
