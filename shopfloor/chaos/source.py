"""A machine of the chaos run's own: JSON over the demo's broker, with an account of what it sent; it can burst."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import Any, Final

import orjson
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from simulators.emitted import Emitted

ASSET: Final = "press-01"
TOPIC: Final = f"machines/{ASSET}/telemetry"
EVENTS: Final = f"machines/{ASSET}/events"
EVENT: Final = "pressed"
EVENT_S: Final = 0.5
SEVERITY: Final = 300
HIGH: Final = 80.0
HYSTERESIS: Final = 10.0
TEXT: Final = "too high"
DETECTOR: Final = {
    "kind": "limit", "name": "high", "signal": "v0", "high": HIGH, "hysteresis": HYSTERESIS, "texts": {"en": TEXT},
}  # fmt: skip
"""What is found in the machine's own signal: v0 goes from -100 to 100 and back in six seconds."""
SIGNALS: Final = 10
PERIOD_S: Final = 0.1
MS: Final = 1_000_000


class Press:
    """Sends ten signals ten times a second, `factor` times as often during a burst, at QoS 1."""

    def __init__(self, port: int, user: str, password: str, emitted: Path) -> None:
        self.factor = 1
        self.sent = 0
        self._port = port
        self._emitted = Emitted(emitted)
        self._time_ms = 0
        self._told = 0
        self._event_s = 0.0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=ASSET, clean_session=True)
        self._client.username_pw_set(user, password)
        self._client.reconnect_delay_set(1, 2)
        self._client.max_queued_messages_set(1000)

    async def run(self) -> None:
        """Send until cancelled."""
        self._client.connect_async("127.0.0.1", self._port, keepalive=10)
        self._client.loop_start()
        try:
            due = time.monotonic()
            while True:
                if self._client.is_connected():
                    self._send()
                    self._tell()
                due = max(due + PERIOD_S / self.factor, time.monotonic() - 1)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        finally:
            self._client.disconnect()
            await asyncio.to_thread(self._client.loop_stop)
            self._emitted.close()

    def publish(self, topic: str, body: bytes) -> None:
        """Send anything at all, once."""
        if self._client.is_connected():
            self._client.publish(topic, body, qos=1)

    def _tell(self) -> None:
        """Tell an event when it is time, with a number of its own."""
        if time.monotonic() < self._event_s:
            return
        self._event_s = time.monotonic() + EVENT_S
        self._told += 1
        time_ms, text = time.time_ns() // MS, f"part {self._told}"
        self._emitted.write_event(ASSET, time_ms * MS, EVENT, state="", severity=SEVERITY, text=text)
        self._client.publish(EVENTS, orjson.dumps({"ts": time_ms, "part": self._told, "text": text}), qos=1)

    def _send(self) -> None:
        self._time_ms = max(self._time_ms + 1, time.time_ns() // MS)
        self.sent += 1
        values = {f"v{n}": round(100 * math.sin(self.sent / (10 + n)), 6) for n in range(SIGNALS)}
        values["sequence"] = float(self.sent)
        self._emitted.write(ASSET, self.sent, self._time_ms * MS, values)
        info = self._client.publish(TOPIC, orjson.dumps({"ts": self._time_ms, **values}), qos=1)
        if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise RuntimeError(f"{TOPIC}: {paho.error_string(info.rc)}")


def entry(broker: str, password_file: str) -> dict[str, Any]:
    """Return the machine's entry in a plant file."""
    names = [*(f"v{n}" for n in range(SIGNALS)), "sequence"]
    return {
        "kind": "press",
        "driver": "mqtt",
        "address": broker,
        "user": "edge",
        "password_file": password_file,
        "topic": TOPIC,
        "time": {"path": "ts", "unit": "ms"},
        "signals": {name: {"path": name, "datatype": "double"} for name in names},
        "events": {EVENT: {"topic": EVENTS, "id": "part", "text": "text", "severity": SEVERITY}},
        "detectors": [DETECTOR],
    }
