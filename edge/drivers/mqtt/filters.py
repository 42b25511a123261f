"""Topic filters: which topics they match, and the fewest that match all of several."""

from __future__ import annotations

import re
from collections.abc import Iterable

from edge.drivers.mqtt.entry import ASSET


def pattern(topic: str) -> re.Pattern[str]:
    """Return what matches the topics of a filter, `#` also the level before it; the first group is the asset."""
    levels = {"+": "[^/]*", ASSET: "([^/]+)", "#": ".*"}
    text = "/".join(levels.get(level, re.escape(level)) for level in topic.split("/"))
    return re.compile((text.removesuffix("/.*") + "(?:/.*)?" if text.endswith("/.*") else text) + r"\Z", re.DOTALL)


def apart(filters: Iterable[str]) -> list[str]:
    """Return filters that match at least the same topics, none of them the same as another.

    Some brokers deliver a message once for each subscription that it matches. Of two that overlap without one holding
    the other (`a/+/c`, `a/b/+`) both become one that is wider (`a/+/+`).
    """
    wanted = sorted(set(filters))
    found: list[str] = []
    while wanted:
        topic = wanted.pop()
        near = next((other for other in found if overlap(topic, other)), None)
        if near is None:
            found.append(topic)
        else:
            found.remove(near)
            wanted.append(_joined(topic, near))
    return sorted(found)


def overlap(one: str, other: str) -> bool:
    """Tell whether there are topics that both filters match."""
    if one.startswith("$") != other.startswith("$"):
        return False  # wildcards do not match what begins with $
    left, right = one.split("/"), other.split("/")
    for a, b in zip(left, right, strict=False):
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    shorter, longer = sorted((left, right), key=len)
    return len(shorter) == len(longer) or longer[len(shorter) :] == ["#"]


def _joined(one: str, other: str) -> str:
    """Return the narrowest filter that matches all that two overlapping ones do."""
    left, right = one.split("/"), other.split("/")
    levels: list[str] = []
    for a, b in zip(left, right, strict=False):
        if "#" in (a, b):
            return "/".join([*levels, "#"])
        levels.append(a if a == b else "+")
    return "/".join(levels if len(left) == len(right) else [*levels, "#"])
