"""`shopfloor quarantine`: look at what the gateway could not store, have it stored after all, or discard it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import httpx2
import orjson
import typer

from shopfloor.api import write_to
from shopfloor.errors import CommandError, ConfigurationError, Exit, RefusedError, UnreachableError
from shopfloor.home import Home
from shopfloor.output import Utc, err, out, print_json, table
from shopfloor.ports import GATEWAY, port_of

TIMEOUT_S: Final = 15.0
COLUMNS: Final = ("id", "time", "node", "source", "bytes", "reason")

Port = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, envvar="SHOPFLOOR_GATEWAY_PORT", help="Port of the gateway, when not SHOPFLOOR_PORT + 2."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Ids: TypeAlias = Annotated[list[int] | None, typer.Argument(help="The ids that `list` shows.")]
All = Annotated[bool, typer.Option("--all", help="Everything that is kept.")]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="What the gateway could not store: payloads that nobody can read, lines that the store refused.",
)


class Gateway:
    """The gateway's quarantine at 127.0.0.1:`port`. Every failure is a CommandError that says what to do."""

    def __init__(self, port: int | None) -> None:
        self.url = f"http://127.0.0.1:{port or port_of(os.environ) + GATEWAY}"
        home = Home.of(os.environ)
        try:
            token = home.read_secret("gateway-token")
        except OSError as error:
            raise RefusedError(
                f"no token for {self.url}: cannot read {home.secret('gateway-token')}: {error.strerror}",
                "run this where the gateway runs, or set SHOPFLOOR_HOME to its state folder",
            ) from error
        self._client = httpx2.Client(
            base_url=self.url, timeout=TIMEOUT_S, trust_env=False, headers={"Authorization": f"Bearer {token}"}
        )

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def kept(self) -> list[dict[str, Any]]:
        """Return the list of what is kept, the oldest first."""
        rows: list[dict[str, Any]] = orjson.loads(self._ask("GET", "/quarantine"))
        return rows

    def body(self, id_: int) -> bytes:
        """Return the bytes of one."""
        return self._ask("GET", f"/quarantine/{id_}")

    def replay(self, id_: int) -> None:
        """Have one stored; it is forgotten when the store has it."""
        self._ask("POST", f"/quarantine/{id_}/replay")

    def discard(self, id_: int) -> None:
        """Have one forgotten."""
        self._ask("DELETE", f"/quarantine/{id_}")

    def _ask(self, method: str, path: str) -> bytes:
        with self._answering():
            response = self._client.request(method, path)
        if response.is_success:
            return response.content
        text = response.text.strip() or f"{response.status_code} {response.reason_phrase}"
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise RefusedError(text, "the token in SHOPFLOOR_HOME is not of this gateway")
        if response.status_code >= 500:
            raise UnreachableError(text, "try again when the store takes data; nothing was lost")
        raise RefusedError(text)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx2.HTTPError as error:
            raise UnreachableError(
                f"no gateway answers at {self.url}: {error or type(error).__name__}",
                "start the plant with `shopfloor demo`, or set SHOPFLOOR_PORT or --port to those of the one that runs",
            ) from error


@app.command("list")
def list_(port: Port = None, utc: Utc = False, json: Json = False) -> None:
    """List what is kept, the oldest first, and why it could not be stored."""
    with Gateway(port) as gateway:
        rows = gateway.kept()
    if json:
        print_json(rows)
    elif rows:
        table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows], utc=utc)
    else:
        out.print("nothing is kept: all that came could be stored")


@app.command()
def show(
    id_: Annotated[int, typer.Argument(metavar="ID", help="An id that `list` shows.")],
    output: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    port: Port = None,
) -> None:
    """Write the bytes of one, as they came."""
    with Gateway(port) as gateway:
        body = gateway.body(id_)
    try:
        with write_to(output) as file:
            file.write(body)
    except OSError as error:
        raise ConfigurationError(f"{output}: {error.strerror}", "choose a file that you may write") from error


@app.command()
def replay(ids: Ids = None, every: All = False, port: Port = None) -> None:
    """Give what is kept to the store once more; what it takes is forgotten here, the rest stays."""
    with Gateway(port) as gateway:
        _each(gateway, ids, every, gateway.replay, "stored")


@app.command()
def discard(ids: Ids = None, every: All = False, port: Port = None) -> None:
    """Forget what is kept, for good; it is counted."""
    with Gateway(port) as gateway:
        _each(gateway, ids, every, gateway.discard, "discarded")


def _each(gateway: Gateway, ids: Sequence[int] | None, every: bool, act: Callable[[int], None], done: str) -> None:
    """Do something with each of the ids; exit code 1 when some are left."""
    if every == bool(ids):
        raise ConfigurationError("say which: ids, or --all", "`shopfloor quarantine list` shows the ids")
    chosen = [row["id"] for row in gateway.kept()] if every else list(ids or ())
    left = 0
    for id_ in chosen:
        try:
            act(id_)
        except UnreachableError:
            raise
        except CommandError as error:
            left += 1
            err.print(f"{id_}: {error.what}", markup=False)
    out.print(f"{len(chosen) - left} {done}, {left} left")
    if left:
        raise typer.Exit(Exit.FAILED)
