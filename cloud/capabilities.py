"""The capabilities of the cloud: a new one is its folder, and two lines here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Table
from sqlalchemy.sql.ddl import sort_tables

from cloud.auth.capability import CAPABILITY as AUTH
from cloud.capability import Capability, Hear, HearTopic
from cloud.ledger.capability import CAPABILITY as LEDGER
from cloud.live.capability import CAPABILITY as LIVE
from cloud.registry.capability import CAPABILITY as REGISTRY
from cloud.telemetry.capability import CAPABILITY as TELEMETRY

CAPABILITIES: Final[tuple[Capability, ...]] = (
    AUTH,
    REGISTRY,
    LEDGER,
    TELEMETRY,
    LIVE,
)  # fmt: skip


def tables() -> list[Table]:
    """Return the tables of all capabilities, each behind those that it refers to."""
    return sort_tables([each.metadata.tables[each.__tablename__] for one in CAPABILITIES for each in one.tables])


def hears() -> Mapping[str, Hear]:
    """Return who hears each kind of message of a gateway."""
    return {kind: hear for one in CAPABILITIES for kind, hear in one.hears.items()}


def listens() -> Mapping[str, HearTopic]:
    """Return who hears each category of the unified namespace."""
    return {category: hear for one in CAPABILITIES for category, hear in one.listens.items()}
