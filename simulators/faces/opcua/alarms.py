"""Alarms and conditions (OPC 10000-9): what a controller reports and watches, to be acknowledged and confirmed.

A machine with the signal `alarm` has the condition `<machine>/Alarms/controller`, and for each limit that its
controller watches `<machine>/Alarms/<signal>`. Their events come from the Server object, with the machine as source.
Severity 700 is an alarm that stops the machine (OPC 40501 calls it an error from 667 on), 600 a fault limit, 400 a
warning limit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from asyncua import Server, ua
from asyncua.common.events import Event

from simulators.catalogs.mtconnect import Limit, limits_of
from simulators.face import Reading, Shown
from simulators.faces._mtconnect.observer import NORMAL, Condition, watched
from simulators.machine import Signal

Status = ua.StatusCodes
CONTROLLER: Final = "controller"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_STOPPED, _SEVERITIES = 700, {"Warning": 400, "Fault": 600}
_TEXTS: Final = {
    "EnabledState": ("Disabled", "Enabled"),
    "ActiveState": ("Inactive", "Active"),
    "AckedState": ("Unacknowledged", "Acknowledged"),
    "ConfirmedState": ("Unconfirmed", "Confirmed"),
}
_PROPERTY_TYPE, _TWO_STATE_TYPE, _CONDITION_VARIABLE_TYPE = 68, 8995, 9002
_METHODS: Final = {9027: "enable", 9028: "disable", 9029: "add_comment", 9111: "acknowledge", 9113: "confirm"}
"""The methods of ConditionType and AcknowledgeableConditionType."""


_ABOVE: Final = {
    ua.ObjectIds.OffNormalAlarmType: (10523, 2915, 2881, 2782, 2041),
    ua.ObjectIds.NonExclusiveLevelAlarmType: (9906, 2955, 2915, 2881, 2782, 2041),
}
"""The supertypes of our types, up to BaseEventType."""


class EventType(ua.NodeId):  # type: ignore[misc]
    """The type of an event, equal to its supertypes too.

    A client asks for a type and means its subtypes (OfType, OPC 10000-4), but asyncua's filter only compares.
    """

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) or other in map(ua.NodeId, _ABOVE[self.Identifier])

    __hash__ = ua.NodeId.__hash__


class Declined(Exception):
    """A method of a condition that is not obeyed; `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = ua.StatusCode(status)


@dataclass(slots=True)
class Alarm:
    """One condition, with acknowledgement and confirmation (OPC 10000-9, annex B.1.3)."""

    shown: Shown
    node: ua.NodeId
    source: ua.NodeId
    signal: Signal
    input: ua.NodeId
    limit: Limit | None = None
    """The limit that it watches; without one it is the controller's own alarm."""
    seen: Condition = NORMAL
    text: str = ""
    severity: int = 1
    last_severity: int = 1
    enabled: bool = True
    acked: bool = True
    confirmed: bool = True
    comment: ua.LocalizedText = field(default_factory=ua.LocalizedText)
    event_id: bytes = b""

    @property
    def name(self) -> str:
        """The signal whose limit it is, or `controller`."""
        return CONTROLLER if self.limit is None else self.signal.name

    @property
    def active(self) -> bool:
        """Whether what it is about is so now."""
        return self.seen is not NORMAL

    @property
    def retain(self) -> bool:
        """Whether somebody has to look at it."""
        return self.enabled and (self.active or not self.acked or not self.confirmed)

    def see(self, reading: Reading) -> bool:
        """Take over what the machine reads; return whether that is another state, which is to be acknowledged."""
        value = reading[self.signal.name]
        if value is None:
            return False
        if self.limit is not None:
            seen = watched(self.limit, self.signal.unit, value, self.seen)
        else:
            seen = Condition("Fault", text=str(value)) if value else NORMAL
        if seen == self.seen:
            return False
        self.seen = seen
        if self.active:
            self.text, self.last_severity = seen.text, self.severity
            self.severity = _SEVERITIES[seen.level] if self.limit else _STOPPED
            self.acked, self.confirmed = False, True
        return self.enabled

    def enable(self) -> None:
        """Let it speak again; raise Declined when it does."""
        if self.enabled:
            raise Declined(Status.BadConditionAlreadyEnabled)
        self.enabled = True

    def disable(self) -> None:
        """Let it be silent; raise Declined when it is."""
        if not self.enabled:
            raise Declined(Status.BadConditionAlreadyDisabled)
        self.enabled = False

    def add_comment(self, event_id: bytes, comment: ua.LocalizedText) -> None:
        """Note a comment on the newest event; raise Declined for another one."""
        if not self.enabled:
            raise Declined(Status.BadConditionDisabled)
        if event_id != self.event_id:
            raise Declined(Status.BadEventIdUnknown)
        if comment is not None and comment.Text:
            self.comment = comment

    def acknowledge(self, event_id: bytes, comment: ua.LocalizedText) -> None:
        """Note that somebody has seen it; raise Declined."""
        if self.acked:
            raise Declined(Status.BadConditionBranchAlreadyAcked)
        self.add_comment(event_id, comment)
        self.acked, self.confirmed = True, False

    def confirm(self, event_id: bytes, comment: ua.LocalizedText) -> None:
        """Note that somebody has done something about it; raise Declined."""
        if self.confirmed:
            raise Declined(Status.BadConditionBranchAlreadyConfirmed)
        self.add_comment(event_id, comment)
        self.confirmed = True

    @property
    def type(self) -> int:
        """OffNormalAlarmType or NonExclusiveLevelAlarmType."""
        return int(ua.ObjectIds.OffNormalAlarmType if self.limit is None else ua.ObjectIds.NonExclusiveLevelAlarmType)

    def fields(self, stamp: datetime) -> dict[str, ua.Variant]:
        """Return its variables, and the fields of its events, by path."""
        kind = ua.VariantType
        process = self.limit is not None
        class_id = ua.ObjectIds.ProcessConditionClassType if process else ua.ObjectIds.SystemConditionClassType
        fields = {
            "EventId": ua.Variant(self.event_id, kind.ByteString),
            "EventType": ua.Variant(ua.NodeId(self.type), kind.NodeId),
            "SourceNode": ua.Variant(self.source, kind.NodeId),
            "SourceName": ua.Variant(self.shown.machine.id, kind.String),
            "Time": ua.Variant(stamp, kind.DateTime),
            "ReceiveTime": ua.Variant(stamp, kind.DateTime),
            "Message": _text(self.text),
            "Severity": ua.Variant(self.severity, kind.UInt16),
            "ConditionClassId": ua.Variant(ua.NodeId(class_id), kind.NodeId),
            "ConditionClassName": _text("Process" if process else "System"),
            "ConditionName": ua.Variant(self.name, kind.String),
            "BranchId": ua.Variant(ua.NodeId(), kind.NodeId),
            "Retain": ua.Variant(self.retain, kind.Boolean),
            "Quality": ua.Variant(ua.StatusCode(), kind.StatusCode),
            "LastSeverity": ua.Variant(self.last_severity, kind.UInt16),
            "Comment": ua.Variant(self.comment, kind.LocalizedText),
            "ClientUserId": ua.Variant("", kind.String),
            "InputNode": ua.Variant(self.input, kind.NodeId),
            "SuppressedOrShelved": ua.Variant(False, kind.Boolean),
        }
        fields |= {f"{name}/SourceTimestamp": fields["Time"] for name in ("Quality", "LastSeverity", "Comment")}
        for name, value in zip(_TEXTS, (self.enabled, self.active, self.acked, self.confirmed), strict=True):
            fields[name], fields[f"{name}/Id"] = _text(_TEXTS[name][value]), ua.Variant(value, kind.Boolean)
        if self.limit is None:
            fields["NormalState"] = ua.Variant(ua.NodeId(), kind.NodeId)
            return fields
        side, levels = self.limit.qualifier.capitalize(), ("Warning", "Fault")
        for n, bound in enumerate((self.limit.warning, self.limit.fault)):
            state, beyond = side * (n + 1), self.seen.level in levels[n:]
            fields[f"{state}State"] = _text(f"{state} {'active' if beyond else 'inactive'}")
            fields[f"{state}State/Id"] = ua.Variant(beyond, kind.Boolean)
            fields[f"{state}Limit"] = ua.Variant(bound, kind.Double)
        return fields


class Alarms:
    """The conditions of all machines on one server."""

    def __init__(self, server: Server, namespace: int, begin: datetime) -> None:
        self._stamp = begin  # what the machines stamp now
        self._server = server
        self._namespace = namespace
        self._by_node: dict[ua.NodeId, Alarm] = {}
        self._of: dict[str, list[Alarm]] = {}

    async def start(self) -> None:
        """Let events be subscribed at the Server object, and the methods of the types act on our conditions."""
        await self._server.nodes.server.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        for number, name in _METHODS.items():
            self._server.link_method(self._server.get_node(ua.NodeId(number)), self._method(name))

    def add(self, shown: Shown, inputs: dict[str, ua.NodeId]) -> None:
        """Make the conditions of a machine; `inputs` are the nodes of its signals by name."""
        machine = shown.machine
        signals, limits = {signal.name: signal for signal in machine.signals}, limits_of(machine)
        watched_by = [(limit.signal, limit) for limit in limits]
        every = [("alarm", None), *watched_by] if "alarm" in signals else watched_by
        root, folder = ua.NodeId(machine.id, self._namespace), self._id(f"{machine.id}/Alarms")
        items = [_node(folder, (47, root), ua.QualifiedName("Alarms", self._namespace), 61)] if every else []
        links = [(ua.NodeId(ua.ObjectIds.Server), 48, root)] if every else []
        alarms = self._of[machine.id] = []
        for name, limit in every:
            node = self._id(f"{machine.id}/Alarms/{CONTROLLER if limit is None else name}")
            alarm = Alarm(shown, node, root, signals[name], inputs[name], limit)
            alarms.append(alarm)
            self._by_node[node] = alarm
            items.append(_node(node, (47, folder), ua.QualifiedName(alarm.name, self._namespace), alarm.type))
            items += self._variables(alarm)
            links.append((root, 9006, node))
            links += [(node, 47, ua.NodeId(number)) for number in _METHODS]
        nodes = self._server.iserver.node_mgt_service
        left = [*nodes.try_add_nodes(items, check=False), *nodes.try_add_references(list(_both_ways(links)))]
        if left:
            raise RuntimeError(f"the server does not take {len(left)} nodes of the alarms of {machine.id}: {left[0]}")

    def _variables(self, alarm: Alarm) -> Iterator[ua.AddNodesItem]:
        fields = alarm.fields(self._stamp)
        for path in sorted(fields, key=lambda path: path.count("/")):
            above, _, label = path.rpartition("/")
            is_state, has_more = f"{path}/Id" in fields, f"{path}/SourceTimestamp" in fields
            kind = _TWO_STATE_TYPE if is_state else _CONDITION_VARIABLE_TYPE if has_more else _PROPERTY_TYPE
            parent = ua.NodeId(f"{alarm.node.Identifier}/{above}".rstrip("/"), self._namespace)
            reference = 46 if kind == _PROPERTY_TYPE else 47
            node = self._id(f"{alarm.node.Identifier}/{path}")
            yield _node(node, (reference, parent), ua.QualifiedName(label), kind, fields[path])

    async def show(self, machine: str, reading: Reading, stamp: datetime) -> None:
        """Tell what has become of the conditions of a machine."""
        self._stamp = stamp
        for alarm in self._of[machine]:
            if alarm.see(reading):
                await self._tell(alarm, stamp)

    async def _tell(self, alarm: Alarm, stamp: datetime) -> None:
        alarm.event_id = uuid4().bytes
        event = Event()
        event.add_property("NodeId", alarm.node, ua.VariantType.NodeId)
        for path, variant in alarm.fields(stamp).items():
            event.add_property(path, variant.Value, variant.VariantType)
            node = self._id(f"{alarm.node.Identifier}/{path}")
            value = ua.DataValue(variant, SourceTimestamp=stamp, ServerTimestamp=stamp)
            await self._server.write_attribute_value(node, value)
        event.EventType = EventType(alarm.type)
        stamp_ns = (stamp - _EPOCH) // timedelta(microseconds=1) * 1000
        state = "active" if alarm.active else "cleared"
        alarm.shown.note_event(stamp_ns, alarm.name, state=state, severity=alarm.severity, text=alarm.text)
        await self._server.iserver.subscription_service.trigger_event(event)

    def _method(self, name: str) -> Callable[..., Awaitable[ua.StatusCode]]:
        async def call(condition: ua.NodeId, *arguments: ua.Variant) -> ua.StatusCode:
            alarm = self._by_node.get(condition)
            if alarm is None:
                return ua.StatusCode(Status.BadNodeIdUnknown)
            try:
                getattr(alarm, name)(*(argument.Value for argument in arguments))
            except Declined as declined:
                return declined.status
            except TypeError:
                return ua.StatusCode(Status.BadArgumentsMissing)
            await self._tell(alarm, self._stamp)
            return ua.StatusCode()

        return call

    def _id(self, text: str) -> ua.NodeId:
        return ua.NodeId(text, self._namespace)


def _text(text: str) -> ua.Variant:
    return ua.Variant(ua.LocalizedText(text, "en"), ua.VariantType.LocalizedText)


def _node(
    node: ua.NodeId, below: tuple[int, ua.NodeId], name: ua.QualifiedName, kind: int, value: ua.Variant | None = None
) -> ua.AddNodesItem:
    """Return an object, or a variable when it has a value; `below` is the reference from its parent, and that."""
    attributes = ua.ObjectAttributes() if value is None else ua.VariableAttributes()
    attributes.DisplayName = ua.LocalizedText(name.Name)
    if value is not None:
        is_time = value.VariantType == ua.VariantType.DateTime
        attributes.DataType = ua.NodeId(ua.ObjectIds.UtcTime if is_time else value.VariantType.value)
        attributes.ValueRank, attributes.Value = -1, value
    return ua.AddNodesItem(
        RequestedNewNodeId=node,
        ParentNodeId=below[1],
        ReferenceTypeId=ua.NodeId(below[0]),
        BrowseName=name,
        NodeClass=ua.NodeClass.Object if value is None else ua.NodeClass.Variable,
        TypeDefinition=ua.NodeId(kind),
        NodeAttributes=attributes,
    )


def _both_ways(links: list[tuple[ua.NodeId, int, ua.NodeId]]) -> Iterator[ua.AddReferencesItem]:
    for source, kind, target in links:
        for one, other, forward in ((source, target, True), (target, source, False)):
            yield ua.AddReferencesItem(
                SourceNodeId=one, ReferenceTypeId=ua.NodeId(kind), IsForward=forward, TargetNodeId=other
            )
