"""Names of topics: Sparkplug B (`spBv1.0/…`) between edge and gateway, the unified namespace (`v1/…`) for all others.

A plant's ISA-95 path enterprise / site / area / line / asset is, in Sparkplug, the group `enterprise:site:area`, the
edge node `line` and the device `asset`; in the unified namespace it is `v1/enterprise/site/area/line/asset/category`.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, get_args

SPARKPLUG: Final = "spBv1.0"
UNS: Final = "v1"
EMPTY_LEVEL: Final = "_"

MessageType = Literal["NBIRTH", "NDEATH", "NDATA", "NCMD", "DBIRTH", "DDEATH", "DDATA", "DCMD"]
Category = Literal["info", "state", "tele", "event", "ledger"]

_MESSAGE_TYPES: Final = frozenset(get_args(MessageType))
_CATEGORIES: Final = frozenset(get_args(Category))
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_NOT_IN_UNS: Final = re.compile(r"[^a-z0-9_-]+")


class TopicError(ValueError):
    """A topic or an id that does not have the promised form."""


def check_id(text: str) -> str:
    """Return `text` if it can stand as one level of every topic: lower case letters, digits, `-`, `_`, at most 63.

    Raises TopicError.
    """
    if not _ID.match(text):
        raise TopicError(f"{text!r} is not an id: use 1 to 63 of a-z, 0-9, - and _, the first a letter or a digit")
    return text


class Node(NamedTuple):
    """A Sparkplug edge node: `group` and `edge_node`, unique together."""

    group: str
    edge_node: str

    @classmethod
    def of(cls, enterprise: str, site: str, area: str, line: str) -> Node:
        """Return the edge node that serves a line of a plant."""
        return cls(f"{enterprise}:{site}:{area}", line)

    def topic(self, type_: MessageType, device: str | None = None) -> str:
        """Return the topic of a message of this node, or of one of its devices."""
        tail = "" if device is None else f"/{device}"
        return f"{SPARKPLUG}/{self.group}/{type_}/{self.edge_node}{tail}"


class SparkplugTopic(NamedTuple):
    """A parsed `spBv1.0/{group}/{type}/{edge node}[/{device}]`; `device` is None for the node itself."""

    node: Node
    type: MessageType
    device: str | None


def parse_sparkplug(topic: str) -> SparkplugTopic:
    """Parse the topic of a Sparkplug message (not of STATE); raise TopicError."""
    parts = topic.split("/")
    if len(parts) not in (4, 5) or parts[0] != SPARKPLUG or not all(parts):
        raise TopicError(f"{topic!r} is not a Sparkplug topic {SPARKPLUG}/group/type/node[/device]")
    type_ = parts[2]
    if type_ not in _MESSAGE_TYPES:
        raise TopicError(f"{topic!r}: {type_!r} is not a Sparkplug message type")
    device = parts[4] if len(parts) == 5 else None
    if (device is not None) != type_.startswith("D"):
        raise TopicError(f"{topic!r}: {type_} {'names no' if device else 'needs a'} device")
    return SparkplugTopic(Node(parts[1], parts[3]), type_, device)  # type: ignore[arg-type]


HOST_ID: Final = r"^[^+#/\x00-\x1f]{1,64}$"
"""The pattern of the name of a host application, a level of a topic."""


def state_topic(host: str) -> str:
    """Return the topic on which the Sparkplug host application `host` says whether it is online."""
    return f"{SPARKPLUG}/STATE/{host}"


def uns_level(text: str) -> str:
    """Return `text` as one level of the unified namespace: lower case, every other character as `-`."""
    return _NOT_IN_UNS.sub("-", text.lower()).strip("-") or EMPTY_LEVEL


class UnsTopic(NamedTuple):
    """A parsed `v1/{enterprise}/{site}/{area}/{line}/{asset}/{category}`."""

    enterprise: str
    site: str
    area: str
    line: str
    asset: str
    category: Category

    def __str__(self) -> str:
        return "/".join((UNS, *self))


def parse_uns(topic: str) -> UnsTopic:
    """Parse a topic of the unified namespace; raise TopicError."""
    parts = topic.split("/")
    if len(parts) != 7 or parts[0] != UNS or not all(parts) or parts[6] not in _CATEGORIES:
        raise TopicError(f"{topic!r} is not {UNS}/enterprise/site/area/line/asset/{'|'.join(sorted(_CATEGORIES))}")
    return UnsTopic(*parts[1:])  # type: ignore[arg-type]
