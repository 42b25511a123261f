"""`shopfloor connect`: from an address to an entry in the plant file."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from contract.topics import TopicError, check_id
from edge import probe
from edge.apply import ApplyError
from edge.commissioning import plant_file
from edge.commissioning.detect import Answers, Found, detect
from edge.commissioning.propose import Proposal, ProposeError, machine_id, propose, signals_of
from edge.contain import Contained
from edge.driver import DriverError, Tag
from edge.drivers import UnknownDriverError
from edge.entry import Place
from shopfloor import known
from shopfloor.errors import ConfigurationError, RefusedError, UnreachableError
from shopfloor.machines import Options, connection, hush, read_options
from shopfloor.output import err, out, plural, print_json, table

_SHOWN: Final = 40
_RANGE: Final = re.compile(r"(\d+)(?:-(\d+))?\Z")

app = typer.Typer(add_completion=False)


@dataclass(slots=True)
class _Wish:
    """What was asked for by flags; what is empty is asked of the person, or left to the proposal."""

    address: str
    driver: str
    options: dict[str, Any]
    option_texts: Sequence[str]
    tags: list[str]
    is_all: bool
    id: str
    kind: str
    into: Path | None
    line: str
    site: str
    is_sure: bool
    replaces: bool
    asks: bool
    told: dict[str, Any] = field(default_factory=dict)

    def command(self, *more: str) -> str:
        """Return the command that goes on from here."""
        words = ["shopfloor", "connect", self.address]
        for text in self.option_texts:
            words += ["-o", text]
        stated = {"driver": self.driver, "as": self.id, "kind": self.kind, "into": self.into, "line": self.line}
        for flag, value in stated.items():
            words += [f"--{flag}", str(value)] if value else []
        words += [word for glob in self.tags for word in ("--tags", glob)] + (["--all"] if self.is_all else [])
        return shlex.join([*words, *more])


@app.command()
def connect(
    address: Annotated[
        str, typer.Argument(help="A name or an IP address, host:port, or an address like opc.tcp://192.168.0.10:4840.")
    ],
    *,
    driver: Annotated[str, typer.Option("--driver", "-d", help="Which of what answers there.")] = "",
    tags: Annotated[
        list[str] | None, typer.Option("--tags", "-t", help="Those whose path or address fits this, with *, ? and […].")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All tags.")] = False,
    path: Annotated[str, typer.Option(help="Look only here, as `shopfloor browse` does.")] = "",
    name: Annotated[str, typer.Option("--as", help="The id of the machine, for example cnc-9.")] = "",
    kind: Annotated[str, typer.Option(help="What it is: cnc, robot, press, meter, … or a word of your own.")] = "",
    into: Annotated[Path | None, typer.Option(help="The plant file to write to, which is made if need be.")] = None,
    line: Annotated[str, typer.Option(metavar="AREA/LINE", help="Where the machine stands.")] = "",
    site: Annotated[str, typer.Option(metavar="ENTERPRISE/SITE", help="Of a plant file that is made.")] = "demo/here",
    option: Options = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Look at so many tags.")] = 1000,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds for one answer.")] = 2,
    replace: Annotated[bool, typer.Option("--replace", help="In place of the machine of this id.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, write.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Find out what answers at an address, choose its tags, and write an entry for the plant file.

    On a terminal it asks for what no option says. Without one it shows what there is, and how to go on. It reads only.
    """
    hush()
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not (yes or json)
    wish = _Wish(
        address=address,
        driver=driver,
        options=read_options(option),
        option_texts=option or (),
        tags=tags or [],
        is_all=every,
        id=name,
        kind=kind,
        into=into,
        line=line,
        site=site,
        is_sure=yes,
        replaces=replace,
        asks=asks,
    )
    _check(wish)
    answers = _detected(wish, timeout)
    chosen = _chosen(wish, answers, json=json)
    found, more = _tags(wish, chosen, path, limit, timeout)
    wish.told["tags"] = [asdict(tag) for tag in found]
    if more:
        err.print(f"the first {len(found)} tags; --limit shows more, --path narrows it", markup=False)
    picked = _picked(wish, found, json=json)
    proposal = _proposed(wish, chosen, picked, answers)
    _write(wish, proposal, json=json)


