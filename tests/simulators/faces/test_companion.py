"""The OPC UA face against the OPC Foundation's nodesets: every difference is listed, and there must be none."""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
import pytest_asyncio
from asyncua import Client, ua

from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.face import FaceError, Setting
from tests.simulators.faces.client import make_certificate, secured

NODESETS = Path(__file__).parents[4] / "shared" / "data" / "nodesets"
OPC = "http://opcfoundation.org/UA/"
OFFICIAL = [f"{OPC}{name}/" for name in ("DI", "Machinery", "MachineTool", "Robotics")]
OURS = "urn:shopfloor:simulators"
XML = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
VALUE = "{http://opcfoundation.org/UA/2008/02/Types.xsd}"
BRANCHES = {(OPC, 46), (OPC, 47), (OPC, 49), (OPC, 35), (OPC, 17604)}
SUBTYPE, TYPE_OF, RULE, MANDATORY = (OPC, 45), (OPC, 40), (OPC, 37), (OPC, 78)
FACTORY = """
enterprise: demo
site: test
seed: 1
areas:
  hall:
    lines:
      line1:
        machines:
          mill: {kind: cnc, face: opcua}
          lathe: {kind: lathe, face: opcua}
          grinder: {kind: grinder, face: opcua}
          arm: {kind: robot, face: opcua}
          air: {kind: compressor, face: opcua}
"""
Id = tuple[str, int | str]


@dataclass
class Known:
    """A node as a nodeset, or as the server, has it."""

    node_class: str
    name: tuple[str, str]
    data: Id | None = None
    abstract: bool = False
    to: list[tuple[Id, Id]] = field(default_factory=list)
    value: tuple[str, str] | None = None
    """A qualified name, where the value is one."""

    def target(self, kind: Id) -> Id | None:
        return next((other for reference, other in self.to if reference == kind), None)


def read_nodesets() -> dict[Id, Known]:
    """All nodes of the official files; references in both directions are made forward ones."""
    nodes: dict[Id, Known] = {}
    above: list[tuple[Id, Id, Id]] = []
    for file in sorted(NODESETS.glob("*.xml.gz")):
        root = ElementTree.fromstring(gzip.decompress(file.read_bytes()))
        uris = [OPC, *(uri.text or "" for uri in root.iter(f"{XML}Uri"))]
        aliases = {alias.get("Alias", ""): alias.text or "" for alias in root.iter(f"{XML}Alias")}

        def id_of(text: str, uris: list[str] = uris, aliases: dict[str, str] = aliases) -> Id:
            found = re.fullmatch(r"(?:ns=(\d+);)?i=(\d+)", aliases.get(text, text))
            return (uris[int(found[1] or 0)], int(found[2])) if found else (text, 0)

        for element in root:
            if not element.tag.startswith(f"{XML}UA"):
                continue
            name = re.fullmatch(r"(?:(\d+):)?(.*)", element.get("BrowseName", ""))
            assert name is not None
            has_data = element.tag in (f"{XML}UAVariable", f"{XML}UAVariableType")
            own = id_of(element.get("NodeId", ""))
            known = nodes[own] = Known(
                element.tag.removeprefix(f"{XML}UA"),
                (uris[int(name[1] or 0)], name[2]),
                id_of(element.get("DataType", "i=24")) if has_data else None,
                element.get("IsAbstract") == "true",
            )
            qualified = element.find(f"{XML}Value/{VALUE}QualifiedName")
            if qualified is not None:
                space = uris[int(qualified.findtext(f"{VALUE}NamespaceIndex") or 0)]
                known.value = (space, qualified.findtext(f"{VALUE}Name") or "")
            for reference in element.iter(f"{XML}Reference"):
                kind, other = id_of(reference.get("ReferenceType", "")), id_of(reference.text or "")
                if reference.get("IsForward") == "false":
                    above.append((other, kind, own))
                else:
                    known.to.append((kind, other))
    for source, kind, target in above:
        if source in nodes and (kind, target) not in nodes[source].to:
            nodes[source].to.append((kind, target))
    return nodes


