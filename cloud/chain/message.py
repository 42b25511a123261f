"""What a gateway sends in one line, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from cloud.parts import Parts


class RefusedError(ValueError):
    """What is not taken, and why; to send it again is no use."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a gateway sends in one line: `content` has the fields of the line besides the three others."""

    kind: str
    node: str
    asset: str
    content: Mapping[str, Any]


Hear = Callable[[Parts, Session, Message], None]
"""Keep a message in the transaction of its request; raise RefusedError. To be told the same again must be harmless."""
