"""OPC UA: subscriptions in batches, grouped polling where a server cannot subscribe, certificates and user names."""

from __future__ import annotations

from edge import machine as base
from edge.drivers.opcua.machine import OpcuaDriver
from edge.drivers.opcua.options import Machine

__all__ = ["Machine", "OpcuaDriver", "connection"]


def connection(name: str, machine: base.Machine, context: base.Context) -> OpcuaDriver:
    """Return the driver of the machine `name`, not yet connected."""
    if not isinstance(machine, Machine):
        raise TypeError(f"{name} is not a machine on OPC UA")
    return OpcuaDriver(name, machine, context)
