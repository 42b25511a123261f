"""How many messages and samples of each node the store has, and how many events, blocks and replies the cloud has.

They are notes of the spool, written with the cursors.
So the count of what was stored is as exact as the cursor itself, whatever is killed when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from contract.topics import Node, SparkplugTopic

NOTE: Final = "stored:"
INDEX: Final = "stored"  # the note that lists the nodes
DELIVERED: Final = "delivered:"
DELIVERED_INDEX: Final = "delivered"


class Notes(Protocol):
    """The spool's notes, for reading."""

    def note(self, key: str) -> bytes | None:
        """Return a note."""


@dataclass(slots=True)
class Stored:
    """What became of the messages of one node; `assets` has messages and samples by device ("": of the node itself)."""

    messages: int = 0
    aside: int = 0
    assets: dict[str, tuple[int, int]] = field(default_factory=dict)

    def plus(self, other: Stored) -> Stored:
        """Return the sum."""
        total = Stored(self.messages + other.messages, self.aside + other.aside, dict(self.assets))
        for device, (messages, samples) in other.assets.items():
            before = total.assets.get(device, (0, 0))
            total.assets[device] = before[0] + messages, before[1] + samples
        return total

    def take(self, topic: SparkplugTopic, samples: int, *, aside: bool) -> None:
        """Count one record."""
        is_data = topic.type in ("NDATA", "DDATA")
        self.messages += is_data and not aside
        self.aside += is_data and aside
        before = self.assets.get(topic.device or "", (0, 0))
        self.assets[topic.device or ""] = before[0] + (is_data and not aside), before[1] + samples


class Tally:
    """Written by the forwarding thread, read by others. `load` first."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._stored: dict[Node, Stored] = {}

    def load(self) -> bool:
        """Read what earlier runs stored; return whether there was any."""
        for group, edge_node in orjson.loads(self._notes.note(INDEX) or b"[]"):
            said: dict[str, Any] = orjson.loads(self._notes.note(f"{NOTE}{group}/{edge_node}") or b"{}")
            assets = {device: (pair[0], pair[1]) for device, pair in said.get("assets", {}).items()}
            stored = Stored(said.get("messages", 0), said.get("aside", 0), assets)
            self._stored[Node(group, edge_node)] = stored
        return bool(self._stored)

    def add(self, counted: dict[Node, Stored]) -> dict[str, bytes]:
        """Add what is about to be forgotten by the spool; return the notes that must be written with that."""
        notes: dict[str, bytes] = {}
        if not counted.keys() <= self._stored.keys():
            notes[INDEX] = orjson.dumps([list(node) for node in sorted({*self._stored, *counted})])
        for node, new in counted.items():
            total = self._stored[node] = self.of(node).plus(new)
            content = {"messages": total.messages, "aside": total.aside, "assets": total.assets}
            notes[NOTE + "/".join(node)] = orjson.dumps(content)
        return notes

    def of(self, node: Node) -> Stored:
        """Return what became of the messages of a node."""
        return self._stored.get(node) or Stored()

    def nodes(self) -> Iterable[Node]:
        """Return all nodes of which anything was stored."""
        return list(self._stored)


class Delivered:
    """What the cloud has of each node: events, blocks, replies. Written by the delivering thread, read by others."""

    def __init__(self, notes: Notes) -> None:
        self._counts: dict[Node, Counter[str]] = {}
        for path in orjson.loads(notes.note(DELIVERED_INDEX) or b"[]"):
            said: dict[str, int] = orjson.loads(notes.note(DELIVERED + path) or b"{}")
            self._counts[Node(*path.split("/"))] = Counter(said)

    def notes(self, new: Mapping[Node, Counter[str]]) -> dict[str, bytes]:
        """Return the notes that must be written with the cursor when the cloud has so many more; then call `add`."""
        notes = {DELIVERED + "/".join(node): orjson.dumps(self.of(node) + counts) for node, counts in new.items()}
        if not new.keys() <= self._counts.keys():
            notes[DELIVERED_INDEX] = orjson.dumps(sorted("/".join(node) for node in {*self._counts, *new}))
        return notes

    def add(self, new: Mapping[Node, Counter[str]]) -> None:
        """Count what the cloud has from now on."""
        for node, counts in new.items():
            self._counts[node] = self.of(node) + counts

    def of(self, node: Node) -> Counter[str]:
        """Return how many of each kind the cloud has of a node."""
        return self._counts.get(node) or Counter()

    def nodes(self) -> list[Node]:
        """Return all nodes of which the cloud has anything."""
        return list(self._counts)
