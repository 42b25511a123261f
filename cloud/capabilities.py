"""The capabilities of the cloud: a new one is its folder, and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from sqlalchemy import Table
from sqlalchemy.sql.ddl import sort_tables

from cloud.capability import Capability, HearTopic
from cloud.chain.message import Hear

_FOLDERS: Final = (
    "telemetry",
    "live",
    "registry",
    "events",
    "blocks",
    "ledger",
    "chain",
    "auth",
)
CAPABILITIES: Final[tuple[Capability, ...]] = tuple(
    import_module(f"cloud.{folder}.capability").CAPABILITY for folder in _FOLDERS
)


def tables() -> list[Table]:
    """Return the tables of all capabilities, each behind those that it refers to."""
    return sort_tables([each.metadata.tables[each.__tablename__] for one in CAPABILITIES for each in one.tables])


def hears() -> Mapping[str, Hear]:
    """Return who hears each kind of message of a gateway."""
    return {kind: hear for one in CAPABILITIES for kind, hear in one.hears.items()}


def listens() -> Mapping[str, HearTopic]:
    """Return who hears each category of the unified namespace."""
    return {category: hear for one in CAPABILITIES for category, hear in one.listens.items()}
