"""`python -m gateway`: run a gateway until SIGTERM or SIGINT. Exit code 2: wrong settings; 1: a part of it died."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from typing import Final

import structlog
from pydantic import ValidationError

from contract.broker import BrokerSettings
from contract.log import configure
from contract.private import StrangerError, keep_private
from gateway.config import MirrorBrokerSettings, Settings
from gateway.gateway import TICK_S, Gateway
from gateway.ledger import LedgerError
from spool import SpoolError

_PREFIXES: Final = {
    settings.__name__: settings.model_config["env_prefix"] for settings in (BrokerSettings, MirrorBrokerSettings)
}

log = structlog.get_logger()


def main() -> int:
    """Run the gateway of the environment's settings; return the exit code."""
    configure("gateway")
    try:
        settings, broker = Settings(), BrokerSettings()
        mirror_broker = MirrorBrokerSettings() if settings.mirror_mqtt_url else None
    except ValidationError as error:
        for fault in error.errors():
            name = "_".join(str(part) for part in fault["loc"]).upper()
            prefix = _PREFIXES.get(error.title, "SHOPFLOOR_")
            log.critical("wrong setting", variable=f"{prefix}{name}", value=str(fault["input"]), reason=fault["msg"])
        return 2
    try:
        keep_private(settings.folder)
    except StrangerError as error:
        log.critical("the gateway cannot start", reason=str(error), todo=error.todo)
        return 2
    gateway = Gateway(settings, broker, mirror_broker)
    try:
        gateway.start()
    except (SpoolError, LedgerError) as error:
        log.critical("the gateway cannot start", reason=str(error))
        return 1
    except OSError as error:
        where = f"{settings.gateway_host}:{settings.gateway_port}"
        log.critical("the gateway cannot start", reason=f"{error}; is {where} free, and {settings.folder} writable?")
        return 1
    return _run(gateway)


def _run(gateway: Gateway) -> int:
    # messages have no cycles and are freed as they go: looking for some costs a third of the receiving thread's time
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    log.info("gateway runs", health=f"http://127.0.0.1:{gateway.health.port}/health")
    try:
        while not stopping.wait(TICK_S):
            gateway.tick(time.monotonic(), time.time_ns())
            if not gateway.alive:
                log.critical("a thread has ended: the gateway ends too, so that it is started again")
                return 1
    except SpoolError as error:
        log.critical("the spool has ended: the gateway ends too, so that it is started again", reason=str(error))
        return 1
    finally:
        gateway.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
