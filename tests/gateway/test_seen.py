"""What was received lately is known by its content, for as long as is promised, and at one cost."""

from __future__ import annotations

import time

from contract.sparkplug import Batch
from gateway.seen import Seen
from spool import Origin


def message(value: float) -> Batch:
    """Return a message of one sample."""
    return Batch(["speed"], [1], [value])


def note(seen: Seen, first: int, last: int) -> float:
    """Let messages `first` to `last` come; return the seconds of CPU that it took."""
    batch, started = message(1.0), time.thread_time()
    for n in range(first, last + 1):
        assert not seen.contradicts(Origin("plant/line", "e1", n), batch)
    return time.thread_time() - started


def test_the_newest_messages_are_known_and_older_ones_are_not() -> None:
    seen = Seen(3)
    note(seen, 1, 4)
    assert [seen.contradicts(Origin("plant/line", "e1", n), message(2.0)) for n in (2, 3, 4)] == [True] * 3
    assert not seen.contradicts(Origin("plant/line", "e1", 1), message(2.0))


def test_a_message_costs_the_same_however_many_are_known() -> None:
    few, many = Seen(100), Seen(50_000)
    note(many, 1, 50_000)
    note(few, 1, 50_000)
    assert note(many, 50_001, 80_000) < 8 * note(few, 50_001, 80_000)
