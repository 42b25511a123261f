"""Messages of the spool that no broker takes: set aside, so that the line goes on.

What fits of such a message goes back into the spool in parts. Its number is accounted for as dropped, and its bytes are
kept in `<spool>.aside/`, one file each, the newest ones (see `_MOST_BYTES`).
"""

from __future__ import annotations

from typing import Final

import structlog

from contract.sparkplug import SparkplugError
from contract.sparkplug_split import split
from spool import Record, Spool, SpoolFull

_MOST_BYTES: Final = 64 << 20
_PUT_S: Final = 5.0

_log = structlog.get_logger(__name__)


class SetAside:
    """Sets records of one spool aside."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._folder = spool.path.with_name(f"{spool.path.name}.aside")

    def put(self, record: Record, plain: bytes, why: str, most_bytes: int) -> None:
        """Take a record out of the spool; raise SpoolError, then it is still there.

        `plain` is its body with names in place of aliases, `most_bytes` how large a part of it may be.
        """
        file = self._keep(record)
        parts, refused = self._parts(record.topic, plain, most_bytes)
        text = f"set aside: message {record.n} of {len(plain)} bytes, {why}; {refused} values are lost, "
        text += f"{parts} messages with the rest are sent in its place; its bytes: {file}"
        self._spool.drop(record.n, text)
        _log.error("a message is set aside", topic=record.topic, reason=text)

    def _parts(self, topic: str, plain: bytes, most_bytes: int) -> tuple[int, str]:
        """Put what fits back into the spool; return in how many messages, and how many values did not fit."""
        try:
            parts, refused = split(plain, most_bytes)
            if not refused and len(parts) == 1:
                return 0, "all"  # it is what it was
            futures = [self._spool.put(topic, part, timeout_s=_PUT_S) for part in parts]
            for future in futures:
                future.result()
        except (SparkplugError, SpoolFull):
            return 0, "all"
        return len(parts), str(refused)

    def _keep(self, record: Record) -> str:
        """Write the bytes of a record to a file, as long as there is room; return its name."""
        path = self._folder / f"{self._spool.epoch}-{record.n}.bin"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            kept = sorted(self._folder.glob("*.bin"), key=lambda each: each.stat().st_mtime_ns)
            room = _MOST_BYTES - len(record.body)
            while kept and sum(each.stat().st_size for each in kept) > room:
                kept.pop(0).unlink()
            if room < 0:
                return "too large to be kept"
            path.write_bytes(record.body)
        except OSError as error:
            return f"not kept ({error.strerror})"
        return f"{self._folder.name}/{path.name}"
