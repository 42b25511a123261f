"""The capability: the loss ledger."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from cloud.auth.rights import Action
from cloud.capability import Capability, RefusedError, Right
from cloud.ledger import routes
from cloud.ledger.keep import LedgerError, keep, read_ledger
from cloud.ledger.tables import LedgerRow
from contract.topics import UnsTopic


def hear(db: Session, _topic: UnsTopic, payload: bytes) -> None:
    """Keep what a gateway tells of a source; raise RefusedError."""
    try:
        keep(db, read_ledger(payload))
    except LedgerError as error:
        raise RefusedError(str(error)) from error


CAPABILITY: Final = Capability(
    "ledger",
    routers=(routes.router,),
    tables=(LedgerRow,),
    listens={"ledger": hear},
    rights={"GET /api/v1/ledger": Right(Action.READ)},
)
