"""History read: the last values of each signal, in memory."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from asyncua import Node, ua
from asyncua.server.history import HistoryStorageInterface

from simulators.faces.opcua.values import data
from simulators.machine import Signal, Value

KEPT: Final = 600
"""Values per signal: two minutes of one that changes at each emission. Older ones are forgotten."""

KEPT_FOR: Final = timedelta(minutes=10)
"""No value behind the newest one is older, so that a machine's history is full, and takes no more room, by then."""


class History(HistoryStorageInterface):  # type: ignore[misc]
    """What asyncua asks for history.

    The face fills it itself: asyncua's own way is a subscription to each node, which costs far more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[ua.NodeId, tuple[Signal, deque[tuple[datetime, Value | None]]]] = {}

    async def init(self) -> None:
        """Nothing is to be opened."""

    async def stop(self) -> None:
        """Nothing is to be closed."""

    async def begin(self, variable: Node, signal: Signal) -> None:
        """Keep the history of a variable, and say so in its attributes."""
        self._kept[variable.nodeid] = (signal, deque(maxlen=KEPT))
        for attribute in (ua.AttributeIds.AccessLevel, ua.AttributeIds.UserAccessLevel):
            await variable.set_attr_bit(attribute, ua.AccessLevel.HistoryRead)
        await variable.write_attribute(ua.AttributeIds.Historizing, ua.DataValue(True))

    def keep(self, node: ua.NodeId, value: Value | None, stamp: datetime) -> None:
        """Remember a value; the oldest make room for it."""
        kept = self._kept[node][1]
        kept.append((stamp, value))
        while kept[0][0] < stamp - KEPT_FOR:
            kept.popleft()

    async def read_node_history(
        self, node_id: ua.NodeId, start: datetime | None, end: datetime | None, nb_values: int
    ) -> tuple[list[ua.DataValue], datetime | None]:
        """Return values from `start` to `end`, backward when `start` is later or missing; and where to go on."""
        if node_id not in self._kept:
            return [], None
        signal, kept = self._kept[node_id]
        first = None if start in (None, ua.get_win_epoch()) else start
        last = None if end in (None, ua.get_win_epoch()) else end
        backward = first is None or (last is not None and first > last)
        low, high = (last, first) if backward and first is not None else (first, last)
        chosen = (
            (stamp, value)
            for stamp, value in (reversed(kept) if backward else kept)
            if (low is None or low <= stamp) and (high is None or stamp <= high)
        )
        limit = min(nb_values or self.max_history_data_response_size, self.max_history_data_response_size)
        found = list(islice(chosen, limit + 1))
        more = found[limit][0] if len(found) > limit and first is not None and last is not None else None
        return [data(signal, value, stamp) for stamp, value in found[:limit]], more
