"""What a machine entry on MQTT keeps over restarts: who it is to the broker, and the last messages of each topic.

Two files of JSON in the folder `edge/mqtt` of the edge's home. `<name>.json` (client id, subscribed filters) is durable
before it is used. `<name>.topics.json` has for each topic the last message and the last retained one, since others may
come behind that. It is written now and then; when it is behind, or lost, a retained message is not recognized and
counts as one of unknown age.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

_MOST_TOPICS: Final = 10_000
_SAVE_S: Final = 5.0
_LONGEST_NS: Final = 86_400_000_000_000  # what has held for longer is told anew: a store may not take what is old


class Last(NamedTuple):
    """A message of a topic: CRC-32 of its payload, the time and the quality that its samples were given."""

    crc: int
    time_ns: int
    quality: int


@dataclass(frozen=True, slots=True)
class Known:
    """Who we are to the broker ("": nobody), and the filters that it may keep messages of for us."""

    client_id: str
    filters: tuple[str, ...]


class Memory:
    """The memory of one machine entry; `is_kept`: what it learns of topics is written."""

    def __init__(self, folder: Path, name: str, *, is_kept: bool = True) -> None:
        self._name = name
        self._is_kept = is_kept
        self._identity = folder / f"{name}.json"
        self._topics_file = folder / f"{name}.topics.json"
        self._client_id = ""
        self._filters: tuple[str, ...] = ()
        self._topics: dict[str, tuple[Last, Last | None]] | None = None  # the last one, the last that was retained
        self._changed = False
        self._saved_s = 0.0

    def open(self, *, make: bool) -> Known:
        """Read who we are; when we are nobody and `make`, become somebody. Raises OSError."""
        noted = _read(self._identity)
        try:
            self._client_id, self._filters = str(noted["client_id"]), tuple(map(str, noted["filters"]))
        except (KeyError, TypeError):
            self._client_id, self._filters = "", ()
        if make and not self._client_id:
            self._client_id = f"shopfloor-{self._name}-{secrets.token_hex(4)}"
        return Known(self._client_id, self._filters)

    def note_filters(self, filters: list[str]) -> None:
        """Note what is subscribed; it is durable on return. Raises OSError."""
        if tuple(filters) != self._filters:
            _write(self._identity, {"client_id": self._client_id, "filters": filters}, durable=True)
            self._filters = tuple(filters)

    def forget(self) -> None:
        """Be nobody again. Raises OSError."""
        self._identity.unlink(missing_ok=True)
        self._client_id, self._filters = "", ()

    def recall(self, topic: str, payload: bytes, time_ns: int, quality: int) -> tuple[int, int]:
        """Return time and quality of this retained message if it is one of the last of its topic; else those given.

        Each is remembered for a day.
        """
        crc = zlib.crc32(payload)
        for last in self._last().get(topic, ()):
            if last is not None and last.crc == crc and 0 <= time_ns - last.time_ns < _LONGEST_NS:
                return last.time_ns, last.quality
        return time_ns, quality

    def remember(self, topic: str, payload: bytes, time_ns: int, quality: int, *, is_retained: bool = False) -> None:
        """Take a message as the last one of its topic; of very many topics the first are remembered.

        One that `is_retained` comes at each connection, and tells nothing of what came last.
        """
        topics = self._last()
        known = topics.get(topic)
        if known is None and len(topics) >= _MOST_TOPICS:
            return
        said = Last(zlib.crc32(payload), time_ns, quality)
        if is_retained:
            topics[topic] = said if known is None else known[0], said
        else:
            topics[topic] = said, None if known is None else known[1]
        self._changed = True

    async def save_now_and_then(self, now_s: float) -> None:
        """Save when there is something new and the last time is some seconds ago; `now_s` by a clock nobody sets."""
        if self._changed and now_s - self._saved_s > _SAVE_S:
            self._saved_s = now_s
            await asyncio.to_thread(self.save)

    def save(self) -> None:
        """Write the last messages; what cannot be written is not: it only helps to recognize what is retained."""
        if self._is_kept and self._changed and self._topics is not None:
            self._changed = False
            try:
                content = {topic: [*last, *(retained or ())] for topic, (last, retained) in self._topics.items()}
                _write(self._topics_file, content, durable=False)
            except OSError:
                self._changed = True

    def _last(self) -> dict[str, tuple[Last, Last | None]]:
        if self._topics is None:
            noted = _read(self._topics_file)
            try:
                self._topics = {str(topic): _parsed(last) for topic, last in noted.items()}
            except (TypeError, ValueError):
                self._topics = {}
        return self._topics


def _parsed(numbers: list[int]) -> tuple[Last, Last | None]:
    """Return the messages of a topic as they were written: raise TypeError or ValueError."""
    last, retained = numbers[:3], numbers[3:]
    return Last(*map(int, last)), Last(*map(int, retained)) if retained else None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(path: Path, content: dict[str, Any], *, durable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(path.name + ".draft")
    with draft.open("wb") as file:
        file.write(orjson.dumps(content))
        if durable:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
