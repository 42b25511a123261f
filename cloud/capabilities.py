"""The capabilities of the cloud: a new one is its folder, and its line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from sqlalchemy import Table
from sqlalchemy.sql.ddl import sort_tables

from cloud.capability import Capability, Learn
from cloud.chain.message import Hear

_FOLDERS: Final = (
    "telemetry",
    "live",
    "registry",
    "events",
    "blocks",
    "commands",
    "diagnosis",
    "ledger",
    "chain",
    "training",
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


def learns() -> Sequence[Learn]:
    """Return who learns from what an asset says of itself in the unified namespace."""
    return [one.learns for one in CAPABILITIES if one.learns is not None]
