"""The command line's way to the platform: the HTTP API, with the token that the demo made for the command line."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import httpx2
import orjson

from shopfloor.errors import CommandError, ConfigurationError, RefusedError, UnreachableError
from shopfloor.home import Home
from shopfloor.ports import port_of

TIMEOUT_S: Final = 30.0
SILENCE_S: Final = 30.0
Query: TypeAlias = Sequence[tuple[str, str | int]]


def url_of(environ: Mapping[str, str]) -> str:
    """Return the API's address: SHOPFLOOR_API_URL, or http://127.0.0.1:SHOPFLOOR_PORT."""
    return environ.get("SHOPFLOOR_API_URL") or f"http://127.0.0.1:{port_of(environ)}"


class Api:
    """A client of the API at http://127.0.0.1:SHOPFLOOR_PORT. Every failure is a CommandError that says what to do."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._client = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, trust_env=False
        )

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Return a client for the plant that SHOPFLOOR_PORT (or SHOPFLOOR_API_URL) and SHOPFLOOR_HOME name."""
        url = url_of(environ)
        home = Home.of(environ)
        try:
            return cls(url, home.read_secret("cli-token"))
        except OSError as error:
            raise RefusedError(
                f"no token for {url}: cannot read {home.secret('cli-token')}: {error.strerror}",
                "run this where the plant was started, or set SHOPFLOOR_HOME to its state folder",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, query: Query = ()) -> Any:
        """Return what GET /api/v1/`path` answers."""
        with self._answering():
            response = self._client.get(f"/api/v1/{path}", params=list(query))
            self._check(response)
            return orjson.loads(response.content)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what POST /api/v1/`path` answers."""
        with self._answering():
            response = self._client.post(f"/api/v1/{path}", json=dict(body))
            self._check(response)
            return orjson.loads(response.content)

    def save(self, path: str, query: Query, write: Any) -> int:
        """Pass the body of GET /api/v1/`path` to `write` piece by piece; return the number of bytes."""
        size = 0
        with self._answering(), self._client.stream("GET", f"/api/v1/{path}", params=list(query)) as response:
            self._check(response)
            for piece in response.iter_bytes():
                write(piece)
                size += len(piece)
        return size

    def events(self, path: str, query: Query, seconds: float | None = None) -> Iterator[tuple[str, Any]]:
        """Yield (event, data) of a stream of server-sent events, for as long as it lives, or for so many seconds.

        A stream that is silent for SILENCE_S is taken for dead: the platform says something every ten seconds.
        """
        ends = None if seconds is None else time.monotonic() + seconds
        timeout = httpx2.Timeout(TIMEOUT_S, read=SILENCE_S if seconds is None else min(seconds, SILENCE_S))
        with (
            self._answering(),
            self._client.stream("GET", f"/api/v1/{path}", params=list(query), timeout=timeout) as response,
        ):
            self._check(response)
            try:
                yield from _events(response.iter_lines(), ends)
            except httpx2.ReadTimeout:
                if ends is None or time.monotonic() < ends:
                    raise

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx2.ConnectError as error:
            raise UnreachableError(
                f"nothing answers at {self.url}",
                "start the plant with `shopfloor demo`, or set SHOPFLOOR_PORT to the port of the one that runs",
            ) from error
        except (httpx2.HTTPError, orjson.JSONDecodeError) as error:
            raise UnreachableError(
                f"{self.url} does not answer as it should: {error or type(error).__name__}",
                "try again; its log is logs/cloud.log in the state folder",
            ) from error

    def _check(self, response: httpx2.Response) -> None:
        if response.is_success:
            return
        response.read()
        raise _refusal(response)


def _events(lines: Iterator[str], ends: float | None) -> Iterator[tuple[str, Any]]:
    event, data = "message", [""]
    for line in lines:
        if ends is not None and time.monotonic() >= ends:
            return
        field, _, value = line.partition(":")
        match field:
            case "event":
                event = value.strip()
            case "data":
                data.append(value.removeprefix(" "))
            case "" if not line and len(data) > 1:
                yield event, orjson.loads("\n".join(data[1:]))
                event, data = "message", [""]


def _refusal(response: httpx2.Response) -> CommandError:
    """Return the error for an answer that is a problem (RFC 9457), or anything else."""
    try:
        problem = orjson.loads(response.content)
        text = str(problem.get("detail") or problem.get("title") or response.reason_phrase)
    except (orjson.JSONDecodeError, AttributeError):
        text = f"{response.status_code} {response.reason_phrase}"
    if response.status_code == 401:
        return RefusedError(
            text, "the token in SHOPFLOOR_HOME is not of this plant: set SHOPFLOOR_HOME to its state folder"
        )
    if response.status_code == 422:
        return ConfigurationError(text, "shopfloor COMMAND --help says what can be asked")
    if response.status_code >= 500:
        return UnreachableError(text, "try again; its log is logs/cloud.log in the state folder")
    return RefusedError(text)


def connect() -> Api:
    """Return a client for the plant that the environment names."""
    return Api.of(os.environ)


def write_to(path: Path | None) -> Any:
    """Return a context manager with a binary file to write to: `path`, or standard output."""
    if path is None:
        return os.fdopen(os.dup(1), "wb")
    return path.open("wb")
