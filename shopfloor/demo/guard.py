"""Run a command that ends with its parent: `python -I -S guard.py PARENT_PID COMMAND …`.

It is a program of its own, not a function called between fork and exec, because the supervisor has threads. Where the
system has no parent-death signal (other than Linux) the command merely runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the signal was asked for
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell, and that is the point


if __name__ == "__main__":
    main()
