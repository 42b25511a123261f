"""What was promised to be durable is there after kill -9, and a full disk loses nothing that was promised."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool import Origin, Spool, SpoolError, SpoolFull

WRITER = """
import sys
from spool import Origin, Spool

first = int(sys.argv[2])
spool = Spool.open(sys.argv[1], linger_s=0.002, batch=50)
print("open", spool.salvage, flush=True)
for n in range(first, first + 1_000_000):
    future = spool.put("t", b"%d" % n * 50, Origin("node", "e", n))
    future.add_done_callback(lambda done, n=n: print(n, done.result(), flush=True))
    if n % 10 == 0:
        spool.remove([(1, n // 2)], {"cursor": b"%d" % (n // 2)})
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "a.spool"
    dice = random.Random(3)
    acknowledged: dict[int, int] = {}
    for _ in range(6):
        first = max(acknowledged, default=0) + 1
        command = [sys.executable, "-c", WRITER, str(path), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open None\n"
            killer = threading.Timer(dice.uniform(0.02, 0.3), os.kill, (process.pid, signal.SIGKILL))
            killer.start()
            for line in process.stdout:
                if line.endswith("\n") and not line.endswith("None\n"):
                    origin, number = line.split()
                    acknowledged[int(origin)] = int(number)
        with Spool.open(path) as spool:
            assert spool.salvage is None
            cursor = int(spool.note("cursor") or b"0")
            kept = {record.n: record.body for record in spool.read(limit=1_000_000)}
            for origin, number in acknowledged.items():
                assert number <= cursor or kept[number] == b"%d" % origin * 50
            repeats = [spool.put("t", b"", Origin("node", "e", origin)) for origin in acknowledged]
            assert all(repeat.result(15) is None for repeat in repeats)
            assert not any(number <= cursor for number in kept)
    assert len(acknowledged) > 100


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB; skips where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def put_until_full(spool: Spool) -> dict[int, bytes]:
    kept: dict[int, bytes] = {}
    for index in range(10_000):
        body = b"%08d" % index * 500
        try:
            kept[spool.put("t", body).result(15) or 0] = body
        except SpoolFull as error:
            assert "disk is full" in str(error)
            return kept
    pytest.fail("the disk was never full")


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    path = small_disk / "a.spool"
    with Spool.open(path, linger_s=0) as spool:
        kept = put_until_full(spool)
        assert {record.n: record.body for record in spool.read(limit=10_000)} == kept
        # removing works on a full disk, again and again, and makes room
        numbers = sorted(kept)
        for number in numbers[:50]:
            spool.remove([(number, number)], {"cursor": b"%d" % number})
        spool.remove([(numbers[0], numbers[len(numbers) // 2])])
        assert spool.put("t", bytes(4_000)).result(15) == numbers[-1] + 1
        assert spool.note("cursor") == b"%d" % numbers[49]
    with Spool.open(path) as spool:
        assert spool.salvage is None
        expected = numbers[len(numbers) // 2 + 1 :]
        assert [record.n for record in spool.read(limit=10_000)] == [*expected, numbers[-1] + 1]


def test_a_disk_filled_by_another_is_waited_out(small_disk: Path) -> None:
    other = small_disk / "other"
    with Spool.open(small_disk / "a.spool", linger_s=0) as spool:
        assert spool.put("t", b"x").result(15) == 1
        with other.open("wb") as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(65_536))
                file.flush()
        kept = put_until_full(spool)
        spool.remove([(1, 1)])
        other.unlink()
        number = spool.put("t", b"y").result(15)
        assert [record.n for record in spool.read()] == [*kept, number]


LIMITED = """
import resource, signal, sys
from spool import Spool, SpoolError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))
with Spool.open(sys.argv[1], linger_s=0) as spool:
    count = 0
    try:
        while True:
            spool.put("t", bytes(4_000)).result(15)
            count += 1
    except SpoolError as error:
        kept = []
        while more := spool.read(len(kept)):
            kept += [record.n for record in more]
        print(count, kept == list(range(1, count + 1)), error)
"""


def test_a_write_that_fails_is_said_and_breaks_nothing(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] in (resource.RLIM_INFINITY, -1)
    path = tmp_path / "a.spool"
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=False)
    count, is_whole, error = done.stdout.split(" ", 2)
    assert is_whole == "True"
    assert "check the disk" in error
    with Spool.open(path) as spool:
        assert spool.salvage is None
        assert spool.stats.records == int(count) == spool.read(int(count) - 1)[0].n


def test_an_unwritable_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="check the folder"):
        Spool.open(tmp_path / "file" / "a.spool")


def test_messages_share_commits(tmp_path: Path) -> None:
    with Spool.open(tmp_path / "a.spool") as spool:
        futures = [spool.put("t", bytes(1_500)) for _ in range(5_000)]
        assert futures[-1].result(30) == 5_000
        assert spool.stats.commits < 500
