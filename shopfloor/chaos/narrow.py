"""An OPC UA server that takes two nodes in a request: it states that for reading, and for subscribing it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession

MOST_NODES: Final = 2
_ANYBODY: Final = User(role=UserRole.Anonymous)
_STATED: Final = ua.NodeId(ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead)


class NarrowServer(InternalServer):  # type: ignore[misc] # asyncua states no types
    """Its sessions refuse more than MOST_NODES nodes at once."""

    def create_session(self, name: str, user: User = _ANYBODY, external: bool = False) -> InternalSession:
        """Return a session of a client."""
        return _Session(self, self.aspace, self.subscription_service, name, user=user, external=external)


class _Session(InternalSession):  # type: ignore[misc] # asyncua states no types
    async def read(self, params: Any) -> Any:
        self._check(params.NodesToRead)
        return await super().read(params)

    async def create_monitored_items(self, params: Any) -> Any:
        self._check(params.ItemsToCreate)
        return await super().create_monitored_items(params)

    def _check(self, nodes: Sequence[Any]) -> None:
        if self.external and len(nodes) > MOST_NODES:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)


async def state_limits(server: Server) -> None:
    """Let a server state its limit for reading."""
    limit = ua.DataValue(ua.Variant(MOST_NODES, ua.VariantType.UInt32))
    await server.write_attribute_value(_STATED, limit)
