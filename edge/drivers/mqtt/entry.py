"""What a plant file says of a machine (or many) on MQTT."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from contract.broker import PORTS, Broker
from edge import entry as base
from edge.drivers import _json

SCHEMES: Final = PORTS
ASSET: Final = "{asset}"
_BRACES: Final = re.compile(r"\{[^}]*\}?|\}")


def _address(text: str) -> str:
    address = base.with_port(text, "an MQTT address", SCHEMES)
    try:
        return Broker(url=address).url
    except ValidationError:
        raise ValueError(
            f"{text!r} is more than an address: a user stands under `user` and `password_file`, a topic under `topic`"
        ) from None


def _topic(text: str) -> str:
    for found in _BRACES.findall(text):
        if found != ASSET:
            raise ValueError(f"{text!r}: {found!r} is not known; {ASSET!r} stands for the level that names the asset")
    if text.count(ASSET) > 1:
        raise ValueError(f"{text!r}: {ASSET} can stand once only")
    levels = text.split("/")
    for index, level in enumerate(levels):
        if "#" in level and (level != "#" or index != len(levels) - 1):
            raise ValueError(f"{text!r}: '#' can only be the last level")
        if "+" in level and level != "+":
            raise ValueError(f"{text!r}: '+' must be a whole level")
        if ASSET in level and level != ASSET:
            raise ValueError(f"{text!r}: {ASSET} must be a whole level")
    if not text or "\0" in text or len(text) > 1000:
        raise ValueError(f"{text!r} is not a topic")
    return text


Topic = Annotated[str, AfterValidator(_topic)]


class SignalEntry(_json.SignalEntry):
    """A signal and where it stands in the messages."""

    topic: Topic | None = Field(None, description="the topic of this signal, when it has its own")


class EventEntry(_json.EventEntry):
    """An event and the messages that tell it."""

    topic: Topic | None = Field(None, description="the topic of this event, when it has its own")


class BlockEntry(_json.BlockEntry):
    """A sensor that measures in blocks, and the messages with them."""

    topic: Topic | None = Field(None, description="the topic of this sensor, when it has its own")


class Entry(_json.Entry):
    """One machine on MQTT, or many of one kind whose topics name them."""

    driver: Literal["mqtt"] = "mqtt"
    address: Annotated[str, AfterValidator(_address)]
    user: str | None = None
    password_file: base.File | None = Field(
        None, description="file that holds the password, relative to the plant file"
    )
    ca_file: base.File | None = Field(
        None, description="authority of the broker's certificate, relative to the plant file"
    )
    cert_file: base.File | None = Field(None, description="our own certificate, where the broker wants one")
    key_file: base.File | None = None
    topic: Topic | None = Field(None, description="where the messages are; {asset} stands for the level with the asset")
    asset_path: _json.Path | None = Field(
        None, description="JMESPath of what says, in a message or an item of it, which asset it is of"
    )
    one_asset: bool = Field(False, description="what + and # stand for belongs to one asset: its topics are all alike")
    retained: Literal["take", "ignore"] = Field(
        "take", description="what to do with messages that the broker keeps and sends at each connection"
    )
    session: Literal["persistent", "clean"] = Field(
        "persistent", description="persistent: while the edge is away the broker keeps what comes at QoS 1"
    )
    qos: Literal[0, 1] = 1
    queue: Annotated[int, Field(ge=10, le=1_000_000)] = Field(
        10_000,
        description="messages that may wait; beyond it the broker must, and in a clean session (or at QoS 0) messages "
        "are thrown away and counted",
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(5.0, description="time for the broker to accept us")
    keep_alive_s: Annotated[int, Field(ge=1, le=600)] = Field(
        15, description="after so long without a word the broker is asked for one; after twice that it counts as lost"
    )
    browse_s: Annotated[float, Field(gt=0, le=60)] = Field(5.0, description="how long browsing listens")
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)
    events: Mapping[base.SignalName, EventEntry] = Field(
        default_factory=dict, description="messages that tell of events, by the name of the event; not stated: none"
    )
    blocks: Mapping[base.SignalName, BlockEntry] = Field(
        default_factory=dict, description="sensors that measure in blocks, by name"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.password_file is not None and self.user is None:
            raise ValueError("a password_file needs a user")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: state both or none")
        if not self.address.startswith("mqtts:") and (self.ca_file or self.cert_file):
            raise ValueError("ca_file, cert_file and key_file need an mqtts:// address")
        mixed = sorted(t for t in self.topics() if not {"+", "#"}.isdisjoint(t) and ASSET not in t)
        if self.asset_path is not None and (self.one_asset or self.events or self.blocks):
            raise ValueError("`asset_path` names the asset of each item: leave out `one_asset`, `events` and `blocks`")
        if self.asset_path is not None and any(ASSET in topic for topic in self.topics()):
            raise ValueError(f"state `asset_path`, or {ASSET} in the topic: one of them names the asset")
        if mixed and not self.one_asset and self.asset_path is None:
            raise ValueError(
                f"{mixed[0]!r} may match the topics of several devices, whose values would be mixed: let {ASSET} stand "
                "for the level that names the device, or state `one_asset: true` if all of them belong to one"
            )
        lacking = [name for name, entry in self._entries() if (entry.topic or self.topic) is None]
        if lacking:
            raise ValueError(f"no topic: state `topic` for the machine, or one for each signal ({lacking[0]} has none)")
        return self

    def topics(self) -> set[str]:
        """Return every topic that is listened to, with {asset} in it."""
        return {topic for _, entry in self._entries() if (topic := entry.topic or self.topic) is not None}

    def _entries(self) -> Iterator[tuple[str, SignalEntry | EventEntry | BlockEntry]]:
        yield from self.signals.items()
        yield from self.events.items()
        yield from self.blocks.items()

    def asset_ids(self, name: str) -> list[str]:
        """Return the entry's own name, unless messages or all topics name their asset."""
        topics = self.topics()
        if self.asset_path is not None:
            return []
        return [] if topics and all(ASSET in topic for topic in topics) else [name]
