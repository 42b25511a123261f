"""What the command line says when it cannot go on: what happened and where, what to do, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

from pydantic import ValidationError

if TYPE_CHECKING:
    from edge.config import PlantFileError


class Exit(IntEnum):
    """Exit codes; docs/cli.md lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4


class CommandError(Exception):
    """An end that the user can do something about: `what` happened, `hint` says what to do."""

    exit_code: Exit = Exit.FAILED

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class ConfigurationError(CommandError):
    """A wrong file, option or environment: a port in use, a full disk, a plant file with errors."""

    exit_code = Exit.USAGE


class UnreachableError(CommandError):
    """The platform or a machine does not answer."""

    exit_code = Exit.UNREACHABLE


class RefusedError(CommandError):
    """The platform answers and says no: an unknown asset, a missing right."""

    exit_code = Exit.REFUSED


def wrong_setting(error: ValidationError) -> ConfigurationError:
    """Return the error for settings from the environment that cannot be; its text has no value of a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = "_".join(str(part) for part in first["loc"]).upper()
    text = str(first.get("ctx", {}).get("error", first["msg"])).replace("Input should be", "it must be")
    return ConfigurationError(f"SHOPFLOOR_{name}: {text}", "docs/operation.md lists the settings")


def wrong_plant(error: PlantFileError) -> ConfigurationError:
    """Return the error for a wrong plant file."""
    count = len(error.problems)
    return ConfigurationError(f"{'a problem' if count == 1 else f'{count} problems'} in {error.path}\n{error}")


@contextmanager
def needing(what: str, hint: str) -> Iterator[None]:
    """Import within this what only some installations have; raise ConfigurationError when a package is missing.

    `what` is the beginning of a sentence, for example "the simulators need".
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{what} the Python package {error.name}", hint) from error
