"""Simulators that take faults over their control address, as those of a demo do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from simulators.factory import Factory
from simulators.truth import TruthServer


@contextmanager
def controlled(factory: Factory) -> Iterator[str]:
    """Serve the control address of a factory, whose time stands still unless it is stepped; give its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = TruthServer(factory, [], 0)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
