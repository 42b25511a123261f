"""What the application is composed of."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from cloud import db
from cloud.auth.accounts import Principal
from cloud.auth.device import Devices
from cloud.auth.journal import FailedLogins, Logins
from cloud.auth.limiter import FailureLimiter
from cloud.auth.scope import Limits
from cloud.blocks.blocks import Blocks
from cloud.commands.bell import Bell
from cloud.diagnosis.service import Service
from cloud.events.events import Retention
from cloud.live.hub import Hub
from cloud.places import EXPORTS, SESSIONS, AllPlaces
from cloud.settings import Settings, make_private, read_secret
from cloud.telemetry.gate import Gate
from cloud.telemetry.last import LastAnswer
from cloud.telemetry.opening import open_store
from cloud.telemetry.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """What routes work with; `cloud.deps` hands it to them."""

    settings: Settings
    engine: Engine
    sessions: db.Sessions
    store: Store
    hub: Hub
    exports: Gate
    places: AllPlaces
    proofs: db.Remembered[tuple[str, str], Principal]
    signals: db.Remembered[str, dict[str, tuple[str, str]]]
    reaches: db.Remembered[Limits, frozenset[str]]
    units: db.Remembered[str, dict[tuple[str, str], str]]
    last: LastAnswer
    failures: FailureLimiter
    failed_logins: FailedLogins
    logins: Logins
    devices: Devices
    cli_token: str | None
    blocks: Blocks
    retention: Retention
    bell: Bell
    diagnosis: Service

    @property
    def store_token(self) -> str | None:
        """What a gateway has to show, as it stands in its file now; raise SecretFileError."""
        return read_secret(self.settings.store_token_file)


def build_parts(settings: Settings) -> Parts:
    """Open database and store; raise SecretFileError, StoreUnavailable, SQLAlchemyError, OSError."""
    make_private(settings.cloud_home)
    cli_token = read_secret(settings.cli_token_file)
    for file in (settings.store_token_file, settings.cloud_token_file):
        read_secret(file)  # it is read again when it is needed; what is wrong with it is said now
    engine = db.connect(settings.sql_url, SESSIONS)
    db.migrate(engine)
    sessions = sessionmaker(engine)
    blocks = Blocks(settings.block_folder or settings.cloud_home / "blocks", settings.block_bytes)
    with sessions() as session:
        blocks.open(session, time.time())
    store = open_store(settings)
    return Parts(
        settings=settings,
        engine=engine,
        sessions=sessions,
        store=store,
        hub=Hub(
            max_listeners=settings.max_streams,
            max_of_user=settings.max_streams_per_user,
            quiet_s=settings.quiet_s,
        ),
        exports=Gate(EXPORTS),
        places=AllPlaces(),
        proofs=db.Remembered(sessions),
        signals=db.Remembered(sessions),
        reaches=db.Remembered(sessions),
        units=db.Remembered(sessions),
        last=LastAnswer(),
        failures=FailureLimiter(),
        failed_logins=FailedLogins(),
        logins=Logins(),
        devices=Devices(cli_token),  # a secret of the state folder: marks outlive a restart
        cli_token=cli_token,
        blocks=blocks,
        retention=Retention(settings.event_days),
        bell=Bell(),
        diagnosis=Service(settings, sessions, store, blocks),
    )


def close_parts(parts: Parts) -> None:
    """Close what `build_parts` opened."""
    parts.hub.close()
    parts.diagnosis.stop()
    parts.places.ingest_threads.shutdown()
    parts.store.close()
    parts.engine.dispose()
