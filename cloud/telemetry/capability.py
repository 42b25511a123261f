"""The capability: last values, history, export, and the address that gateways write to."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.capability import Capability, Right
from cloud.telemetry import routes, states, write

_HISTORY: Final = "asset=cnc-01&signal=feed"

CAPABILITY: Final = Capability(
    "telemetry",
    routers=(routes.router, states.router),
    outside=(write.router,),
    rights={
        "GET /api/v1/telemetry/last": Right(Action.READ),
        "GET /api/v1/telemetry/history": Right(Action.READ, f"/api/v1/telemetry/history?{_HISTORY}"),
        "GET /api/v1/telemetry/export": Right(Action.EXPORT, f"/api/v1/telemetry/export?{_HISTORY}"),
        "GET /api/v1/telemetry/states": Right(Action.READ, "/api/v1/telemetry/states?asset=cnc-01"),
        "GET /api/v1/telemetry/retention": Right(Action.READ),
        "GET /api/v1/telemetry/series": Right(Action.READ),
        "POST /api/v2/write": Right("store"),
    },
)
