"""Whether a broker answers somewhere, and how the entry of a machine names what was seen there."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

from edge.driver import Tag
from edge.recognize import Recognized, answer, wants_tls

_CONNACK: Final = b"\x20\x02"
_REFUSED: Final = {
    1: ("an MQTT broker, which does not speak MQTT 3.1.1", "let it take MQTT 3.1.1"),
    2: ("an MQTT broker, which refuses our client id", "let it take clients whose id begins with `shopfloor`"),
    3: ("an MQTT broker, which is not available", "see in its log why"),
    4: ("an MQTT broker that wants a log-in", "state user and password_file"),
    5: ("an MQTT broker that wants a log-in", "state user and password_file"),
}
"""What the codes of a refusal mean (MQTT 3.1.1, table 3.1), and what to do."""


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Say CONNECT as nobody, plainly and where that is hung up by TLS; None when nobody answers as a broker does."""
    name = f"shopfloor-look-{secrets.token_hex(3)}".encode()
    rest = b"\x00\x04MQTT\x04\x02\x00\x05" + len(name).to_bytes(2, "big") + name
    connect = b"\x10" + bytes([len(rest)]) + rest
    scheme = "mqtt"
    said = await answer(host, port, connect, timeout_s)
    if wants_tls(said):
        scheme = "mqtts"
        said = await answer(host, port, connect, timeout_s, tls=True)
    if not said or not said.startswith(_CONNACK) or len(said) < 4:
        return None
    text, todo = ("an MQTT broker", "") if said[3] == 0 else _REFUSED.get(said[3], ("an MQTT broker", ""))
    if scheme == "mqtts":
        own = "its certificate must be of an authority that is known, or of the one in ca_file"
        text, todo = f"{text}, by TLS", f"{todo}; {own}" if todo else own
    return Recognized(scheme, 1.0, text, "", {}, todo)


def map_tags(tags: Sequence[Tag]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the entry of a machine with these tags says, and what each of their signals does."""
    topics = {tag.path for tag in tags}
    options: dict[str, Any] = {"payload": "text"} if any(tag.description == "text" for tag in tags) else {}
    if len(topics) == 1:
        options["topic"] = topics.pop()
    signals = []
    for tag in tags:
        of_topic = {} if "topic" in options else {"topic": tag.path}
        signals.append(of_topic | ({} if tag.address == "@" else {"path": tag.address}))
    return options, signals
