"""What a server tells of events and conditions (OPC 10000-9) becomes events of one machine.

A condition is known by its node, and by its branch where it has several. It is active as its ActiveState says, or,
where it has none, while it is to be shown (Retain). Between RefreshStart and RefreshEnd the server tells all that are
to be shown: what is active and not among them has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from asyncua import ua

from contract.event import Event, State
from contract.model import Value
from edge.driver import Counters, Refreshed
from edge.drivers.opcua.entry import EventsEntry
from edge.drivers.opcua.nodes import address_of
from edge.drivers.opcua.values import scalar, stated_ns, text
from edge.telling import event, short

Told: TypeAlias = Event | Refreshed

_QUEUE: Final = 10_000  # events that the server keeps while we do not read
_MOST_KNOWN: Final = 10_000  # conditions of which the last state is remembered
_ID: Final = ""  # the condition itself
_TYPES: Final = ua.ObjectIds
_SELECTED: Final = {
    _TYPES.BaseEventType: ("EventId", "EventType", "SourceNode", "SourceName", "Time", "Message", "Severity"),
    _TYPES.ConditionType: (_ID, "ConditionName", "BranchId", "Retain", "EnabledState/Id", "Comment", "ClientUserId"),
    _TYPES.AcknowledgeableConditionType: ("AckedState/Id", "ConfirmedState/Id"),
    _TYPES.AlarmConditionType: ("ActiveState/Id", "SuppressedOrShelved"),
}
_FIELDS: Final = tuple(name for names in _SELECTED.values() for name in names)
_REFRESH_START: Final = ua.NodeId(_TYPES.RefreshStartEventType)
_REFRESH_END: Final = ua.NodeId(_TYPES.RefreshEndEventType)
_ASK_AGAIN: Final = (ua.NodeId(_TYPES.RefreshRequiredEventType), ua.NodeId(_TYPES.EventQueueOverflowEventType))
# what tells of the server's own address space and of its users; no event of a machine
_OF_SERVER: Final = ("Audit", "BaseModelChange", "GeneralModelChange", "SemanticChange")


class EventReader:
    """Reads the events of one machine; `wants_refresh`: the server has lost some, and is to be asked for all again."""

    def __init__(self, asset: str, entry: EventsEntry, encoding: str, counters: Counters) -> None:
        self.wants_refresh = False
        self._asset = asset
        self._entry = entry
        self._encoding = encoding
        self._counters = counters
        self._namespaces: Sequence[str] = ()
        self._known: dict[str, tuple[bool, bool]] = {}  # by condition: is it active, is it acknowledged
        self._told: dict[int, set[str] | None] = {}  # by handle, what a refresh has told so far
        self._refreshed: dict[int, set[str]] = {}  # by handle, what the last refresh has told

    def begin(self, handles: Sequence[int], namespaces: Sequence[str]) -> None:
        """Get ready for a connection on which events come by these handles."""
        self._namespaces = namespaces
        self._told, self._refreshed = dict.fromkeys(handles), {}
        self.wants_refresh = bool(handles)

    def items(self, events: Sequence[ua.EventFieldList]) -> list[Told]:
        """Return what a notification tells."""
        found: list[Told] = []
        for each in events:
            handle = each.ClientHandle
            if handle not in self._told:
                continue
            # a server may leave out at the end what it does not know
            fields = {name: variant.Value for name, variant in zip(_FIELDS, each.EventFields or (), strict=False)}
            kind = fields.get("EventType")
            if kind == _REFRESH_START:
                self._told[handle] = set()
            elif kind == _REFRESH_END:
                found += self._end_refresh(handle, fields)
            elif kind in _ASK_AGAIN:
                self._ask_again(kind)
            elif self._is_ours(fields):
                found.append(self._event(handle, fields))
        return found

    def _ask_again(self, kind: ua.NodeId) -> None:
        self.wants_refresh = True
        if kind.Identifier == _TYPES.EventQueueOverflowEventType:
            self._counters.overflows += 1
            self._counters.notes.tell("event overflow", f"{self._asset}: the server has thrown events away")

    def _end_refresh(self, handle: int, fields: Mapping[str, Any]) -> list[Told]:
        """Return what is active now, when it is known of all nodes that are listened to."""
        told = self._told[handle]
        if told is None:
            return []
        self._told[handle], self._refreshed[handle] = None, told
        if len(self._refreshed) < len(self._told):
            return []
        active = frozenset[str]().union(*self._refreshed.values())
        self._refreshed = {}
        for gone in [name for name, (is_active, _) in self._known.items() if is_active and name not in active]:
            del self._known[gone]
        return [Refreshed(self._asset, active, stated_ns(fields.get("Time")))]

    def _is_ours(self, fields: Mapping[str, Any]) -> bool:
        source, sources = self._text(fields.get("SourceName")), self._entry.sources
        if sources and not any(fnmatchcase(source, each) for each in sources):
            return False
        if _name_of(fields.get("EventType")).startswith(_OF_SERVER):
            return False
        return _severity(fields)[0] >= self._entry.severity_from or self._condition(fields) in self._known

    def _event(self, handle: int, fields: Mapping[str, Any]) -> Event:
        condition = self._condition(fields)
        state: State = ""
        if condition:
            is_active = self._is_active(fields)
            state = self._state(condition, is_active, is_acked=fields.get("AckedState/Id") is not False)
            self._note(handle, condition, is_active)
        severity, is_odd = _severity(fields)
        if is_odd:
            said = fields.get("Severity")
            self._counters.notes.tell("severity", f"{self._asset}: {said!r:.40} is no severity: {severity} is taken")
        kind = fields.get("EventType")
        name = self._text(fields.get("ConditionName")) or _name_of(kind) or self._address(kind) or "event"
        return event(
            self._asset,
            name,
            stated_ns(fields.get("Time")),
            facts=_facts(fields, condition),
            state=state,
            condition=condition,
            severity=severity,
            texts=self._texts(fields.get("Message")),
            values=self._values(fields),
        )

    def _condition(self, fields: Mapping[str, Any]) -> str:
        """Return what a condition and its branch are called; "" for an event that is of none."""
        name = self._address(fields.get(_ID)) or self._text(fields.get("ConditionName"))
        branch = self._address(fields.get("BranchId"))
        whole = f"{name} {branch}" if name and branch else name
        return short(whole)

    def _is_active(self, fields: Mapping[str, Any]) -> bool:
        if fields.get("EnabledState/Id") is False:
            return False
        active, retain = fields.get("ActiveState/Id"), fields.get("Retain")
        if self._address(fields.get("BranchId")) and retain is False:
            return False  # an earlier state of the condition that nobody has to look at any more
        return bool(retain if active is None else active)

    def _state(self, condition: str, is_active: bool, *, is_acked: bool) -> State:
        """Return what an event says of its condition: an acknowledgement is one when nothing else has changed."""
        was = self._known.pop(condition, None)
        self._known[condition] = is_active, is_acked
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        if was is not None and was[0] == is_active and is_acked and not (is_active and was[1]):
            return "acknowledged"
        return "active" if is_active else "cleared"

    def _note(self, handle: int, condition: str, is_active: bool) -> None:
        told = self._told[handle]
        if told is not None and is_active:
            told.add(condition)
        elif told is not None:
            told.discard(condition)

    def _texts(self, message: Any) -> dict[str, str]:
        words = self._text(message)
        locale = self._text(getattr(message, "Locale", None))
        return {locale.partition("-")[0].lower(): words} if words else {}

    def _values(self, fields: Mapping[str, Any]) -> dict[str, Value]:
        """Return what else is of use, also to acknowledge the event at its source."""
        own, suppressed = fields.get("EventId"), fields.get("SuppressedOrShelved")
        values: dict[str, Value] = {
            "type": _name_of(fields.get("EventType")) or self._address(fields.get("EventType")),
            "source": self._text(fields.get("SourceName")),
            "event_id": own.hex() if isinstance(own, bytes) else "",
            "comment": self._text(fields.get("Comment")),
            "user": self._text(fields.get("ClientUserId")),
        }
        states = {"acknowledged": "AckedState/Id", "confirmed": "ConfirmedState/Id"}
        flags = {key: fields.get(name) for key, name in states.items()} | {"suppressed": suppressed or None}
        return {key: value for key, value in values.items() if value} | {
            key: value for key, value in flags.items() if isinstance(value, bool)
        }

    def _text(self, raw: Any) -> str:
        words = scalar(raw) if raw is not None else None
        return text(words, self._encoding)[0] if isinstance(words, str) else ""

    def _address(self, node: Any) -> str:
        if not isinstance(node, ua.NodeId) or node.is_null():
            return ""
        return address_of(node, self._namespaces, self._encoding)


def request(node: ua.NodeId, handle: int) -> ua.MonitoredItemCreateRequest:
    """Return the request for the events of a node."""
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.EventNotifier),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=handle,
            SamplingInterval=0,
            QueueSize=_QUEUE,
            DiscardOldest=True,
            Filter=ua.EventFilter(
                SelectClauses=[_operand(kind, name) for kind, names in _SELECTED.items() for name in names]
            ),
        ),
    )


def refresh(subscription: int) -> ua.CallMethodRequest:
    """Return the request to tell again all conditions that are to be shown (ConditionRefresh)."""
    return ua.CallMethodRequest(
        ObjectId=ua.NodeId(_TYPES.ConditionType),
        MethodId=ua.NodeId(_TYPES.ConditionType_ConditionRefresh),
        InputArguments=[ua.Variant(subscription, ua.VariantType.UInt32)],
    )


def _operand(kind: int, name: str) -> ua.SimpleAttributeOperand:
    return ua.SimpleAttributeOperand(
        TypeDefinitionId=ua.NodeId(kind),
        BrowsePath=[ua.QualifiedName(step) for step in name.split("/") if step],
        AttributeId=ua.AttributeIds.Value if name else ua.AttributeIds.NodeId,
    )


def _facts(fields: Mapping[str, Any], condition: str) -> Sequence[object]:
    """Return what is the same when a refresh tells an event again."""
    own = fields.get("EventId")
    if isinstance(own, bytes) and own:
        return own.hex(), condition
    return condition, *(fields.get(name) for name in _FIELDS)


def _severity(fields: Mapping[str, Any]) -> tuple[int, bool]:
    """Return a severity of 1 to 1000, and whether that is not what the server says."""
    said = fields.get("Severity")
    if not isinstance(said, int):
        return 1, said is not None
    severity = min(max(said, 1), 1000)
    return severity, severity != said


def _name_of(kind: Any) -> str:
    """Return the name of a type of the standard, "" for another."""
    if not isinstance(kind, ua.NodeId) or kind.NamespaceIndex or kind.Identifier not in ua.ObjectIdNames:
        return ""
    return str(ua.ObjectIdNames[kind.Identifier]).removesuffix("Type")
