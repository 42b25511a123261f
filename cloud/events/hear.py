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
    """Keep an event."""
    try:
        event = Event.model_validate(message.content.get("event"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RefusedError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if event.asset != message.asset:
        raise RefusedError(f"it is of {event.asset!r}, and its line says {message.asset!r}")
    if _has_nul(event.model_dump()):
        raise RefusedError("a text of it has a NUL")
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


def _has_nul(value: object) -> bool:
    """Whether a text in it has what a database does not take."""
    if isinstance(value, dict):
        return any(_has_nul(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value
