"""The list of capabilities is complete, and nobody is in it twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import cloud
from cloud import db
from cloud.capabilities import CAPABILITIES, tables
from cloud.parts import Parts

FOLDERS = {path.parent.name for path in Path(cloud.__file__).parent.glob("*/capability.py")}


def test_each_folder_with_a_capability_is_listed() -> None:
    assert sorted(one.name for one in CAPABILITIES) == sorted(FOLDERS)


def test_each_table_is_one_of_one_capability() -> None:
    assert sorted(table.name for table in tables()) == sorted(db.Base.metadata.tables)


def test_nothing_is_heard_by_two() -> None:
    counts = Counter(
        (which, name) for one in CAPABILITIES for which in ("hears", "rights") for name in getattr(one, which)
    )
    assert [heard for heard, number in counts.items() if number > 1] == []


def test_the_migrations_make_the_tables_as_the_capabilities_have_them(parts: Parts) -> None:
    with parts.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.Base.metadata) == []
