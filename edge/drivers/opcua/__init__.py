"""OPC UA: subscriptions in batches, grouped polling where a server cannot subscribe, certificates and user names."""

from edge.drivers.opcua.driver import OpcuaDriver as Driver
from edge.drivers.opcua.entry import SCHEMES, Entry
from edge.drivers.opcua.recognition import PORTS, recognize

__all__ = ["PORTS", "SCHEMES", "Driver", "Entry", "recognize"]
