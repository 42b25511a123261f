"""The OPC Foundation's nodesets of DI, Machinery, Machine Tools and Robotics, read from the folder that holds them.

Taken are the types that the face instantiates and what they refer to: ids, browse names, classes, data types,
references. Explaining texts are not. A namespace's IsNamespaceSubset says that only a part is served.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from simulators.face import FaceError

URIS: Final = (
    "http://opcfoundation.org/UA/",
    "http://opcfoundation.org/UA/DI/",
    "http://opcfoundation.org/UA/Machinery/",
    "http://opcfoundation.org/UA/MachineTool/",
    "http://opcfoundation.org/UA/Robotics/",
)
FILES: Final = (
    "Opc.Ua.Di.NodeSet2.xml",
    "Opc.Ua.Machinery.NodeSet2.xml",
    "Opc.Ua.MachineTool.NodeSet2.xml",
    "Opc.Ua.Robotics.NodeSet2.xml",
)
ROOTS: Final = (
    "2:1001",  # Machines
    "2:1012",  # MachineIdentificationType
    "2:1002",  # MachineryItemState_StateMachineType
    "2:1008",  # MachineryOperationModeStateMachineType
    "3:13",  # MachineToolType
    "3:16",  # ChannelMonitoringType
    "3:22",  # SpindleMonitoringType
    "3:50",  # ToolType
    "3:39",  # AlertType
    "4:1002",  # MotionDeviceSystemType
)
_SET: Final = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
_TYPES: Final = "{http://opcfoundation.org/UA/2008/02/Types.xsd}"
_SUBTYPE, _TYPE_OF, _RULE, _ENCODING = "0:45", "0:40", "0:37", "0:38"
_BRANCHES: Final = ("0:46", "0:47", "0:49", "0:35", "0:17604")
_FOLLOWED: Final = (*_BRANCHES, _TYPE_OF, "0:17603")
_LEFT_OUT: Final = ("FileSystem",)
_METADATA: Final = "0:11616"


class _Nodeset:
    """All nodes of the files by id, with their references as (type, is forward, target)."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.references: dict[str, set[tuple[str, bool, str]]] = {}

    def read(self, file: Path) -> None:
        text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        root = ElementTree.fromstring(text)  # noqa: S314 the OPC Foundation's own files, which the user chose
        uris = [URIS[0], *(uri.text or "" for uri in root.iter(f"{_SET}Uri"))]
        spaces = [URIS.index(uri) if uri in URIS else -1 for uri in uris]
        aliases = {alias.get("Alias", ""): alias.text or "" for alias in root.iter(f"{_SET}Alias")}

        def node_id(text: str) -> str:
            found = re.fullmatch(r"(?:ns=(\d+);)?i=(\d+)", aliases.get(text, text))
            if found is None:
                raise ValueError(f"{file.name}: node id {text!r} is not numeric")
            return f"{spaces[int(found[1] or 0)]}:{found[2]}"

        for element in root:
            if not element.tag.startswith(f"{_SET}UA"):
                continue
            space, name = _qualified(element.get("BrowseName", ""))
            own = node_id(element.get("NodeId", ""))
            row: dict[str, Any] = {
                "class": element.tag.removeprefix(f"{_SET}UA"),
                "name": f"{spaces[space]}:{name}",
            }
            if element.tag in (f"{_SET}UAVariable", f"{_SET}UAVariableType"):
                row["data"] = node_id(element.get("DataType", "i=24"))
                row["rank"] = int(element.get("ValueRank", "-1"))
            if element.get("IsAbstract") == "true":
                row["abstract"] = True
            value = _value(element.find(f"{_SET}Value"), spaces)
            if name == "IsNamespaceSubset":
                value = True
            if value is not None:
                row["value"] = value
            fields = element.findall(f"{_SET}Definition/{_SET}Field")
            if fields and all(field.get("Value") is not None for field in fields):
                row["enum"] = [[int(field.get("Value", "")), field.get("Name")] for field in fields]
            self.rows[own] = row
            for reference in element.iter(f"{_SET}Reference"):
                kind, other = node_id(reference.get("ReferenceType", "")), node_id(reference.text or "")
                forward = reference.get("IsForward") != "false"
                self.references.setdefault(own, set()).add((kind, forward, other))
                self.references.setdefault(other, set()).add((kind, not forward, own))

    def closure(self) -> list[str]:
        """Return the ids that the roots need, leaving out what leads to namespaces that are not served."""
        metadata = [i for i in self.rows if (_TYPE_OF, True, _METADATA) in self.references[i]]
        kept: set[str] = set()
        waiting = [*ROOTS, *metadata]
        while waiting:
            own = waiting.pop()
            if own in kept or own.startswith("0:"):
                continue
            kept.add(own)
            row = self.rows[own]
            waiting += [row["data"]] if "data" in row else []
            for kind, forward, other in self.references[own]:
                if not kind.startswith("0:"):
                    waiting.append(kind)
                if (forward and kind in _FOLLOWED) or (kind == _SUBTYPE and not forward):
                    waiting += [other] if self._is_served(other) else []
        return sorted(kept, key=lambda text: tuple(map(int, text.split(":"))))

    def _is_served(self, own: str) -> bool:
        if own.startswith("0:"):
            return False
        row = self.rows.get(own)
        if row is None or row["name"].partition(":")[2] in _LEFT_OUT or row.get("data", "").startswith("-1:"):
            return False
        return not any(k == _TYPE_OF and f and other.startswith("-1:") for k, f, other in self.references[own])

    def rows_of(self) -> list[dict[str, Any]]:
        """Return the nodes that the face serves, each with its references as [type, target]."""
        kept = self.closure()
        inside, served = set(kept), []
        for own in kept:
            references = sorted(
                (kind, other)
                for kind, forward, other in self.references[own]
                if forward and kind != _ENCODING and (other in inside or other.startswith("0:"))
            )
            above = sorted(
                (kind, other)
                for kind, forward, other in self.references[own]
                if not forward and other.startswith("0:") and kind not in (_TYPE_OF, _RULE)
            )
            served.append({"id": own, **self.rows[own], "to": references, "from": above})
        return served


