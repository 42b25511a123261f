"""What is counted as under way to a broker, and until when."""

from __future__ import annotations

from contract.in_flight import PATIENCE_S, InFlight


def test_messages_or_bytes_fill_it() -> None:
    few = InFlight(most=2, most_bytes=100)
    few.add(1, 10, 0, 0.0)
    assert not few.is_full
    few.add(2, 10, 0, 0.0)
    assert few.is_full
    large = InFlight(most=2, most_bytes=100)
    large.add(1, 101, 1, 0.0)
    assert large.is_full
    large.settle([1])
    assert not large.is_full


def test_it_waits_for_what_was_published_after_the_newest_that_is_acknowledged() -> None:
    messages = InFlight(most=9, most_bytes=100)
    assert messages.waits_s(5.0) == 0.0
    messages.add(1, 1, 1, 5.0)
    messages.add(2, 1, 1, 6.0)
    assert messages.waits_s(8.0) == 3.0
    messages.settle([2])
    assert (messages.acknowledged_s, messages.waits_s(8.0), len(messages)) == (6.0, 0.0, 1)
    messages.add(3, 1, 1, 7.0)
    assert messages.waits_s(8.0) == 1.0


def test_what_is_written_acknowledges_nothing() -> None:
    messages = InFlight(most=9, most_bytes=100)
    messages.add(1, 1, 0, 5.0)
    messages.settle([1, 1, 77])
    assert (len(messages), messages.acknowledged_s) == (0, 0.0)


def test_what_the_broker_passed_over_is_given_up_after_a_while() -> None:
    messages = InFlight(most=9, most_bytes=100)
    messages.add(1, 60, 1, 0.0)
    messages.add(2, 60, 1, PATIENCE_S)
    messages.settle([2])
    assert len(messages) == 1
    messages.add(3, 1, 1, PATIENCE_S + 0.1)
    messages.settle([3])
    assert len(messages) == 0
    assert not messages.is_full


def test_the_end_of_a_connection_forgets_all_but_what_was_acknowledged_last() -> None:
    messages = InFlight(most=1, most_bytes=100)
    messages.add(1, 1, 1, 5.0)
    messages.settle([1])
    messages.add(2, 1, 1, 6.0)
    messages.clear()
    assert (len(messages), messages.is_full, messages.waits_s(9.0), messages.acknowledged_s) == (0, False, 0.0, 5.0)
