"""SHOPFLOOR_HOME: the folder with all state of one plant, its secrets, and the lock that keeps a second demo out."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.private import StrangerError, check_owner, keep_private, make_private
from shopfloor.errors import ConfigurationError

FREE_BYTES: Final = 256 * 1024 * 1024
BROKER_USERS: Final = ("gateway", "edge", "cloud", "simulator", "machine")
SECRETS: Final = (
    *(f"mqtt-{user}" for user in BROKER_USERS),
    "store-token",
    "cloud-token",
    "cli-token",
    "gateway-token",
)
FOLDERS: Final = ("secrets", "edge", "gateway", "cloud", "broker", "logs")
DEFAULT_HOME: Final = "./.shopfloor"


@dataclass(frozen=True, slots=True)
class Home:
    """The state folder of one plant; `path` is absolute."""

    path: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Home:
        """Return the home that SHOPFLOOR_HOME names."""
        return cls(Path(environ.get("SHOPFLOOR_HOME") or DEFAULT_HOME).expanduser().absolute())

    def secret(self, name: str) -> Path:
        """Return the file of a secret."""
        return self.path / "secrets" / name

    def check_owner(self, *files: Path) -> None:
        """Raise ConfigurationError when this folder, or one of `files` or their folders, is another user's.

        Who could have planted what we read could make us believe it, or learn what we send by it.
        """
        with _explained(self.path):
            for path in (self.path, *(each for file in files for each in (file.parent, file))):
                check_owner(path)

    def read_secret(self, name: str) -> str:
        """Return a secret; raise OSError, and ConfigurationError when it is another user's."""
        file = self.secret(name)
        self.check_owner(file)
        return file.read_text().strip()

    @property
    def plant(self) -> Path:
        """The plant file that the simulators write."""
        return self.path / "plant.yaml"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.path / "logs" / f"{name}.log"

    def prepare(self) -> None:
        """Make the folders and the missing secrets, all private; raise ConfigurationError on a full or read-only disk.

        So it does when anything there belongs to another user than this one or root: who could plant it could know it.
        Whatever this process and its children write from then on is private, too.
        """
        with _explained(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = shutil.disk_usage(self.path).free
            if free < FREE_BYTES:
                raise ConfigurationError(
                    f"{self.path}: {free // 2**20} MiB are free, and a demo needs {FREE_BYTES // 2**20} MiB to start",
                    "free some space, or set SHOPFLOOR_HOME to a folder on another disk",
                )
            for path in (self.path, self.plant, self.path / "lock"):
                make_private(path)
            for folder in FOLDERS:
                (self.path / folder).mkdir(mode=0o700, exist_ok=True)
            keep_private(*(self.path / folder for folder in FOLDERS))
            for name in SECRETS:
                _make_secret(self.secret(name))

    @contextmanager
    def locked(self, port: int) -> Iterator[None]:
        """Hold the home for this process alone; raise ConfigurationError when another demo has it."""
        with _explained(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_private(self.path / "lock")
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self.path / "lock", flags, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(descriptor, 100).decode(errors="replace").strip() or "another process"
                raise ConfigurationError(
                    f"a demo with the state folder {self.path} is already running ({owner})",
                    "use that one, end it, or start a second one beside it: "
                    f"SHOPFLOOR_HOME=./.shopfloor2 SHOPFLOOR_PORT={port + 100} shopfloor demo",
                ) from None
            with _explained(self.path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()}, port {port}".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def check_database(url: str) -> None:
    """Raise ConfigurationError when the database at an SQLAlchemy URL is a file of another user's."""
    scheme, _, file = url.partition(":///")
    if scheme.startswith("sqlite") and file:
        path = Path(file).absolute()
        Home(path.parent).check_owner(path)


def _make_secret(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if os.fstat(descriptor).st_size:
            return
        file.write(secrets.token_urlsafe(32))
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what to do."""
    try:
        yield
    except StrangerError as error:
        raise ConfigurationError(str(error), error.todo) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            hint = "a link stands where a file of ours belongs: delete it"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "the disk is full: free some space, or set SHOPFLOOR_HOME to a folder on another disk"
        else:
            hint = "set SHOPFLOOR_HOME to a folder that you may write"
        raise ConfigurationError(f"{error.filename or path}: {error.strerror}", hint) from error
