"""`shopfloor diagnose`: what is wrong, how sure that is, and why."""

from __future__ import annotations

import typer

from shopfloor.commands.diagnose.asset import asset, verify
from shopfloor.commands.diagnose.bearing import bearing

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What is wrong, how sure that is, and why.")
for each in (asset, verify, bearing):
    app.command()(each)
