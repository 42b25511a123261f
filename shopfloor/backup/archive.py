"""The file of a backup: members of a tar, written and read in one pass."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from shopfloor.errors import ConfigurationError


@contextmanager
def writing(file: str) -> Iterator[IO[bytes]]:
    """Give a private file that stands under its name only when it is whole, or standard output."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    draft = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: {error.strerror}", "choose another place") from error
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def reading(file: str) -> Iterator[IO[bytes]]:
    """Give a backup to read; whatever shows that it is none, or is cut, becomes a ConfigurationError."""
    try:
        if file == "-":
            yield sys.stdin.buffer
        else:
            with Path(file).open("rb") as source:
                yield source
    except (OSError, tarfile.TarError, ValueError, KeyError, StopIteration) as error:
        raise ConfigurationError(f"{file} is not a whole backup: {error}", "take another one") from error


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member."""
    add_file(tar, name, io.BytesIO(content))


def add_file(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    """Add a member that is too large for memory."""
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    info.mode = 0o600
    content.seek(0)
    tar.addfile(info, content)


def read_json(tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo], name: str) -> Any:
    """Read the next member, which must have this name; raise ValueError."""
    member = next(members, None)
    content = tar.extractfile(member) if member is not None and member.name == name else None
    if content is None:
        raise ValueError(f"it has no {name} where it belongs")
    return orjson.loads(content.read())


@contextmanager
def seekable(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    """Give a copy of a member that one can seek in."""
    content = tar.extractfile(member)
    assert content is not None
    with tempfile.NamedTemporaryFile() as copy:
        while piece := content.read(1 << 20):
            copy.write(piece)
        copy.seek(0)
        yield copy
