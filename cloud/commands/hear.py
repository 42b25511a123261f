"""Replies as gateways bring them."""

from __future__ import annotations

import time

from pydantic import ValidationError
from sqlalchemy.orm import Session

from cloud.chain.message import Message, RefusedError
from cloud.commands.commands import UnknownCommandError, answer
from cloud.parts import Parts
from contract.command import Reply


def hear(parts: Parts, db: Session, message: Message) -> None:
    """Keep a reply."""
    try:
        reply = Reply.model_validate(message.content.get("reply"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RefusedError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    try:
        answer(db, message.node, reply, time.time_ns())
    except UnknownCommandError as error:
        raise RefusedError(str(error)) from error
    parts.bell.ring_after(db)
