"""`shopfloor ledger`: is everything that was produced stored, and if not, why; for people, programs and auditors."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from shopfloor import known
from shopfloor.api import connect
from shopfloor.errors import ConfigurationError, Exit
from shopfloor.home import Home
from shopfloor.output import Utc, out, print_json, table

ALGORITHM: Final = "HMAC-SHA256"
COUNTS: Final = (
    "produced", "stored", "waiting", "repeated", "refused", "quarantined", "lost", "unexplained",
)  # fmt: skip
NEWEST: Final = 20

app = typer.Typer(add_completion=False)


@app.command()
def ledger(
    sources: Annotated[list[str] | None, typer.Argument(help="Edge nodes; all of them when none is named.")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a signed report to this file, too.")] = None,
    verify: Annotated[Path | None, typer.Option(help="Check the signature of a report, and do nothing else.")] = None,
    utc: Utc = False,
) -> None:
    """Print what each source produced, what is stored, and what is lost and why. Exit code 1: unexplained loss."""
    home = Home.of(os.environ)
    if verify is not None:
        told = verified(verify, home)
        shown = {"file": str(verify), "valid": True, "made": told["made"], "unexplained": told["unexplained"]}
        print_json(shown) if json else out.print(f"{verify}: the signature is valid; made {told['made']}", markup=False)
        return
    with connect() as api:
        told = api.get("ledger", [("source", source) for source in sources or ()])
        if sources and len(told["sources"]) < len(set(sources)):
            known.check("source", sources, {each["source"] for each in api.get("ledger")["sources"]})
    if report is not None:
        write_report(report, told, home, datetime.now(UTC))
    if json:
        print_json(told)
    else:
        show(told, utc=utc)
    if told["unexplained"]:
        raise typer.Exit(Exit.FAILED)


def show(told: dict[str, Any], *, utc: bool = False) -> None:
    """Print the ledger as tables: the sources in messages, what is lost by reason, the newest entries."""
    if not told["sources"]:
        out.print("no source has been heard yet")
        return
    rows = [[source["source"], *(counted(source, name) for name in COUNTS)] for source in told["sources"]]
    table(["source (messages)", *COUNTS], rows)
    losses = [
        [loss["source"] or source["source"], loss["reason"], loss["outcome"], loss["entries"], loss["count"] or "?"]
        for source in told["sources"]
        for loss in source["losses"]
    ]
    if losses:
        out.print()
        table(["source", "reason", "outcome", "entries", "count"], losses)
    entries = sorted(
        (
            (entry["end"], entry["source"] or source["source"], entry)
            for source in told["sources"]
            for entry in source["entries"]
        ),
        key=lambda each: each[:2],
    )
    if entries:
        out.print()
        rows = [
            [entry["start"], end, name, entry["reason"], entry["outcome"], numbers(entry), entry["detail"]]
            for end, name, entry in (each for each in entries[-NEWEST:])
        ]
        table(["from", "to", "source", "reason", "outcome", "numbers", "detail"], rows, utc=utc)
    out.print()
    if told["unexplained"]:
        out.print(f"{told['unexplained']} messages are lost and no entry says why: keep the state folder, report this")
    else:
        out.print("unexplained loss: 0")


def counted(source: dict[str, Any], name: str) -> int | str:
    """Return one of the COUNTS of a source; of what is lost also that nobody can know how much more it is."""
    count: int = source[name]
    return f"{count} + ?" if name == "lost" and source["lost_unknown"] else count


def numbers(entry: dict[str, Any]) -> str:
    """Return which and how many messages or samples an entry is about."""
    count = str(entry["count"]) if entry["count"] else ""
    if entry["first"] is None:
        return count
    return f"{count} ({entry['first']}–{entry['last']})"


def write_report(file: Path, told: dict[str, Any], home: Home, now: datetime) -> None:
    """Write the ledger with a signature by this plant's own key; raise ConfigurationError when that cannot be."""
    content = {"made": f"{now:%Y-%m-%dT%H:%M:%SZ}", **told}
    key = _key(home)
    signature = {"algorithm": ALGORITHM, "key": _name(key), "value": _sign(content, key)}
    try:
        file.write_bytes(orjson.dumps({"report": content, "signature": signature}, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror}") from error


def verified(file: Path, home: Home) -> dict[str, Any]:
    """Return the content of a report that this plant signed; raise ConfigurationError or ForgedError."""
    try:
        said = orjson.loads(file.read_bytes())
        content, signature = said["report"], said["signature"]
        key_name, value = str(signature["key"]), str(signature["value"])
        made, unexplained = str(content["made"]), int(content["unexplained"])
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{file} is not a report of `shopfloor ledger`") from error
    key = _key(home)
    if key_name != _name(key):
        raise ForgedError(
            f"{file} was signed with another key ({key_name}, not {_name(key)})",
            "set SHOPFLOOR_HOME to the state folder of the plant that made it",
        )
    if not hmac.compare_digest(value, _sign(content, key)):
        raise ForgedError(f"{file}: the signature is wrong: the report was changed after it was made")
    return {**content, "made": made, "unexplained": unexplained}


class ForgedError(ConfigurationError):
    """A report whose signature is not of this plant."""

    exit_code = Exit.FAILED


def _sign(content: dict[str, Any], key: bytes) -> str:
    return hmac.new(key, orjson.dumps(content, option=orjson.OPT_SORT_KEYS), hashlib.sha256).hexdigest()


def _name(key: bytes) -> str:
    """Return what a key is called: a digest that does not give it away."""
    return hashlib.sha256(b"name of " + key).hexdigest()[:16]


def _key(home: Home) -> bytes:
    """Return the key of this plant's reports, made at its first use."""
    file = home.secret("ledger-key")
    home.check_owner(file)
    try:
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = file.with_name(f"ledger-key.{os.getpid()}")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as writing:
                writing.write(secrets.token_hex(32))
                writing.flush()
                os.fsync(writing.fileno())
            with contextlib.suppress(FileExistsError):  # the first one stays
                os.link(fresh, file)
            fresh.unlink()
        return file.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(
            f"the key of the reports, {file}: {error.strerror}", "set SHOPFLOOR_HOME to a folder that you may write"
        ) from error