class Walk:
    """What a client finds on the server."""

    def __init__(self, client: Client, uris: list[str]) -> None:
        self.client, self.uris = client, uris

    def server_id(self, node: Id) -> ua.NodeId:
        return ua.NodeId(node[1], self.uris.index(node[0]))

    def id_of(self, node: ua.NodeId) -> Id:
        return self.uris[node.NamespaceIndex], node.Identifier

    async def read(self, nodes: Iterable[Id]) -> dict[Id, Known]:
        """Read nodes by id, 200 at once; those that the server has not are left out."""
        every, found = list(nodes), {}
        attributes = [ua.AttributeIds[n] for n in ("NodeClass", "BrowseName", "DataType", "IsAbstract")]
        for start in range(0, len(every), 200):
            part = every[start : start + 200]
            ids = [self.server_id(node) for node in part]
            params = ua.ReadParameters(
                NodesToRead=[ua.ReadValueId(NodeId=i, AttributeId=a) for i in ids for a in attributes]
            )
            answers = await self.client.uaclient.read(params)
            values = [answer.Value.Value if answer.StatusCode.is_good() else None for answer in answers]
            browsed = await self.client.browse_nodes([self.client.get_node(i) for i in ids])
            for i, node in enumerate(part):
                node_class, name, data, abstract = values[4 * i : 4 * i + 4]
                if node_class is None:
                    continue
                references = [
                    (self.id_of(r.ReferenceTypeId), self.id_of(r.NodeId))
                    for r in browsed[i][1].References
                    if r.IsForward
                ]
                found[node] = Known(
                    ua.NodeClass(node_class).name,
                    (self.uris[name.NamespaceIndex], name.Name),
                    None if data is None else self.id_of(data),
                    bool(abstract),
                    references,
                )
        return found


def differences(node: Id, official: Known, served: Known) -> list[str]:
    """What differs in name, class, data type, abstractness, type definition."""
    pairs = {
        "class": (official.node_class, served.node_class),
        "browse name": (official.name, served.name),
        "data type": (official.data, served.data),
        "abstract": (official.abstract, served.abstract),
        "type definition": (official.target(TYPE_OF), served.target(TYPE_OF)),
    }
    return [f"{node}: {what} is {is_!r}, official {wants!r}" for what, (wants, is_) in pairs.items() if is_ != wants]


def declared(nodes: dict[Id, Known], node: Id) -> dict[tuple[str, str], Known]:
    """What a type or a declaration wants below it, by browse name."""
    if node not in nodes:
        return {}
    known, found = nodes[node], {}
    if known.node_class.endswith("Type"):
        above = next((i for i, n in nodes.items() if (SUBTYPE, node) in n.to), None)
    else:
        above = known.target(TYPE_OF)
    if above is not None:
        found.update(declared(nodes, above))
    children = [nodes[other] for kind, other in known.to if kind in BRANCHES and other in nodes]
    found.update({child.name: child for child in children if child.target(RULE) is not None})
    return found


def supertypes(nodes: dict[Id, Known], type_of: Id | None) -> Iterator[Id]:
    """The types above a type; an instance may have a subtype of what is declared."""
    while type_of is not None:
        type_of = next((i for i, known in nodes.items() if (SUBTYPE, type_of) in known.to), None)
        if type_of is not None:
            yield type_of


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walk]:
    """A running server with a machine of each kind, and a client on it."""
    if not NODESETS.is_dir():
        pytest.skip("the OPC Foundation's nodesets are not at ../shared/data/nodesets")
    folder = tmp_path_factory.mktemp("companion")
    (folder / "factory.yaml").write_text(FACTORY)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    factory = factories.load(folder / "factory.yaml")
    (face,) = build_faces(factory, Setting(folder, opcua_port=port, nodesets=NODESETS))
    await face.start()
    for tick in range(1, 4):
        factory.step(0.2)
        await face.emit(1_700_000_000_000_000_000 + tick * 200_000_000)
    make_certificate(folder)
    client = await secured(port, folder)
    async with client:
        yield Walk(client, await client.get_namespace_array())
    await face.stop()


@pytest.fixture(scope="module")
def nodesets() -> dict[Id, Known]:
    """The official nodes."""
    if not NODESETS.is_dir():
        pytest.skip("the OPC Foundation's nodesets are not at ../shared/data/nodesets")
    return read_nodesets()


