"""What was received lately, by its content: a repeat says what the first one said, or it is no repeat.

Numbers of an edge node that somebody else used, or that a spool gave twice, would else let data be dropped as repeated.
In memory alone: what came before the start, or long ago, is not known.
"""

from __future__ import annotations

import marshal
from collections import OrderedDict
from typing import Final

from contract.sparkplug import Batch
from spool import Origin

MOST: Final = 50_000


class Seen:
    """The newest `most` messages; used by one thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._digests: OrderedDict[Origin, int] = OrderedDict()  # a dict finds its oldest past all that are gone

    def contradicts(self, origin: Origin, batch: Batch) -> bool:
        """Whether another message came under this number; if none did, note this one."""
        digest = _digest(batch)
        known = self._digests.setdefault(origin, digest)
        if len(self._digests) > self._most:
            self._digests.popitem(last=False)
        return known != digest


def _digest(batch: Batch) -> int:
    # of the values their bytes, as -1 and -2 have one hash, and so have 1, 1.0 and true
    return hash((tuple(batch.names), tuple(batch.times_ns), marshal.dumps(batch.values, 2)))
