"""Asking over HTTP: one client, answers of a bounded size, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx2

from edge.driver import Lost, Unreachable
from edge.recognize import certificate, unverified

SCHEMES: Final = {"http": 80, "https": 443}
MOST_BYTES: Final = 16 << 20  # of one answer
_CONNECTIONS: Final = 4


class AnswerError(Exception):
    """An answer that is of no use; the text says what it is."""


class Page(NamedTuple):
    """What somebody answers who is asked without being known: by which scheme, with which status."""

    scheme: str
    status: int
    kind: str
    body: bytes


def client(address: str, ca_file: Path | None, *, accept: str, timeout_s: float) -> httpx2.AsyncClient:
    """Return a client, to be closed; raise AnswerError for a `ca_file` that is none.

    `timeout_s` is for all but reading, as a stream may be silent: give each answer its own time.
    """
    tls: ssl.SSLContext | bool = False  # to read the usual authorities takes 20 ms, each time that one connects
    if address.startswith("https:"):
        try:
            tls = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise AnswerError(f"the ca_file {ca_file} cannot be read: {error}") from error
    return httpx2.AsyncClient(
        verify=tls,
        headers={"Accept": accept, "Accept-Encoding": "identity"},  # what is not compressed cannot be a bomb
        timeout=httpx2.Timeout(timeout_s, read=None),
        limits=httpx2.Limits(max_connections=_CONNECTIONS),
        trust_env=False,
    )


async def look(host: str, port: int, path: str, timeout_s: float, accept: str) -> Page | None:
    """Ask for a page, plainly, else by TLS; None when nobody answers by HTTP. Never raises."""
    shown = f"[{host}]" if ":" in host else host
    for scheme in SCHEMES:
        # the library leaves a line open on which nobody speaks TLS and the time is over
        if scheme == "https" and await certificate(host, port, timeout_s) is None:
            return None
        tls: ssl.SSLContext | bool = unverified() if scheme == "https" else False
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        try:
            async with (
                asyncio.timeout(timeout_s),
                httpx2.AsyncClient(verify=tls, trust_env=False, headers=headers) as asking,
                asking.stream("GET", f"{scheme}://{shown}:{port}{path}") as response,
            ):
                found = await body(response)
        except (AnswerError, httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError):
            continue
        if scheme == "http" and response.status_code == 400 and b"HTTPS" in found:
            continue  # so servers answer whoever speaks plainly on their port of TLS
        return Page(scheme, response.status_code, response.headers.get("content-type", ""), found)
    return None


async def body(response: httpx2.Response) -> bytes:
    """Return the body of an answer; raise AnswerError when it is too large."""
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) > MOST_BYTES:
            raise AnswerError(f"its answer has more than {MOST_BYTES} bytes")
    return bytes(found)


def status(response: httpx2.Response) -> str:
    """Return how an answer begins: `404 Not Found`, and to what."""
    return f"{response.status_code} {response.reason_phrase}".strip() + f" to {response.url.path}"


@contextmanager
def translated(address: str, wanted: type[Unreachable] | type[Lost], peer: str) -> Iterator[None]:
    """Turn every error of an answer or of the line into `wanted`, with what to do; `peer` is who answers."""
    try:
        yield
    except (AnswerError, httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
        what, do = _explain(error, peer)
        raise wanted(f"{address}: {what}", do) from error


def _explain(error: Exception, peer: str) -> tuple[str, str]:
    """Return what an error means, and what to do about it: one text in two parts."""
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return "no answer in time: ", f"is the {peer} on, and is the address right?"
    if isinstance(error, httpx2.ConnectError):
        return f"no connection ({error}): ", f"is the {peer} on, and is the port right?"
    if isinstance(error, httpx2.HTTPError):
        return f"the line was lost: {error or type(error).__name__}", ""
    return str(error) or type(error).__name__, ""
