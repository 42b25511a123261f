"""Files that nobody but their owner reads: what a plant keeps is nobody else's business on the same machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

UMASK: Final = 0o077


def keep_private(*folders: Path) -> None:
    """Let all that this process writes from now on be its owner's alone (0600, folders 0700), and what `folders` hold.

    Links are not followed, and what belongs to somebody else is left as it is.
    """
    os.umask(UMASK)
    for folder in folders:
        make_private(folder)
        for path, _, names in os.walk(folder):
            make_private(Path(path))
            for name in names:
                make_private(Path(path, name))


def make_private(path: Path) -> None:
    """Take the rights of group and others away from a file or folder of ours, if it is there."""
    try:
        found = path.lstat()
        is_ours = found.st_uid == os.geteuid() and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        if is_ours and found.st_mode & UMASK:
            path.chmod(stat.S_IMODE(found.st_mode) & ~UMASK)
    except (FileNotFoundError, PermissionError):
        return
