"""What a plant file says of a machine (or many) on MQTT."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, Field, ValidationError, model_validator

from contract.mqtt import Broker
from edge import machine as base

ASSET: Final = "{asset}"
_BRACES: Final = re.compile(r"\{[^}]*\}?|\}")


def _address(text: str) -> str:
    try:
        return Broker(url=text).url
    except ValidationError:
        raise ValueError(
            f"{text!r} is not an MQTT address: write mqtt://host:port, or mqtts://host:port for TLS; "
            "a user stands under `user` and `password_file`"
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


def _path(text: str) -> str:
    try:
        jmespath.compile(text)
    except JMESPathError as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"{text!r} is not a JMESPath expression ({why}): write e.g. joints[0].temperature") from error
    return text


Topic = Annotated[str, AfterValidator(_topic)]
Path = Annotated[str, AfterValidator(_path)]


class TimeOption(base.Model):
    """Where a message says when its values were taken; without it the time of arrival counts."""

    path: Path
    unit: Literal["s", "ms", "us", "ns", "iso"] = Field("ms", description="since 1970 UTC, or ISO 8601 text")


class SignalEntry(base.SignalEntry):
    """A signal and where it stands in the messages."""

    path: Path = Field("@", description="JMESPath in the message; @: the message itself is the value")
    topic: Topic | None = Field(None, description="the topic of this signal, when it has its own")


class Machine(base.Machine):
    """One machine on MQTT, or many of one kind whose topics name them."""

    driver: Literal["mqtt"] = "mqtt"
    address: Annotated[str, AfterValidator(_address)]
    user: str | None = None
    password_file: str | None = Field(None, description="file that holds the password, relative to the plant file")
    ca_file: str | None = Field(None, description="authority of the broker's certificate, relative to the plant file")
    cert_file: str | None = Field(None, description="our own certificate, where the broker wants one")
    key_file: str | None = None
    topic: Topic | None = Field(None, description="where the messages are; {asset} stands for the level with the asset")
    payload: Literal["json", "text"] = Field("json", description="text: a bare number or word")
    items: Path | None = Field(None, description="JMESPath of a list in the message; each entry counts as a message")
    time: TimeOption | None = None
    qos: Literal[0, 1] = 1
    queue: Annotated[int, Field(ge=10, le=1_000_000)] = Field(
        10_000, description="messages that may wait; beyond it the oldest are thrown away and counted"
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(5.0, description="time for the broker to accept us")
    browse_s: Annotated[float, Field(gt=0, le=60)] = Field(5.0, description="how long browsing listens")
    browse_limit: Annotated[int, Field(ge=1, le=100_000)] = 1000
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.password_file is not None and self.user is None:
            raise ValueError("a password_file needs a user")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: state both or none")
        if not self.address.startswith("mqtts:") and (self.ca_file or self.cert_file):
            raise ValueError("ca_file, cert_file and key_file need an mqtts:// address")
        lacking = [name for name, entry in self.signals.items() if (entry.topic or self.topic) is None]
        if lacking:
            raise ValueError(f"no topic: state `topic` for the machine, or one for each signal ({lacking[0]} has none)")
        return self

    def topics(self) -> set[str]:
        """Return every topic that is listened to, with {asset} in it."""
        return {topic for entry in self.signals.values() if (topic := entry.topic or self.topic) is not None}

    def asset_ids(self, name: str) -> list[str]:
        """Return the entry's own name, unless all topics name their asset."""
        return [] if self.signals and all(ASSET in topic for topic in self.topics()) else [name]
