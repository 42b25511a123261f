"""A spool opens whatever was done to its file, keeps what can be read, and says what it lost."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from spool import Origin, Record, Spool
from spool.records import checksum

COUNT = 60


@dataclass(frozen=True)
class Original:
    """A closed spool of 60 records, as bytes."""

    data: bytes
    mark: bytes
    records: dict[int, Record]
    epoch: str

    def lay(self, path: Path, data: bytes) -> Path:
        path.write_bytes(data)
        Path(f"{path}.mark").write_bytes(self.mark)
        return path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    path = tmp_path_factory.mktemp("original") / "a.spool"
    dice = random.Random(1)
    with Spool.open(path) as spool:
        for n in range(1, COUNT + 1):
            # some lie in one page, some go on in others
            future = spool.put("t", dice.randbytes(dice.choice([10, 600, 9_000])), Origin("node", "e", n))
        assert future.result(15) == COUNT
        spool.set_notes({"note": b"value"})
        records = {record.n: record for record in spool.read()}
        epoch = spool.epoch
    return Original(path.read_bytes(), Path(f"{path}.mark").read_bytes(), records, epoch)


def check(original: Original, path: Path) -> int:
    """Open a damaged file, hold it to the promise, and return how many records were kept."""
    with Spool.open(path, linger_s=0) as spool:
        kept = {record.n: record for record in spool.read()}
        assert all(original.records[n] == record for n, record in kept.items())
        missing = set(original.records) - set(kept)
        if missing:
            assert spool.salvage is not None
            told = {n for first, last in spool.salvage.lost for n in range(first, last + 1)}
            assert missing <= told or spool.salvage.new_epoch
            assert spool.stats.dropped >= len(missing & told)
        number = spool.put("t", b"").result(15)
        assert number is not None
        assert number > COUNT
    with Spool.open(path) as spool:
        assert spool.salvage is None
        assert [record.n for record in spool.read()] == [*sorted(kept), number]
    return len(kept)


HEADER_FLIPS = list(range(0, 100, 3))


@pytest.mark.parametrize("position", HEADER_FLIPS)
def test_a_wrong_bit_in_the_header_loses_nothing(original: Original, tmp_path: Path, position: int) -> None:
    data = bytearray(original.data)
    data[position] ^= 1 << random.Random(position).randrange(8)
    assert check(original, original.lay(tmp_path / "a.spool", bytes(data))) == COUNT


def test_a_wrong_bit_anywhere_loses_at_most_what_lies_there(original: Original, tmp_path: Path) -> None:
    dice = random.Random(7)
    for trial in range(40):
        data = bytearray(original.data)
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        # a page can hold the starts of several records, one bit can break its list of them
        assert check(original, original.lay(tmp_path / f"{trial}.spool", bytes(data))) >= COUNT - 12


def test_a_cut_file_keeps_what_is_before_the_cut(original: Original, tmp_path: Path) -> None:
    size = len(original.data)
    kept = [
        check(original, original.lay(tmp_path / f"{cut}.spool", original.data[:cut]))
        for cut in [0, 1, 99, 4096, 5000, *range(0, size, size // 15), size - 1]
    ]
    assert kept[-1] >= COUNT - 2
    assert kept[-3] > COUNT // 2


@pytest.mark.parametrize(
    "data", [b"", b"x", b"garbage" * 1_000, bytes(100_000), b"SQLite format 3\0" + b"\xff" * 9_000]
)
def test_what_is_no_spool_at_all_is_set_aside(original: Original, tmp_path: Path, data: bytes) -> None:
    assert check(original, original.lay(tmp_path / "a.spool", data)) == 0
    assert any(".damaged-" in other.name for other in tmp_path.iterdir()) == bool(data)


def test_the_damaged_file_is_set_aside_as_it_was(original: Original, tmp_path: Path) -> None:
    data = original.data[:-5_000]
    with Spool.open(original.lay(tmp_path / "a.spool", data)) as spool:
        assert spool.salvage is not None
        assert spool.salvage.set_aside is not None
        assert spool.salvage.set_aside.read_bytes() == data
        assert spool.salvage.reason
        assert spool.epoch == original.epoch
        assert spool.note("note") == b"value"
        assert spool.received("node", "e") == [(1, COUNT)]


def test_only_three_damaged_files_are_kept(original: Original, tmp_path: Path) -> None:
    for _ in range(5):
        Spool.open(original.lay(tmp_path / "a.spool", original.data[:-5_000])).close()
    assert len(list(tmp_path.glob("a.spool.damaged-*"))) == 3
    assert not list(tmp_path.glob("*.copy*"))


def test_a_salvage_that_was_killed_is_ended(original: Original, tmp_path: Path) -> None:
    # killed before the new file was whole
    path = original.lay(tmp_path / "a.spool", original.data)
    (tmp_path / "a.spool.salvaged").write_bytes(b"half")
    assert check(original, path) == COUNT
    # killed between the two renames
    path = original.lay(tmp_path / "b.spool", original.data)
    path.rename(tmp_path / "b.spool.salvaged")
    assert check(original, path) == COUNT


def test_a_lost_log_is_noticed_and_its_numbers_are_not_given_again(tmp_path: Path) -> None:
    path, crashed = tmp_path / "a.spool", tmp_path / "crashed.spool"
    with Spool.open(path) as spool:
        assert spool.put("t", b"x").result(15) == 1
        assert spool.put("t", b"x").result(15) == 2
        # what is on the disk while the process runs, without the log
        shutil.copy(path, crashed)
        shutil.copy(f"{path}.mark", f"{crashed}.mark")
        epoch = spool.epoch
    with Spool.open(crashed) as spool:
        assert spool.salvage is not None
        assert spool.salvage.lost == [(1, 2)]
        assert spool.epoch == epoch
        assert spool.put("t", b"x").result(15) == 3
        (dropped,) = spool.stats.dropped_ranges
        assert (dropped.first, dropped.last, dropped.records, dropped.reason) == (1, 2, 2, "damaged")


def test_a_lost_mark_begins_a_new_epoch(original: Original, tmp_path: Path) -> None:
    path = original.lay(tmp_path / "a.spool", original.data)
    Path(f"{path}.mark").write_bytes(b"?" * 28)
    with Spool.open(path) as spool:
        assert spool.epoch != original.epoch
        assert spool.salvage is not None
        assert spool.salvage.new_epoch
        assert len(spool.read()) == COUNT


def test_a_checksum_knows_where_its_parts_end() -> None:
    assert checksum("ab", "c") != checksum("a", "bc")
    assert checksum(1, b"") != checksum(1, b"\0")


def test_a_topic_that_is_no_text_any_more_costs_its_record_only(original: Original, tmp_path: Path) -> None:
    first = original.records[1]
    at = original.data.index(first.topic.encode() + first.body[:100])
    data = original.data[:at] + b"\xff" + original.data[at + 1 :]
    path = original.lay(tmp_path / "a.spool", data)
    assert check(original, path) == COUNT - 1


def test_the_oldest_record_is_missed_too(original: Original, tmp_path: Path) -> None:
    at = original.data.index(original.records[1].body[:100])
    page = at // 4096 * 4096
    path = original.lay(tmp_path / "a.spool", original.data[:page] + bytes(4096) + original.data[page + 4096 :])
    assert check(original, path) < COUNT
    with Spool.open(path) as spool:
        assert spool.stats.dropped_ranges[0].first == 1


def test_what_was_removed_is_not_missed(original: Original, tmp_path: Path) -> None:
    path = original.lay(tmp_path / "a.spool", original.data)
    with Spool.open(path) as spool:
        spool.remove([(1, 10)])
        size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - 4096)
    with Spool.open(path) as spool:
        assert spool.salvage is not None
        assert all(first > 10 for first, _ in spool.salvage.lost)
        assert spool.read()[0].n == 11
