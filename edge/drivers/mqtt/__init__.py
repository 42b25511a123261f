"""MQTT: JSON or text topics of any shape, mapped to signals by path expressions; topics may name the asset."""

from __future__ import annotations

from edge import machine as base
from edge.drivers.mqtt.machine import MqttDriver
from edge.drivers.mqtt.options import Machine

__all__ = ["Machine", "MqttDriver", "connection"]


def connection(name: str, machine: base.Machine, context: base.Context) -> MqttDriver:
    """Return the driver of the machine `name`, not yet connected."""
    if not isinstance(machine, Machine):
        raise TypeError(f"{name} is not a machine on MQTT")
    return MqttDriver(name, machine, context)
