"""Whether the primary host application (the gateway) is online, by its STATE messages (Sparkplug 3.0, chapter 5)."""

from __future__ import annotations

import orjson

from contract.topics import state_topic


class PrimaryHost:
    """What the last valid STATE said; offline until one says otherwise."""

    def __init__(self, name: str) -> None:
        self.topic = state_topic(name)
        self.online = False
        self.heard = False  # whether any STATE came in this session
        self.connections = 0  # how many of the host were heard of: each has a time stamp of its own
        self._since_ms = 0  # the time stamp of the last online STATE

    def forget(self) -> None:
        """Know nothing again: the MQTT session is new, and the retained STATE will come with it."""
        self.online = self.heard = False
        self._since_ms = 0

    def update(self, payload: bytes) -> bool:
        """Take a STATE message; return False for one that is not understood.

        An offline STATE that is older than the last online one is a will that came late, and means nothing.
        """
        try:
            state = orjson.loads(payload)
            online, time_ms = state["online"], state["timestamp"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return False
        if not isinstance(online, bool) or not isinstance(time_ms, int):
            return False
        self.heard = True
        if online:
            self.connections += time_ms != self._since_ms
            self.online, self._since_ms = True, time_ms
        elif time_ms >= self._since_ms:
            self.online = False
        return True
