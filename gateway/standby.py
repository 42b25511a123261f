"""Two gateways with one name: a broker lets in the newer and ends the older, which comes back and ends the newer.

So one that finds the STATE of another behind a connection that it lost yields: it gives up its connection, watches the
STATE under another client id, and takes over when for a moment nobody was online. What stands there may also have been
left by a crash of all, before a clock was set back; so it is tried again now and then, ever more rarely.
"""

from __future__ import annotations

import random
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final

from contract.broker import Broker
from contract.mqtt import Session
from gateway.host import Presence

MOMENT_S: Final = 2.0
PATIENCE_S: Final = 30.0
LONGEST_PATIENCE_S: Final = 3600.0
MOST_ENDS: Final = 3  # of connections within ENDS_S: somebody else uses the client id
ENDS_S: Final = 60.0


class Standby:
    """Watches the STATE of a host, from `start` on, until `is_free`; a random part of the wait lets one be first."""

    def __init__(self, broker: Broker, client_id: str, state_topic: str, presence: Presence, patience_s: float) -> None:
        self._presence = presence
        self._patience_s = patience_s
        self._since: float | None = None
        self._is_taken = False
        self.heard = b""  # the last STATE
        self._free_since: float | None = None
        self._wait_s = MOMENT_S * (1 + 2 * random.random())  # noqa: S311 no secret
        self._session = Session(
            broker,
            f"{client_id}-standby-{secrets.token_hex(4)}",
            subscriptions=[(state_topic, 1)],
            on_message=lambda _topic, payload, _retained: self._heard(payload),
        )

    def start(self) -> None:
        """Begin to watch."""
        self._session.start()

    def stop(self) -> None:
        """End."""
        self._session.stop(1.0)

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._session.is_alive

    def is_free(self, now: float) -> bool:
        """Whether nobody has been online for a moment, or another one for all our patience."""
        if self._since is None:
            self._since = now
        if now - self._since >= self._patience_s:
            return True
        if self._is_taken or not self._session.is_connected:
            self._free_since = None
        elif self._free_since is None:
            self._free_since = now
        return self._free_since is not None and now - self._free_since >= self._wait_s

    def _heard(self, payload: bytes) -> None:
        self._is_taken = self._presence.is_online_elsewhere(payload)
        self.heard = payload


class Ends:
    """Remembers when connections ended, to tell when it is again and again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=MOST_ENDS)

    def add(self) -> bool:
        """Note an end; return whether it was one too many, for the first time of several."""
        was = self.are_many
        self._times.append(self._clock())
        return self.are_many and not was

    @property
    def are_many(self) -> bool:
        """Whether connections ended again and again of late."""
        return len(self._times) == MOST_ENDS and self._clock() - self._times[0] < ENDS_S
