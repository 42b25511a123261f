"""Run the cloud: `python -m cloud`. Exit code 2: the configuration is wrong."""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
from datetime import UTC, datetime
from math import ceil
from typing import Final

import structlog
import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from cloud.app import create_app
from cloud.auth import first_link
from cloud.capabilities import learns
from cloud.connections import Connections, Limits
from cloud.live.memory import Newcomers, remember
from cloud.live.uns import UnsListener
from cloud.parts import Parts, build_parts, close_parts
from cloud.places import THREADS
from cloud.settings import SecretFileError, Settings
from cloud.telemetry.store import StoreError
from contract import log as logs
from contract.broker import BrokerSettings
from contract.private import StrangerError, keep_private

STOP_S: Final = 2
_OTHER_FILES: Final = 512
log = structlog.get_logger(__name__)


def configure(app: FastAPI, settings: Settings, stop_s: float = STOP_S) -> uvicorn.Config:
    """Return how a server serves the application: with limits on connections."""
    limits = Limits(
        connections=settings.max_connections,
        per_address=settings.max_connections_per_address,
        head_timeout_s=settings.head_timeout_s,
        body_timeout_s=settings.body_timeout_s,
    )
    return uvicorn.Config(
        app,
        http=Connections(limits).protocol,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=ceil(stop_s),
        server_header=False,
        # uvicorn itself trusts what any program on this machine says
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        ws="none",
        lifespan="off",
    )


class Server(uvicorn.Server):
    """A server that ends live streams and what waits for commands when it is told to stop: they would go on."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, with as many threads as there are places."""
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._parts.hub.close()
        self._parts.bell.close()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise OSError."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024)


def serve(settings: Settings, broker: BrokerSettings, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; raise what `build_parts` raises."""
    parts = build_parts(settings)
    host, port = listening.getsockname()[:2]
    uns = UnsListener(
        broker,
        parts.sessions,
        parts.hub,
        client_id=f"cloud-{socket.gethostname()}-{os.getpid()}",
        learns=learns(),
        look=Newcomers(parts.hub, parts.sessions, parts.store).look,
    )
    config = configure(create_app(settings, parts), settings)
    try:
        remember(parts.hub, parts.sessions, parts.store)
        uns.start()
        if settings.diagnosis:
            parts.diagnosis.start()
        address = settings.public_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{port}"
        first_link.offer(settings, parts.sessions, address, datetime.now(UTC))
        gc.collect()
        gc.freeze()  # else all that stays is looked through again and again, and everybody waits for it
        log.info("the cloud serves", console=address, host=host, port=port, store=settings.telemetry)
        Server(config, parts).run(sockets=[listening])
    finally:
        uns.stop()
        close_parts(parts)
        log.info("the cloud has stopped")


def _allow_files(connections: int) -> None:
    """Let the process have a file for each connection, and some, if the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    """Run the cloud; return the exit code."""
    logs.configure("cloud")
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn has handlers of its own while it serves, and raises the signal again in the end
        signal.signal(number, lambda *_: None)
    try:
        settings, broker = Settings(), BrokerSettings()
    except ValidationError as error:
        for wrong in error.errors(include_url=False):
            prefix = "SHOPFLOOR_MQTT_" if error.title == BrokerSettings.__name__ else "SHOPFLOOR_"
            name = "_".join(str(part) for part in wrong["loc"]).upper()
            log.critical("a setting is wrong", variable=prefix + name, value=str(wrong["input"]), reason=wrong["msg"])
        return 2
    _allow_files(settings.max_connections)
    try:
        keep_private(settings.cloud_home)
        with listen(settings.host, settings.port) as listening:
            serve(settings, broker, listening)
    except SecretFileError as error:
        log.critical("the cloud cannot start", reason=str(error))
        return 2
    except (StoreError, StrangerError) as error:
        log.critical("the cloud cannot start", reason=str(error), todo=error.todo)
        return 2
    except SQLAlchemyError as error:
        log.critical("the database cannot be opened", reason=str(error), todo="correct SHOPFLOOR_DATABASE_URL")
        return 2
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        todo = "is another program on that port? choose one with SHOPFLOOR_PORT; is SHOPFLOOR_HOME writable?"
        log.critical("the cloud cannot start", reason=f"{where}: {error}", todo=todo)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
