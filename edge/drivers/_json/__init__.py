"""What drivers of machines that say JSON share: entry, values by path with time and quality, a look around."""

from __future__ import annotations

from edge.drivers._json.blocks import BlockReader
from edge.drivers._json.browse import tags
from edge.drivers._json.entry import BlockEntry, Entry, EventEntry, Path, SignalEntry
from edge.drivers._json.events import EventReader
from edge.drivers._json.paths import search
from edge.drivers._json.values import Fields, Message, MessageError, Reader

__all__ = [
    "BlockEntry",
    "BlockReader",
    "Entry",
    "EventEntry",
    "EventReader",
    "Fields",
    "Message",
    "MessageError",
    "Path",
    "Reader",
    "SignalEntry",
    "search",
    "tags",
]
