"""Messages of one millisecond: `1@5` is the value 1 at 5 ms, `5+2` is 5 ms and 2 ns."""

from __future__ import annotations

import pytest

from contract.sparkplug import Batch
from gateway.runs import Runs

MS = 1_000_000


def message(text: str, *, historical: bool = False) -> Batch:
    pairs = [each.split("@") for each in text.split()]
    return Batch(
        names=["s"] * len(pairs),
        times_ns=[int(ms) * MS for _, ms in pairs],
        values=[float(value) for value, _ in pairs],
        historical=historical,
    )


def times(runs: Runs, *messages: Batch) -> str:
    """Take messages, each with bytes of its own, and return the times of all samples."""
    found = [ns for batch in messages for ns in runs.apart("dev", batch, repr((id(batch), batch)).encode()).times_ns]
    return " ".join(f"{ns // MS}+{ns % MS}" if ns % MS else f"{ns // MS}" for ns in found)


@pytest.mark.parametrize(
    ("messages", "given"),
    [
        ("1@5, 2@5, 1@5, 3@6, 4@6", "5 5+1 5+2 6 6+1"),
        ("1@5, 1@5, 2@5, 2@5", "5 5 5+1 5+1"),  # said again
        ("1@6, 2@5, 3@6", "6 5 6+1"),  # late
        ("1@5, 2@6, 3@5", "5 6 5"),
    ],
)
def test_messages_of_one_millisecond_are_told_apart_in_order(messages: str, given: str) -> None:
    assert times(Runs(), *map(message, messages.split(", "))) == given


def test_what_comes_from_a_backlog_or_twice_is_a_repeat() -> None:
    runs = Runs()
    assert times(runs, *map(message, ("1@5", "2@5", "3@5"))) == "5 5+1 5+2"
    assert times(runs, message("2@5", historical=True)) == "5+1"
    again = message("4@5")
    assert [runs.apart("dev", again, b"same").times_ns for _ in range(2)] == [[5 * MS + 3]] * 2
    assert times(runs, message("5@5")) == "5+4"
    assert runs.apart("dev", again, b"same").times_ns == [5 * MS + 3]


def test_the_newest_millisecond_is_known_after_a_restart() -> None:
    runs, after = Runs(), Runs()
    times(runs, *map(message, ("1@5", "2@6", "3@6")))
    [note] = runs.notes().values()
    assert runs.notes() == {}
    after.load("dev", note)
    assert times(after, message("3@6"), message("4@6"), message("5@7")) == "6+1 6+2 7"


def test_a_birth_repeats_what_was_said_and_gives_way_to_data_of_its_time() -> None:
    runs = Runs()

    def born(text: str) -> list[int]:
        return [ns - 5 * MS for ns in runs.apart_in_birth("dev", message(text)).times_ns]

    assert born("1@5") == [0]
    assert times(runs, message("2@5"), message("3@5")) == "5 5+1"
    assert (born("3@5"), born("2@5"), born("9@5")) == ([1], [0], [2])
    assert times(runs, message("4@5")) == "5+2"


def test_its_memory_is_bounded() -> None:
    runs = Runs()
    for n in range(20_000):
        runs.apart("dev", message(f"{n}@5"), b"%d" % n)
    asset = runs._assets["dev"]
    assert (len(asset.runs["s"].given or ()), len(asset.bodies), len(asset.newer)) == (100, 64, 0)
    assert times(runs, message("1@5")) == "5+20000"
