"""Counters and the quarantine survive restarts, stay bounded and begin anew when their file is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.topics import Node
from gateway.ledger import Aside, Ledger, LedgerError

LINE = Node("demo:shanghai:machining", "line1")
OTHER = Node("demo:shanghai:machining", "line2")


def aside(body: bytes, source: str = "store", node: Node = LINE) -> Aside:
    return Aside(1_700_000_000_000, node, source, "no such field", body)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db", max_items=3, max_bytes=100)
    ledger.open()
    yield ledger
    ledger.close()


def test_counters_add_up_over_restarts(ledger: Ledger, tmp_path: Path) -> None:
    ledger.count(LINE, "received")
    ledger.count(LINE, "received", 4)
    ledger.flush()
    ledger.close()
    again = Ledger(tmp_path / "ledger.db")
    again.open()
    again.count(LINE, "received")
    assert again.totals() == {(LINE, "received"): 6}
    again.close()


def test_the_same_thing_is_set_aside_once(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.set_aside(aside(b"cnc,asset=a x=1 1"))
        ledger.flush()
    ledger.set_aside(aside(b"cnc,asset=a x=1 1", source="another topic"))
    ledger.flush()
    assert [item.source for item in ledger.aside()] == ["store", "another topic"]
    assert ledger.totals() == {(LINE, "aside"): 2}


def test_the_oldest_are_dropped_and_counted(ledger: Ledger) -> None:
    for n in range(5):
        ledger.set_aside(aside(b"%d" % n))
        ledger.flush()
    assert [item.body for item in ledger.aside()] == [b"2", b"3", b"4"]
    ledger.set_aside(aside(b"x" * 99))
    ledger.flush()
    assert [item.body[:1] for item in ledger.aside()] == [b"4", b"x"]
    assert ledger.totals() == {(LINE, "aside"): 6, (LINE, "aside_dropped"): 4}


def test_who_is_flooded_takes_no_other_ones_room(ledger: Ledger) -> None:
    ledger.set_aside(aside(b"of another", node=OTHER))
    for n in range(9):
        ledger.set_aside(aside(b"%d" % n))
        ledger.flush()
    assert [item.body for item in ledger.aside()] == [b"of another", b"7", b"8"]
    ledger.set_aside(aside(b"x" * 99))
    ledger.flush()
    assert [item.body[:1] for item in ledger.aside()] == [b"o"]  # both do not fit, and line 1 takes the most
    assert ledger.totals()[LINE, "aside_dropped"] == 10


def test_what_waits_is_bounded_too(ledger: Ledger) -> None:
    for n in range(5):
        ledger.set_aside(aside(b"%d" % n))
    ledger.flush()
    assert [item.body for item in ledger.aside()] == [b"0", b"1", b"2"]
    assert ledger.totals() == {(LINE, "aside"): 3, (LINE, "aside_dropped"): 2}


def test_a_damaged_file_is_kept_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is no database" * 100)
    ledger = Ledger(path)
    ledger.open()
    ledger.count(LINE, "received")
    ledger.flush()
    ledger.close()
    assert (tmp_path / "ledger.damaged").read_bytes().startswith(b"this is no database")


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "gateway").write_text("a file where the folder should be")
    with pytest.raises(LedgerError, match="gateway"):
        Ledger(tmp_path / "gateway" / "ledger.db").open()
