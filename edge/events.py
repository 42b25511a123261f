"""What a machine's events become before they are sent, and which conditions of its assets are active.

An event keeps the time of its source, unless that cannot be one: then it gets that of its arrival, with a flag. What
comes again under an id of the last ten thousand is left out. A condition is active from its event `active` until
`cleared`, also over restarts of the edge; what a source does not name when it says all that are active now is cleared
by that (`Refreshed`), with a flag, since nobody knows when.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from contract.event import Event, EventError, event_id, event_metric
from contract.model import Value
from edge.dating import no_time
from edge.driver import Refreshed
from edge.recent import Recent
from edge.telling import cut
from edge.way import Way

MACHINE: Final = "machine"
MOST_CONDITIONS: Final = 1000  # active ones of an asset that are remembered
_AT_ONCE: Final = 200
_LONG_VALUE: Final = 200  # characters, of an event that is too long
_LONG_TEXT: Final = 400


class Events:
    """The events of one machine entry."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._seen = Recent()
        self._active: dict[str, dict[str, Event]] = {}  # by asset and condition

    def active(self, asset: str, source: str = MACHINE) -> frozenset[str]:
        """Return the conditions of an asset that are active, as a source has told."""
        return frozenset(name for name, event in self._known(asset).items() if event.source == source)

    def sources(self, asset: str) -> frozenset[str]:
        """Return who told of the conditions of an asset that are active."""
        return frozenset(event.source for event in self._known(asset).values())

    async def clear(self, asset: str, source: str, now_ns: int) -> None:
        """End all conditions of an asset that a source has told, which tells no more; wait until that is durable."""
        await self._send(list(self._cleared(Refreshed(asset, frozenset(), now_ns), source, now_ns)))

    async def take(self, told: Sequence[Event | Refreshed], now_ns: int) -> None:
        """Wait until events are durable."""
        news: list[Event] = []
        for item in told:
            if isinstance(item, Refreshed):
                news += self._cleared(item, MACHINE, now_ns)
            elif (event := self._checked(item, now_ns)) is not None:
                news.append(event)
        await self._send(news)

    async def _send(self, news: Sequence[Event]) -> None:
        for start in range(0, len(news), _AT_ONCE):
            await self._way.put_each(news[start : start + _AT_ONCE], self._way.outlet.put_event)

    def _checked(self, event: Event, now_ns: int) -> Event | None:
        """Return an event as it is sent, None for one that is left out."""
        self._known(event.asset)
        if event.id in self._seen:
            self._way.health.events_repeated += 1
            return None
        self._seen.add(event.id)
        dated = self._fitting(self._dated(event, now_ns), now_ns)
        if dated is not None:
            self._way.health.events += 1
            self._note(dated)
        return dated

    def _known(self, asset: str) -> dict[str, Event]:
        """Return the active conditions of an asset; those of an earlier run are read at the first call."""
        if asset not in self._active:
            self._active[asset] = self._way.outlet.conditions_before(asset)
            for event in self._active[asset].values():
                self._seen.add(event.id)
        return self._active[asset]

    def _note(self, event: Event) -> None:
        active = self._known(event.asset)
        if not event.condition:
            return
        if event.state == "cleared":
            active.pop(event.condition, None)
        elif event.state == "active" and (event.condition in active or len(active) < MOST_CONDITIONS):
            active[event.condition] = event
        elif event.state == "active":
            text = (
                f"more than {MOST_CONDITIONS} conditions of {event.asset} are active: others are sent, not remembered"
            )
            self._way.notes.tell("conditions", text, event.asset)

    def _cleared(self, refreshed: Refreshed, source: str, now_ns: int) -> Iterator[Event]:
        """Yield the ends of conditions that a source does not name any more."""
        time_ns = refreshed.time_ns if no_time(refreshed.time_ns, now_ns) is None else now_ns
        active = self._known(refreshed.asset)
        for name in sorted(self.active(refreshed.asset, source) - refreshed.conditions):
            begun = active.pop(name)
            self._way.health.events += 1
            yield Event(
                id=event_id(begun.id, "missing in a refresh"),
                asset=begun.asset,
                name=begun.name,
                time_ns=max(time_ns, begun.time_ns),
                state="cleared",
                condition=name,
                severity=begun.severity,
                texts=begun.texts,
                source=begun.source,
                time_replaced=True,
            )

    def _dated(self, event: Event, now_ns: int) -> Event:
        sort = no_time(event.time_ns, now_ns)
        if sort is None:
            return event
        self._way.time_replaced(f"{event.asset}: the event {event.name!r}", sort, event.time_ns, now_ns)
        return event.model_copy(update={"time_ns": now_ns, "time_replaced": True})

    def _fitting(self, event: Event, now_ns: int) -> Event | None:
        """Return an event whose values can be written and that fits into a message; None for one that never does."""
        if any(isinstance(value, float) and not math.isfinite(value) for value in event.values.values()):
            event = event.model_copy(update={"values": {key: _finite(value) for key, value in event.values.items()}})
        for short in (event, _shorter(event), _bare(event)):
            try:
                event_metric(short)
            except EventError as error:
                reason = str(error)
                continue
            if short is not event:
                self._tell_cut(event, reason, "noted", now_ns)
            return short
        self._tell_cut(event, reason, "lost", now_ns)
        self._way.health.too_large += 1
        return None

    def _tell_cut(self, event: Event, reason: str, outcome: Literal["lost", "noted"], now_ns: int) -> None:
        fate = "its texts and values are cut" if outcome == "noted" else "it is left out"
        self._way.notes.tell("event too large", f"{event.asset}: {reason}: {fate}", event.name)
        if outcome == "noted":
            detail = "events of more bytes than a message holds: their texts and values are cut"
            self._way.ledger.lose(self._way.name, "too_large", 1, now_ns, detail=detail, outcome="noted")


def _finite(value: Value) -> Value:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _shorter(event: Event) -> Event:
    values = {key: cut(value, _LONG_VALUE) if isinstance(value, str) else value for key, value in event.values.items()}
    texts = {language: cut(text, _LONG_TEXT) for language, text in event.texts.items()}
    return event.model_copy(update={"values": values, "texts": texts})


def _bare(event: Event) -> Event:
    """Return an event without values; it says how many it had."""
    return _shorter(event).model_copy(update={"values": {"values_left_out": len(event.values)}})
