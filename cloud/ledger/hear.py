"""The ledger as gateways bring it."""

from __future__ import annotations

import orjson
from sqlalchemy.orm import Session

from cloud.chain.message import Message, RefusedError
from cloud.ledger.keep import LedgerError, keep, read_ledger
from cloud.parts import Parts
from contract.topics import UnsTopic


def hear(_parts: Parts, db: Session, message: Message) -> None:
    """Keep the ledger of a source."""
    _keep(db, orjson.dumps(message.content.get("ledger")))


def hear_topic(db: Session, _topic: UnsTopic, payload: bytes) -> None:
    """Keep the ledger of a source as the unified namespace has it."""
    _keep(db, payload)


def _keep(db: Session, said: bytes) -> None:
    try:
        keep(db, read_ledger(said))
    except LedgerError as error:
        raise RefusedError(str(error)) from error
