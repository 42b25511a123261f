"""What is odd is told once, and nothing odd hides another thing that is."""

from __future__ import annotations

from edge.notes import Notes


def test_each_kind_is_told_once_of_each_signal() -> None:
    notes = Notes()
    for n in range(3):
        notes.tell("misfit", f"speed {n}", "speed")
        notes.tell("misfit", f"load {n}", "load")
        notes.tell("time ahead", f"speed {n} is ahead", "speed")
        notes.tell("queue", f"{n} wait")
    assert list(notes.values()) == ["speed 0", "load 0", "speed 0 is ahead", "0 wait"]


def test_signals_of_one_kind_do_not_hide_another_kind() -> None:
    notes = Notes()
    for n in range(7000):
        notes.tell("time before 1970", f"signal {n}", f"s{n}")
    notes.tell("misfit", "speed", "speed")
    assert len(notes) == 21
    assert list(notes.values())[-2:] == ["signal 19; others like it are not logged", "speed"]
    for n in range(1000):
        notes.tell(f"kind {n}", "text")
    assert len(notes) == 20 + 99
