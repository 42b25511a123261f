"""What a plant file says of a machine (or many) on MQTT."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, ValidationError, model_validator

from contract.mqtt import PORTS, Broker
from edge import entry as base
from edge.drivers.mqtt.quality import GOOD_BY_DEFAULT

ASSET: Final = "{asset}"
_EXAMPLE: Final = datetime(2024, 2, 29, 13, 14, 15, 123456, UTC)
_BRACES: Final = re.compile(r"\{[^}]*\}?|\}")


def _address(text: str) -> str:
    address = base.with_port(text, "an MQTT address", PORTS)
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


def _path(text: str) -> str:
    try:
        jmespath.compile(text)
    except JMESPathError as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"{text!r} is not a JMESPath expression ({why}): write e.g. joints[0].temperature") from error
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:  # also a folder of the data base
        raise ValueError(f"{text!r} is not a time zone: write its IANA name, like Europe/Berlin") from error
    return text


def _format(text: str) -> str:
    try:
        back = datetime.strptime(_EXAMPLE.strftime(text), text)  # noqa: DTZ007 (a local time)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a form of times: write e.g. %d.%m.%Y %H:%M:%S ({error})") from error
    if back.date() != _EXAMPLE.date() or back.hour != _EXAMPLE.hour:
        raise ValueError(f"{text!r} does not tell day and hour: write e.g. %d.%m.%Y %H:%M:%S")
    return text


def _encoding(text: str) -> str:
    try:
        codec = codecs.lookup(text)
        "".encode(text)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{text!r} is not an encoding of text: write e.g. gbk, latin-1 or utf-16-le") from error
    return codec.name


def _quality(value: Any) -> Any:
    """Let `quality: q` stand for the path alone."""
    return {"path": value} if isinstance(value, str) else value


Topic = Annotated[str, AfterValidator(_topic)]
Path = Annotated[str, AfterValidator(_path)]


class TimeOption(base.Model):
    """Where a message says when its values were taken; without it the time of arrival counts."""

    path: Path
    unit: Literal["s", "ms", "us", "ns", "iso"] = Field(
        "ms", description="of numbers (since 1970 UTC, also as text); iso: text in ISO 8601, which is read in any case"
    )
    zone: Annotated[str, AfterValidator(_zone)] | None = Field(
        None, description="IANA name of the zone of texts that state none, like Europe/Berlin; else UTC"
    )
    format: Annotated[str, AfterValidator(_format)] | None = Field(
        None, description="form of texts that are not ISO 8601, as of strptime, like %d.%m.%Y %H:%M:%S"
    )


class QualityOption(base.Model):
    """Where a message says whether its values are good; where it says nothing they are."""

    path: Path
    good: tuple[StrictBool | StrictInt | str, ...] = Field(
        GOOD_BY_DEFAULT, min_length=1, description="what means good; 0 for OPC UA status codes"
    )


QualityEntry = Annotated[QualityOption, BeforeValidator(_quality, json_schema_input_type=QualityOption | str)]


class SignalEntry(base.SignalEntry):
    """A signal and where it stands in the messages."""

    path: Path = Field("@", description="JMESPath in the message; @: the message itself is the value")
    topic: Topic | None = Field(None, description="the topic of this signal, when it has its own")
    quality: QualityEntry | None = Field(None, description="where the message says whether this value is good")


class Entry(base.Entry):
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
    one_asset: bool = Field(False, description="what + and # stand for belongs to one asset: its topics are all alike")
    payload: Literal["json", "text"] = Field("json", description="text: a bare number or word")
    items: Path | None = Field(None, description="JMESPath of a list in the message; each entry counts as a message")
    time: TimeOption | None = None
    quality: QualityEntry | None = Field(None, description="where a message says whether its values are good")
    encoding: Annotated[str, AfterValidator(_encoding)] | None = Field(
        None, description="of texts that are not UTF-8, like gbk or latin-1"
    )
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
        mixed = sorted(t for t in self.topics() if not {"+", "#"}.isdisjoint(t) and ASSET not in t)
        if mixed and not self.one_asset:
            raise ValueError(
                f"{mixed[0]!r} may match the topics of several devices, whose values would be mixed: let {ASSET} stand "
                "for the level that names the device, or state `one_asset: true` if all of them belong to one"
            )
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
