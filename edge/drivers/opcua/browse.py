"""Look around in a server's address space."""

from __future__ import annotations

import fnmatch
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

from asyncua import ua

from edge.driver import Tag
from edge.drivers.opcua.nodes import address_of, namespaces_of
from edge.drivers.opcua.reading import plain
from edge.drivers.opcua.services import Services
from edge.drivers.opcua.values import DATATYPES, text

_GROUP: Final = 50
_MAX_VISITED: Final = 200_000
_ATTRIBUTES: Final = (ua.AttributeIds.Value, ua.AttributeIds.UserAccessLevel, ua.AttributeIds.Description)
_NOT_MACHINES: Final = ("Server", "Aliases", "Locations")  # what the standard itself puts under Objects
_WRITABLE: Final = 0x02  # OPC 10000-3, 8.57: bit 1 of an access level is CurrentWrite


async def browse(services: Services, path: str, limit: int, encoding: str) -> AsyncIterator[Tag]:
    """Yield variables under Objects, breadth first, at most `limit`.

    `path` is made of browse names (without index) separated by `/`, with the globs `*`, `?` and `[…]` in each; what
    lies below a match is listed, too. Without a path all is listed but the standard's own objects.
    """
    namespaces = await namespaces_of(services.client)
    pattern = [part for part in path.split("/") if part]
    queue: deque[tuple[ua.NodeId, tuple[str, ...]]] = deque([(ua.NodeId(ua.ObjectIds.ObjectsFolder), ())])
    seen: set[ua.NodeId] = {queue[0][0]}
    of_others: set[ua.NodeId] = set()  # variables, and conditions: what lies below tells of them
    count = 0
    while queue and count < limit:
        group = [queue.popleft() for _ in range(min(_GROUP, len(queue)))]
        found: list[tuple[ua.NodeId, tuple[str, ...], bool]] = []
        for (parent, where), references in zip(group, await services.browse([n for n, _ in group]), strict=True):
            is_other = parent in of_others or any(_is_event_type(reference) for reference in references)
            for reference in references:
                node, names = reference.NodeId, (*where, text(reference.BrowseName.Name or "", encoding)[0])
                if node in seen or len(seen) >= _MAX_VISITED or not _leads(pattern, names):
                    continue
                seen.add(node)
                queue.append((node, names))
                is_variable = reference.NodeClass == ua.NodeClass.Variable
                if is_variable or is_other:
                    of_others.add(node)
                if is_variable and len(names) >= len(pattern):
                    found.append((node, names, is_other))
        async for tag in _tags(services, found[: limit - count], namespaces, encoding):
            count += 1
            yield tag


def _leads(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a node at `names` may be, or may lead to, what `pattern` means."""
    if not pattern:
        return names[0] not in _NOT_MACHINES
    return all(fnmatch.fnmatchcase(name, part) for name, part in zip(names, pattern, strict=False))


def _is_event_type(reference: ua.ReferenceDescription) -> bool:
    """Whether a reference is of a field that only events and conditions have (OPC 10000-5, 6.4.2)."""
    return bool(reference.BrowseName.NamespaceIndex == 0 and reference.BrowseName.Name == "EventType")


async def _tags(
    services: Services,
    found: Sequence[tuple[ua.NodeId, tuple[str, ...], bool]],
    namespaces: Sequence[str],
    encoding: str,
) -> AsyncIterator[Tag]:
    for start in range(0, len(found), _GROUP):
        group = found[start : start + _GROUP]
        asked = [ua.ReadValueId(NodeId=node, AttributeId=attribute) for node, *_ in group for attribute in _ATTRIBUTES]
        values = [data.Value for data in await services.read(asked)]
        for index, (node, names, is_property) in enumerate(group):
            value, access, description = values[index * 3 : index * 3 + 3]
            rights = None if access is None else access.Value
            words = plain(description, encoding)
            yield Tag(
                path="/".join(names),
                address=address_of(node, namespaces, encoding),
                datatype=None if value is None or value.is_array else DATATYPES.get(value.VariantType),
                value=plain(value, encoding),
                writable=isinstance(rights, int) and bool(rights & _WRITABLE),
                description=words if isinstance(words, str) else "",
                is_property=is_property,
            )
