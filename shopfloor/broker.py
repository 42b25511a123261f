"""Configuration of the demo's MQTT broker: NATS, on loopback, each user with the least it needs.

In NATS the MQTT topic `spBv1.0/G/DDATA/e/d` is the subject `spBv1//0.G.DDATA.e.d`: `/` becomes `.`, `.` becomes `//`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import orjson

from shopfloor.home import BROKER_USERS, Home


@dataclass(frozen=True, slots=True)
class Rights:
    """Topic filters (MQTT) that a user may publish and subscribe."""

    publish: Sequence[str]
    subscribe: Sequence[str]


_FROM_NODES: Final = ("NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA")
_NODES: Final = tuple(f"spBv1.0/+/{type_}/#" for type_ in _FROM_NODES)
_COMMANDS: Final = ("spBv1.0/+/NCMD/#", "spBv1.0/+/DCMD/#")
_STATE: Final = "spBv1.0/STATE/shopfloor"

RIGHTS: Final[Mapping[str, Rights]] = {
    "gateway": Rights(publish=(*_COMMANDS, _STATE, "v1/#"), subscribe=(*_NODES, _STATE)),
    "edge": Rights(publish=_NODES, subscribe=(*_COMMANDS, _STATE, "factory/#", "machines/#")),
    "cloud": Rights(publish=(), subscribe=("v1/#",)),
    "simulator": Rights(publish=(*_NODES, "factory/#"), subscribe=(*_COMMANDS, _STATE, "factory/#")),
    "machine": Rights(publish=("machines/#",), subscribe=("machines/#",)),
}


def subjects(topic_filter: str) -> list[str]:
    """Return the NATS subjects of an MQTT topic filter; `#` stands for the level before it, too.

    >>> subjects("spBv1.0/+/DDATA/#")
    ['spBv1//0.*.DDATA.>', 'spBv1//0.*.DDATA']
    """
    levels = {"+": "*", "#": ">"}
    subject = ".".join(levels.get(level, level.replace(".", "//")) for level in topic_filter.split("/"))
    return [subject, subject.removesuffix(".>")] if subject.endswith(".>") else [subject]


def _only(filters: Sequence[str]) -> dict[str, list[str]]:
    # to NATS an empty list of what is allowed means that everything is
    return {"allow": list(chain.from_iterable(map(subjects, filters)))} if filters else {"deny": [">"]}


def configuration(home: Home, mqtt_port: int) -> str:
    """Return the configuration file of the broker; it holds the passwords."""
    users = [
        {
            "user": user,
            "password": home.secret(f"mqtt-{user}").read_text(),
            "permissions": {
                "publish": _only(RIGHTS[user].publish),
                "subscribe": _only(RIGHTS[user].subscribe),
            },
        }
        for user in BROKER_USERS
    ]
    settings = {
        "server_name": "shopfloor",
        "host": "127.0.0.1",
        "port": -1,  # NATS's own protocol is not used; it cannot be switched off, so any free port will do
        "max_payload": 2**20,
        "jetstream": {"store_dir": str(home.path / "broker"), "max_memory_store": 2**25, "max_file_store": 2**28},
        "mqtt": {"host": "127.0.0.1", "port": mqtt_port, "ack_wait": "2s", "max_ack_pending": 1000},
        "authorization": {"timeout": 5, "users": users},
    }
    return orjson.dumps(settings, option=orjson.OPT_INDENT_2).decode()  # NATS reads JSON too


def write_configuration(home: Home, mqtt_port: int) -> Path:
    """Write the configuration file, readable by its owner only, and return its path."""
    path = home.path / "broker" / "nats.conf"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(configuration(home, mqtt_port))
    return path
