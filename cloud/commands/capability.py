"""The capability: what people and programs want of machines, and what became of it."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.capability import Capability, Right
from cloud.commands import routes
from cloud.commands.hear import hear
from cloud.commands.tables import CommandRow, StepRow

_WISH: Final = {"verb": "write", "signal": "spindle_speed", "value": 1000}

CAPABILITY: Final = Capability(
    "commands",
    routers=(routes.assets_router, routes.router, routes.chain_router),
    tables=(CommandRow, StepRow),
    hears={"reply": hear},
    rights={
        "POST /api/v1/assets/{asset}/commands": Right(Action.WRITE, "/api/v1/assets/cnc-01/commands", body=_WISH),
        "GET /api/v1/commands": Right(Action.READ),
        "GET /api/v1/commands/{command}": Right(Action.READ, "/api/v1/commands/4f1a9c0d2b7e6a35"),
        "POST /api/v1/chain/commands": Right("gateway", body={"nodes": [], "wait_s": 0}),
    },
)
