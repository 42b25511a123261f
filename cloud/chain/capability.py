"""The capability: the address that gateways bring events, blocks, replies and the ledger to."""

from __future__ import annotations

from typing import Final

from cloud.capability import Capability, Right
from cloud.chain import routes

CAPABILITY: Final = Capability("chain", routers=(routes.router,), rights={"POST /api/v1/chain": Right("gateway")})