def _qualified(text: str) -> tuple[int, str]:
    space, colon, name = text.partition(":")
    return (int(space), name) if colon and space.isdigit() else (0, text)


def _value(element: ElementTree.Element | None, spaces: list[int]) -> Any:
    """Return texts, numbers, names; None for what the face does not show (extension objects, byte strings)."""
    inner = None if element is None else next(iter(element), None)
    if inner is None:
        return None
    kind = inner.tag.rpartition("}")[2]
    if kind == "ListOfLocalizedText":
        return [text.findtext(f"{_TYPES}Text") or "" for text in inner]
    if kind == "QualifiedName":
        space = spaces[int(inner.findtext(f"{_TYPES}NamespaceIndex") or 0)]
        return f"{space}:{inner.findtext(f'{_TYPES}Name')}"
    if kind in ("UInt32", "Int32", "UInt16"):
        return int(inner.text or 0)
    return inner.text if kind in ("String", "DateTime") else None


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the nodes to be served, from `Opc.Ua.*.NodeSet2.xml` (or `.xml.gz`) anywhere below a folder.

    Raises FaceError when a file is not there or is no nodeset.
    """
    nodeset = _Nodeset()
    for name in FILES:
        file = next(iter(sorted([*folder.rglob(name), *folder.rglob(f"{name}.gz")])), None)
        if file is None:
            raise FaceError(f"{folder}: there is no {name}; put the OPC Foundation's nodesets there")
        try:
            nodeset.read(file)
        except ElementTree.ParseError as error:
            raise FaceError(f"{file}: not a nodeset: {error}") from error
    return nodeset.rows_of()
