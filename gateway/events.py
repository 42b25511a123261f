"""Events on the unified namespace, as they arrive: for third parties, who hear them live or not at all.

What keeps them is the cloud, which gets them from the spool. They are published once, not retained.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from contract.event import EVENT, Event, EventError, read_event
from contract.model import Asset
from contract.sparkplug import SparkplugError, decode
from contract.topics import UnsTopic

MOST_WAITING: Final = 10_000

Publish = Callable[[str, bytes], bool]


class EventMirror:
    """Events that are to be shown. `take` and `tick` may run in two threads.

    The oldest goes when too many wait; `missed` counts those that nobody was shown.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Asset, bytes]] = deque(maxlen=MOST_WAITING)
        self.missed = 0

    def take(self, asset: Asset, body: bytes) -> None:
        """Take a message of an asset that may tell events."""
        if EVENT.encode() in body:
            self.missed += len(self._waiting) == MOST_WAITING
            self._waiting.append((asset, body))

    def tick(self, publish: Publish) -> int:
        """Publish all that wait; return the number of messages."""
        count = 0
        for _ in range(len(self._waiting)):
            asset, body = self._waiting.popleft()
            topic = UnsTopic(asset.enterprise, asset.site, asset.area, asset.line, asset.id, "event")
            for event in _events(asset, body):
                shown = publish(str(topic), event.model_dump_json().encode())
                self.missed += not shown
                count += shown
        return count


def _events(asset: Asset, body: bytes) -> Iterator[Event]:
    """Give the events in a message; what tells none is told by who delivers it to the cloud."""
    with suppress(SparkplugError):
        for metric in decode(body).metrics:
            if metric.name == EVENT and isinstance(metric.value, str):
                with suppress(EventError):
                    yield read_event(metric.value, asset.id)
