"""The agent's XML documents, by the schemas of MTConnect 2.0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from simulators.catalogs.mtconnect import DataItem, token
from simulators.face import Shown
from simulators.faces._mtconnect.buffer import Buffer, Observation
from simulators.faces._mtconnect.observer import Condition, Observer, scaled
from simulators.faces._mtconnect.tools import LIMIT, ToolAsset
from simulators.machine import NS

VERSION: Final = "2.0"
_SECTIONS: Final = {"SAMPLE": "Samples", "EVENT": "Events", "CONDITION": "Condition"}


@dataclass(frozen=True, slots=True)
class Device:
    """A machine as the agent knows it."""

    id: str
    name: str
    uuid: str
    observer: Observer


def device_of(observer: Observer) -> Device:
    """Return the device that a machine is."""
    shown: Shown = observer.shown
    name, place = shown.machine.id, shown.place
    return Device(f"device-{token(name)}", name, f"{place.enterprise}.{place.site}.{name}", observer)


def component_id(device: Device, item: DataItem, depth: int | None = None) -> str:
    """Return the id of the component of an item, or of one above it."""
    names = [token(name) for _, name in item.component[:depth]]
    return "-".join([device.id, *names])


def stamp(time_ns: int) -> str:
    """Return a time as the standard writes it, in microseconds and UTC."""
    seconds, rest = divmod(time_ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


@dataclass(slots=True)
class Writer:
    """Writes documents of one run of the agent: `instance` tells runs apart."""

    instance: int
    sender: str
    started_ns: int
    buffer: Buffer

    def devices(self, devices: Sequence[Device], assets: int, now_ns: int) -> bytes:
        """Return a MTConnectDevices document: the model."""
        root = self._root("Devices", now_ns, assets)
        below = SubElement(root, "Devices")
        below.extend(model(device) for device in devices)
        return _text(root)

    def streams(self, devices: Sequence[Device], seen: Iterable[Observation], now_ns: int, following: int) -> bytes:
        """Return a MTConnectStreams document; `following` is where a client goes on."""
        root = self._root("Streams", now_ns)
        head = root[0]
        head.set("nextSequence", str(following))
        head.set("firstSequence", str(self.buffer.first))
        head.set("lastSequence", str(self.buffer.last))
        streams = SubElement(root, "Streams")
        by_item: dict[str, list[Observation]] = {}
        for observation in seen:
            by_item.setdefault(observation.item.id, []).append(observation)
        for device in devices:
            items = [item for item in device.observer.items.values() if item.id in by_item]
            if items:
                stream = SubElement(streams, "DeviceStream", name=device.name, uuid=device.uuid)
                _component_streams(stream, device, items, by_item)
        return _text(root)

    def assets(self, assets: Sequence[ToolAsset], count: int, now_ns: int) -> bytes:
        """Return a MTConnectAssets document."""
        root = self._root("Assets", now_ns, count)
        below = SubElement(root, "Assets")
        for asset in assets:
            _tool(below, asset)
        return _text(root)

    def error(self, code: str, text: str, now_ns: int) -> bytes:
        """Return a MTConnectError document."""
        root = self._root("Error", now_ns)
        SubElement(SubElement(root, "Errors"), "Error", errorCode=code).text = text
        return _text(root)

    def _root(self, kind: str, now_ns: int, assets: int | None = None) -> Element:
        space = f"urn:mtconnect.org:MTConnect{kind}:{VERSION}"
        schema = f"{space} http://schemas.mtconnect.org/schemas/MTConnect{kind}_{VERSION}.xsd"
        root = Element(f"MTConnect{kind}")
        root.set("xmlns", space)
        root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
        root.set("xsi:schemaLocation", schema)
        head = SubElement(root, "Header", creationTime=stamp(now_ns), sender=self.sender, version=VERSION)
        head.set("instanceId", str(self.instance))
        if kind != "Error":
            head.set("deviceModelChangeTime", stamp(self.started_ns))
        if kind != "Assets":
            head.set("bufferSize", str(self.buffer.size))
        if assets is not None:
            head.set("assetBufferSize", str(LIMIT))
            head.set("assetCount", str(assets))
        return root


def model(device: Device) -> Element:
    """Return the element of a device with its components and data items."""
    machine = device.observer.shown.machine
    root = Element("Device", id=device.id, name=device.name, uuid=device.uuid)
    described = SubElement(root, "Description", manufacturer="shopfloor simulators", model=machine.model)
    described.text = machine.names.get("en", machine.id)
    found: dict[str, Element] = {device.id: root}
    for item in device.observer.items.values():
        parent = root
        for depth, (element, name) in enumerate(item.component, start=1):
            id_ = component_id(device, item, depth)
            if id_ not in found:
                found[id_] = SubElement(_child(parent, "Components"), element, id=id_, name=name)
            parent = found[id_]
        _data_item(_child(parent, "DataItems"), item)
    return root


def _child(parent: Element, tag: str) -> Element:
    found = parent.find(tag)
    return SubElement(parent, tag) if found is None else found


def _data_item(parent: Element, item: DataItem) -> None:
    element = SubElement(parent, "DataItem", id=item.id, name=item.name, category=item.category, type=item.type)
    optional = {
        "subType": item.sub_type,
        "statistic": item.statistic,
        "units": item.units,
        "nativeUnits": item.native_units,
    }
    for key, value in optional.items():
        if value:
            element.set(key, value)


def _component_streams(
    stream: Element, device: Device, items: Sequence[DataItem], seen: dict[str, list[Observation]]
) -> None:
    components: dict[str, Element] = {}
    for item in items:
        id_ = component_id(device, item)
        if id_ not in components:
            element, name = item.component[-1] if item.component else ("Device", device.name)
            components[id_] = SubElement(stream, "ComponentStream", componentId=id_, component=element, name=name)
        section = _child(components[id_], _SECTIONS[item.category])
        for observation in seen[item.id]:
            _observation(section, observation)


def _observation(section: Element, observation: Observation) -> None:
    item, value = observation.item, observation.value
    attributes = {
        "dataItemId": item.id,
        "name": item.name,
        "sequence": str(observation.sequence),
        "timestamp": stamp(observation.time_ns),
    }
    if isinstance(value, Condition):
        attributes["type"] = item.type
        if value.native_code:
            attributes["nativeCode"] = value.native_code
        if value.qualifier:
            attributes["qualifier"] = value.qualifier
        SubElement(section, value.level, attributes).text = value.text
        return
    if item.sub_type:
        attributes["subType"] = item.sub_type
    if item.statistic:
        attributes["statistic"] = item.statistic
    if item.type in ("ASSET_CHANGED", "ASSET_REMOVED"):
        attributes["assetType"] = "CuttingTool"
    SubElement(section, item.element, attributes).text = scaled(item, value)


def _tool(parent: Element, asset: ToolAsset) -> None:
    tool = asset.tool
    attributes = {"assetId": asset.id, "timestamp": stamp(asset.time_ns), "deviceUuid": asset.device}
    if asset.removed:
        attributes["removed"] = "true"
    attributes |= {"serialNumber": str(asset.serial), "toolId": token(tool.name)}
    element = SubElement(parent, "CuttingTool", attributes)
    SubElement(element, "Description").text = tool.name
    cycle = SubElement(element, "CuttingToolLifeCycle")
    states = SubElement(cycle, "CutterStatus")
    SubElement(states, "Status").text = "USED" if asset.parts else "NEW"
    SubElement(states, "Status").text = "UNAVAILABLE" if asset.removed else "AVAILABLE"
    life = {"type": "PART_COUNT", "countDirection": "UP", "initial": "0"}
    SubElement(cycle, "ToolLife", life).text = str(asset.parts)
    SubElement(cycle, "ProgramToolNumber").text = str(tool.number)
    SubElement(cycle, "Location", type="POT").text = str(tool.number)
    measured = SubElement(cycle, "Measurements")
    SubElement(measured, "CuttingDiameterMax", units="MILLIMETER", code="DC").text = f"{tool.diameter_mm:g}"
    edges = SubElement(cycle, "CuttingItems", count=str(tool.teeth))
    edge = SubElement(edges, "CuttingItem", indices=f"1-{tool.teeth}")
    edge_measured = SubElement(edge, "Measurements")
    SubElement(edge_measured, "CornerRadius", units="MILLIMETER", code="RE").text = f"{tool.corner_mm:g}"


def _text(root: Element) -> bytes:
    text: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return text
