"""Machines that the command line speaks to itself: options as they are typed, and the driver of an address."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
import yaml
from pydantic import ValidationError

from edge.config import files_of, said_of
from edge.driver import Driver
from edge.drivers import UnknownDriverError, load
from edge.entry import Context
from shopfloor.errors import ConfigurationError
from shopfloor.home import Home

Options: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="A driver option as in the plant file, for example security=none."),
]


def hush() -> None:
    """Let nothing be logged that the error says anyway."""
    for name in ("contract", "edge"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def context(folder: Path | None = None) -> Context:
    """Return what a driver knows of the world when the command line makes it; `folder` is for relative paths."""
    return Context(Home.of(os.environ).path, folder or Path.cwd(), is_visit=True)


def connection(name: str, address: str, options: dict[str, Any], *, folder: Path | None = None) -> Driver:
    """Return the driver `name` of an address, not connected; raise ConfigurationError."""
    try:
        module = load(name)
    except UnknownDriverError as error:
        raise ConfigurationError(str(error)) from error
    try:
        entry = module.Entry.model_validate({"driver": name, "address": address, **options})
    except ValidationError as error:
        where, text = said_of(error, module.Entry)
        raise ConfigurationError(f"option {where or address}: {text}", "docs/drivers.md lists the options") from error
    world = context(folder)
    for loc, file in files_of(entry):
        if not (world.folder / file).exists():
            raise ConfigurationError(
                f"option {'.'.join(loc)}: there is no file {file!r} in {world.folder}",
                "files are looked for where the plant file is, else where the command is run",
            )
    return module.Driver("browse", entry, world)


def read_options(texts: Sequence[str] | None) -> dict[str, Any]:
    """Return `security=none` and `security={policy: Basic256Sha256}` as options; raise ConfigurationError.

    What stands behind the first `=` is YAML.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError(
                f"option {text!r} has no value", "write it as key=value, for example security=none"
            )
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"option {text!r}: {error}", "the value is YAML, as in the plant file") from error
    return found
