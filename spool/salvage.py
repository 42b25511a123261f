"""Opening a spool in whatever state: readable records are kept, a damaged file is set aside and reported."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from spool import header
from spool.file import Damaged, SpoolFile, Transaction, connect, explain, is_damage
from spool.mark import MarkFile, read_mark
from spool.records import Dropped, Salvage, SpoolError
from spool.recover import recover, unlink

_MOST_SET_ASIDE: Final = 3


def new_epoch() -> str:
    """Return the name of a new run of numbers."""
    return secrets.token_hex(8)


def open_file(path: Path) -> tuple[SpoolFile, MarkFile, Salvage | None]:
    """Open the spool file at `path`, make it if there is none, salvage it if it is damaged.

    Raises SpoolError when it is in use, is not a spool, or the disk does not let it be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _finish_interrupted(path)
        try:
            file, salvage = _open_sound(path), None
        except (Damaged, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            salvage = _salvage(path, str(error))
            file = _open_sound(path)
        try:
            tail = _settle_mark(path, file)
            return file, MarkFile(_mark_path(path)), salvage or tail
        except BaseException:
            file.connection.close()
            raise
    except SpoolError as error:
        raise type(error)(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        raise SpoolError(
            f"{path}: {error.strerror or error}; check the folder, its permissions and the disk"
        ) from error


def _open_sound(path: Path) -> SpoolFile:
    is_new = not path.exists()
    if not is_new and not header.is_sound(path):
        if _is_foreign(path):
            raise SpoolError("it is another program's SQLite file; choose another path for the spool")
        raise Damaged("its header is not that of a spool")
    connection = connect(path)
    try:
        file = SpoolFile(connection)
        if is_new or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            file.create(new_epoch())
            path.chmod(0o600)
            _sync_folder(path)
        file.check_and_load()
    except BaseException:
        connection.close()
        raise
    return file


def _is_foreign(path: Path) -> bool:
    """Whether another program can read the file: a database that is whole and has tables, none of them ours."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return False
    return bool(names) and not names & {"records", "received", "notes"}


def _settle_mark(path: Path, file: SpoolFile) -> Salvage | None:
    """Compare the file with its mark: numbers that were given out and are not in the file are lost, not given again."""
    mark = read_mark(_mark_path(path))
    if mark is not None and mark.epoch == file.epoch:
        if mark.n <= file.last_n:
            return None
        lost = (file.last_n + 1, mark.n)
        with Transaction(file):
            file.note_dropped(Dropped(*lost, lost[1] - lost[0] + 1, time.time_ns(), "damaged"))
            file.set_state("last_n", str(mark.n))
        file.last_n = mark.n
        return Salvage("the newest records are missing: its write-ahead log was lost or cut", file.records, [lost])
    if file.last_n == 0 and mark is None:
        return None
    last_n = max(file.last_n, mark.n if mark is not None else 0)
    with Transaction(file):
        file.epoch = new_epoch()
        file.set_state("epoch", file.epoch)
        file.set_state("last_n", str(last_n))
    file.last_n = last_n
    what = "its mark is missing, so its tail may be" if mark is None else f"its mark is of epoch {mark.epoch}, {mark.n}"
    return Salvage(f"{what}: a new epoch begins", file.records, new_epoch=True)


def _salvage(path: Path, reason: str) -> Salvage:
    """Put what can be read of a damaged file into a new one; set the damaged one aside."""
    target = _new_path(path)
    unlink(target)
    recovered = recover(path, target, read_mark(_mark_path(path)), new_epoch())
    set_aside = _set_aside(path)
    target.rename(path)
    _sync_folder(path)
    return Salvage(reason, recovered.kept, recovered.lost, set_aside, recovered.is_new_epoch)


def _finish_interrupted(path: Path) -> None:
    """End a salvage that was killed: its new file is whole once the damaged one is out of the way."""
    target = _new_path(path)
    if target.exists():
        if path.exists():
            unlink(target)
        else:
            target.rename(path)
            _sync_folder(path)


def _set_aside(path: Path) -> Path:
    stem = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    aside = path.with_name(stem)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    older = sorted(
        (other for other in path.parent.glob(f"{path.name}.damaged-*") if not other.name.endswith(("-wal", "-shm"))),
        key=lambda other: other.stat().st_mtime_ns,
    )
    for other in older[:-_MOST_SET_ASIDE]:
        unlink(other)
    return aside


def _new_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.salvaged")


def _mark_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.mark")


def _sync_folder(path: Path) -> None:
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
