"""The commands `shopfloor backup` and `shopfloor restore`; what they need is imported only when they run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from shopfloor.errors import ConfigurationError


def backup(
    file: Annotated[str, typer.Argument(help="The file to write; - for standard output.")],
) -> None:
    """Write users, assets, the ledger, all samples and minutes of the running plant into a file.

    It has no token, login or link, but password hashes: keep it private.
    """
    with _cloud():
        from shopfloor.backup import write  # noqa: PLC0415

    write.backup(file)


def restore(
    file: Annotated[str, typer.Argument(help="The file that `shopfloor backup` wrote; - for standard input.")],
    store_url: Annotated[str, typer.Option(help="Where samples are written; default: the store of this plant.")] = "",
    store_token_file: Annotated[Path | None, typer.Option(help="A token that may write there.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also when this plant has users with passwords.")] = False,
) -> None:
    """Bring what a backup has into the running plant, which should be a new one.

    All of the file is checked before anything changes. Logins, printed login links and API tokens of the plant
    end. Samples that are older than the plant keeps them become minutes.
    """
    with _cloud():
        from shopfloor.backup import restore as restoring  # noqa: PLC0415

    restoring.restore(file, store_url, store_token_file, force=force)


@contextmanager
def _cloud() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"this command opens the cloud's databases and needs the Python package {error.name}",
            "pip install 'shopfloor[cloud]'; of containers use `tools`",
        ) from error
