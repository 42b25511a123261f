"""Events as gateways bring them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import Final

from pydantic import ValidationError
from sqlalchemy.event import listen
from sqlalchemy.orm import Session

from cloud.blocks.blocks import stand_on
from cloud.chain.message import Message, RefusedError
from cloud.events.events import keep
from cloud.events.view import EventView, view
from cloud.live.hub import Hub
from cloud.parts import Parts
from contract.event import Event

_TOLD: Final = "events of this transaction"


def hear(parts: Parts, db: Session, message: Message) -> None:
    """Keep an event; a NUL in a text of it, which no database takes, becomes U+FFFD."""
    try:
        event = Event.model_validate(_without_nul(message.content.get("event")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RefusedError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if event.asset != message.asset:
        raise RefusedError(f"it is of {event.asset!r}, and its line says {message.asset!r}")
    now = datetime.now(UTC)
    parts.retention.apply(db, now, time.monotonic())
    row = keep(db, message.node, event)
    if row is not None:
        if _TOLD not in db.info:
            db.info[_TOLD] = list[EventView]()
            listen(db, "after_commit", partial(_tell, parts.hub, db.info[_TOLD]), once=True)
        db.info[_TOLD].append(view(row))
        stand_on(db, {each.block for each in event.evidence if each.block}, now)


def _tell(hub: Hub, events: list[EventView], _db: Session) -> None:
    """Tell what is kept now to those who listen."""
    for event in events:
        hub.happened(event.asset, event.model_dump(mode="json"))


def _without_nul(value: object) -> object:
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
