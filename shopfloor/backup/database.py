"""The relational database in a backup: all rows by table, of any revision of the schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import BigInteger, Column, Connection, Engine, MetaData, Table, create_engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError, StatementError

from cloud import capabilities, db
from cloud.auth.accounts import USERNAME
from cloud.auth.proof import PASSWORD_HASH
from cloud.auth.rights import Role
from cloud.auth.scope import Scopes
from cloud.settings import Settings
from contract.event import Event
from contract.loss import SourceLedger
from shopfloor.errors import CommandError, RefusedError, UnreachableError
from shopfloor.home import check_database

TABLES: Final = tuple(each for each in capabilities.tables() if "not_in_backup" not in each.info)
LEFT_OUT: Final = {each.name: each.info["not_in_backup"] for each in capabilities.tables() if each not in TABLES}
"""Tables that are not backed up, and why. They are empty after a restore."""

Row = dict[str, Any]
_SCOPES: Final = TypeAdapter(Scopes)


def dump(settings: Settings) -> tuple[str, dict[str, list[Row]]]:
    """Return the schema's revision and all rows by table, as of one moment; raise ConfigurationError, CommandError."""
    check_database(settings.sql_url)
    engine = db.connect(settings.sql_url)
    try:
        with engine.connect() as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            else:
                connection.exec_driver_sql("BEGIN")  # Python's driver begins none for reading
            revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            return str(revision), _rows(connection)
    except SQLAlchemyError as error:
        raise UnreachableError(f"{engine.url!r}: {error}", "is SHOPFLOOR_DATABASE_URL that of the cloud?") from error
    finally:
        engine.dispose()


def _rows(connection: Connection) -> dict[str, list[Row]]:
    return {each.name: [dict(row) for row in connection.execute(select(each)).mappings()] for each in TABLES}


