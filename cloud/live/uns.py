"""The ear of the cloud: the unified namespace on the broker, heard into registry and hub."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.capability import Learn
from cloud.chain.message import RefusedError
from cloud.db import Sessions
from cloud.live.again import Again
from cloud.live.asset import SILENT, LiveValue, Why
from cloud.live.hub import Hub
from cloud.registry.announcement import Announcement, AnnouncementError, read_announcement
from cloud.registry.learn import come_back
from contract.broker import Broker
from contract.model import Quality, base_quality
from contract.mqtt import Session, Subscription
from contract.topics import UNS, TopicError, UnsTopic, parse_uns

CATEGORIES: Final = ("info", "tele", "state")
MAX_WAITING: Final = 30_000
"""Messages not yet looked at; each is a snapshot, so that a newer one of its topic takes its place."""
MAX_PAYLOAD: Final = 4 * 1024 * 1024
RETRY_S: Final = 2.0
SETTLE_S: Final = 2.0
SWEEP_S: Final = 2.0
GATEWAY_AWAY_S: Final = 60.0
"""So long nothing may come from the broker until somebody is thought to be away: an edge node speaks every 5 s."""
_GATEWAY_AWAY: Final = Why(
    "gateway_away",
    "nothing comes through the broker, of no machine",
    "see whether the gateway and the edge run: their logs say why nothing comes",
)
_IS_IT_ON: Final = "is the machine on, and does its entry in the plant file name what it sends?"
_NO_DATA: Final = Why("no_data", "its edge node is connected to its address, but no data of it comes", _IS_IT_ON)
_OVERDUE: Final = Why("overdue", "no data of it came within the `offline_after_s` of its entry", _IS_IT_ON)
_CONNECTING: Final = Why("connecting", "its edge node has begun to connect to it")
_TROUBLE: Final = re.compile(r"Health/(.+)/trouble")
_COMMAND: Final = re.compile(r"by: (.+)", re.DOTALL)
_SILENT: Final = re.compile(r"Health/(.+)/silent_s")
_UNCHANGED: Final = re.compile(r"Health/(.+)/last_data_age_s")
log = structlog.get_logger(__name__)


class MessageError(ValueError):
    """A message of the unified namespace that says nothing we know; says why."""


def read_signals(payload: bytes) -> tuple[int, dict[str, LiveValue]]:
    """Return the time (ms) and the values of a tele or state message; raise MessageError."""
    try:
        message = orjson.loads(payload)
        sent_ms, signals = message["time"], message["signals"]
        if not isinstance(sent_ms, int):
            raise MessageError("its time is not a number of ms")
        return sent_ms, {str(name): _value(said) for name, said in signals.items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise MessageError(f"{type(error).__name__}: {error}") from error


def _value(said: Mapping[str, Any]) -> LiveValue:
    value, quality, time_ms = said["value"], said["quality"], said["time"]
    known = value is None or isinstance(value, float | int | bool | str)
    if not known or not isinstance(quality, int) or not isinstance(time_ms, int) or not 0 <= time_ms < 2**43:
        raise MessageError(f"a value is not {{value, quality, time}}: {said!r:.200}")
    status = said.get("status")
    return LiveValue(value, quality, time_ms, status if type(status) is int else None)


def silences(signals: Mapping[str, LiveValue]) -> Iterator[tuple[str, int]]:
    """Give the machines for which an edge node vouches, and how long (ms) each has been silent.

    Data and the word of a machine's driver that nothing changed both count: a machine may be well and quiet.
    """
    return _ages(signals, _SILENT)


def quiets(signals: Mapping[str, LiveValue]) -> Iterator[tuple[str, int]]:
    """Give the machines for which an edge node vouches, and for how long (ms) each has said nothing new."""
    return _ages(signals, _UNCHANGED)


def _ages(signals: Mapping[str, LiveValue], pattern: re.Pattern[str]) -> Iterator[tuple[str, int]]:
    for name, (age_s, quality, *_) in signals.items():
        machine = pattern.fullmatch(name)
        is_good = base_quality(quality) == Quality.GOOD
        if machine and is_good and isinstance(age_s, float | int) and age_s >= 0:
            yield machine[1], round(age_s * 1000)


def troubles(signals: Mapping[str, LiveValue]) -> Iterator[tuple[str, Why]]:
    """Give the machines of an edge node, each with why it would not be there."""
    for name, (said, quality, *_) in signals.items():
        machine = _TROUBLE.fullmatch(name)
        if machine is None or not isinstance(said, str) or base_quality(quality) != Quality.GOOD:
            continue
        code, do = (
            str(value.value or "") if (value := signals.get(f"Health/{machine[1]}/{each}")) else ""
            for each in ("trouble_code", "todo")
        )
        if not said:
            connected = signals.get(f"Health/{machine[1]}/connected")
            is_connected = connected is not None and connected.value is True
            yield machine[1], (_OVERDUE if code == "overdue" else _NO_DATA) if is_connected else _CONNECTING
            continue
        command = _COMMAND.search(do)
        args = {"command": command[1]} if command and code == "untrusted_certificate" else {}
        yield machine[1], Why(code or "unreachable", said.removesuffix(do).rstrip(" .:"), do, args)


def silence(trouble: str | None, silent_s: float) -> Why:
    """Return why assets may be silent: `trouble` with the broker (None: none), or nothing has come for `silent_s`."""
    if trouble is not None:
        text = f"the cloud is not connected to the broker: {trouble or 'connecting'}"
        return Why("broker_away", text, "start the MQTT broker, or correct SHOPFLOOR_MQTT_URL")
    return _GATEWAY_AWAY if silent_s > GATEWAY_AWAY_S else SILENT


def newest_ms(signals: Mapping[str, LiveValue]) -> int | None:
    """Return the newest time of values; None when there are none."""
    return max((value.time_ms for value in signals.values()), default=None)


def _stale(signals: Mapping[str, LiveValue]) -> dict[str, LiveValue]:
    return {name: value._replace(quality=int(Quality.STALE)) for name, value in signals.items()}


class UnsListener:
    """Hears the unified namespace. `start` it; bad messages are counted in `bad`, and each topic's first is logged."""

    def __init__(
        self,
        broker: Broker,
        sessions: Sessions,
        hub: Hub,
        client_id: str,
        *,
        learns: Sequence[Learn],
        settle_s: float = SETTLE_S,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """`look` is called every two seconds or so, when nothing is being heard."""
        self._learns = learns
        self._look_around = look
        self._sessions = sessions
        self._hub = hub
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        self._news = threading.Condition()
        self._stopping = False
        self._learned: dict[str, bytes] = {}
        self._places: dict[str, tuple[str, ...]] = {}
        self._offline: set[str] = set()
        self._assets: dict[tuple[str, ...], str] = {}  # by place and by what the edge node of the place calls them
        self._again = Again(settle_s)
        self._bad_topics: set[str] = set()
        self._heard_s = time.monotonic()  # when something came that was not retained
        self._sweep_s = 0.0
        self.bad = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="uns", daemon=True)
        self._session = Session(
            broker,
            client_id,
            subscriptions=[Subscription(f"{UNS}/+/+/+/+/+/{category}", 0) for category in CATEGORIES],
            on_message=self.hear,
            on_connect=self._connected,
        )

    def start(self) -> None:
        """Connect and listen, in threads of its own."""
        self._thread.start()
        self._session.start()

    def stop(self) -> None:
        """Disconnect; safe unstarted."""
        self._session.stop()
        with self._news:
            self._stopping = True
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join(2.0)

    @property
    def trouble(self) -> str | None:
        """Why nothing is heard, None when it is."""
        return None if self._session.is_connected else self._session.reason

    def hear(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take a message; the oldest waiting one is dropped when too many wait."""
        with self._news:
            if not retained:
                self._heard_s = time.monotonic()
            self._waiting[topic] = payload
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
                self.dropped += 1
            self._news.notify()

    def _connected(self) -> None:
        with self._news:
            self._heard_s = time.monotonic()
            self._again.connected(self._heard_s)
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                if not self._waiting and not self._stopping:
                    wait_s = self._again.wait_s(time.monotonic())
                    self._news.wait(SWEEP_S if wait_s is None else min(wait_s, SWEEP_S))
                if self._stopping:
                    return
                waiting, self._waiting = self._waiting, OrderedDict()
                again = self._again.is_due(time.monotonic())
            if again:
                self._session.resubscribe()
            for topic, payload in waiting.items():
                self._look(topic, payload)
            if time.monotonic() >= self._sweep_s:
                self._sweep_s = time.monotonic() + SWEEP_S
                self._hub.explain_silence(silence(self.trouble, time.monotonic() - self._heard_s))
                self._look_around()
                self._hub.sweep()

    def _look(self, topic: str, payload: bytes) -> None:
        try:
            if payload:
                self._take(parse_uns(topic), payload)
            else:
                self._take_back(parse_uns(topic))
        except (TopicError, MessageError, AnnouncementError, RefusedError) as error:
            self.bad += 1
            if topic not in self._bad_topics and len(self._bad_topics) < 1000:
                self._bad_topics.add(topic)
                log.warning("a message of the unified namespace is ignored", topic=topic, reason=str(error))

    def _take(self, topic: UnsTopic, payload: bytes) -> None:
        if len(payload) > MAX_PAYLOAD:
            raise MessageError(f"{len(payload)} bytes are too many")
        if topic.category == "info":
            said = self._read_announcement(topic, payload)
            if not self._is_part(said.asset, said.time if said.online else 0):
                return
            self._learn(said)
            self._places[said.asset] = topic[:4]
            self._assets[*topic[:4], said.label or said.asset] = said.asset
            self._show_announced(said)
            return
        sent_ms, signals = read_signals(payload)
        # a gateway whose clock is ahead must not make an asset look alive for longer
        now_ms = min(sent_ms, time.time_ns() // 1_000_000)
        newest = newest_ms(signals)
        data_ms = None if newest is None else min(newest, now_ms)
        # a message that only tells a death, or what was so before, is no sign of life: then its data are the last
        is_heard = any(value.quality != Quality.STALE for value in signals.values())
        if not self._is_part(topic.asset, now_ms if is_heard else 0):
            return
        with self._news:
            self._again.heard(topic.asset, time.monotonic())
        if topic.asset in self._offline:
            signals = _stale(signals)
        self._hub.update(topic.asset, seen_ms=now_ms if is_heard else data_ms, data_ms=data_ms, signals=signals)
        for machine, silent_ms in silences(signals):
            if asset := self._assets.get((*topic[:4], machine)):
                self._hub.update(asset, seen_ms=now_ms - silent_ms)
        for machine, quiet_ms in quiets(signals):
            if asset := self._assets.get((*topic[:4], machine)):
                self._hub.update(asset, data_ms=now_ms - quiet_ms)
        self._explain(topic, dict(troubles(signals)))

    def _explain(self, topic: UnsTopic, whys: Mapping[str, Why]) -> None:
        """Take why nothing comes of machines; an entry that is no machine itself speaks of all that no entry names.

        Where several such entries say different things, nobody knows which of them a machine is of.
        """
        place = topic[:4]
        fleets = [why for machine, why in whys.items() if (*place, machine) not in self._assets]
        for machine, why in whys.items():
            if asset := self._assets.get((*place, machine)):
                self._hub.explain(asset, why, "edge")
        if not fleets or any(why != fleets[0] for why in fleets):
            return
        for (*where, called), asset in self._assets.items():
            if tuple(where) == place and called not in whys and asset != topic.asset:
                self._hub.explain(asset, fleets[0], "edge")

    def _read_announcement(self, topic: UnsTopic, payload: bytes) -> Announcement:
        with self._news:
            self._again.announced(topic.asset)
        return read_announcement(topic, payload)

    def _is_part(self, asset: str, alive_ms: int) -> bool:
        """Tell whether an asset is a part of the plant; a sign of life later than it was let go makes it one again.

        What the broker keeps of it from before (it may keep it for years) does not.
        """
        gone_ms = self._hub.gone_since(asset)
        if gone_ms is None:
            return True
        if alive_ms <= gone_ms:
            return False
        try:
            with self._sessions.begin() as db:
                come_back(db, asset)
        except SQLAlchemyError as error:  # the next sign of life is soon
            log.warning("an asset is not back in the plant yet: the database does not answer", reason=str(error))
            return False
        self._learned.pop(asset, None)
        with self._news:
            self._again.forget(asset)
        self._hub.come_back(asset)
        log.info("an asset that was retired or deleted sends again", asset=asset)
        return True

    def _show_announced(self, said: Announcement) -> None:
        """Show whether an asset is there; the values of one that is not are stale, whatever is retained."""
        self._hub.announce(said.asset, said.kind, said.state_signal)
        why = Why(said.reason_code or "offline", said.reason, said.do) if said.reason else None
        self._hub.explain(said.asset, why, "gateway")
        if said.online:
            self._offline.discard(said.asset)
            self._hub.update(said.asset, online=True)
            return
        self._offline.add(said.asset)
        self._hub.update(said.asset, online=False, signals=_stale(self._hub.signals(said.asset)))

    def _take_back(self, topic: UnsTopic) -> None:
        """Hear that a retained message is no more: nobody speaks of an asset at that place."""
        if topic.category == "info" and self._places.get(topic.asset) == topic[:4]:
            self._hub.update(topic.asset, online=False)

    def _learn(self, said: Announcement) -> None:
        content = (
            said.model_copy(update={"time": 0, "online": True, "reason_code": "", "reason": "", "do": ""})
            .model_dump_json()
            .encode()
        )
        if self._learned.get(said.asset) == content:
            return
        while True:
            try:
                with self._sessions.begin() as db:
                    for learn in self._learns:
                        learn(db, said)
            except SQLAlchemyError as error:
                log.warning("an asset is not registered yet: the database does not answer", reason=str(error))
                with self._news:
                    if self._news.wait_for(lambda: self._stopping, RETRY_S):
                        return
            else:
                self._learned[said.asset] = content
                return
