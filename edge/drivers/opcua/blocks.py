"""Arrays that a server holds become blocks: what a sensor measured from the source's time on, at a rate of its own.

The rate stands in the plant file, in a node that it names, or in the property `SampleRate` of the array; the unit in
the plant file or in `EngineeringUnits`. A rate that changes counts from its notification on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from pydantic import ValidationError

from contract.block import Block, Number, pack
from edge.blocks import measured
from edge.driver import Counters
from edge.drivers.opcua.entry import BlockEntry
from edge.drivers.opcua.nodes import NoNodeError, node_of
from edge.drivers.opcua.services import Services
from edge.drivers.opcua.values import scalar, stated_ns, text

_FIRST: Final = 1 << 24  # handle: beyond those of signals
_QUEUE: Final = 10  # blocks that the server keeps while we do not read
_NUMBERS: Final[Mapping[ua.VariantType, Number]] = {
    ua.VariantType.SByte: "int16",
    ua.VariantType.Byte: "int16",
    ua.VariantType.Int16: "int16",
    ua.VariantType.UInt16: "int32",
    ua.VariantType.Int32: "int32",
    ua.VariantType.UInt32: "float64",
    ua.VariantType.Int64: "float64",
    ua.VariantType.UInt64: "float64",
    ua.VariantType.Float: "float32",
    ua.VariantType.Double: "float64",
}
"""In which numbers a block keeps those of an array."""


@dataclass(slots=True)
class _Sensor:
    """A sensor and its nodes on this server."""

    name: str
    entry: BlockEntry
    node: ua.NodeId
    rate_node: ua.NodeId | None = None
    rate_hz: float = 0.0
    unit: str = ""


class BlockReader:
    """Reads the blocks of one machine."""

    def __init__(self, asset: str, entries: Mapping[str, BlockEntry], encoding: str, counters: Counters) -> None:
        self._asset = asset
        self._entries = entries
        self._encoding = encoding
        self._counters = counters
        self._sensors: dict[int, _Sensor] = {}  # by handle; that of its rate is the next one

    async def find(self, services: Services, namespaces: Sequence[str]) -> None:
        """Find the nodes of all sensors, their rates and units."""
        self._sensors = {}
        for number, (name, entry) in enumerate(self._entries.items()):
            try:
                sensor = _Sensor(name, entry, node_of(entry.node, namespaces, self._encoding), unit=entry.unit)
                if entry.rate_node is not None:
                    sensor.rate_node = node_of(entry.rate_node, namespaces, self._encoding)
                self._sensors[_FIRST + 2 * number] = sensor
            except NoNodeError as error:
                self._tell(name, str(error))
        if self._sensors:
            await self._read_properties(services)

    async def _read_properties(self, services: Services) -> None:
        sensors = list(self._sensors.values())
        for sensor, children in zip(sensors, await services.browse([s.node for s in sensors]), strict=True):
            of_name = {child.BrowseName.Name: child.NodeId for child in children}
            if sensor.entry.rate_hz is None and sensor.rate_node is None:
                sensor.rate_node = of_name.get("SampleRate")
            asked = [node for node in (sensor.rate_node, of_name.get("EngineeringUnits")) if node is not None]
            for node, data in zip(asked, await services.read([_value_of(node) for node in asked]), strict=True):
                if node == sensor.rate_node:
                    self._take_rate(sensor, data)
                elif not sensor.unit:
                    sensor.unit = self._unit(data)
            sensor.rate_hz = sensor.entry.rate_hz or sensor.rate_hz
            if not sensor.rate_hz and sensor.rate_node is None:
                self._tell(sensor.name, "nothing says its rate: state `rate_hz` or `rate_node`")

    def requests(self) -> list[ua.MonitoredItemCreateRequest]:
        """Return what is to be monitored."""
        found = []
        for handle, sensor in self._sensors.items():
            found.append(_request(sensor.node, handle, sensor.entry.period_s))
            if sensor.rate_node is not None and sensor.entry.rate_hz is None:
                found.append(_request(sensor.rate_node, handle + 1, sensor.entry.period_s))
        return found

    def refused(self, handle: int, why: str) -> None:
        """Take it that a server does not let one of the nodes be monitored."""
        if handle in self._sensors:
            self._tell(self._sensors.pop(handle).name, why)

    async def ask(self, services: Services) -> list[Block]:
        """Return the blocks that the server holds now."""
        asked = [(r.RequestedParameters.ClientHandle, r.ItemToMonitor) for r in self.requests()]
        values = await services.read([item for _, item in asked])
        return self.blocks([(handle, value) for (handle, _), value in zip(asked, values, strict=True)])

    def blocks(self, changes: Iterable[tuple[int, ua.DataValue]]) -> list[Block]:
        """Return the blocks in what a server says of handles; what is none is counted and left out."""
        told = [(handle, data) for handle, data in changes if handle >= _FIRST]
        for handle, data in told:
            if handle - 1 in self._sensors:
                self._take_rate(self._sensors[handle - 1], data)
        found = (self._block(self._sensors[handle], data) for handle, data in told if handle in self._sensors)
        return [block for block in found if block is not None]

    def _take_rate(self, sensor: _Sensor, data: ua.DataValue) -> None:
        rate_hz = None if data.Value is None else scalar(data.Value.Value)
        if isinstance(rate_hz, int | float) and rate_hz > 0:
            sensor.rate_hz = float(rate_hz)

    def _unit(self, data: ua.DataValue) -> str:
        name: Any = getattr(None if data.Value is None else data.Value.Value, "DisplayName", None)
        return text(name.Text or "", self._encoding)[0][:40] if isinstance(name, ua.LocalizedText) else ""

    def _block(self, sensor: _Sensor, data: ua.DataValue) -> Block | None:
        is_bad = data.StatusCode is not None and data.StatusCode.is_bad()
        if is_bad or data.Value is None or data.Value.Value in (None, []):
            return None  # there is none yet
        values, number = data.Value.Value, _NUMBERS.get(data.Value.VariantType)
        if not isinstance(values, list) or number is None or not sensor.rate_hz:
            what = "there is no rate" if sensor.rate_hz == 0 else "its node holds no array of numbers"
            self._leave_out(sensor, what)
            return None
        try:
            return measured(
                self._asset,
                sensor.name,
                pack(values, number),
                start_ns=_start_ns(data, len(values) / sensor.rate_hz),
                rate_hz=sensor.rate_hz,
                unit=sensor.unit,
                number=number,
                scale=sensor.entry.scale,
            )
        except (TypeError, OverflowError, ValidationError) as error:
            self._leave_out(sensor, str(error))
            return None

    def _leave_out(self, sensor: _Sensor, why: str) -> None:
        self._counters.rejected += 1
        self._tell(sensor.name, f"a block is left out: {why}")

    def _tell(self, sensor: str, why: str) -> None:
        self._counters.notes.tell("block", f"{self._asset}: {sensor}: {why}"[:500], sensor)


def _start_ns(data: ua.DataValue, length_s: float) -> int:
    """Return when the first number was measured: at the source's time; without one a length before the server's."""
    if data.SourceTimestamp is not None:
        return stated_ns(data.SourceTimestamp)
    return (stated_ns(data.ServerTimestamp) or time.time_ns()) - round(length_s * 1e9)


def _value_of(node: ua.NodeId) -> ua.ReadValueId:
    return ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value)


def _request(node: ua.NodeId, handle: int, period_s: float) -> ua.MonitoredItemCreateRequest:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=_value_of(node),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=handle, SamplingInterval=period_s * 1000, QueueSize=_QUEUE, DiscardOldest=True
        ),
    )
