"""MTConnect: streams an agent's samples, events and conditions, polls where it does not stream, re-reads its buffer."""

from __future__ import annotations

from edge import machine as base
from edge.drivers.mtconnect.machine import MtconnectDriver
from edge.drivers.mtconnect.options import Machine

__all__ = ["Machine", "MtconnectDriver", "connection"]


def connection(name: str, machine: base.Machine, context: base.Context) -> MtconnectDriver:
    """Return the driver of the machine `name`, not yet connected."""
    if not isinstance(machine, Machine):
        raise TypeError(f"{name} is not a machine on MTConnect")
    return MtconnectDriver(name, machine, context)
