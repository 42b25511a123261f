"""Blocks as gateways bring them."""

from __future__ import annotations

import base64
import time

from pydantic import ValidationError
from sqlalchemy.orm import Session

from cloud.blocks.blocks import BlocksError
from cloud.chain.message import Message, RefusedError
from cloud.parts import Parts
from contract.block import Block, Header


def hear(parts: Parts, db: Session, message: Message) -> None:
    """Keep a block."""
    try:
        header = Header.model_validate(message.content.get("header"))
        block = Block(header=header, data=base64.b64decode(str(message.content.get("data")), validate=True))
        block.numbers()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RefusedError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:  # no base64, or not as many numbers
        raise RefusedError(str(error)) from error
    if header.asset != message.asset:
        raise RefusedError(f"it is of {header.asset!r}, and its line says {message.asset!r}")
    if "\0" in header.sensor + header.unit:
        raise RefusedError("a text of it has a NUL")
    try:
        parts.blocks.keep(db, message.node, block, time.time_ns())
    except BlocksError as error:
        raise RefusedError(str(error)) from error
