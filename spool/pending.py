"""What waits for a spool's next transaction, and how whoever waits is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from spool.records import Origin, SpoolError

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

Done = Callable[[int | None, SpoolError | None], None]
"""Called with the number of a message that is durable now (None: it had arrived before), or with why it is not."""


@dataclass(slots=True)
class Put:
    """A message to be kept."""

    topic: str
    body: bytes
    origin: Origin | None
    time_ns: int
    size: int
    done: Done
    notes: Mapping[str, bytes]

    def tell(self, number: int | None, failure: SpoolError | None) -> None:
        """Tell what became of it; an error there is logged, as a future does, and the spool goes on."""
        try:
            self.done(number, failure)
        except Exception:  # noqa: BLE001
            _log.exception("what was to be done after a commit has failed")


@dataclass(slots=True)
class Change:
    """Records to be removed, as closed intervals, and notes to be written; `reason`: they are lost by that.

    `epoch` is what the numbers belong to from then on, where it is not what it was.
    """

    intervals: list[tuple[int, int]]
    notes: Mapping[str, bytes]
    reason: str = ""
    epoch: str = ""
    future: Future[None] = field(default_factory=Future)


def settle(future: Future[_T], result: _T, failure: SpoolError | None) -> None:
    """End a future, if it has not ended."""
    if future.done():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)
