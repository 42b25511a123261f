"""What a plant file says of a machine on OPC UA."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.ua.uaerrors import UaStringParsingError
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from edge import entry as base

SCHEMES: Final = {"opc.tcp": 4840}
_NODE: Final = re.compile(r"(?:(?:ns=\d+|nsu=[^;]+);)?[isgb]=.+\Z", re.DOTALL)


def _address(text: str) -> str:
    address = base.with_port(text, "an OPC UA address", SCHEMES)
    if "@" in urlsplit(address).netloc:
        raise ValueError("a user stands under `user` and `password_file`, not in the address")
    return address


def _node(text: str) -> str:
    if not _NODE.match(text):
        raise ValueError(
            f"{text!r} is not a node id: write nsu=<namespace URI>;s=<name>, or ns=<index>; with i=, s=, g= or b="
        )
    try:
        ua.NodeId.from_string(text)
    except UaStringParsingError as error:
        raise ValueError(f"{text!r} is not a node id: {error.args[-1]}") from error
    return text


def _encoding(name: str) -> str:
    try:
        if bytes(range(128)).decode(name) == bytes(range(128)).decode("ascii"):
            bytes(range(256)).decode(name, "replace")
            return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise ValueError(f"{name!r} is not an encoding of texts: write gbk, latin-1, shift_jis, …") from error
    raise ValueError(f"{name!r} does not begin with ASCII, as the encoding of a server's texts must")


def _security(value: Any) -> Any:
    """Let `security: none` and `security: Basic256Sha256` stand for the policy alone."""
    return {"policy": value} if isinstance(value, str) else value


Node = Annotated[str, AfterValidator(_node)]
Policy = Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss", "none"]


class Security(base.Model):
    """How the connection is protected; without this entry: Basic256Sha256, signed and encrypted."""

    policy: Policy = "Basic256Sha256"
    mode: Literal["sign_and_encrypt", "sign"] = "sign_and_encrypt"
    trust: base.File | None = Field(
        None, description="certificate (or folder of them) of the server or its authority, relative to the plant file"
    )
    certificate: base.File | None = Field(None, description="our own certificate (.der or .pem); made when not stated")
    key: base.File | None = Field(None, description="private key of `certificate` (.pem)")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: state both or none")
        return self


class SignalEntry(base.SignalEntry):
    """A signal and the node that holds it."""

    node: Node
    index: Annotated[int, Field(ge=0)] | None = Field(None, description="which element, when the node is an array")


class BlockEntry(base.BlockEntry):
    """A sensor that measures in blocks, and the node that holds the newest one as an array."""

    node: Node
    rate_node: Node | None = Field(
        None, description="holds `rate_hz`; not stated: the property SampleRate of the node does"
    )
    period_s: base.Seconds = Field(1.0, description="how often the server looks whether there is a new block")
    scale: base.Scale = Field(1.0, description="value = number · scale, in `unit`")


class EventsEntry(base.Model):
    """Which of a server's events and conditions are those of the machine."""

    nodes: tuple[Node, ...] = Field(
        ("i=2253",), min_length=1, description="whose events are heard; i=2253 is the Server object, which has all"
    )
    sources: tuple[base.Text, ...] = Field(
        (), description="names of the sources that are the machine (SourceName; with * and ?); none: all are"
    )
    severity_from: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="events of less severity are left out, 1 to 1000"
    )


class Entry(base.Entry):
    """A machine on OPC UA."""

    driver: Literal["opcua"] = "opcua"
    address: Annotated[str, AfterValidator(_address)]
    security: Annotated[Security, BeforeValidator(_security, json_schema_input_type=Security | Policy)] = Security()
    user: str | None = None
    password_file: base.File | None = Field(
        None, description="file that holds the password, relative to the plant file"
    )
    mode: Literal["subscribe", "poll"] = Field("subscribe", description="poll where the server cannot subscribe")
    publish_s: Annotated[float, Field(gt=0, le=60)] = Field(0.1, description="how often the server sends changes")
    poll_s: Annotated[float, Field(gt=0, le=3600)] = Field(1.0, description="how often all nodes are read in poll mode")
    keep_alive_s: Annotated[float, Field(ge=0.2, le=60)] = Field(
        2.5, description="the server says at least so often that it lives; after twice that it counts as lost"
    )
    queue: Annotated[int, Field(ge=2, le=10_000)] = Field(100, description="changes that the server keeps per node")
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(4.0, description="time for one answer")
    encoding: Annotated[str, AfterValidator(_encoding)] = Field(
        "utf-8", description="of the server's texts and names, where it does not keep to UTF-8: gbk, latin-1, …"
    )
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)
    blocks: Mapping[base.SignalName, BlockEntry] = Field(
        default_factory=dict, description="sensors that measure in blocks, by name"
    )
    events: Annotated[
        EventsEntry | None, BeforeValidator(base.on_or_off, json_schema_input_type=EventsEntry | bool | None)
    ] = Field(None, description="events and conditions; true: all of the server; not stated: none")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.events is not None and self.mode == "poll":
            raise ValueError("events cannot be polled: set `mode: subscribe`, or leave out `events`")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together: state both or none")
        return self
