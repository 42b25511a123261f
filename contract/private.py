"""Files that nobody but their owner reads: what a plant keeps is nobody else's business on the same machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

UMASK: Final = 0o077
_ROOT: Final = 0


class StrangerError(ValueError):
    """Something belongs to another user, who could have written into it what we would trust."""

    def __init__(self, path: Path, owner: int) -> None:
        super().__init__(f"{path} belongs to user {owner}, not to user {os.geteuid()}, who runs this")
        self.path = path
        self.todo = f"delete {path} if you did not put it there, else give it to user {os.geteuid()}"


def keep_private(*folders: Path) -> None:
    """Let all that this process writes from now on be its owner's alone (0600, folders 0700), and what `folders` hold.

    Raise StrangerError when something there is neither ours nor root's. Links are not followed.
    """
    os.umask(UMASK)
    for folder in folders:
        make_private(folder)
        for path, folders_in_it, files in os.walk(folder):
            for name in (*folders_in_it, *files):
                make_private(Path(path, name))


def check_owner(path: Path) -> None:
    """Raise StrangerError when a file or folder, or what a link in its place leads to, is neither ours nor root's.

    What is not there, or cannot be seen, belongs to nobody.
    """
    for follows in (False, True):
        try:
            owner = path.stat(follow_symlinks=follows).st_uid
        except OSError:
            return
        if owner not in (os.geteuid(), _ROOT):
            raise StrangerError(path, owner)


def make_private(path: Path) -> None:
    """Take the rights of group and others away from a file or folder, if it is there.

    Raise StrangerError when it, or a link in its place, is neither ours nor root's. What is root's stays as it is.
    """
    try:
        found = path.lstat()
        if found.st_uid not in (os.geteuid(), _ROOT):
            raise StrangerError(path, found.st_uid)
        is_ours = found.st_uid == os.geteuid() and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        if is_ours and found.st_mode & UMASK:
            path.chmod(stat.S_IMODE(found.st_mode) & ~UMASK)
    except (FileNotFoundError, PermissionError):
        return
