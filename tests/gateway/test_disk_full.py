"""A gateway's disk that its own spool has filled to the last byte: it empties again by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.forward import Forwarder
from gateway.ledger import Ledger, LedgerError
from gateway.reader import Decoded, Reader
from gateway.store import Answer
from gateway.tally import Tally
from spool import Spool, SpoolFull
from tests.gateway.wire import LINE, EdgeNode


class Store:
    """Takes everything."""

    def write(self, lines: bytes) -> Answer:
        return Answer("written")

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(mounted)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.decode().strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


ROOMS_KIB = range(1_000, 10_000, 1_000)
"""The spool's log is somewhere else at the end of each."""


@pytest.mark.parametrize(
    ("room_kib", "ledger_has_reserve"),
    [*((room, True) for room in ROOMS_KIB), *((room, False) for room in ROOMS_KIB[::4])],
)
def test_a_full_disk_empties_behind_the_ledger(
    small_disk: Path, edge_node: EdgeNode, room_kib: int, ledger_has_reserve: bool
) -> None:
    ledger = Ledger(small_disk / "ledger.db")
    ledger.open()
    with (small_disk / "of a third program").open("wb") as third:
        third.write(bytes((10_000 - room_kib) << 10))
    with Spool.open(small_disk / "gateway.spool", linger_s=0.001) as spool:
        spool.put(*edge_node.nbirth()).result(5)
        spool.put(*edge_node.dbirth()).result(5)
        n = 0
        with pytest.raises((SpoolFull, LedgerError)):  # whichever notices it first
            while True:
                n += 500
                for future in [spool.put(*edge_node.ddata(n + more)) for more in range(500)]:
                    future.result(5)
                    ledger.count(LINE, "received")
                ledger.flush()
        if not ledger_has_reserve:
            (small_disk / "ledger.db.reserve").unlink(missing_ok=True)
        with (small_disk / "of another program").open("wb", buffering=0) as other, pytest.raises(OSError, match="28"):
            while True:
                other.write(bytes(512))
        reader, tally = Reader(spool, ledger, Decoded()), Tally(spool)
        forwarder = Forwarder(spool, Store(), reader, ledger, tally)
        for _ in range(400):
            forwarder.step()
        assert spool.stats.records == 0, forwarder.progress.trouble
        assert spool.put(*edge_node.ddata(n)).result(5) is not None
    ledger.close()
