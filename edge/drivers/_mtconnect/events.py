"""Conditions of a device become events: each warning and fault is a condition of its own while it is active.

One data item may have several at a time, told apart by `conditionId`, or else by the native code. A Normal that names
one ends it; a Normal that names none ends all of its item. UNAVAILABLE says nothing: what was active stays so until the
item speaks again, and what it does not name then has ended, nobody knows when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

from contract.event import Event, event_id
from contract.model import Value
from edge.driver import Refreshed
from edge.drivers._mtconnect.documents import DataItem, local, time_of
from edge.events import MOST_CONDITIONS
from edge.telling import event

Told: TypeAlias = Event | Refreshed

_SEVERITIES: Final = {"Warning": 400, "Fault": 700}  # from 667 on a machine counts as in error (OPC 40501, annex B)
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_FACTS: Final = {"nativeCode": "native_code", "nativeSeverity": "native_severity", "qualifier": "qualifier"}


@dataclass(slots=True)
class _Item:
    """What is active on a data item (the name of the condition and how severe it is), by id of the activation."""

    known: DataItem
    active: dict[str, Event] = field(default_factory=dict)
    doubtful: dict[str, Event] = field(default_factory=dict)
    """What was active when the item became unavailable."""
    is_silent: bool = True

    def fall_silent(self) -> None:
        """Doubt all that is active."""
        self.doubtful |= self.active
        self.active, self.is_silent = {}, True

    def forget(self) -> list[Event]:
        """Return what is still doubtful when the item has spoken again: it has ended."""
        gone, self.doubtful = self.doubtful, {}
        return list(gone.values())


class ConditionReader:
    """Reads the conditions of one asset."""

    def __init__(self, asset: str) -> None:
        self._asset = asset
        self._items: dict[str, _Item] = {}
        self._is_due = False  # a refresh, when the device speaks again

    def know(self, conditions: Iterable[DataItem]) -> None:
        """Take over which conditions there are; what was active on them is kept."""
        self._items = {item.id: self._items.get(item.id) or _Item(item) for item in conditions}

    def state(self, observations: Iterable[Element], instance: str, now_ns: int) -> list[Told]:
        """Return what the answer to `current` tells, which lists all that is active."""
        for item in self._items.values():
            item.fall_silent()
        self._is_due = bool(self._items)
        return self.items(observations, instance, now_ns)

    def items(self, observations: Iterable[Element], instance: str, now_ns: int) -> list[Told]:
        """Return what the observations of one document tell, of one run (`instance`) of the agent."""
        found: list[Told] = []
        spoken: dict[str, int] = {}  # items that were silent before, and when they spoke
        for element in sorted((e for e in observations if e.get("dataItemId") in self._items), key=_sequence):
            id_ = element.get("dataItemId", "")
            item = self._items[id_]
            if local(element) in ("Normal", *_SEVERITIES):
                if item.is_silent:
                    spoken[id_], item.is_silent = time_of(element), False
                found += self._told(item, element, instance)
            else:
                item.fall_silent()
                spoken.pop(id_, None)
        has_refresh = self._is_due and any(not item.is_silent for item in self._items.values())
        for id_, time_ns in spoken.items():
            gone = self._items[id_].forget()
            found += [] if has_refresh else [_forgotten(each, time_ns) for each in gone]
        if has_refresh:
            self._is_due = False
            found.append(Refreshed(self._asset, self._active(), now_ns))
        return found

    def _active(self) -> frozenset[str]:
        every = [each for item in self._items.values() for each in (item.active, item.doubtful)]
        return frozenset(begun.condition for each in every for begun in each.values())

    def _told(self, item: _Item, element: Element, instance: str) -> list[Event]:
        """Return what an observation tells of its item."""
        id_ = element.get("conditionId", element.get("nativeCode", ""))
        if local(element) in _SEVERITIES:
            begun = self._begun(item.known, element, instance, id_)
            item.doubtful.pop(id_, None)
            if id_ in item.active or len(item.active) < MOST_CONDITIONS:
                item.active[id_] = begun
            return [begun]
        both = item.doubtful | item.active
        ended = [id_] if id_ else list(both)
        events = [_ended(element, instance, both[each]) for each in ended if each in both]
        for each in ended:
            item.active.pop(each, None)
            item.doubtful.pop(each, None)
        return events

    def _begun(self, known: DataItem, element: Element, instance: str, id_: str) -> Event:
        condition = f"{known.id}/{id_}" if id_ else known.id
        name = f"{known.name or known.type or known.id} {element.get('nativeCode', id_)}".strip()
        return event(
            self._asset,
            name,
            time_of(element),
            facts=(instance, _mark(element), condition),
            state="active",
            condition=condition,
            severity=_SEVERITIES[local(element)],
            texts=_texts(element),
            values=_values(known, element),
        )


def _ended(element: Element, instance: str, begun: Event) -> Event:
    own = {
        "id": event_id(begun.asset, instance, _mark(element), begun.condition),
        "time_ns": time_of(element),
        "state": "cleared",
        "values": {},
    }
    return begun.model_copy(update=own)


def _forgotten(begun: Event, time_ns: int) -> Event:
    own = {"id": event_id(begun.id, "forgotten"), "time_ns": max(time_ns, begun.time_ns)}
    return begun.model_copy(update=own | {"state": "cleared", "time_replaced": True})


def _texts(element: Element) -> dict[str, str]:
    words = " ".join((element.text or "").split())
    return {element.get(_LANGUAGE, ""): words} if words else {}


def _values(known: DataItem, element: Element) -> Mapping[str, Value]:
    values = {"level": local(element), "type": known.type, "data_item": known.id}
    values |= {key: element.get(attribute, "") for attribute, key in _FACTS.items()}
    return {key: value for key, value in values.items() if value}


def _mark(element: Element) -> str:
    """Return what tells an observation from others of its run: `mark`, or else its sequence number."""
    return element.get("mark", element.get("sequence", ""))


def _sequence(element: Element) -> int:
    text = element.get("sequence", "")
    return int(text) if text.isdecimal() else 0
