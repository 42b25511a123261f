"""What a server recorded while nobody listened (OPC 10000-11, ReadRaw)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from asyncua import Client, ua

from edge.driver import NoHistory
from edge.drivers.opcua.decoding import is_damage
from edge.drivers.opcua.nodes import Item
from edge.drivers.opcua.services import Services
from edge.drivers.opcua.session import explain, status_of

_GROUP: Final = 100  # nodes whose record is read before the next are asked whether they have one
_VALUES: Final = 1000  # of one node in one answer
_UNSUPPORTED: Final = (
    ua.StatusCodes.BadServiceUnsupported,
    ua.StatusCodes.BadHistoryOperationUnsupported,
    ua.StatusCodes.BadNotSupported,
    ua.StatusCodes.BadNotImplemented,
    ua.StatusCodes.BadUserAccessDenied,
)


async def raw(
    services: Services, items: Sequence[Item], start_ns: int, end_ns: int
) -> AsyncIterator[tuple[Item, Sequence[ua.DataValue]]]:
    """Yield what the server recorded of each item, in order of time; a value may come twice.

    Raises NoHistory at the end when it records some of the items not at all, and what asyncua raises.
    """
    without: list[str] = []
    for first in range(0, len(items), _GROUP):
        group = items[first : first + _GROUP]
        recorded = await _recorded(services, group)
        without += [f"{item.signal} (not recorded)" for item in group if item not in recorded]
        for item in recorded:
            try:
                async for values in _of(services.client, item, _micro(start_ns), _micro(end_ns + 999)):
                    yield item, values
            except NoHistory as error:
                without.append(f"{item.signal} ({error})")
    if without:
        raise NoHistory(f"the server keeps no history of {len(without)} of {len(items)} signals: {without[0]}, …")


async def _of(client: Client, item: Item, start: datetime, end: datetime) -> AsyncIterator[Sequence[ua.DataValue]]:
    """Yield the record of one item; raise NoHistory when there is none."""
    point: bytes | None = None
    while True:
        answer = await _read(client, item, start, end, point)
        values: Sequence[Any] = getattr(answer.HistoryData, "DataValues", None) or ()
        if values:
            yield values
        before, point = point, answer.ContinuationPoint or None
        if point is not None:
            if point == before:
                return  # a server that makes no progress
            continue
        # some servers cut the answer and give no continuation point: then go on from the last value
        last = values[-1].SourceTimestamp if len(values) >= _VALUES else None
        if last is None:
            return
        last = last if last.tzinfo is not None else last.replace(tzinfo=UTC)
        if last <= start:
            return
        start = last


async def _recorded(services: Services, items: Sequence[Item]) -> list[Item]:
    """Return those that the server says it records (OPC 10000-3, 5.6.2): some answer well, and empty, for any node."""
    asked = [ua.ReadValueId(NodeId=item.node, AttributeId=ua.AttributeIds.Historizing) for item in items]
    flags = await services.read(asked)
    return [
        item for item, flag in zip(items, flags, strict=True) if flag.Value is not None and flag.Value.Value is True
    ]


async def _read(client: Client, item: Item, start: datetime, end: datetime, point: bytes | None) -> Any:
    """Return one answer of the server; raise NoHistory when it has none for this node, or for no node."""
    params = ua.HistoryReadParameters(
        HistoryReadDetails=ua.ReadRawModifiedDetails(
            IsReadModified=False, StartTime=start, EndTime=end, NumValuesPerNode=_VALUES, ReturnBounds=False
        ),
        TimestampsToReturn=ua.TimestampsToReturn.Both,
        ReleaseContinuationPoints=False,
    )
    params.NodesToRead = [ua.HistoryReadValueId(NodeId=item.node, IndexRange="", ContinuationPoint=point)]
    try:
        (answer,) = await client.uaclient.history_read(params)
    except Exception as error:
        if status_of(error) in _UNSUPPORTED or is_damage(error):
            raise NoHistory(explain(error)) from error
        raise
    if answer.StatusCode.is_bad():
        raise NoHistory(explain(ua.UaStatusCodeError(answer.StatusCode.value)))
    return answer


def _micro(time_ns: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_ns // 1000)
