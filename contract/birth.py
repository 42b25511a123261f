"""Births: what an asset says of itself when it appears, and what a reader makes of it.

A DBIRTH of ours has the string metrics `Properties/Kind` and `Properties/Names` (JSON), `Properties/Label` where the
source has another name for the asset, `Properties/State` where its plant file says which signal tells its state,
`Properties/Sensors` where it says what stands behind sensors that measure in blocks (contract.sensor),
`Properties/Online` = false where the edge node has no contact with it (a DDEATH follows), then each signal with name,
alias, datatype, value or null, time, and the properties below. `Spool/Event` and `Spool/Block` say, without a value,
that events and blocks of the asset may come by these names, `Spool/Reply` in an NBIRTH that replies to commands may. A
foreign birth has none of them: its asset is of kind "device" and its signals have no units.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from contract.ack import SPOOL_ACK
from contract.block import BLOCK
from contract.command import REPLY
from contract.event import EVENT
from contract.identity import Ids, IsLive, is_canonical, path_of, shortened
from contract.lineprotocol import TYPED
from contract.loss import LEDGER
from contract.model import Asset, Datatype, Quality, Sample, Signal
from contract.sensor import SENSORS, Sensor, format_sensors, read_sensors
from contract.sparkplug import Code, Metric, Payload, Property, code_of, datatype_of
from contract.sparkplug_fast import QUALITY, STATUS
from contract.topics import Node, uns_level

BD_SEQ: Final = "bdSeq"
REBIRTH: Final = "Node Control/Rebirth"
PLANT_FILE_TROUBLE: Final = "Health/plant_file_trouble"
"""A metric of an edge node: why the plant file on its disk is another than the one that runs; empty: it is not."""
KIND: Final = "Properties/Kind"
NAMES: Final = "Properties/Names"
LABEL: Final = "Properties/Label"
STATE: Final = "Properties/State"
ONLINE: Final = "Properties/Online"
FOREIGN_KIND: Final = "device"
NODE_KIND: Final = "node"

_NOT_A_SIGNAL: Final = ("Node Control/", "Device Control/", "Properties/", "Spool/", LEDGER)
_BESIDE: Final = (".quality", ".status")
"""What the fields beside that of a signal end with, in line protocol."""
_SIGNAL_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}\Z")


class SignalNameError(ValueError):
    """A name that no signal can have."""


def check_signal_name(name: str) -> str:
    """Return `name` if a signal can have it; raise SignalNameError."""
    if not _SIGNAL_NAME.match(name) or name.endswith(_BESIDE):
        raise SignalNameError(
            f"{name!r} is not a signal name: use 1 to 128 of A-Z, a-z, 0-9, _ . / -, "
            "and not the ending '.quality' or '.status'"
        )
    return name


def is_signal(metric_name: str) -> bool:
    """Whether a metric of this name is a signal: not a control metric, not a property of the asset, not bdSeq."""
    return metric_name != BD_SEQ and not metric_name.startswith(_NOT_A_SIGNAL)


def node_birth(bd_seq: int, time_ns: int, given: str = "") -> list[Metric]:
    """Return the control metrics that an NBIRTH of ours starts with; metrics of the node itself come behind them.

    `given` is what `contract.ack.format_given` says of the spool.
    """
    return [
        Metric(BD_SEQ, None, Code.INT64, bd_seq, time_ns),
        Metric(REBIRTH, None, Code.BOOLEAN, False, time_ns),
        Metric(SPOOL_ACK, None, Code.STRING, given, time_ns),
        Metric(REPLY, None, Code.STRING, None, time_ns),
    ]


def node_death(bd_seq: int, time_ns: int) -> Payload:
    """Return the NDEATH (the will) that belongs to the NBIRTH with this bdSeq: no seq, nothing else in it."""
    return Payload([Metric(BD_SEQ, None, Code.INT64, bd_seq, time_ns)], time_ms=time_ns // 1_000_000)


def device_birth(
    asset: Asset, alias_of: Mapping[str, int], last: Mapping[str, Sample], time_ns: int, *, online: bool = True
) -> list[Metric]:
    """Return the metrics of the DBIRTH of an asset; one that is not `online` is announced, and dies at once.

    `alias_of` and `last` go by signal name; a signal without a last sample is null at `time_ns` and stale.
    """
    names = json.dumps(dict(asset.names), ensure_ascii=False)
    return [
        Metric(KIND, None, Code.STRING, asset.kind, time_ns),
        Metric(NAMES, None, Code.STRING, names, time_ns),
        *([Metric(LABEL, None, Code.STRING, asset.label, time_ns)] if asset.label else []),
        *([Metric(STATE, None, Code.STRING, asset.state, time_ns)] if asset.state else []),
        *([Metric(SENSORS, None, Code.STRING, format_sensors(asset.sensors), time_ns)] if asset.sensors else []),
        *([] if online else [Metric(ONLINE, None, Code.BOOLEAN, False, time_ns)]),
        *signal_metrics(asset.signals, alias_of, last, time_ns),
        Metric(EVENT, None, Code.STRING, None, time_ns),
        Metric(BLOCK, None, Code.BYTES, None, time_ns),
    ]


def signal_metrics(
    signals: Iterable[Signal], alias_of: Mapping[str, int], last: Mapping[str, Sample], time_ns: int
) -> list[Metric]:
    """Return signals as metrics of a birth; the signals of the node itself stand so in its NBIRTH."""
    return [_metric(signal, alias_of[signal.name], last.get(signal.name), time_ns) for signal in signals]


def _metric(signal: Signal, alias: int, last: Sample | None, time_ns: int) -> Metric:
    quality = Quality.STALE if last is None else last.quality
    properties = {QUALITY: Property(Code.INT32, int(quality))}
    if last is not None and last.status:
        properties[STATUS] = Property(Code.UINT32, last.status)
    if signal.unit:
        properties["engUnit"] = Property(Code.STRING, signal.unit)
    if signal.low is not None:
        properties["engLow"] = Property(Code.DOUBLE, signal.low)
    if signal.high is not None:
        properties["engHigh"] = Property(Code.DOUBLE, signal.high)
    properties["deadband"] = Property(Code.DOUBLE, signal.deadband)
    properties["period_s"] = Property(Code.DOUBLE, signal.period_s)
    properties["writable"] = Property(Code.BOOLEAN, signal.writable)
    if signal.description:
        properties["description"] = Property(Code.STRING, signal.description)
    if signal.label:
        properties["label"] = Property(Code.STRING, signal.label)
    return Metric(
        name=signal.name,
        alias=alias,
        datatype=code_of(signal.datatype),
        value=None if last is None else last.value,
        time_ns=time_ns if last is None else last.time_ns,
        properties=properties,
    )


def asset_of(
    node: Node, device: str | None, payload: Payload, ids: Ids | None = None, is_live: IsLive | None = None
) -> Asset:
    """Return the asset that a birth describes; `device` None is the node itself. `ids` says what names become.

    Metrics whose datatype no signal can hold, and those that are not signals, are left out. Never fails: what a
    foreign birth says wrongly is as if it did not say it.
    """
    ids = Ids() if ids is None else ids
    properties = {m.name: m.value for m in payload.metrics if m.name in (KIND, NAMES, LABEL, STATE, SENSORS)}
    kind = properties.get(KIND)
    enterprise, site, area, line = ids.place(node)
    id_ = ids.asset(node, device, stated=is_stated(node, device, payload), is_live=is_live)
    found = [(metric, datatype) for metric in payload.metrics if (datatype := _datatype(metric)) is not None]
    names = ids.signals(node, device, [str(metric.name) for metric, _ in found])
    signals = {
        name: _signal(metric, name, datatype) for metric, datatype in found for name in [names[str(metric.name)]]
    }
    state = properties.get(STATE)
    return Asset(
        enterprise=enterprise,
        site=site,
        area=area,
        line=line,
        id=id_,
        kind=NODE_KIND if device is None else _kind(kind) if isinstance(kind, str) else FOREIGN_KIND,
        names=_names(properties.get(NAMES)),
        signals=tuple(signals.values()),
        label=_label(properties.get(LABEL), node, device, id_),
        state=state if isinstance(state, str) and state in signals else "",
        sensors=_sensors(properties.get(SENSORS), names),
    )


def _sensors(said: object, names: Mapping[str, str]) -> dict[str, Sensor]:
    """Return what is said of sensors, with the name that the signal of their speed has become."""
    return {
        name: sensor.model_copy(update={"speed": names.get(sensor.speed, "")})
        for name, sensor in read_sensors(said).items()
    }


def _kind(foreign: str) -> str:
    kind = uns_level(foreign)
    return f"{kind}_" if kind.endswith(TYPED) else kind


def is_stated(node: Node, device: str | None, payload: Payload) -> bool:
    """Whether the id of an asset is what a plant file says: an edge node of ours tells of it."""
    names = (*node.group.split(":"), node.edge_node, *(() if device is None else (device,)))
    told = SPOOL_ACK if device is None else KIND
    return is_canonical(*names) and any(metric.name == told for metric in payload.metrics)


def _label(said: object, node: Node, device: str | None, id_: str) -> str:
    """Return what the source calls an asset, where that is not its id; a node of ours is called by its place."""
    if isinstance(said, str) and said:
        return shortened(said)
    if device is not None:
        return shortened(device) if device != id_ else ""
    return shortened(path_of(node, None)) if "-".join((*node.group.split(":")[1:], node.edge_node)) != id_ else ""


def _names(text: object) -> dict[str, str]:
    if not isinstance(text, str):
        return {}
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(names, dict):
        return {}
    return {language: name for language, name in names.items() if isinstance(name, str)}


def _datatype(metric: Metric) -> Datatype | None:
    """Return the datatype of a metric that is a signal."""
    return datatype_of(metric.datatype) if metric.name is not None and is_signal(metric.name) else None


def _signal(metric: Metric, name: str, datatype: Datatype) -> Signal:
    properties = metric.properties
    return Signal(
        name=name,
        datatype=datatype,
        unit=_text(properties, "engUnit"),
        low=_number(properties, "engLow"),
        high=_number(properties, "engHigh"),
        deadband=_number(properties, "deadband") or 0.0,
        period_s=_number(properties, "period_s") or 0.0,
        writable=_flag(properties, "writable"),
        description=_text(properties, "description"),
        label=shortened(_text(properties, "label") or ("" if metric.name == name else str(metric.name))),
    )


def _text(properties: Mapping[str, Property], key: str) -> str:
    value = properties[key].value if key in properties else None
    return value if isinstance(value, str) else ""


def _number(properties: Mapping[str, Property], key: str) -> float | None:
    value = properties[key].value if key in properties else None
    return float(value) if isinstance(value, (int, float)) and abs(value) < float("inf") else None


def _flag(properties: Mapping[str, Property], key: str) -> bool:
    value = properties[key].value if key in properties else None
    return value is True
