from __future__ import annotations

import os
from pathlib import Path

import pytest

from shopfloor.demo.logfile import LogFile


def test_lines_are_kept_and_returned_when_they_are_complete(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    assert log.write(b"one\ntw") == ["one"]
    assert log.write(b"o\n\n") == ["two", ""]
    log.close()
    assert list(log.tail) == ["one", "two"]
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n\n"


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "a.log").symlink_to(tmp_path / "elsewhere")
    log = LogFile(tmp_path / "a.log")
    assert log.write(b"one\n") == ["one"]
    log.close()
    assert (log.dropped, (tmp_path / "elsewhere").read_bytes()) == (4, b"")


def test_it_stays_bounded(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log", max_bytes=1000)
    for number in range(1000):
        log.write(b"%099d\n" % number)
    log.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"a.log", "a.log.1"}
    assert sum(sizes.values()) <= 2000
    assert (tmp_path / "a.log").read_bytes().endswith(b"999\n")


def test_it_appends_to_the_log_of_an_earlier_run(tmp_path: Path) -> None:
    for text in (b"first\n", b"second\n"):
        log = LogFile(tmp_path / "a.log")
        log.write(text)
        log.close()
    assert (tmp_path / "a.log").read_bytes() == b"first\nsecond\n"


def test_only_its_owner_reads_it_also_when_it_was_there(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        (tmp_path / "old.log").write_bytes(b"")
        for name in ("old.log", "new.log"):
            log = LogFile(tmp_path / name, max_bytes=3)
            log.write(b"one\n")
            log.write(b"two\n")
            log.close()
    finally:
        os.umask(before)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["old.log", "old.log.1", "new.log", "new.log.1"], "0o600")


def test_output_without_line_ends_does_not_grow_in_memory(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    for _ in range(100):
        log.write(b"x" * 65536)
    assert len(log.write(b"\n")[0]) <= 4096
    log.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    log = LogFile(Path("/dev/full"))
    assert log.write(b"a line\n") == ["a line"]
    assert log.dropped == 7


def test_last_words_are_for_people(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    log.write(b'{"event": "cannot start", "reason": "no disk", "level": "critical"}\n[1, 2]\nplain\n')
    log.close()
    assert log.last_words(3) == "cannot start: no disk\n[1, 2]\nplain"
    assert log.last_words() == "plain"
