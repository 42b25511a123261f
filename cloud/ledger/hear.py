"""The ledger as gateways bring it."""

from __future__ import annotations

import orjson
from sqlalchemy.orm import Session

from cloud.chain.message import Message, RefusedError
from cloud.ledger.keep import LedgerError, keep, read_ledger
from cloud.parts import Parts


def hear(_parts: Parts, db: Session, message: Message) -> None:
    """Keep the ledger of a source."""
    try:
        keep(db, read_ledger(orjson.dumps(message.content.get("ledger"))))
    except LedgerError as error:
        raise RefusedError(str(error)) from error
