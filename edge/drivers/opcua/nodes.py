"""Which node stands for which signal: namespace URIs become the server's indexes at each connect."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncua import Client, ua

from edge.drivers.opcua.entry import SignalEntry
from edge.drivers.opcua.values import UTF_8, escaped, text


class NoNodeError(ValueError):
    """A server cannot have a node that a plant file names; the text says why."""


@dataclass(frozen=True, slots=True)
class Item:
    """A signal and where the server keeps it."""

    signal: str
    text: str  # the node as the plant file names it
    node: ua.NodeId
    index: int | None


async def namespaces_of(client: Client) -> Sequence[str]:
    """Return the URIs of the server's namespaces; none when it does not list them."""
    found = await client.get_namespace_array()
    return [str(uri or "") for uri in found] if isinstance(found, list | tuple) else ()


def resolve(
    signals: Mapping[str, SignalEntry], namespaces: Sequence[str], encoding: str = UTF_8
) -> tuple[list[Item], dict[str, str]]:
    """Return the items with this server's namespace indexes, and why others have none (by signal)."""
    items: list[Item] = []
    unknown: dict[str, str] = {}
    for name, entry in signals.items():
        try:
            items.append(Item(name, entry.node, node_of(entry.node, namespaces, encoding), entry.index))
        except NoNodeError as error:
            unknown[name] = str(error)
    return items, unknown


def node_of(address: str, namespaces: Sequence[str], encoding: str = UTF_8) -> ua.NodeId:
    """Return the node that a plant file names, with this server's namespace index; raise NoNodeError."""
    try:
        node = ua.NodeId.from_string(escaped(address, encoding))
    except UnicodeEncodeError as error:
        raise NoNodeError(f"node {address!r} cannot be written in {encoding}: {error.reason}") from error
    uri = node.NamespaceUri if isinstance(node, ua.ExpandedNodeId) else None
    if uri is None:
        index = node.NamespaceIndex
    elif uri in namespaces:
        index = namespaces.index(uri)
    else:
        near = difflib.get_close_matches(uri, namespaces, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(namespaces)}"
        raise NoNodeError(text(f"the server has no namespace {uri!r}; {hint}", encoding)[0])
    return ua.NodeId(node.Identifier, index, node.NodeIdType)


def address_of(node: ua.NodeId, namespaces: Sequence[str], encoding: str = UTF_8) -> str:
    """Return a node as a plant file should name it: with the URI of its namespace."""
    index = node.NamespaceIndex
    plain: str = ua.NodeId(node.Identifier, 0, node.NodeIdType).to_string()
    if index:
        plain = f"nsu={namespaces[index]};{plain}" if index < len(namespaces) else f"ns={index};{plain}"
    return text(plain, encoding)[0]
