"""SHOPFLOOR_PORT: where the console of a plant on this machine is, and how far above it the other ports lie."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Final

from shopfloor.errors import ConfigurationError

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080
MQTT: Final = 1
GATEWAY: Final = 2
OPCUA: Final = 3
MODBUS: Final = 4
S7: Final = 5
MTCONNECT: Final = 6
TRUTH: Final = 8
SHDR: Final = 20
"""Each further machine on SHDR has the next one."""


def port_of(environ: Mapping[str, str]) -> int:
    """Return SHOPFLOOR_PORT; raise ConfigurationError when it is no port."""
    text = environ.get("SHOPFLOOR_PORT") or str(DEFAULT_PORT)
    if text.isascii() and text.isdigit() and 1024 <= int(text) <= 65000:
        return int(text)
    raise ConfigurationError(f"SHOPFLOOR_PORT is {text!r}, not a port", "set it to a number from 1024 to 65000")


def is_free(port: int) -> bool:
    """Return whether a port of 127.0.0.1 can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
