"""paho's MQTT client on a socket that reads ahead: it asks for each message in four pieces, a system call each."""

from __future__ import annotations

import io
import ssl
from typing import Any, Final

from paho.mqtt.client import Client

_READ_BYTES: Final = 1 << 16


class _ReadAhead:
    """A socket, as far as paho needs one, that is read 64 KiB at a time."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain
        self._ahead = io.BytesIO()
        self.send, self.close, self.fileno, self.setblocking = plain.send, plain.close, plain.fileno, plain.setblocking

    def pending(self) -> int:
        """Return how many bytes can be had without asking the network."""
        of_tls = self._plain.pending() if isinstance(self._plain, ssl.SSLSocket) else 0
        return self._ahead.getbuffer().nbytes - self._ahead.tell() + of_tls

    def recv(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end of the connection; raise what the socket raises."""
        data = self._ahead.read(size)
        if not data:
            self._ahead = io.BytesIO(self._plain.recv(_READ_BYTES))
            data = self._ahead.read(size)
        return data


class ReadAheadClient(Client):
    """A client that reads ahead. The method is paho's own: a paho without it would only read as it always does."""

    def _create_socket(self) -> Any:
        return _ReadAhead(super()._create_socket())

    @property
    def incoming(self) -> object | None:
        """The packet that has begun to arrive and is not whole; each has an object of its own."""
        return self._in_packet if self._in_packet["command"] else None
