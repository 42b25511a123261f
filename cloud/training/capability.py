"""The capability: the fault desk of a trainer."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.capability import Capability, Right
from cloud.training import routes

_OF_ASSET: Final = "/api/v1/training/assets/cnc-01"

CAPABILITY: Final = Capability(
    "training",
    routers=(routes.router,),
    rights={
        "GET /api/v1/training": Right(Action.READ),
        "GET /api/v1/training/machines": Right(Action.INJECT),
        "GET /api/v1/training/scenarios": Right(Action.INJECT),
        "POST /api/v1/training/assets/{asset}/faults": Right(
            Action.INJECT, f"{_OF_ASSET}/faults", {"fault": "spindle_bearing_outer"}
        ),
        "DELETE /api/v1/training/assets/{asset}/faults": Right(Action.INJECT, f"{_OF_ASSET}/faults"),
        "POST /api/v1/training/assets/{asset}/sensor_faults": Right(
            Action.INJECT, f"{_OF_ASSET}/sensor_faults", {"signal": "spindle_speed", "mode": "stuck"}
        ),
        "POST /api/v1/training/assets/{asset}/link_faults": Right(
            Action.INJECT, f"{_OF_ASSET}/link_faults", {"mode": "silent"}
        ),
        "POST /api/v1/training/scenarios/{scenario}": Right(Action.INJECT, "/api/v1/training/scenarios/bearing"),
        "DELETE /api/v1/training/scenarios/{scenario}": Right(Action.INJECT, "/api/v1/training/scenarios/bearing"),
    },
)
