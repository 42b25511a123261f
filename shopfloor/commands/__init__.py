"""The commands: one module or package each, its name is the word that is typed; only what is asked for is imported.

Each offers `app`: a Typer with one function, or with several, which are its own commands.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any, Final

from typer.main import get_command

_OF_ALL_PARTS: Final = frozenset({"chaos", "evaluate"})
"""Those that need all parts of the platform, of which an image has only some."""


def command_names() -> list[str]:
    """Return the names of the commands that this installation can run, sorted, without importing any."""
    has_all = bool(find_spec("simulators") and find_spec("pyarrow"))
    return sorted(each.name for each in iter_modules(__path__) if has_all or each.name not in _OF_ALL_PARTS)


def load(name: str) -> Any:
    """Import the command `name`, one of `command_names`."""
    command = get_command(import_module(f"{__name__}.{name}").app)
    command.name = name
    return command
