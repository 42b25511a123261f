"""MQTT with JSON: one topic per machine, all signals nested by their places (`joints[0].temperature`).

`factory/<machine>/telemetry` carries {"ts": ms, "seq": n, …}; `factory/<machine>/command` takes {"name": …, "value": …}
and `factory/<machine>/reply` answers with {"name": …, "done": …, "reason": …}. A vibration sensor has the topic
`factory/<machine>/vibration/<sensor>`: {"ts": ms of the first sample, "rate_hz": …, "unit": …, "values": [m/s²]}.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any, Final

from simulators.face import Face, Setting, Shown, behind, described, looking
from simulators.faces._json import NS_PER_MS, encode, expression, sent
from simulators.faces._mqtt import Client
from simulators.sensor import RATE_HZ, UNIT, Block

TOPIC: Final = "factory/{machine}/telemetry"
BLOCK_TOPIC: Final = "factory/{machine}/vibration/{sensor}"


class MqttJson(Face):
    """Machines that publish JSON to a broker."""

    shows_blocks = True
    tells_backlog = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.client = Client(setting, "simulators-json")
        self._commands: deque[tuple[str, bytes]] = deque(maxlen=100)

    async def start(self) -> None:
        """Connect in the background."""
        for shown in self.shown:
            self.client.subscriptions.append(f"factory/{shown.machine.id}/command")
        self.client.message = lambda topic, body: self._commands.append((topic, body))
        self.client.start()

    async def emit(self, time_ns: int) -> None:
        """Publish one message per machine, after the commands that have come."""
        self._obey()
        for shown in self.shown:
            for stamp_ns, reading in shown.messages(time_ns):
                topic = TOPIC.format(machine=shown.machine.id)
                shown.note(stamp_ns // NS_PER_MS * NS_PER_MS, {name: sent(value) for name, value in reading.items()})
                if self.client.publish(topic, encode(shown.machine.signals, stamp_ns, reading)):
                    shown.count(list(reading))
            for block in shown.measured(time_ns // NS_PER_MS * NS_PER_MS):
                topic = BLOCK_TOPIC.format(machine=shown.machine.id, sensor=block.sensor)
                shown.blocks[block.sensor] += self.client.publish(topic, encode_block(block))

    def _obey(self) -> None:
        while self._commands:
            topic, body = self._commands.popleft()
            shown = next(shown for shown in self.shown if shown.machine.id == topic.split("/")[1])
            name, reason = "", ""
            try:
                order = json.loads(body)
                name, value = str(order["name"]), order.get("value", "")
            except (ValueError, KeyError, TypeError, AttributeError):
                reason = 'a command is {"name": …, "value": …}'
            else:
                reason = shown.command(name, value)
            answer = {"name": name, "done": not reason, "reason": reason}
            self.client.publish(f"factory/{shown.machine.id}/reply", json.dumps(answer).encode(), qos=1)

    def missing(self) -> str:
        """Say whether the broker is missing: who listens there it does not tell."""
        return self.client.missing()

    def backlog(self) -> float:
        """Return how much the broker has not taken yet."""
        return self.client.backlog()

    async def stop(self) -> None:
        """Disconnect."""
        self.client.stop()

    def entry(self, shown: Shown) -> dict[str, Any]:
        """Return the entry for the driver `mqtt`, as the broker's user `edge`."""
        machine = shown.machine
        entry: dict[str, Any] = {
            "kind": machine.kind,
            "names": dict(machine.names),
            "driver": "mqtt",
            "address": self.setting.mqtt_url,
        }
        if self.setting.mqtt_user:
            entry["user"] = "edge"
        if self.setting.mqtt_password_file is not None:
            file = self.setting.mqtt_password_file.with_name("mqtt-edge")
            entry["password_file"] = _relative(file, self.setting.folder)
        for key in ("ca_file", "cert_file", "key_file"):
            if (path := getattr(self.setting, f"mqtt_{key}")) is not None:
                entry[key] = _relative(path, self.setting.folder)
        entry["topic"] = TOPIC.format(machine=machine.id)
        entry["time"] = {"path": "ts", "unit": "ms"}
        entry["signals"] = {signal.name: described(signal, {"path": expression(signal)}) for signal in machine.signals}
        sensors = shown.sensors.names if shown.sensors else ()
        for name in sensors:
            topic = BLOCK_TOPIC.format(machine=machine.id, sensor=name)
            entry.setdefault("blocks", {})[name] = {"topic": topic, "rate": "rate_hz", "unit": UNIT}
            entry["blocks"][name] |= behind(machine, name)
        return entry | looking(sensors)


def encode_block(block: Block) -> bytes:
    """Return the body of the message with a block."""
    head = {"ts": block.start_ns // NS_PER_MS, "rate_hz": RATE_HZ, "unit": UNIT}
    return json.dumps(head | {"values": block.values.tolist()}, separators=(",", ":"), ensure_ascii=False).encode()


def _relative(file: Path, folder: Path) -> str:
    file, folder = file.resolve(), folder.resolve()
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


FACE = MqttJson
