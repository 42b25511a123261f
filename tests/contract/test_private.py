"""What a plant keeps is its owner's alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.private import StrangerError, keep_private


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """A process that would let everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): oct(path.lstat().st_mode & 0o777) for path in folder.rglob("*")}


def test_what_was_there_and_what_comes_is_private(tmp_path: Path) -> None:
    home = tmp_path / "edge"
    (home / "aside").mkdir(parents=True, mode=0o777)
    (home / "aside" / "1").write_bytes(b"")
    (home / "line.spool").write_bytes(b"")
    (home / "line.spool-wal").write_bytes(b"")
    (home / "run").write_bytes(b"")
    (home / "run").chmod(0o755)
    outside = tmp_path / "outside"
    outside.write_bytes(b"")
    (home / "link").symlink_to(outside)
    keep_private(home)
    (home / "new").mkdir()
    (home / "new" / "file").write_bytes(b"")
    assert modes(home) | {"link": ""} == {
        "aside": "0o700",
        "aside/1": "0o600",
        "line.spool": "0o600",
        "line.spool-wal": "0o600",
        "run": "0o700",
        "link": "",
        "new": "0o700",
        "new/file": "0o600",
    }
    assert home.stat().st_mode & 0o777 == 0o700
    assert outside.stat().st_mode & 0o777 == 0o666


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    keep_private(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("planted", ["", "aside", "aside/1", "link"])
def test_what_another_user_put_there_is_refused(tmp_path: Path, planted: str) -> None:
    home = tmp_path / "edge"
    (home / "aside").mkdir(parents=True)
    (home / "aside" / "1").write_bytes(b"")
    (home / "link").symlink_to(tmp_path / "outside")
    keep_private(home)
    try:
        os.chown(home / planted, 65534, 65534, follow_symlinks=False)
    except PermissionError:
        pytest.skip("only root gives files away")
    with pytest.raises(StrangerError, match="belongs to user 65534") as refused:
        keep_private(home)
    assert refused.value.path == home / planted
