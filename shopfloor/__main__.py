"""The `shopfloor` command: finds the one that is asked for in commands/, and says its errors."""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import version as version_of
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from contract import log
from shopfloor.commands import command_names, load
from shopfloor.errors import CommandError, ConfigurationError, Exit, wrong_setting
from shopfloor.output import out, print_error, reader_gone

_ABOUT: Final = (
    "An industrial IoT platform, from a machine to a screen. Settings: SHOPFLOOR_HOME (./.shopfloor), "
    "SHOPFLOOR_PORT (8080)."
)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"shopfloor {version_of('shopfloor')}", markup=False)
        raise typer.Exit


class _Commands(TyperGroup):
    """Those of the folder commands/."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names: dict[str, Any] = dict.fromkeys(command_names())
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one of them; return None when there is no such command."""
        return load(cmd_name) if cmd_name in self.commands else None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=_ABOUT,
)


@app.callback(help=_ABOUT)
def root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version, and end.")
    ] = False,
) -> None:
    """Look at an option that stands before any command."""


def main() -> None:
    """Begin to log, then `run`."""
    log.configure("shopfloor", "warning")
    run()


def run() -> None:
    """Run the command that was asked for; end with the exit codes of docs/cli.md."""
    try:
        app()
    except CommandError as error:
        print_error(error, json="--json" in sys.argv)
        sys.exit(error.exit_code)
    except ValidationError as error:  # of settings: what a command checks, it says itself
        print_error(wrong_setting(error), json="--json" in sys.argv)
        sys.exit(Exit.USAGE)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        reader_gone()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print_error(ConfigurationError("the disk is full", "free some room, or write elsewhere"), json=False)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to be written has no room either
        sys.exit(Exit.USAGE)


if __name__ == "__main__":
    main()
