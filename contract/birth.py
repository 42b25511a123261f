"""Births: what an asset says of itself when it appears, and what a reader makes of it.

A DBIRTH of ours has the string metrics `Properties/Kind` and `Properties/Names` (JSON), then each signal with name,
alias, datatype, value or null, time, and the properties below. A foreign birth has none of them: its asset is of kind
"device" and its signals have no units.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from contract.ack import SPOOL_ACK
from contract.lineprotocol import TYPED
from contract.loss import LEDGER
from contract.model import Asset, Quality, Sample, Signal
from contract.sparkplug import Code, Metric, Payload, Property, code_of, datatype_of
from contract.sparkplug_fast import QUALITY, STATUS
from contract.topics import EMPTY_LEVEL, Node, uns_level

BD_SEQ: Final = "bdSeq"
REBIRTH: Final = "Node Control/Rebirth"
KIND: Final = "Properties/Kind"
NAMES: Final = "Properties/Names"
FOREIGN_KIND: Final = "device"
NODE_KIND: Final = "node"

_NOT_A_SIGNAL: Final = ("Node Control/", "Device Control/", "Properties/", "Spool/", LEDGER)
_BESIDE: Final = (".quality", ".status")
"""What the fields beside that of a signal end with, in line protocol."""
_SIGNAL_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}\Z")
_NOT_IN_SIGNAL_NAME: Final = re.compile(r"[^A-Za-z0-9_./-]+")


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


def signal_name(foreign: str) -> str:
    """Return a metric name of any edge node as a signal name: what cannot stand in one becomes `_`."""
    name = _NOT_IN_SIGNAL_NAME.sub("_", foreign)[:128] or "_"
    return "_".join(name.rsplit(".", 1)) if name.endswith(_BESIDE) else name


def is_signal(metric_name: str) -> bool:
    """Whether a metric of this name is a signal: not a control metric, not a property of the asset, not bdSeq."""
    return metric_name != BD_SEQ and not metric_name.startswith(_NOT_A_SIGNAL)


def node_birth(bd_seq: int, time_ns: int) -> list[Metric]:
    """Return the control metrics that an NBIRTH of ours starts with; metrics of the node itself come behind them."""
    return [
        Metric(BD_SEQ, None, Code.INT64, bd_seq, time_ns),
        Metric(REBIRTH, None, Code.BOOLEAN, False, time_ns),
        Metric(SPOOL_ACK, None, Code.STRING, "", time_ns),
    ]


def node_death(bd_seq: int, time_ns: int) -> Payload:
    """Return the NDEATH (the will) that belongs to the NBIRTH with this bdSeq: no seq, nothing else in it."""
    return Payload([Metric(BD_SEQ, None, Code.INT64, bd_seq, time_ns)], time_ms=time_ns // 1_000_000)


def device_birth(asset: Asset, alias_of: Mapping[str, int], last: Mapping[str, Sample], time_ns: int) -> list[Metric]:
    """Return the metrics of the DBIRTH of an asset.

    `alias_of` and `last` go by signal name; a signal without a last sample is null at `time_ns` and stale.
    """
    names = json.dumps(dict(asset.names), ensure_ascii=False)
    return [
        Metric(KIND, None, Code.STRING, asset.kind, time_ns),
        Metric(NAMES, None, Code.STRING, names, time_ns),
        *signal_metrics(asset.signals, alias_of, last, time_ns),
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
    return Metric(
        name=signal.name,
        alias=alias,
        datatype=code_of(signal.datatype),
        value=None if last is None else last.value,
        time_ns=time_ns if last is None else last.time_ns,
        properties=properties,
    )


def node_asset_id(node: Node) -> str:
    """Return the asset id of an edge node itself: site-area-line, as lines of two areas may have the same id."""
    return "-".join(level for level in node.place[1:] if level != EMPTY_LEVEL)


def asset_of(node: Node, device: str | None, payload: Payload) -> Asset:
    """Return the asset that a birth describes; `device` None is the node itself (its asset id: see `node_asset_id`).

    Metrics whose datatype no signal can hold, and those that are not signals, are left out. Never fails: what a
    foreign birth says wrongly is as if it did not say it.
    """
    enterprise, site, area, line = node.place
    properties = {metric.name: metric.value for metric in payload.metrics if metric.name in (KIND, NAMES)}
    kind = properties.get(KIND)
    signals: dict[str, Signal] = {}
    for metric in payload.metrics:
        signal = _signal(metric)
        if signal is not None:
            signals[signal.name] = signal
    return Asset(
        enterprise=enterprise,
        site=site,
        area=area,
        line=line,
        id=node_asset_id(node) if device is None else uns_level(device),
        kind=NODE_KIND if device is None else _kind(kind) if isinstance(kind, str) else FOREIGN_KIND,
        names=_names(properties.get(NAMES)),
        signals=tuple(signals.values()),
    )


def _kind(foreign: str) -> str:
    kind = uns_level(foreign)
    return f"{kind}_" if kind.endswith(TYPED) else kind


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


def _signal(metric: Metric) -> Signal | None:
    datatype = datatype_of(metric.datatype)
    if metric.name is None or datatype is None or not is_signal(metric.name):
        return None
    properties = metric.properties
    return Signal(
        name=signal_name(metric.name),
        datatype=datatype,
        unit=_text(properties, "engUnit"),
        low=_number(properties, "engLow"),
        high=_number(properties, "engHigh"),
        deadband=_number(properties, "deadband") or 0.0,
        period_s=_number(properties, "period_s") or 0.0,
        writable=_flag(properties, "writable"),
        description=_text(properties, "description"),
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
