"""`python -m shopfloor.compose.plant FILE -- COMMAND…`: wait for a plant file that is right, then become COMMAND.

Somebody has to write it, and nobody knows when: this wait has no limit but SIGTERM. What is wrong is said once, and
again when it has changed. SHOPFLOOR_PLANT is the folder of FILE on the host, by which errors name it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from edge.config import PlantFileError, load_plant

PAUSE_S: Final = 2.0


def problems(path: Path, host: Path) -> str:
    """Return what is wrong with a plant file, by its name on the host; an empty text when it is right."""
    try:
        if not path.exists():
            return f"there is no plant file: put yours at {host} on the host (its folder: SHOPFLOOR_PLANT)"
        load_plant(path)
    except PlantFileError as error:
        return str(PlantFileError(host, error.problems))
    except OSError as error:
        return f"{host} cannot be read: {error.strerror}; its folder must be open to user {os.geteuid()}"
    return ""


def changes(look: Callable[[], str], pause: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """Yield what is wrong each time that it changes; end when nothing is."""
    said = ""
    while wrong := look():
        if wrong != said:
            said = wrong
            yield wrong
        pause(PAUSE_S)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Wait, then run the command in place of this process; return an exit code when there is none to run."""
    match arguments:
        case [file, "--", *command] if command:
            path = Path(file)
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    host = Path(environ.get("SHOPFLOOR_PLANT") or path.parent) / path.name
    for wrong in changes(lambda: problems(path, host)):
        sys.stderr.write(f"{wrong}\nwaiting for {host}: the edge starts as soon as it is right\n")
        sys.stderr.flush()
    os.execvp(command[0], command)  # noqa: S606 the command of this container


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
