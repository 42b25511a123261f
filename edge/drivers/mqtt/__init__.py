"""MQTT: JSON or text topics of any shape, mapped to signals by path expressions; topics may name the asset."""

from edge.drivers.mqtt.driver import MqttDriver as Driver
from edge.drivers.mqtt.entry import SCHEMES, Entry
from edge.drivers.mqtt.recognition import map_tags, recognize

__all__ = ["SCHEMES", "Driver", "Entry", "map_tags", "recognize"]