@pytest.mark.asyncio(loop_scope="module")
class TestCompanion:
    """Node by node."""

    async def test_served_nodes_are_the_official_ones(self, walk: Walk, nodesets: dict[Id, Known]) -> None:
        served = await walk.read(node for node in nodesets if node[0] in OFFICIAL)
        assert len(served) > 800
        found = [line for node, known in served.items() for line in differences(node, nodesets[node], known)]
        for node, known in served.items():
            for kind, other in known.to:
                if other[0] in OFFICIAL and (kind, other) not in nodesets[node].to:
                    found.append(f"{node}: refers by {kind} to {other}, official does not")
                if other[0] in OFFICIAL and other not in served:
                    found.append(f"{node}: refers to {other}, which is not served")
            wanted = [other for kind, other in nodesets[node].to if kind in BRANCHES and other in nodesets]
            for other in wanted:
                if nodesets[other].target(RULE) == MANDATORY and other not in served:
                    found.append(f"{node}: its mandatory part {other} {nodesets[other].name} is not served")
        assert not found, "\n".join(found)

    @pytest.mark.parametrize(
        ("machine", "type_of"),
        [
            ("mill", (f"{OPC}MachineTool/", 13)),
            ("lathe", (f"{OPC}MachineTool/", 13)),
            ("grinder", (f"{OPC}MachineTool/", 13)),
            ("arm", (f"{OPC}Robotics/", 1002)),
            ("air", (OPC, 58)),
        ],
    )
    async def test_machines_are_made_as_their_types_declare(
        self, walk: Walk, nodesets: dict[Id, Known], machine: str, type_of: Id
    ) -> None:
        machines = (await walk.read([(f"{OPC}Machinery/", 1001)]))[f"{OPC}Machinery/", 1001]
        assert ((OPC, 35), (OURS, machine)) in machines.to
        root = (await walk.read([(OURS, machine)]))[OURS, machine]
        assert root.target(TYPE_OF) == type_of
        found: list[str] = []
        compared = await self._compare(walk, nodesets, (OURS, machine), root, declared(nodesets, type_of), found)
        assert not found, "\n".join(found)
        assert compared >= {"arm": 165, "air": 4}.get(machine, 55)

    async def _compare(
        self,
        walk: Walk,
        nodesets: dict[Id, Known],
        node: Id,
        known: Known,
        wants: dict[tuple[str, str], Known],
        found: list[str],
    ) -> int:
        """Compare what is below one node; return how many nodes were compared with a declaration."""
        children = await walk.read(other for kind, other in known.to if kind in BRANCHES and other[0] == OURS)
        has = {child.name for child in children.values()}
        found += [
            f"{node}: mandatory {name} is missing"
            for name, want in wants.items()
            if want.target(RULE) == MANDATORY and name not in has
        ]
        compared = 0
        for own, child in children.items():
            want = declaration = wants.get(child.name)
            type_of = child.target(TYPE_OF)
            below = declared(nodesets, type_of) if type_of is not None else {}
            if want is not None and want.target(TYPE_OF) in supertypes(nodesets, type_of):
                want = replace(want, to=[*((k, o) for k, o in want.to if k != TYPE_OF), (TYPE_OF, type_of)])
            if want is not None:
                compared += 1
                found += differences(own, want, child)
                below = {**declared(nodesets, next(i for i, n in nodesets.items() if n is declaration)), **below}
            elif child.name[0] in OFFICIAL:
                compared += 1
                names = [nodesets[o].value for _, o in nodesets[type_of].to if o in nodesets] if type_of else []
                found += [] if child.name in names else [f"{own}: {child.name} of {type_of} is declared nowhere"]
            compared += await self._compare(walk, nodesets, own, child, below, found)
        return compared

    async def test_models_show_what_the_signals_say(self, walk: Walk) -> None:
        async def value(path: str) -> object:
            return await walk.client.get_node(walk.server_id((OURS, path))).read_value()

        assert await value("mill/Monitoring/Channel/FeedOverride") == await value("mill/Controller/FeedOverride")
        assert await value("mill/Production/ActiveProgram/Name") == await value("mill/Controller/Program")
        arm = "arm/MotionDevices/Arm/Axes/2/ParameterSet/ActualPosition"
        assert await value(arm) == await value("arm/Joints/2/Position")
        state = "mill/MachineryBuildingBlocks/MachineryItemState/CurrentState"
        shown = await walk.client.get_node(await value(f"{state}/Id")).read_browse_name()
        text = await value(state)
        assert isinstance(text, ua.LocalizedText)
        assert text.Text == shown.Name

    async def test_history_is_read_forward_and_backward(self, walk: Walk) -> None:
        node = walk.client.get_node(walk.server_id((OURS, "mill/Controller/Sequence")))
        begin, end = (datetime.fromtimestamp(1_700_000_000 + seconds, UTC) for seconds in (0, 60))
        assert [data.Value.Value for data in await node.read_raw_history(begin, end)] == [1, 2, 3]
        assert [data.Value.Value for data in await node.read_raw_history(end, begin)] == [3, 2, 1]
        assert [data.Value.Value for data in await node.read_raw_history(begin, None, 1)] == [1]
        assert [data.Value.Value for data in await node.read_raw_history(None, end, 2)] == [3, 2]
        first = (await node.read_raw_history(begin, begin + timedelta(seconds=0.3)))[0]
        assert first.SourceTimestamp == begin + timedelta(seconds=0.2)


async def test_a_folder_without_nodesets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "factory.yaml").write_text(FACTORY)
    (face,) = build_faces(
        factories.load(tmp_path / "factory.yaml"), Setting(tmp_path, opcua_port=0, nodesets=tmp_path / "none")
    )
    with pytest.raises(FaceError, match=r"none: there is no Opc\.Ua\.Di\.NodeSet2\.xml; put"):
        await face.start()
