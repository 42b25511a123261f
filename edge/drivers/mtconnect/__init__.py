"""MTConnect: streams an agent's samples, events and conditions, polls where it does not stream, re-reads its buffer."""

from edge.drivers._http import SCHEMES
from edge.drivers.mtconnect.driver import MtconnectDriver as Driver
from edge.drivers.mtconnect.entry import Entry
from edge.drivers.mtconnect.recognition import PORTS, map_tags, recognize

__all__ = ["PORTS", "SCHEMES", "Driver", "Entry", "map_tags", "recognize"]