def _check(wish: _Wish) -> None:
    """Raise ConfigurationError for an option that cannot be, before anybody is asked."""
    if wish.id:
        try:
            check_id(wish.id)
        except TopicError as error:
            raise ConfigurationError(f"--as: {error}") from error
    if wish.line and wish.line.count("/") != 1:
        raise ConfigurationError(f"--line {wish.line!r} is no line", "write AREA/LINE, for example hall/line1")
    if wish.site.count("/") != 1:
        raise ConfigurationError(f"--site {wish.site!r} is no site", "write ENTERPRISE/SITE, for example demo/here")
    if wish.is_sure and wish.into is not None and not wish.line:
        raise ConfigurationError("--into needs --line: where does the machine stand?", "for example --line hall/line1")


def _detected(wish: _Wish, timeout_s: float) -> Answers:
    """Return what answers; raise ConfigurationError for what is no address, UnreachableError when nothing does."""
    try:
        answers = asyncio.run(detect(wish.address, driver=wish.driver, timeout_s=timeout_s))
    except UnknownDriverError as error:
        raise ConfigurationError(str(error)) from error
    except DriverError as error:
        wanted = UnreachableError if error.code == "unknown_name" else ConfigurationError
        raise wanted(error.what.rstrip(": "), error.do) from error
    if not answers.found:
        raise UnreachableError(answers.trouble, answers.todo)
    wish.told |= answers.as_json()
    return answers


def _chosen(wish: _Wish, answers: Answers, *, json: bool) -> Found:
    """Return which of what answers is meant; ask, or end with what there is."""
    if not json:
        for number, each in enumerate(answers.found, 1):
            out.print(f"{number}. {each.address}: {each.text} ({each.driver}, {each.confidence:.0%})", markup=False)
            if each.todo:
                out.print(f"   {each.todo}", markup=False)
    likely = answers.likely or list(answers.found) if wish.driver else answers.likely
    if len(likely) == 1:
        return _meant(wish, likely[0])
    if wish.asks:
        number = 0
        while not 1 <= number <= len(answers.found):
            number = int(typer.prompt("Which of these", type=int, default=1))
        return answers.found[number - 1]
    if not likely:
        best = answers.found[0]
        raise UnreachableError(f"{best.address}: {best.text}", best.todo or f"--driver {best.driver} tries it")
    raise ConfigurationError(
        f"{' and '.join(each.text for each in likely)} answer there",
        "say which: " + " or ".join(sorted({f"--driver {each.driver}" for each in likely})) + ", or host:port",
    )


def _meant(wish: _Wish, found: Found) -> Found:
    """Return what answers, if it is what was asked for; raise RefusedError."""
    scheme, stated, _ = wish.address.partition("://")
    if stated and not found.address.startswith(f"{scheme.lower()}://"):
        raise RefusedError(f"{wish.address}: it is {found.text} that answers there", f"write {found.address}")
    return found


def _tags(wish: _Wish, chosen: Found, path: str, limit: int, timeout_s: float) -> tuple[list[Tag], bool]:
    """Return the tags, with their values, and whether there are more; raise UnreachableError."""
    wish.options = {**chosen.options, **wish.options}
    folder = None if wish.into is None else wish.into.absolute().parent
    options = {"browse_limit": limit, **wish.options}
    driver = Contained(lambda: connection(chosen.driver, chosen.address, options, folder=folder), connect_s=30)
    connection(chosen.driver, chosen.address, options, folder=folder)  # so that a wrong option is said as such
    try:
        found, more = asyncio.run(probe.look(driver, path, most=limit, limit_s=60, connects=True))
    except DriverError as error:
        do = chosen.todo if error.code == "login_refused" and chosen.todo else error.do
        raise UnreachableError(error.what.rstrip(": "), do or chosen.todo) from error
    if not found:
        where = f" at {path!r}" if path else ""
        raise RefusedError(f"{chosen.address} shows no tags{where}", "is something published there now?")
    return found, more or len(found) == limit


def _picked(wish: _Wish, found: Sequence[Tag], *, json: bool) -> list[Tag]:
    """Return the tags that are meant; ask, or end with what there is and how to go on."""
    if wish.is_all:
        return list(found)
    if not wish.tags:
        found = signals_of(found)
        _show(found, json=json)
        if not wish.asks:
            _end(wish, "--tags '*'", json=json)
        while not wish.tags:
            text = typer.prompt("Which (numbers as 1-5 7, or patterns as */Spindle/*, or all)", default="all")
            picked = _by_words(text, found)
            if picked:
                return picked
            err.print("nothing fits that", markup=False)
    picked = [tag for tag in found if any(_fits(tag, glob) for glob in wish.tags)]
    for glob in wish.tags:
        if not any(_fits(tag, glob) for tag in found):
            raise RefusedError(f"no tag fits {glob!r}", known.nearest(glob, {tag.path for tag in found}))
    return picked


