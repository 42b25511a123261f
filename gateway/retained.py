"""The session through which a broker is given what it keeps (retains) for whoever comes later."""

from __future__ import annotations

from typing import Final

from contract.mqtt import Session

WAITS_S: Final = 3.0
"""A broker acknowledges in milliseconds; NATS after 5 s what its disk has no room for."""
PROBE_S: Final = 30.0


class RetainedSession:
    """Asks the broker to keep nothing while it cannot, and tells when it can again.

    A NATS server lets a connection wait for five seconds with each message that its disk has no room for.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._stands = False  # the broker keeps nothing: what is shown goes past its disk
        self._stood_s = 0.0  # when it did so last
        self._probed_s = 0.0  # when it was asked whether it does

    def connected(self) -> None:
        """Ask it at once whether it keeps anything."""
        self._probed_s = 0.0

    def publish(self, topic: str, payload: bytes) -> bool:
        """Publish, to be kept if the broker can."""
        return self.session.publish(topic, payload, retain=not self._stands)

    def publish_acknowledged(self, topic: str, payload: bytes, now: float) -> bool:
        """Publish so that a broker whose disk is full shows: it acknowledges nothing, or ends the connection."""
        if self._stands and now - self._probed_s < PROBE_S:
            return self.session.publish(topic, payload)
        self._probed_s = now
        return self.session.publish(topic, payload, qos=1, retain=True)

    def keeps_again(self, now: float) -> bool:
        """Look how the broker stands; return whether it keeps again, so that all is to be shown anew."""
        if self.session.waits_s >= WAITS_S:
            self._stands, self._stood_s = True, now
        elif self._stands and self.session.acknowledged_s > self._stood_s:
            self._stands = False
            return True
        return False

    @property
    def trouble(self) -> str:
        """Why it does not keep what it is given; "" when it does."""
        if not self.session.is_connected:
            return f"not connected: {self.session.reason or 'connecting'}"
        if self._stands:
            return "the broker does not acknowledge what it is to keep; is its disk full?"
        return ""
