"""Printing for people (tables, as wide as the terminal) and for programs (JSON), one way for every command."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shopfloor.errors import CommandError

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,}Z\Z")

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def as_json(value: object) -> str:
    """Return `value` as one line of JSON."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def print_json(value: object) -> None:
    """Print `value` as one line of JSON, at once."""
    sys.stdout.write(as_json(value) + "\n")
    sys.stdout.flush()


def print_error(error: CommandError, *, json: bool) -> None:
    """Print what happened and what to do on standard error."""
    if json:
        sys.stderr.write(as_json({"error": error.what, "hint": error.hint, "exit_code": int(error.exit_code)}) + "\n")
        return
    err.print(f"shopfloor: {error.what}", markup=False, style="red")
    if error.hint:
        err.print(f"  {error.hint}", markup=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as a table: as wide as the terminal, or as wide as needed for a file or a pipe."""
    filled = list(rows)
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(filled) and all(isinstance(row[index], int | float) or row[index] is None for row in filled)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in filled:
        drawn.add_row(*(cell(value) for value in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=1000)
    console.print(drawn)


def cell(value: object) -> str:
    """Return `value` as the text of a table's cell; numbers with at most six significant digits, times to the ms."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case str() if _TIME.match(value):
            return f"{value[:23].replace('T', ' ')}"
        case _:
            return escape(str(value))
