"""The capability: the loss ledger."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.capability import Capability, Right
from cloud.ledger import routes
from cloud.ledger.hear import hear
from cloud.ledger.tables import LedgerRow

CAPABILITY: Final = Capability(
    "ledger",
    routers=(routes.router,),
    tables=(LedgerRow,),
    hears={"ledger": hear},
    rights={"GET /api/v1/ledger": Right(Action.READ)},
)
