"""The ledger lives on the disk of the spool, and must leave it room."""

from __future__ import annotations

from pathlib import Path

from contract.topics import Node
from gateway.ledger import Ledger


def test_its_log_stays_small_however_often_it_is_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.open()
    for _ in range(300):
        ledger.count(Node("a:b:c", "line1"), "received")
        ledger.flush()
    assert (tmp_path / "ledger.db-wal").stat().st_size < 512 * 1024
    ledger.close()
