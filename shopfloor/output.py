"""Printing for people (tables, as wide as the terminal) and for programs (JSON), one way for every command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, NoReturn, TypeAlias

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from contract.text import UNSEEN
from shopfloor.clock import TIME, shown
from shopfloor.errors import CommandError, Exit

Utc: TypeAlias = Annotated[bool, typer.Option("--utc", help="Times in UTC, not in the zone of this machine.")]

_WIDE: Final = 1000  # columns of a file or a pipe


def reader_gone() -> NoReturn:
    """End with success when nobody reads what is printed any more (`shopfloor … | head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(Exit.OK)


class _Console(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        """Print; no text of a machine works the terminal."""
        super().print(*("\n".join(map(seen, o.split("\n"))) if isinstance(o, str) else o for o in objects), **options)

    def on_broken_pipe(self) -> None:
        """End quietly: the library's own way ends with exit code 1."""
        self.quiet = True
        reader_gone()


out = _Console(soft_wrap=True, highlight=False)
err = _Console(stderr=True, soft_wrap=True, highlight=False)


def as_json(value: object) -> str:
    """Return `value` as one line of JSON."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def print_json(value: object) -> None:
    """Print `value` as one line of JSON, at once."""
    try:
        sys.stdout.write(as_json(value) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        reader_gone()


def print_error(error: CommandError, *, json: bool) -> None:
    """Print what happened and what to do on standard error."""
    if json:
        sys.stderr.write(as_json({"error": error.what, "hint": error.hint, "exit_code": int(error.exit_code)}) + "\n")
        return
    err.print(f"shopfloor: {error.what}", markup=False, style="red")
    if error.hint:
        err.print(f"  {error.hint}", markup=False)


def plural(number: int, what: str) -> str:
    """Return `1 machine` or `2 machines`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, utc: bool = False) -> None:
    """Print rows as a table: as wide as the terminal, or as wide as needed for a file or a pipe.

    Times are in the zone of this machine, or in UTC.
    """
    filled = list(rows)
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(filled) and all(isinstance(row[index], int | float) or row[index] is None for row in filled)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in filled:
        drawn.add_row(*(cell(value, utc=utc) for value in row))
    console = _Console(highlight=False)
    if not console.is_terminal:
        console = _Console(highlight=False, width=_WIDE)
    if Measurement.get(console, console.options.update(width=_WIDE), drawn).minimum <= console.width:
        console.print(drawn)
        return
    for row in filled:  # a terminal on which not even the longest words have room: a line for each cell
        for column, value in zip(columns, row, strict=True):
            console.print(f"{column}: {cell(value, utc=utc)}", style="bold" if column == columns[0] else None)
        console.print()


def cell(value: object, *, utc: bool = False) -> str:
    """Return `value` as the text of a table's cell; numbers with at most six significant digits, times to the ms."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case str() if TIME.match(value):
            return shown(value, utc=utc)
        case _:
            return escape(seen(str(value)))


def seen(text: str) -> str:
    """Return a text with escapes in place of what a terminal would obey instead of showing it."""
    return UNSEEN.sub(lambda odd: odd[0].encode("unicode_escape").decode(), text)
