"""`shopfloor restore`: what a backup has into a plant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shopfloor.backup import CLOUD
from shopfloor.errors import needing

app = typer.Typer(add_completion=False)


@app.command()
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
    with needing(*CLOUD):
        from shopfloor.backup import restore as restoring  # noqa: PLC0415

    restoring.restore(file, store_url, store_token_file, force=force)
