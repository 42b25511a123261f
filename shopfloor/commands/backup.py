"""`shopfloor backup`: all that a plant knows into one file."""

from __future__ import annotations

from typing import Annotated

import typer

from shopfloor.backup import CLOUD
from shopfloor.errors import needing

app = typer.Typer(add_completion=False)


@app.command()
def backup(
    file: Annotated[str, typer.Argument(help="The file to write; - for standard output.")],
) -> None:
    """Write users, assets, the ledger, all samples and minutes of the running plant into a file.

    It has no token, login or link, but password hashes: keep it private.
    """
    with needing(*CLOUD):
        from shopfloor.backup import write  # noqa: PLC0415

    write.backup(file)
