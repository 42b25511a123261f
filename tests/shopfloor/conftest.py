from __future__ import annotations

import random
import socket
from contextlib import ExitStack

import pytest


@pytest.fixture
def free_ports() -> int:
    """A port of 127.0.0.1 that is free together with the nine behind it (a demo takes several in a row)."""
    for port in random.sample(range(20000, 32000, 10), 200):
        with ExitStack() as stack:
            try:
                for each in range(port, port + 10):
                    stack.enter_context(socket.create_server(("127.0.0.1", each)))
            except OSError:
                continue
            return port
    raise AssertionError("no ten free ports in a row")
