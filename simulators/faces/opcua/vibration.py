"""Vibration sensors on OPC UA: below `<machine>/Vibration` an object for each, whose variable `Block` is an array.

The source timestamp of `Block` is the time of its first number; its properties say rate and unit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from asyncua import Node, Server, ua

from simulators.face import Shown
from simulators.faces.opcua.values import GOOD, Frozen, unit
from simulators.sensor import RATE_HZ, SAMPLES, UNIT

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_YET: Final = ua.StatusCode(ua.StatusCodes.BadWaitingForInitialData)


def place(machine: str, sensor: str) -> str:
    """Return the text of the node id of a sensor's block."""
    return f"{machine}/Vibration/{sensor}/Block"


class Vibration:
    """The blocks of all machines of a server."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], ua.NodeId] = {}

    async def add(self, root: Node, shown: Shown, namespace: int) -> None:
        """Build the nodes of a machine's sensors below its object."""
        if shown.sensors is None or not shown.sensors.names:
            return
        machine = shown.machine.id
        folder = await root.add_object(ua.NodeId(f"{machine}/Vibration", namespace), f"{namespace}:Vibration")
        for name in shown.sensors.names:
            sensor = await folder.add_object(ua.NodeId(f"{machine}/Vibration/{name}", namespace), f"{namespace}:{name}")
            node = ua.NodeId(place(machine, name), namespace)
            empty = ua.Variant([], ua.VariantType.Float, is_array=True)
            variable = await sensor.add_variable(node, f"{namespace}:Block", empty)
            rank = ua.DataValue(ua.Variant(ua.ValueRank.OneDimension, ua.VariantType.Int32))
            await variable.write_attribute(ua.AttributeIds.ValueRank, rank)
            size = ua.DataValue(ua.Variant([SAMPLES], ua.VariantType.UInt32, is_array=True))
            await variable.write_attribute(ua.AttributeIds.ArrayDimensions, size)
            await variable.write_value(ua.DataValue(empty, _NOT_YET))
            for label, value in (
                ("SampleRate", ua.Variant(float(RATE_HZ), ua.VariantType.Double)),
                ("EngineeringUnits", ua.Variant(unit(UNIT), ua.VariantType.ExtensionObject)),
            ):
                space = namespace if label == "SampleRate" else 0
                await variable.add_property(
                    ua.NodeId(f"{node.Identifier}/{label}", namespace), f"{space}:{label}", value
                )
            self._nodes[machine, name] = node

    async def show(self, server: Server, shown: Shown, time_ns: int) -> None:
        """Write the blocks that go out now."""
        now = _EPOCH + timedelta(microseconds=time_ns // 1000)
        for block in shown.measured(time_ns // 1000 * 1000):
            start = _EPOCH + timedelta(microseconds=block.start_ns // 1000)
            values = ua.Variant(block.values.tolist(), ua.VariantType.Float, is_array=True)
            node = self._nodes[shown.machine.id, block.sensor]
            await server.write_attribute_value(node, Frozen(values, GOOD, start, now))
            shown.blocks[block.sensor] += 1
