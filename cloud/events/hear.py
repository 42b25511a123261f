"""Events as gateways bring them."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy.orm import Session

from cloud.chain.message import Message, RefusedError
from cloud.events.events import keep
from cloud.parts import Parts
from contract.event import Event


def hear(_parts: Parts, db: Session, message: Message) -> None:
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
    keep(db, message.node, event)


def _has_nul(value: object) -> bool:
    """Whether a text in it has what a database does not take."""
    if isinstance(value, dict):
        return any(_has_nul(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value
