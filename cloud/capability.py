"""What a capability of the cloud is: one object that says all that the rest of the cloud has to know of it.

`cloud/<name>/capability.py` makes it, and `cloud/capabilities.py` lists it; the application, the schema of the
database, backups, what gateways send and the matrix of rights walk that list. It does not stand in the folder's
`__init__.py`: importing a noun of a capability must not import its routes, which import what imports the noun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from fastapi import APIRouter
from sqlalchemy.orm import Session

from cloud.auth.rights import Action
from cloud.chain.message import Hear
from cloud.db import Base
from cloud.registry.announcement import Announcement

Learn = Callable[[Session, Announcement], None]
"""Take what an asset says of itself, in a transaction; raise RefusedError. To be told the same again is harmless."""


class Right(NamedTuple):
    """Who may use an address: whoever may do an action, or one of the others.

    everybody: also who is not logged in; somebody: who is logged in, whatever the role; store, gateway: programs that
    show the token of the store or of the gateway.
    """

    who: Action | Literal["everybody", "somebody", "store", "gateway"]
    address: str = ""
    """An example of the address; empty: it is the address itself."""
    body: object = None
    """An example of the body of a request."""
    person: bool = False
    """Only who is logged in: no token."""


@dataclass(frozen=True, slots=True)
class Capability:
    """A capability of the cloud."""

    name: str
    routers: Sequence[APIRouter] = ()
    """Its addresses, below /api/v1."""
    outside: Sequence[APIRouter] = ()
    """Its addresses that stand elsewhere, as another program's API has them."""
    tables: Sequence[type[Base]] = ()
    """Its tables; one whose rows stay out of a backup says why in its `info`, under `not_in_backup`."""
    hears: Mapping[str, Hear] = field(default_factory=dict)
    """What it hears from gateways, by kind of message."""
    learns: Learn | None = None
    """What it does when the unified namespace tells what an asset is."""
    rights: Mapping[str, Right] = field(default_factory=dict)
    """Who may use each of its addresses, by `METHOD /address`."""
