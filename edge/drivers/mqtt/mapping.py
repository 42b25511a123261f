"""From messages to samples, events and blocks: which of them a topic carries, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from contract.model import Quality, Sample
from edge.driver import Counters, Item
from edge.drivers import _json
from edge.drivers.mqtt.entry import ASSET, Entry
from edge.drivers.mqtt.filters import apart, pattern
from edge.ids import AssetIds

_MOST_ASSETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Route:
    """What the messages under one topic hold."""

    matches: re.Pattern[str]
    fields: _json.Fields
    events: Sequence[_json.EventReader]
    blocks: Sequence[_json.BlockReader]
    is_mixed: bool  # several topics may be taken for those of one asset
    is_binary: bool  # they are bytes that only blocks are made of


class Mapping:
    """The plant file's description of the messages of one machine entry, ready for use."""

    def __init__(self, name: str, entry: Entry, counters: Counters, ids: AssetIds | None = None) -> None:
        self._name = name
        self._ids = AssetIds() if ids is None else ids
        self._counters = counters
        self._named = None if entry.asset_path is None else _json.search(entry.asset_path)
        self._reader = _json.Reader(name, entry, counters)
        self._routes = [self._route(entry, topic) for topic in sorted(entry.topics())]
        self._topic_of: dict[tuple[int, str], str] = {}  # by route and asset, the first one
        self.filters = apart(topic.replace(ASSET, "+") for topic in entry.topics())

    def _route(self, entry: Entry, topic: str) -> Route:
        own = {name: each for name, each in entry.signals.items() if (each.topic or entry.topic) == topic}
        is_mixed = not entry.one_asset and entry.asset_path is None and not {"+", "#"}.isdisjoint(topic)
        time, counters = entry.time, self._counters
        events = [
            _json.EventReader(name, each, time, counters)
            for name, each in entry.events.items()
            if (each.topic or entry.topic) == topic
        ]
        blocks = [
            _json.BlockReader(name, each, time)
            for name, each in entry.blocks.items()
            if (each.topic or entry.topic) == topic
        ]
        is_binary = bool(blocks) and all(each.is_binary for each in blocks) and not own and not events
        return Route(pattern(topic), self._reader.fields(own), events, blocks, is_mixed, is_binary)

    def tells_events(self, topic: str) -> bool:
        """Tell whether messages on a topic are taken for events, so that one may be said again without a time."""
        return any(route.events and route.matches.match(topic) for route in self._routes)

    def items(self, topic: str, payload: bytes, arrived_ns: int, untimed: int = Quality.GOOD) -> Sequence[Item]:
        """Return what a message holds; what is wrong in it is counted and left out. Never raises.

        `untimed` is the quality of what states no time of its own. A time that is stated but cannot be read is 0.
        """
        samples: list[Sample] = []
        others: list[Item] = []
        message: _json.Message | None = None
        for index, route in enumerate(self._routes):
            match = route.matches.match(topic)
            if match is None:
                continue
            try:
                if message is None and not route.is_binary:
                    message = self._parsed(topic, payload, arrived_ns)
                asset = self._asset(match)
                if route.is_mixed:
                    self._tell_mixture(index, asset, topic)
                if message is not None:
                    whose = self._asset_of if self._named is not None else None
                    self._reader.take(
                        samples, route.fields, asset, message, arrived_ns, untimed=untimed, asset_of=whose
                    )
                data = None if message is None else message[0]
                for blocks in route.blocks:
                    others += blocks.blocks(asset, payload, data, arrived_ns)
                for events in route.events:
                    others += events.events(asset, data, arrived_ns, untimed)
            except Exception as error:  # noqa: BLE001 (a message that we cannot take must not come again for ever)
                self._reader.reject(f"message on {topic!r}", error, payload)
        return [*samples, *others] if others else samples

    def _parsed(self, topic: str, payload: bytes, arrived_ns: int) -> _json.Message:
        message = self._reader.parse(payload, arrived_ns)
        if message[0] is None:
            text = f"{self._name}: a message on {topic!r} is null: its values are kept as bad"
            self._counters.notes.tell("null message", text)
        return message

    def _tell_mixture(self, route: int, asset: str, topic: str) -> None:
        first = self._topic_of.get((route, asset))
        if first is None and len(self._topic_of) < _MOST_ASSETS:
            self._topic_of[route, asset] = topic
        elif first is not None and first != topic:
            self._counters.notes.tell(
                "several topics of one asset",
                f"{self._name}: {first!r} and {topic!r} are both taken for {asset}, so that their values are mixed: "
                "let {asset} stand for the level that differs, or state `one_asset: true` if that is meant",
            )

    def _asset(self, match: re.Match[str]) -> str:
        if match.lastindex is None:
            return self._name
        return self._ids.of(self._name, match[1])

    def _asset_of(self, item: Any) -> str:
        """Return the asset that an item names; raise MessageError."""
        assert self._named is not None
        name = self._named(item)
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            raise _json.MessageError(f"no name of an asset where `asset_path` points: {name!r:.40}")
        return self._ids.of(self._name, str(name))
