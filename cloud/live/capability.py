"""The capability: the live stream."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.capability import Capability, Right
from cloud.live import routes

CAPABILITY: Final = Capability(
    "live", routers=(routes.router,), rights={"GET /api/v1/telemetry/stream": Right(Action.READ)}
)
