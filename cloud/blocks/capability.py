"""The capability: blocks of numbers that a sensor measured."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.blocks import routes
from cloud.blocks.hear import hear
from cloud.blocks.tables import BlockRow, KeptBlock
from cloud.capability import Capability, Right

CAPABILITY: Final = Capability(
    "blocks",
    routers=(routes.router,),
    tables=(BlockRow, KeptBlock),
    hears={"block": hear},
    rights={
        "GET /api/v1/blocks": Right(Action.READ),
        "GET /api/v1/blocks/{block}": Right(Action.READ, "/api/v1/blocks/b1"),
        "POST /api/v1/blocks/{block}/keep": Right(Action.KEEP, "/api/v1/blocks/b1/keep"),
        "DELETE /api/v1/blocks/{block}/keep": Right(Action.KEEP, "/api/v1/blocks/b1/keep"),
    },
)
