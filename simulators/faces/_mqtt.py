"""An MQTT 3.1.1 client for faces: connects for ever, never blocks the factory, drops while there is no broker.

When machines stamp simulated time it drops nothing: all goes at QoS 1, and `backlog` says how much is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from simulators.face import Setting

Message = Callable[[str, bytes], None]

WINDOW: Final = 500
"""Messages under way that are a full backlog."""


class Client:
    """A connection with its own thread. The callbacks run in that thread: they only note things down."""

    def __init__(self, setting: Setting, client_id: str) -> None:
        self.setting = setting
        self.dropped = 0
        self.before_connect: Callable[[], tuple[str, bytes] | None] = lambda: None
        self.connected: Callable[[], None] = lambda: None
        self.message: Message = lambda _topic, _body: None
        self.subscriptions: list[str] = []
        self._is_paced = setting.from_ns is not None
        self._given, self._taken = 0, 0  # each is counted by one thread
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
        self._paho.on_pre_connect = self._pre_connect
        self._paho.on_connect = self._on_connect
        self._paho.on_message = self._on_message
        self._paho.on_publish = self._on_publish
        self._paho.reconnect_delay_set(1, 5)
        if setting.mqtt_user:
            self._paho.username_pw_set(setting.mqtt_user, _password(setting.mqtt_password_file))

    def start(self) -> None:
        """Connect in the background; a broker that is not there yet is tried again for ever."""
        parts = urlsplit(self.setting.mqtt_url)
        if parts.scheme == "mqtts":
            setting = self.setting
            self._paho.tls_set(_name(setting.mqtt_ca_file), _name(setting.mqtt_cert_file), _name(setting.mqtt_key_file))
        self._paho.connect_async(parts.hostname or "127.0.0.1", parts.port or 1883, keepalive=10)
        self._paho.loop_start()

    def publish(self, topic: str, body: bytes, qos: int = 0) -> bool:
        """Send at QoS 0 or 1; return False, and count it, when there is no connection.

        In simulated time it is sent at QoS 1, as soon as there is one.
        """
        if self._is_paced:
            self._given += 1
            self._paho.publish(topic, body, qos=1)
            return True
        if not self._paho.is_connected():
            self.dropped += 1
            return False
        return self._paho.publish(topic, body, qos=qos).rc == paho.MQTT_ERR_SUCCESS

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted us."""
        return self._paho.is_connected()

    def missing(self) -> str:
        """Say that the broker does not answer."""
        return "" if self.is_connected else f"no broker answers at {self.setting.mqtt_url}"

    def backlog(self) -> float:
        """Return how much of WINDOW the broker has not taken yet; 1 without a broker."""
        return (self._given - self._taken) / WINDOW if self.is_connected else 1.0

    def stop(self) -> None:
        """Disconnect cleanly and end the thread; safe twice."""
        self._paho.disconnect()
        self._paho.loop_stop()

    def _pre_connect(self, client: paho.Client, _userdata: Any) -> None:
        will = self.before_connect()
        if will is not None:
            client.will_set(will[0], will[1], qos=1, retain=False)

    def _on_connect(
        self, client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            return
        for topic in self.subscriptions:
            client.subscribe(topic, qos=1)
        self.connected()

    def _on_publish(self, *_: Any) -> None:
        self._taken += 1

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        self.message(message.topic, bytes(message.payload))


def _password(file: Path | None) -> str | None:
    return None if file is None else file.read_text().strip()


def _name(file: Path | None) -> str | None:
    return None if file is None else str(file)
