"""The file of a backup: members of a tar, written in one pass."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import orjson

from shopfloor.errors import ConfigurationError

MANIFEST: Final = "manifest.json"
DATABASE: Final = "database.json"
CHECKSUMS: Final = "checksums.json"


class Archive:
    """A backup in the making. `close` adds the checksums of all members: a file that has them is whole."""

    def __init__(self, out: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w|")  # noqa: SIM115  (`close` closes it)
        self._checksums: dict[str, str] = {}

    def add_json(self, name: str, content: Any) -> None:
        """Add a member of JSON."""
        self.add_file(name, io.BytesIO(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)))

    def add_file(self, name: str, content: IO[bytes]) -> None:
        """Add a member that may be too large for memory."""
        content.seek(0)
        self._checksums[name] = checksum(content)
        info = tarfile.TarInfo(name)
        info.size = content.seek(0, os.SEEK_END)
        info.mode = 0o600
        content.seek(0)
        self._tar.addfile(info, content)

    def close(self) -> None:
        """Write the end."""
        self.add_json(CHECKSUMS, self._checksums)
        self._tar.close()


def checksum(content: IO[bytes]) -> str:
    """Return the SHA-256 of what is left of a file."""
    found = hashlib.sha256()
    while piece := content.read(1 << 20):
        found.update(piece)
    return found.hexdigest()


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
        draft.unlink(missing_ok=True)  # one that a killed backup left may be open to others
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
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
    """Give a backup that one can seek in; of standard input, a private copy. Raise ConfigurationError."""
    try:
        source = tempfile.TemporaryFile() if file == "-" else Path(file).open("rb")  # noqa: SIM115
        with source:
            if file == "-":
                shutil.copyfileobj(sys.stdin.buffer, source)
                source.seek(0)
            yield source
    except OSError as error:
        raise ConfigurationError(f"{error.filename or file}: {error.strerror}", "choose another file") from error
