"""The services of one session that take many nodes, asked in groups as large as the server takes.

Servers state how much they take at once (OPC 10000-5, 6.3.11), though not all, and not all say what is true: a group
that a server refuses as too large is halved, down to one node, and the session remembers it. So is a group whose answer
cannot be decoded, to find the node that brings that about; it alone has no value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from asyncua import Client, ua
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from edge.driver import Counters
from edge.drivers.opcua.decoding import is_damage
from edge.drivers.opcua.values import NO_TIME

_MOST: Final = {"read": 200, "monitor": 200, "browse": 50}  # many servers refuse more without saying so before
_STATED: Final = {
    "read": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "monitor": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    "browse": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
}
_TOO_MANY: Final = (
    ua.StatusCodes.BadTooManyOperations,
    ua.StatusCodes.BadRequestTooLarge,
    ua.StatusCodes.BadResponseTooLarge,
    ua.StatusCodes.BadEncodingLimitsExceeded,
)
_REFERENCES: Final = 1000  # of one node in one answer
_MOST_REFERENCES: Final = 200_000  # of one node

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


class Services:
    """What a session is asked; all raise what asyncua raises."""

    def __init__(self, client: Client, counters: Counters) -> None:
        self.client = client
        self._counters = counters
        self._sizes = dict(_MOST)

    async def learn_limits(self) -> None:
        """Take the limits that the server states."""
        asked = [ua.ReadValueId(NodeId=ua.NodeId(node), AttributeId=ua.AttributeIds.Value) for node in _STATED.values()]
        for service, data in zip(_STATED, await self.read(asked), strict=True):
            limit = None if data.Value is None else data.Value.Value
            if isinstance(limit, int) and limit > 0:  # 0: no limit
                self._sizes[service] = min(limit, _MOST[service])

    async def read(self, asked: Sequence[ua.ReadValueId]) -> list[ua.DataValue]:
        """Read attributes; what cannot be decoded is BadDecodingError."""

        async def ask(group: Sequence[ua.ReadValueId]) -> Any:
            params = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Both)
            params.NodesToRead = list(group)
            return await self.client.uaclient.read(params)

        def undecodable(one: ua.ReadValueId) -> ua.DataValue:
            node = one.NodeId.to_string()
            self._counters.rejected += 1
            self._counters.notes.tell("damage", f"node {node}: what the server sends of it cannot be decoded", node)
            return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadDecodingError))

        return await self._in_groups("read", asked, ask, undecodable)

    async def monitor(
        self, subscription: int, asked: Sequence[ua.MonitoredItemCreateRequest]
    ) -> list[ua.MonitoredItemCreateResult]:
        """Monitor nodes by a subscription."""

        async def ask(group: Sequence[ua.MonitoredItemCreateRequest]) -> Any:
            params = ua.CreateMonitoredItemsParameters(subscription, ua.TimestampsToReturn.Both, list(group))
            return await self.client.uaclient.create_monitored_items(params)

        return await self._in_groups("monitor", asked, ask)

    async def browse(self, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
        """Return what is below each of the nodes: objects and variables."""
        children = []
        for node, result in zip(nodes, await self._in_groups("browse", nodes, self._browse), strict=True):
            again = result.StatusCode.value == ua.StatusCodes.BadNoContinuationPoints  # too many others had one
            found = (await self._browse([node]))[0] if again else result
            children.append([*(found.References or ()), *await self._further(found.ContinuationPoint)])
        return children

    async def _browse(self, nodes: Sequence[ua.NodeId]) -> Any:
        # servers may refuse a view that has a time, and asyncua's has that of the request
        params = ua.BrowseParameters(ua.ViewDescription(Timestamp=NO_TIME), _REFERENCES)
        params.NodesToBrowse = [
            ua.BrowseDescription(
                NodeId=node,
                BrowseDirection=ua.BrowseDirection.Forward,
                ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
                IncludeSubtypes=True,
                NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable,
                ResultMask=ua.BrowseResultMask.All,
            )
            for node in nodes
        ]
        return await self.client.uaclient.browse(params)

    async def _further(self, point: bytes | None) -> list[ua.ReferenceDescription]:
        """Return what did not fit the first answer."""
        references: list[ua.ReferenceDescription] = []
        while point and len(references) < _MOST_REFERENCES:
            params = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[point])
            (result,) = await self.client.uaclient.browse_next(params)
            if not result.References:
                break  # a server that makes no progress
            references += result.References
            point = result.ContinuationPoint
        return references

    async def _in_groups(
        self,
        service: str,
        asked: Sequence[_Asked],
        ask: Callable[[Sequence[_Asked]], Awaitable[Sequence[_Answer] | None]],
        undecodable: Callable[[_Asked], _Answer] | None = None,
    ) -> list[_Answer]:
        answers: list[_Answer] = []
        size = self._sizes[service]
        while len(answers) < len(asked):
            group = asked[len(answers) : len(answers) + size]
            try:
                answers += _complete(await ask(group), len(group))
                size = self._sizes[service]
            except UaStatusCodeError as error:
                if error.code not in _TOO_MANY or len(group) == 1:
                    raise
                size = self._sizes[service] = max(1, len(group) // 2)
            except Exception as error:
                if undecodable is None or not is_damage(error):
                    raise
                if len(group) == 1:
                    answers.append(undecodable(group[0]))
                size = max(1, len(group) // 2)
        return answers


def _complete(answers: Sequence[_Answer] | None, count: int) -> Sequence[_Answer]:
    if answers is None or len(answers) != count:
        raise UaError(f"the server gives {len(answers or ())} answers to {count} questions")
    return answers