def upgraded(revision: str, tables: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return rows of an older schema as the newest one has them; raise ValueError when they are not what they must be.

    A database in memory takes them and its migrations run, so that nothing of the plant is touched.
    """
    if revision not in db.revisions():
        raise ValueError(
            f"its database has the schema {revision!r}, which this version does not know; update shopfloor"
        )
    engine: Engine = create_engine("sqlite://", hide_parameters=True)
    try:
        db.migrate(engine, revision)
        with engine.begin() as connection:
            _fill(connection, tables)
        db.migrate(engine)
        with engine.connect() as connection:
            _check(connection)
            return _rows(connection)
    except SQLAlchemyError as error:
        raise ValueError(f"its rows do not fit together: {_reason(error)}") from error
    finally:
        engine.dispose()


def _fill(connection: Connection, tables: Mapping[str, Sequence[Row]]) -> None:
    metadata = MetaData()
    metadata.reflect(connection)
    if unknown := tables.keys() - metadata.tables.keys():
        raise ValueError(f"it has a table {min(unknown)!r}, which its schema does not have")
    for each in metadata.sorted_tables:
        rows = [] if each.name in LEFT_OUT else tables.get(each.name, [])
        if rows:
            connection.execute(each.insert(), list(_typed(each, rows)))


def _typed(table: Table, rows: Sequence[Row]) -> Iterator[Row]:
    """Yield rows whose times are times again: JSON knows only texts. Raise ValueError for what a column cannot hold."""
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or row.keys() != {column.name for column in table.columns}:
            raise ValueError(f"row {number} of {table.name!r} does not have the columns of its schema")
        yield {column.name: _value(column, row[column.name], number) for column in table.columns}


def _value(column: Column[Any], value: Any, number: int) -> Any:
    kind = column.type.python_type
    if value is None:
        return None
    if kind is datetime and isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
    allowed = (int, float) if kind is float else (dict, list) if kind is dict else kind
    length = getattr(column.type, "length", None)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"row {number} of {column.table.name!r}: {column.name} is no {kind.__name__}")
    bits = 64 if isinstance(column.type, BigInteger) else 32
    if kind is int and not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError(f"row {number} of {column.table.name!r}: {column.name} has more than {bits} bits")
    if isinstance(value, str) and length is not None and len(value) > length:
        raise ValueError(f"row {number} of {column.table.name!r}: {column.name} is longer than {length} characters")
    return value


def _check(connection: Connection) -> None:
    """Raise ValueError when a row refers to none, a role is unknown, or nobody could administer the plant."""
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise ValueError(f"a row of {broken[0]!r} refers to one of {broken[2]!r} that is not there")
    users = db.Base.metadata.tables["users"]
    for name, stored in connection.execute(select(users.c.username, users.c.password_hash)):
        if not re.fullmatch(USERNAME, name):
            raise ValueError(f"a user is called {name!r}, which is no user name")
        if stored is not None and not re.fullmatch(PASSWORD_HASH, stored):
            raise ValueError(f"what it has of the password of {name!r} is no argon2id hash")
    roles = set(connection.scalars(select(users.c.role)))
    if unknown := roles - {role.value for role in Role}:
        raise ValueError(f"a user has the role {min(unknown)!r}; there are {', '.join(Role)}")
    for name, scopes in connection.execute(select(users.c.username, users.c.scopes)):
        try:
            _SCOPES.validate_python(scopes)
        except ValidationError as error:
            raise ValueError(f"what it has of the scopes of {name!r} are none") from error
    admins = select(func.count()).select_from(users).where(users.c.role == Role.ADMIN.value, ~users.c.disabled)
    if not connection.execute(admins).scalar_one():
        raise ValueError("none of its users is an admin who may log in: nobody could administer the plant")
    ledger = db.Base.metadata.tables["ledger"]
    for source, content in connection.execute(select(ledger.c.source, ledger.c.content)):
        try:
            SourceLedger.model_validate(content)
        except ValidationError as error:
            raise ValueError(f"what it has of the source {source!r} is no ledger") from error
    events = db.Base.metadata.tables["events"]
    told = [events.c[name] for name in Event.model_fields]
    for row in connection.execute(select(*told)).mappings():
        try:
            Event.model_validate(dict(row))
        except ValidationError as error:
            raise ValueError(f"what it has of the event {row['id']!r} of {row['asset']!r} is no event") from error


def refuse_inhabited(settings: Settings, *, force: bool) -> None:
    """Raise RefusedError when the plant has users with passwords, unless `force`."""
    engine = db.connect(settings.sql_url)
    try:
        db.migrate(engine)
        with engine.connect() as connection:
            _refuse_inhabited(connection, force=force)
    except SQLAlchemyError as error:
        raise UnreachableError(
            f"{engine.url!r}: {_reason(error)}", "is SHOPFLOOR_DATABASE_URL that of the cloud?"
        ) from error
    finally:
        engine.dispose()


def load(settings: Settings, rows: Mapping[str, Sequence[Row]], *, force: bool) -> None:
    """Replace the rows of this plant by those of the newest schema, all or none; what is left out is empty then."""
    engine = db.connect(settings.sql_url)
    try:
        with engine.begin() as connection:
            _refuse_inhabited(connection, force=force)
            for each in reversed(capabilities.tables()):
                connection.execute(each.delete())
            for each in TABLES:
                if rows[each.name]:
                    connection.execute(each.insert(), list(rows[each.name]))
            if engine.dialect.name == "postgresql":
                _count_on(connection)
    except SQLAlchemyError as error:
        raise CommandError(
            f"the database does not take the backup: {_reason(error)}", "its users and assets are as before"
        ) from error
    finally:
        engine.dispose()


def _reason(error: SQLAlchemyError) -> str:
    """Return what a database said, without the values of the rows: one is a password's hash."""
    said = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    return str(said).partition("\n")[0]


def _refuse_inhabited(connection: Connection, *, force: bool) -> None:
    users = db.Base.metadata.tables["users"]
    with_password = select(func.count()).select_from(users).where(users.c.password_hash.is_not(None))
    if not force and connection.execute(with_password).scalar_one():
        raise RefusedError("this plant has users already", "restore into a new plant, or replace them with --force")


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL's sequences go on behind the restored numbers."""
    for table in TABLES:
        for column in table.primary_key.columns:
            if column.type.python_type is int and not column.foreign_keys and len(table.primary_key.columns) == 1:
                highest = select(func.max(column)).scalar_subquery()
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                connection.execute(select(func.setval(sequence, func.coalesce(highest, 1))))
