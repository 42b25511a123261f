"""What a test lets an OPC UA server tell of conditions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from asyncua import Server, ua
from asyncua.common.events import Event

OFF = (False, ua.VariantType.Boolean)


async def trigger(server: Server, kind: int, source: ua.NodeId | int = ua.ObjectIds.Server, **fields: Any) -> None:
    """Let a server tell an event with these fields (`ActiveState_Id`: a field of a field) and its types."""
    event = Event(source)
    stamp = fields.pop("Time", datetime.now(UTC))
    told = {"EventType": (ua.NodeId(kind), ua.VariantType.NodeId), "Time": (stamp, ua.VariantType.DateTime)} | fields
    for name, (value, variant) in told.items():
        event.add_property(name.replace("_", "/"), value, variant)
    await server.iserver.subscription_service.trigger_event(event)


def condition(name: str, **more: Any) -> dict[str, Any]:
    """The fields of an alarm that is active."""
    kind = ua.VariantType
    return {
        "EventId": (name.encode(), kind.ByteString),
        "NodeId": (ua.NodeId(name, 0), kind.NodeId),
        "ConditionName": (name, kind.String),
        "Retain": (True, kind.Boolean),
        "ActiveState_Id": (True, kind.Boolean),
        "Severity": (500, kind.UInt16),
    } | more
