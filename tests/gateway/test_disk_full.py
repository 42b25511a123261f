"""A gateway's disk that its own spool has filled to the last byte: it empties again by itself."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from contract.broker import Broker
from gateway.config import Settings
from gateway.forward import Forwarder
from gateway.ledger import Ledger, LedgerError
from gateway.ledger.tally import Tally
from gateway.reader import Decoded, Reader
from gateway.store import Answer
from spool import Spool, SpoolFull
from tests.conftest import RunningBroker
from tests.gateway.test_gateway import Running
from tests.gateway.wire import LINE, EdgeNode, FakeStore, Peer, wait_for


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
    [
        *((room, True) for room in ROOMS_KIB[::3]),
        *((room, False) for room in ROOMS_KIB[::6]),
        *(pytest.param(room, True, marks=pytest.mark.slow) for room in ROOMS_KIB if room not in ROOMS_KIB[::3]),
    ],
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
            while other.write(bytes(1 << 16)) == 1 << 16:
                pass
            while True:
                other.write(bytes(512))
        reader, tally = Reader(spool, ledger, Decoded()), Tally(spool)
        forwarder = Forwarder(spool, Store(), reader, ledger, tally)
        for _ in range(400):
            forwarder.step()
        assert spool.stats.records == 0, forwarder.progress.trouble
        assert spool.put(*edge_node.ddata(n)).result(5) is not None
    ledger.close()


TOLD = "v1/demo/shanghai/machining/line1/shanghai-machining-line1/ledger"


@pytest.mark.slow
def test_f7_a_broker_whose_disk_is_full_is_told_and_all_is_shown_again(
    small_disk: Path, settings: Settings, edge_node: EdgeNode, fake_store: FakeStore, free_port: int
) -> None:
    program = str(Path(sys.executable).with_name("nats-server"))
    broker = RunningBroker("nats", small_disk, program, free_port)
    broker.start()
    login = Broker(url=broker.url, user=broker.user, password_file=broker.password_file)
    running, peer, late = Running(settings, login), Peer(login), Peer(login)
    try:
        running.start()
        peer.start()
        wait_for(lambda: running.gateway.view().state_online)
        peer.send(edge_node.nbirth(), edge_node.dbirth(), edge_node.ddata(1))
        wait_for(lambda: peer.tele().get("value") == 1.0)
        filler = small_disk / "of a third program"
        with filler.open("wb") as third, suppress(OSError):
            while True:
                third.write(bytes(1 << 16))
                third.flush()
        numbers = iter(range(2, 10_000))

        def goes_on(truth: Callable[[], object], timeout_s: float) -> float:
            began = time.monotonic()
            while not truth():
                assert time.monotonic() - began < timeout_s, running.red()
                peer.session.publish(*edge_node.ddata(next(numbers)))
                time.sleep(0.2)
            return time.monotonic() - began

        full_s = time.monotonic()
        goes_on(lambda: "its disk full" in running.red().get("mirror", ""), 40.0)
        goes_on(lambda: time.monotonic() - full_s > 40.0, 50.0)
        filler.unlink()
        freed, known = next(numbers), running.gateway.view().counters[LINE, "received"]
        goes_on(lambda: peer.tele().get("value", 0.0) > freed, 20.0)
        goes_on(lambda: (peer.json(TOLD) or {}).get("received", 0) > known, 20.0)

        # a NATS server of which a block could not be written keeps nothing more until it is started anew
        broker.stop()
        broker.start()
        goes_on(lambda: "mirror" not in running.red() and "broker" not in running.red(), 40.0)
        late.start()
        late.until(lambda: late.tele().get("value", 0.0) > freed)
    finally:
        for each in (peer, late):
            each.session.stop()
        running.stop()
        broker.stop()
