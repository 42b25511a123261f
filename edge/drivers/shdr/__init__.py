"""SHDR: listens to the adapter of a machine, as an MTConnect agent does; names and units come from its Devices.xml."""

from edge.drivers.shdr.driver import ShdrDriver as Driver
from edge.drivers.shdr.entry import SCHEMES, Entry
from edge.drivers.shdr.recognition import map_tags, recognize

__all__ = ["SCHEMES", "Driver", "Entry", "map_tags", "recognize"]
