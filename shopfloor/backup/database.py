"""The relational database in a backup: all rows by table, of any revision of the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

import cloud.auth.tables
import cloud.registry.tables  # noqa: F401  (both fill Base.metadata)
from cloud import db
from cloud.settings import Settings
from shopfloor.errors import CommandError, RefusedError, UnreachableError

Row = dict[str, Any]


def dump(settings: Settings) -> tuple[str, dict[str, list[Row]]]:
    """Return the schema's revision and all rows by table, as of one moment."""
    engine = db.connect(settings.sql_url)
    try:
        with engine.connect() as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            return str(revision), _rows(connection)
    except SQLAlchemyError as error:
        raise UnreachableError(f"{engine.url!r}: {error}", "is SHOPFLOOR_DATABASE_URL that of the cloud?") from error
    finally:
        engine.dispose()


def _rows(connection: Connection) -> dict[str, list[Row]]:
    kept = [table for table in db.Base.metadata.sorted_tables if "backup" not in table.info]
    return {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in kept}


def load(settings: Settings, revision: str, tables: Mapping[str, Sequence[Row]], *, force: bool) -> None:
    """Replace the rows of this plant by those of a backup, all or none."""
    engine = db.connect(settings.sql_url)
    try:
        newest = _upgraded(revision, tables)
        db.migrate(engine)
        with engine.begin() as connection:
            _refuse_inhabited(connection, force=force)
            for table in reversed(db.Base.metadata.sorted_tables):
                connection.execute(table.delete())
            for table in db.Base.metadata.sorted_tables:
                if rows := newest.get(table.name):
                    connection.execute(table.insert(), list(rows))
            if engine.dialect.name == "postgresql":
                _count_on(connection)
    except SQLAlchemyError as error:
        raise CommandError(f"the database does not take the backup: {error}", "nothing of it was changed") from error
    finally:
        engine.dispose()


def _upgraded(revision: str, tables: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return rows of an older schema as the newest one has them: its migrations run on a database in memory."""
    engine: Engine = create_engine("sqlite://")
    db.migrate(engine, revision)
    with engine.begin() as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            if rows := tables.get(table.name):
                connection.execute(table.insert(), [_typed(table, row) for row in rows])
    db.migrate(engine)
    with engine.connect() as connection:
        return _rows(connection)


def _typed(table: Any, row: Row) -> Row:
    """Return a row whose times are times again: JSON knows only texts."""
    times = {column.name for column in table.columns if column.type.python_type is datetime}
    return {
        name: datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None) if name in times and value else value
        for name, value in row.items()
    }


def _refuse_inhabited(connection: Connection, *, force: bool) -> None:
    users = db.Base.metadata.tables["users"]
    with_password = select(func.count()).select_from(users).where(users.c.password_hash.is_not(None))
    if not force and connection.execute(with_password).scalar_one():
        raise RefusedError("this plant has users already", "restore into a new plant, or replace them with --force")


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL's sequences go on behind the restored numbers."""
    for table in db.Base.metadata.sorted_tables:
        for column in table.primary_key.columns:
            if column.type.python_type is int and not column.foreign_keys and len(table.primary_key.columns) == 1:
                highest = select(func.max(column)).scalar_subquery()
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                connection.execute(select(func.setval(sequence, func.coalesce(highest, 1))))
