"""The relational database: engine, sessions, schema migrations."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import DateTime, Dialect, Engine, MetaData, QueuePool, TypeDecorator, create_engine, event, make_url
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session, sessionmaker

Sessions = sessionmaker[Session]
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

BUSY_MS: Final = 5000  # so long SQLite waits for a lock
POOL_TIMEOUT_S: Final = 5.0


class Base(DeclarativeBase):
    """Base of all tables; constraints have fixed names, so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, kept in UTC and always aware, also in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the database UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return an aware time."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # a rollback journal, not WAL: SQLite before 3.51 can lose data when two connections checkpoint a WAL at once
    for pragma in ("journal_mode=DELETE", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def connect(url: str, sessions: int = 5) -> Engine:
    """Return an engine for a SQLAlchemy URL with so many sessions at once; a SQLite file is private to its owner."""
    parsed = make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    engine = create_engine(
        parsed,
        poolclass=QueuePool,
        hide_parameters=True,
        pool_size=sessions,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=not is_sqlite,  # a file does not end connections
    )
    if is_sqlite:
        if parsed.database:
            path = Path(parsed.database)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def revisions() -> set[str]:
    """Return all revisions of the schema that there are."""
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema of the database to the newest revision, or to an older one on the way there."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


class Remembered(Generic[Key, Value]):
    """What was read from the database, until a session of this process commits a change of it, or `lasts_s`.

    Other processes may change it, too, so it is kept for a moment only. Safe to call from any thread.
    """

    def __init__(self, sessions: Sessions, *, most: int = 2000, lasts_s: float = 2.0) -> None:
        self._most = most
        self._lasts_s = lasts_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._changes = 0
        _when_changed(sessions, self.forget)

    def known(self, key: Key) -> Value | None:
        """Return what is remembered, None when nothing is."""
        until_s, value = self._kept.get(key, (0.0, None))
        return value if time.monotonic() < until_s else None

    def read(self, key: Key, read: Callable[[], Value | None]) -> Value | None:
        """Return what is remembered, else what `read` reads; None is not remembered."""
        if (known := self.known(key)) is not None:
            return known
        before = self._changes
        value = read()
        with self._lock:
            if value is not None and before == self._changes:  # else it may have been read before the change
                self._kept.pop(key, None)
                while len(self._kept) >= self._most:
                    self._kept.popitem(last=False)
                self._kept[key] = time.monotonic() + self._lasts_s, value
        return value

    def forget(self) -> None:
        """Forget all."""
        with self._lock:
            self._changes += 1
            self._kept.clear()


_CHANGED: Final = "changed"


def _when_changed(sessions: Sessions, call: Callable[[], None]) -> None:
    """Call it whenever one of these sessions has committed a change."""

    def note_flush(session: Session, _context: object) -> None:
        session.info[_CHANGED] = True

    def note_statement(state: ORMExecuteState) -> None:
        if not state.is_select:
            state.session.info[_CHANGED] = True

    def tell(session: Session) -> None:
        if session.info.get(_CHANGED):
            call()

    event.listen(sessions, "after_flush", note_flush)
    event.listen(sessions, "do_orm_execute", note_statement)
    event.listen(sessions, "after_commit", tell)
