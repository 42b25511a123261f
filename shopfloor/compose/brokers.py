"""Settings of the two brokers: mutual TLS, and for each identity the topics that it may publish and subscribe.

The broker of the workshop carries Sparkplug between edges and gateway; the one of the enterprise carries the mirror
that the gateway publishes for the cloud. No client without a certificate of the plant's own authority gets in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

import orjson

from shopfloor.broker import RIGHTS, Rights, subjects
from shopfloor.compose.certificates import mail_of

PORT: Final = 8883
MONITOR_PORT: Final = 8222
ANYWHERE: Final = "0.0.0.0"  # noqa: S104 of a container, whose networks say who reaches it
EDGES: Final = ("edge-machining", "edge-assembly")

WORKSHOP: Final[Mapping[str, Rights]] = {
    "gateway": Rights(
        publish=tuple(each for each in RIGHTS["gateway"].publish if not each.startswith("v1/")),
        subscribe=RIGHTS["gateway"].subscribe,
    ),
    **dict.fromkeys(EDGES, RIGHTS["edge"]),
    "simulators": RIGHTS["simulator"],
    "machine": RIGHTS["machine"],
}
ENTERPRISE: Final[Mapping[str, Rights]] = {
    "gateway": Rights(publish=("v1/#",), subscribe=()),
    "cloud": RIGHTS["cloud"],
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a broker finds its certificate, its key and the access list, where it keeps its data, where it listens."""

    secrets: PurePath
    data: PurePath
    host: str = ANYWHERE
    port: int = PORT
    monitor_port: int = MONITOR_PORT


def nats(name: str, rights: Mapping[str, Rights], place: Place) -> str:
    """Return a NATS server's settings."""
    secrets = place.secrets
    users = [
        {"user": mail_of(identity), "permissions": {"publish": _only(of.publish), "subscribe": _only(of.subscribe)}}
        for identity, of in rights.items()
    ]
    settings: dict[str, Any] = {
        "server_name": name,
        "host": "127.0.0.1",  # NATS's own protocol is not used and stays inside
        "port": -1,
        "http": f"127.0.0.1:{place.monitor_port}",
        "max_payload": 2**20,
        "jetstream": {"store_dir": str(place.data), "max_memory_store": 2**25, "max_file_store": 2**28},
        "mqtt": {
            "host": place.host,
            "port": place.port,
            "ack_wait": "2s",
            "max_ack_pending": 1000,
            "tls": {
                "ca_file": str(secrets / "ca.pem"),
                "cert_file": str(secrets / "cert.pem"),
                "key_file": str(secrets / "key.pem"),
                "verify_and_map": True,
            },
        },
        "authorization": {"timeout": 5, "users": users},
    }
    return orjson.dumps(settings, option=orjson.OPT_INDENT_2).decode()  # NATS reads JSON too


def _only(filters: Sequence[str]) -> dict[str, list[str]]:
    # to NATS an empty list of what is allowed means that everything is
    return {"allow": [subject for each in filters for subject in subjects(each)]} if filters else {"deny": [">"]}


def mosquitto(place: Place) -> str:
    """Return Mosquitto's settings; the access list is `mosquitto.acl` beside the certificate."""
    secrets = place.secrets
    return f"""# Written at each start: changes are lost.
listener {place.port} {place.host}
allow_anonymous false
cafile {secrets / "ca.pem"}
certfile {secrets / "cert.pem"}
keyfile {secrets / "key.pem"}
require_certificate true
use_identity_as_username true
acl_file {secrets / "mosquitto.acl"}
tls_version tlsv1.2
max_packet_size 1048576
max_queued_messages 10000
max_inflight_messages 1000
persistence true
persistence_location {place.data}/
# without these two a kill -9 loses what was retained
autosave_on_changes true
autosave_interval 1
log_dest stderr
"""


def mosquitto_acl(rights: Mapping[str, Rights]) -> str:
    """Return Mosquitto's access list."""
    lines = ["# Written at each start: changes are lost."]
    for identity, of in rights.items():
        lines += ["", f"user {identity}"]
        lines += [f"topic write {topic}" for topic in of.publish]
        lines += [f"topic read {topic}" for topic in of.subscribe]
    return "\n".join(lines) + "\n"
