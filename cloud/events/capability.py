"""The capability: what happened, and what holds now."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.capability import Capability, Right
from cloud.events import routes
from cloud.events.hear import hear
from cloud.events.tables import ConditionRow, EventRow

CAPABILITY: Final = Capability(
    "events",
    routers=(routes.router,),
    tables=(EventRow, ConditionRow),
    hears={"event": hear},
    rights={"GET /api/v1/events": Right(Action.READ)},
)
