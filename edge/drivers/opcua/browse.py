"""Look around in a server's address space."""

from __future__ import annotations

import fnmatch
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from asyncua import Client, ua

from edge.driver import Tag
from edge.drivers.opcua.nodes import address_of
from edge.drivers.opcua.values import DATATYPES, scalar

_GROUP: Final = 50
_MAX_VISITED: Final = 200_000
_ATTRIBUTES: Final = (ua.AttributeIds.Value, ua.AttributeIds.UserAccessLevel, ua.AttributeIds.Description)
_NOT_MACHINES: Final = ("Server", "Aliases", "Locations")  # what the standard itself puts under Objects
_WRITABLE: Final = 0x02  # OPC 10000-3, 8.57: bit 1 of an access level is CurrentWrite


async def browse(client: Client, path: str, limit: int) -> AsyncIterator[Tag]:
    """Yield variables under Objects, breadth first, at most `limit`.

    `path` is made of browse names (without index) separated by `/`, with the globs `*`, `?` and `[…]` in each; what
    lies below a match is listed, too. Without a path all is listed but the standard's own objects.
    """
    namespaces: Sequence[str] = await client.get_namespace_array()
    pattern = [part for part in path.split("/") if part]
    queue: deque[tuple[ua.NodeId, tuple[str, ...]]] = deque([(ua.NodeId(ua.ObjectIds.ObjectsFolder), ())])
    seen: set[ua.NodeId] = {queue[0][0]}
    count = 0
    while queue and count < limit:
        group = [queue.popleft() for _ in range(min(_GROUP, len(queue)))]
        found: list[tuple[ua.NodeId, tuple[str, ...]]] = []
        for (_, where), references in zip(group, await _children(client, [n for n, _ in group]), strict=True):
            for reference in references:
                node, names = reference.NodeId, (*where, str(reference.BrowseName.Name))
                if node in seen or len(seen) >= _MAX_VISITED or not _leads(pattern, names):
                    continue
                seen.add(node)
                queue.append((node, names))
                if reference.NodeClass == ua.NodeClass.Variable and len(names) >= len(pattern):
                    found.append((node, names))
        async for tag in _tags(client, found[: limit - count], namespaces):
            count += 1
            yield tag


def _leads(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a node at `names` may be, or may lead to, what `pattern` means."""
    if not pattern:
        return names[0] not in _NOT_MACHINES
    return all(fnmatch.fnmatchcase(name, part) for name, part in zip(names, pattern, strict=False))


async def _children(client: Client, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
    params = ua.BrowseParameters(RequestedMaxReferencesPerNode=1000)
    params.NodesToBrowse = [
        ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=ua.BrowseDirection.Forward,
            ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
            IncludeSubtypes=True,
            NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable,
            ResultMask=ua.BrowseResultMask.All,
        )
        for node in nodes
    ]
    results = await client.uaclient.browse(params)
    children: list[list[ua.ReferenceDescription]] = []
    for result in results:
        references = list(result.References or ())
        more = result.ContinuationPoint
        while more:
            following = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[more])
            (next_,) = await client.uaclient.browse_next(following)
            references += next_.References or ()
            more = next_.ContinuationPoint
        children.append(references)
    return children


async def _tags(
    client: Client, found: Sequence[tuple[ua.NodeId, tuple[str, ...]]], namespaces: Sequence[str]
) -> AsyncIterator[Tag]:
    for start in range(0, len(found), _GROUP):
        group = found[start : start + _GROUP]
        params = ua.ReadParameters()
        params.NodesToRead = [ua.ReadValueId(NodeId=n, AttributeId=a) for n, _ in group for a in _ATTRIBUTES]
        values: list[Any] = [None if v.Value is None else v.Value for v in await client.uaclient.read(params)]
        for index, (node, names) in enumerate(group):
            value, access, description = values[index * 3 : index * 3 + 3]
            yield Tag(
                path="/".join(names),
                address=address_of(node, namespaces),
                datatype=None if value is None or value.is_array else DATATYPES.get(value.VariantType),
                value=None if value is None else scalar(value.Value),
                writable=bool(access is not None and (access.Value or 0) & _WRITABLE),
                description=(description.Value.Text or "") if description is not None and description.Value else "",
            )
