"""MTConnect: streams an agent's samples, events and conditions, polls where it does not stream, re-reads its buffer."""

from edge.drivers.mtconnect.driver import MtconnectDriver as Driver
from edge.drivers.mtconnect.entry import SCHEMES, Entry

__all__ = ["SCHEMES", "Driver", "Entry"]
