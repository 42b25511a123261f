"""Events on the unified namespace, as they arrive: for third parties, who hear them live or not at all.

What keeps them is the cloud, which gets them from the spool. They are published once, not retained.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from contract.event import EventError, read_event
from contract.model import Asset
from contract.topics import UnsTopic

MOST_WAITING: Final = 10_000

Publish = Callable[[str, bytes], bool]


class EventMirror:
    """Events that are to be shown. `take` and `tick` may run in two threads.

    The oldest goes when too many wait; `missed` counts those that nobody was shown.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Asset, str]] = deque(maxlen=MOST_WAITING)
        self.missed = 0

    def take(self, asset: Asset, text: str) -> None:
        """Take the value of a metric `Spool/Event` of an asset."""
        self.missed += len(self._waiting) == MOST_WAITING
        self._waiting.append((asset, text))

    def tick(self, publish: Publish) -> int:
        """Publish all that wait; return the number of messages."""
        count = 0
        for _ in range(len(self._waiting)):
            asset, text = self._waiting.popleft()
            try:
                event = read_event(text, asset.id)
            except EventError:  # who delivers it to the cloud says so
                continue
            topic = UnsTopic(asset.enterprise, asset.site, asset.area, asset.line, asset.id, "event")
            shown = publish(str(topic), event.model_dump_json().encode())
            self.missed += not shown
            count += shown
        return count
