"""What `--help` and docs/cli.md say is so: commands have a help, examples can be typed, exit codes are those."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from shopfloor import commands as folder
from shopfloor.__main__ import app
from shopfloor.errors import CommandError, Exit

CLI_PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
ROOT = typer.main.get_command(app)
assert isinstance(ROOT, TyperGroup)


def commands(
    command: TyperCommand | TyperGroup, name: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], TyperCommand | TyperGroup]]:
    if isinstance(command, TyperGroup):
        for word in command.list_commands(context := typer.Context(command)):
            yield from commands(inside(command, context, word), (*name, word))
    else:
        yield name, command


def inside(group: TyperGroup, context: typer.Context, word: str) -> TyperCommand | TyperGroup:
    command = group.get_command(context, word)
    assert isinstance(command, TyperCommand | TyperGroup), word
    return command


EVERY = dict(commands(ROOT))


@pytest.mark.parametrize("name", EVERY, ids=" ".join)
def test_every_command_says_what_it_and_its_options_do(name: tuple[str, ...]) -> None:
    command = EVERY[name]
    assert command.help
    assert command.help.strip().endswith(".") or command.help.strip().endswith("```")
    for option in command.params:
        if isinstance(option, TyperOption) and option.name != "help":
            assert option.help, option.name


def test_each_file_of_the_folder_is_a_command() -> None:
    files = Path(folder.__file__).parent.iterdir()
    assert ROOT.list_commands(typer.Context(ROOT)) == sorted(each.stem for each in files if each.stem[0] != "_")


def examples() -> Iterator[str]:
    """Yield the command lines of the page and of all helps."""
    for text in (CLI_PAGE.read_text(), *(command.help or "" for command in EVERY.values())):
        for line in re.findall(r"^\s*(shopfloor [a-z].*)$", text, re.M):
            yield line.partition(" > ")[0]
        for line in re.findall(r"`(shopfloor [a-z][^`]*)`", text):
            if not re.search(r"[A-Z]{2,}|…", line):  # a form, no example
                yield line


@pytest.mark.parametrize("line", sorted(set(examples())))
def test_every_example_is_a_command_with_options_that_there_are(line: str) -> None:
    words = shlex.split(line)[1:]
    command: TyperCommand | TyperGroup = ROOT
    while isinstance(command, TyperGroup):
        if not words or words[0].startswith("-"):
            break
        command = inside(command, typer.Context(command), words.pop(0))
    if not {"--help", "--version"} & set(words):
        command.make_context("shopfloor", words)


def test_the_table_of_exit_codes_is_complete() -> None:
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| [^|]+ \|$", CLI_PAGE.read_text().partition("## Exit codes")[2], re.M)
    assert {int(code) for code in rows} == {*map(int, Exit), 130}


def test_every_error_of_the_command_line_has_an_exit_code_of_the_table() -> None:
    def every(kind: type[CommandError]) -> Iterator[type[CommandError]]:
        yield kind
        for inner in kind.__subclasses__():
            yield from every(inner)

    assert {kind.exit_code for kind in every(CommandError)} == set(Exit) - {Exit.OK}


def test_the_page_has_every_command() -> None:
    text = CLI_PAGE.read_text()
    for name in EVERY:
        assert f"`{name[0]}" in text or f"shopfloor {name[0]}" in text, name
