"""OPC UA: subscriptions in batches, grouped polling where a server cannot subscribe, certificates and user names."""

from edge.drivers.opcua.driver import OpcuaDriver as Driver
from edge.drivers.opcua.entry import SCHEMES, Entry

__all__ = ["SCHEMES", "Driver", "Entry"]
