"""`shopfloor version`: of shopfloor, and of Python."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from shopfloor.output import out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def version(json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Print the version of shopfloor and of Python."""
    shown = {"shopfloor": version_of("shopfloor"), "python": platform.python_version()}
    if json:
        print_json(shown)
    else:
        out.print(" ".join(f"{name} {number}" for name, number in shown.items()))