def _by_words(text: str, found: Sequence[Tag]) -> list[Tag]:
    picked: dict[int, Tag] = {}
    for word in text.replace(",", " ").split():
        numbers = _RANGE.match(word)
        if word == "all":
            return list(found)
        if numbers:
            first, last = int(numbers[1]), int(numbers[2] or numbers[1])
            picked |= {n: found[n - 1] for n in range(max(1, first), min(last, len(found)) + 1)}
        else:
            picked |= {n: tag for n, tag in enumerate(found, 1) if _fits(tag, word)}
    return [picked[n] for n in sorted(picked)]


def _fits(tag: Tag, glob: str) -> bool:
    return any(fnmatchcase(each, glob) or fnmatchcase(each, f"{glob}/*") for each in (tag.path, tag.address))


def _proposed(wish: _Wish, chosen: Found, picked: Sequence[Tag], answers: Answers) -> Proposal:
    wish.driver = chosen.driver
    wish.id = wish.id or _asked(wish, "Its id", machine_id(picked, answers.host))
    wish.kind = wish.kind or _asked(wish, "Its kind (cnc, robot, press, meter, …)", "machine")
    try:
        proposal = propose(
            chosen.driver, chosen.address, wish.options, picked, kind=wish.kind, about=f"found: {chosen.text}"
        )
    except ProposeError as error:
        raise RefusedError(str(error), "choose others by --tags") from error
    for why in sorted(set(proposal.left_out.values())):
        paths = [path for path, said in proposal.left_out.items() if said == why]
        err.print(f"left out, as each is {why}: {plural(len(paths), 'tag')}, for example {paths[0]}", markup=False)
    return proposal


def _asked(wish: _Wish, question: str, default: str) -> str:
    return str(typer.prompt(question, default=default)) if wish.asks else default


def _write(wish: _Wish, proposal: Proposal, *, json: bool) -> None:
    """Show the entry, and write it where that was wished."""
    text = plant_file.as_yaml(wish.id, proposal.entry)
    wish.told |= {"machine": wish.id, "entry": proposal.entry, "yaml": text, "left_out": proposal.left_out}
    if not json:
        out.print(text.rstrip(), markup=False)
    if wish.asks and wish.into is None and typer.confirm("Write it to a plant file?", default=True):
        wish.into = Path(typer.prompt("Which", default="plant.yaml"))
    if wish.into is None:
        _end(wish, "--into plant.yaml --line hall/line1 --yes", json=json)
    wish.line = wish.line or _asked(wish, "Where does it stand (area/line)", "hall/line1")
    _check(wish)
    if wish.asks and not typer.confirm(f"Write it into {wish.into}?", default=True):
        _end(wish, "--yes", json=json)
    if not wish.asks and not wish.is_sure:
        _end(wish, "--yes", json=json)
    (enterprise, site), (area, line) = wish.site.split("/"), wish.line.split("/")
    try:
        place = Place(enterprise, site, area, line)
        plant_file.write(wish.into, place, wish.id, proposal.entry, replaces=wish.replaces)
    except ApplyError as error:
        raise RefusedError(str(error), "--as gives another id, --replace takes its place") from error
    follows = shlex.join(["shopfloor", "check", str(wish.into), "--live", "--machine", wish.id])
    if json:
        print_json(wish.told | {"written": str(wish.into), "next": follows})
        return
    out.print(f"{wish.id} stands in {wish.into}, on {wish.line}. Does it answer? {follows}", markup=False)


def _show(found: Sequence[Tag], *, json: bool) -> None:
    if json:
        return
    rows = [
        (number, tag.path, tag.value, tag.unit or None, tag.datatype, tag.address)
        for number, tag in enumerate(found[: None if sys.stdout.isatty() else _SHOWN], 1)
    ]
    table(("", "path", "value", "unit", "datatype", "address"), rows)
    if len(rows) < len(found):
        out.print(f"and {len(found) - len(rows)} more", markup=False)


def _end(wish: _Wish, more: str, *, json: bool) -> NoReturn:
    """End here, with how to go on."""
    follows = wish.command(*shlex.split(more))
    if json:
        print_json(wish.told | {"next": follows})
    else:
        out.print(f"To go on: {follows}", markup=False)
    raise typer.Exit
