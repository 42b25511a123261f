"""Which data item holds which signal, and what its observations say."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree.ElementTree import Element

from contract.identity import signal_name, suffixed
from contract.model import Datatype, Quality, Sample, Value
from edge.driver import Counters
from edge.drivers._http import AnswerError
from edge.drivers._mtconnect.documents import DataItem, Device, local, time_of
from edge.drivers._mtconnect.entry import EventsEntry, SignalEntry

UNAVAILABLE: Final = "UNAVAILABLE"
MOST_NAME: Final = 128  # characters of a signal's
MOST_FOUND: Final = 3000
_SHOWN: Final = 8  # names in an error
_MOST_ACTIVE: Final = 50  # warnings and faults of one condition
# events that are whole numbers (IntegerEventType of MTConnectStreams_2.0.xsd); others that are numbers have units
_COUNTS: Final = frozenset(
    (
        "ACTIVATION_COUNT", "ASSET_COUNT", "BLOCK_COUNT", "CYCLE_COUNT", "DEACTIVATION_COUNT", "LINE_NUMBER",
        "LOAD_COUNT", "MATERIAL_LAYER", "PART_COUNT", "PART_COUNT_DISCRETE", "PROGRAM_NEST_LEVEL", "TRANSFER_COUNT",
        "UNLOAD_COUNT",
    )
)  # fmt: skip
UNITS: Final[Mapping[str, str]] = {
    "AMPERE": "A", "CELSIUS": "°C", "COUNT": "", "CUBIC_MILLIMETER": "mm³", "DECIBEL": "dB", "DEGREE": "°",
    "DEGREE/SECOND": "°/s", "DEGREE/SECOND^2": "°/s²", "HERTZ": "Hz", "JOULE": "J", "KILOGRAM": "kg", "LITER": "L",
    "LITER/SECOND": "L/s", "METER": "m", "MILLIMETER": "mm", "MILLIMETER/SECOND": "mm/s",
    "MILLIMETER/SECOND^2": "mm/s²", "NEWTON": "N", "NEWTON_METER": "N·m", "OHM": "Ω", "PASCAL": "Pa", "PERCENT": "%",
    "REVOLUTION/MINUTE": "rpm",
    "REVOLUTION/SECOND": "1/s", "SECOND": "s", "VOLT": "V", "VOLT_AMPERE": "VA", "VOLT_AMPERE_REACTIVE": "var",
    "WATT": "W", "WATT_SECOND": "Ws",
}  # fmt: skip
"""Units of the standard (MTConnect Part 2, UnitEnum) as a plant file writes them; others stay as they are."""
_UNREAD: Final = ("TIME_SERIES", "TABLE")

Kind = Literal["number", "text", "condition"]


@dataclass(frozen=True, slots=True)
class Item:
    """A signal and the data item (by id) that holds it."""

    signal: str
    id: str
    kind: Kind
    index: int | None
    key: str | None


def choose(devices: Sequence[Device], wanted: str | None) -> Device:
    """Return the device that a plant file means; raise AnswerError with those that there are."""
    if wanted is not None:
        for device in devices:
            if wanted in (device.uuid, device.name):
                return device
        raise AnswerError(f"no device {_choice(wanted, [device.name for device in devices])}")
    machines = [device for device in devices if device.kind == "Device"]
    if len(machines) != 1:
        names = ", ".join(device.name for device in machines[:_SHOWN]) or "none"
        raise AnswerError(f"it has {len(machines)} devices ({names}): name one under `device`")
    return machines[0]


def resolve(signals: Mapping[str, SignalEntry], device: Device) -> tuple[list[Item], dict[str, str]]:
    """Return the items of the signals, and why others have none (by signal)."""
    items: list[Item] = []
    missing: dict[str, str] = {}
    by_id = {item.id: item for item in device.items}
    for signal, entry in signals.items():
        wanted = entry.data_item or signal
        named = [by_id[wanted]] if wanted in by_id else [item for item in device.items if item.name == wanted]
        if not named:
            known = [*(item.name for item in device.items if item.name), *by_id]
            missing[signal] = f"no data item {_choice(wanted, list(dict.fromkeys(known)))}"
        elif len(named) > 1:
            ids = ", ".join(item.id for item in named[:_SHOWN])
            missing[signal] = f"{len(named)} data items are called {wanted!r}: take the id of one, {ids}"
        elif trouble := _unfit(named[0], entry):
            missing[signal] = f"data item {wanted!r} {trouble}"
        else:
            items.append(Item(signal, named[0].id, kind_of(named[0]), entry.index, entry.key))
    return items, missing


def signals_of(device: Device, counters: Counters) -> dict[str, SignalEntry]:
    """Return a signal for each data item of a device that has a single value, or three, called as the device calls it.

    There are MOST_FOUND at most, which surely fit into a birth; it is noted that there are more.

    Samples are numbers in the unit of the model, events and conditions text. A name that cannot be a signal's, or that
    two data items have, gives way to the id (decision 0011 says how names become readable).
    """
    found: dict[str, SignalEntry] = {}
    names = Counter(item.name for item in device.items)
    for item in device.items:
        if item.representation in _UNREAD or item.representation == "DATA_SET":
            continue
        if len(found) > MOST_FOUND - 3:
            text = f"{device.name} has more than {MOST_FOUND} data items, and no more are read: list those that count"
            counters.notes.tell("too many", text)
            break
        stem = signal_name(item.name if item.name and names[item.name] == 1 else item.id)
        is_vector, unit = item.units.endswith("_3D"), item.units.removesuffix("_3D")
        for index in range(3) if is_vector else (None,):
            name = stem if index is None else f"{stem}.{'xyz'[index]}"
            is_number = kind_of(item) == "number"
            found[name if name not in found else suffixed(name, item.id, MOST_NAME)] = SignalEntry(
                data_item=item.id,
                index=index,
                datatype=Datatype.DOUBLE if is_number else Datatype.STRING,
                unit=UNITS.get(unit, unit),
                description=" ".join(word for word in (item.category, item.type, item.sub_type) if word),
            )
    return found


def told_as_events(entry: EventsEntry | None, device: Device) -> tuple[list[DataItem], dict[str, str]]:
    """Return the conditions that an entry wants as events, and why others are none (by name)."""
    conditions = [item for item in device.items if item.category == "CONDITION"]
    if entry is None:
        return [], {}
    names = [name for item in conditions for name in (item.id, item.name) if name]
    unknown = {name: f"no condition {_choice(name, names)}" for name in entry.data_items if name not in names}
    wanted = entry.data_items
    return [item for item in conditions if not wanted or item.id in wanted or item.name in wanted], unknown


def kind_of(item: DataItem) -> Kind:
    """Return what the observations of a data item are."""
    if item.category == "CONDITION":
        return "condition"
    is_number = item.category == "SAMPLE" or bool(item.units) or item.type in _COUNTS
    return "number" if is_number else "text"


def _unfit(item: DataItem, entry: SignalEntry) -> str:
    """Say why an entry does not fit its data item; "" when it does."""
    if item.representation in _UNREAD:
        return f"is a {item.representation}, which is no value: it cannot be read"
    is_set = item.representation == "DATA_SET"
    if is_set != (entry.key is not None):
        return "is a DATA_SET: name an entry of it under `key`" if is_set else "is no DATA_SET: leave out `key`"
    if item.units.endswith("_3D") and entry.index is None:
        return f"is three numbers ({item.units}): choose one with `index`, 0 to 2"
    return ""


def _choice(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    more = ", …" if len(known) > _SHOWN else ""
    have = f"{word!r}; have: {', '.join(known[:_SHOWN]) or 'none'}{more}"
    return f"{have}; did you mean {near[0]!r}?" if near else have


class Conditions:
    """The warnings and faults that are active on each data item: one observation tells of one of them."""

    def __init__(self) -> None:
        self._active: dict[str, dict[str, tuple[str, str]]] = {}

    def update(self, item: str, element: Element) -> str | None:
        """Take an observation and return the state, the worst first: `Fault 5012, Warning 17`; None: unavailable."""
        level, code = local(element), element.get("nativeCode", "")
        active = self._active.setdefault(item, {})
        id_ = element.get("conditionId", code)
        if level in ("Warning", "Fault"):
            if id_ not in active and len(active) >= _MOST_ACTIVE:
                raise ValueError(f"more than {_MOST_ACTIVE} warnings and faults at once")
            active[id_] = (level, code)
        elif level == "Normal" and id_:
            active.pop(id_, None)
        else:
            active.clear()
            if level != "Normal":
                return None
        words = [f"{level} {code}".strip() for level, code in sorted(active.values(), key=lambda each: each[0])]
        return ", ".join(words) or "Normal"


class Reader:
    """Makes samples of one asset of observations; what cannot be understood is counted."""

    def __init__(self, asset: str, items: Iterable[Item], counters: Counters) -> None:
        self._asset = asset
        self._counters = counters
        self._items: dict[str, list[Item]] = {}
        for item in items:
            self._items.setdefault(item.id, []).append(item)

    @property
    def has_conditions(self) -> bool:
        """Whether a signal is a condition, whose state its observations build up one by one."""
        return any(item.kind == "condition" for items in self._items.values() for item in items)

    def state(self, observations: Iterable[Element], conditions: Conditions) -> list[Sample]:
        """Return a sample of each signal from the answer to `current`, which lists every active warning."""
        return list({sample.signal: sample for sample in self.samples(observations, conditions)}.values())

    def samples(
        self, observations: Iterable[Element], conditions: Conditions, before: int | None = None
    ) -> list[Sample]:
        """Return the samples of observations (those before a sequence number) in the order of their numbers."""
        numbered: list[tuple[int, Element]] = []
        for element in observations:
            if element.get("dataItemId") in self._items:
                try:
                    numbered.append((int(element.get("sequence", "")), element))
                except ValueError as error:
                    self._reject(element, str(error))
        numbered.sort(key=lambda each: each[0])
        found: list[Sample] = []
        for sequence, element in numbered:
            if before is None or sequence < before:
                found += self._read(element, conditions)
        return found

    def _read(self, element: Element, conditions: Conditions) -> list[Sample]:
        found: list[Sample] = []
        for item in self._items[element.get("dataItemId", "")]:
            time_ns = time_of(element)
            try:
                values = _values(item, element, conditions)
            except ValueError as error:
                self._reject(element, str(error))
                continue
            for value in values:
                is_odd = isinstance(value, str) and "\ufffd" in value
                quality = Quality.BAD if value is None else Quality.UNCERTAIN if is_odd else Quality.GOOD
                found.append(Sample(self._asset, item.signal, time_ns, value, quality))
        return found

    def _reject(self, element: Element, why: str) -> None:
        self._counters.rejected += 1
        item = element.get("dataItemId", "")
        self._counters.notes.tell("observation", f"{self._asset}: an observation of {item} is left out: {why}", item)


def _values(item: Item, element: Element, conditions: Conditions) -> Sequence[Value | None]:
    """Return what an observation says of a signal, mostly one value; raise ValueError."""
    if item.kind == "condition":
        return (conditions.update(item.id, element),)
    text = element.text or ""
    if text.strip() == UNAVAILABLE:
        return (None,)
    if item.key is not None:
        # a document tells only those entries that have changed
        entries = [entry for entry in element if entry.get("key") == item.key]
        return [None if entry.get("removed") == "true" else _scalar(item, entry.text or "") for entry in entries]
    if item.index is not None:
        numbers = text.split()
        if item.index >= len(numbers):
            raise ValueError(f"{text[:80]!r} has no number {item.index}")
        text = numbers[item.index]
    return (_scalar(item, text),)


def _scalar(item: Item, text: str) -> Value:
    if item.kind == "number" and "_" in text:  # which Python takes
        raise ValueError(f"{text[:80]!r} is no number")
    return float(text) if item.kind == "number" else text
