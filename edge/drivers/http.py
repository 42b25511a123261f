"""HTTP: asks a machine for JSON (or text) at a pace, with values, times and qualities by path."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import httpx2
from pydantic import AfterValidator, Field

from contract.model import Sample, Value
from edge import entry as base
from edge.driver import Counters, Lost, Tag, Unreachable, Written
from edge.drivers import _http, _json
from edge.drivers._poll import Poll
from edge.recognize import Recognized

SCHEMES: Final = _http.SCHEMES


def _address(text: str) -> str:
    if "@" in urlsplit(text).netloc:
        raise ValueError("a plant file is no place for a password: leave the user out of the address")
    return base.with_port(text, "an address of JSON", SCHEMES)


class Entry(_json.Entry):
    """A machine that answers with all of its values when its address is asked."""

    driver: Literal["http"] = "http"
    address: Annotated[str, AfterValidator(_address)]
    ca_file: base.File | None = Field(None, description="authority of its certificate, relative to the plant file")
    poll_s: Annotated[float, Field(gt=0, le=3600)] = Field(1.0, description="how often it is asked")
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(4.0, description="time for one answer")


class Driver:
    """Asks one machine, one request at a time."""

    def __init__(self, name: str, entry: Entry, context: base.Context) -> None:
        self.counters = Counters()
        self._name, self._entry, self._context = name, entry, context
        self._reader = _json.Reader(name, entry, self.counters)
        self._fields = self._reader.fields(entry.signals)
        self._poll = Poll(entry.poll_s)
        self._client: httpx2.AsyncClient | None = None

    async def connect(self) -> None:
        """Ask once; raise Unreachable."""
        await self.close()
        entry = self._entry
        with _http.translated(entry.address, Unreachable, "machine"):
            ca_file = None if entry.ca_file is None else self._context.folder / entry.ca_file
            self._client = _http.client(entry.address, ca_file, accept="application/json", timeout_s=entry.timeout_s)
        await self._ask(Unreachable)

    async def read(self) -> Sequence[Sample]:
        """Ask when it is time; raise Lost."""
        async with self._poll.turn():
            body = await self._ask(Lost)
        return self._reader.samples(self._fields, self._name, body, time.time_ns())

    async def write(self, asset: str, signal: str, value: Value) -> Written:
        """Refuse: no machine says how it is to be told."""
        return Written("refused", f"{self._name} is on HTTP, which this driver only reads")

    async def browse(self, path: str = "") -> AsyncIterator[Tag]:
        """Yield each value in the answer, at most 200, whose path in it begins with `path`."""
        if self._client is None:
            await self.connect()
        async with self._poll.line:
            body = await self._ask(Lost)
        for tag in _json.tags("", body, self._entry.encoding):
            if fnmatchcase(tag.address, f"{path}*"):
                yield replace(tag, path=tag.address)

    async def close(self) -> None:
        """Let go of the connection; safe twice, safe unconnected."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(self, wanted: type[Unreachable] | type[Lost]) -> bytes:
        entry = self._entry
        with _http.translated(entry.address, wanted, "machine"):
            if self._client is None:
                raise _http.AnswerError("not connected")
            async with asyncio.timeout(entry.timeout_s), self._client.stream("GET", entry.address) as response:
                body = await _http.body(response)
            if response.status_code != 200:
                raise _http.AnswerError(f"it answers {_http.status(response)}: is the address right?")
        return body


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Ask for the page; None when nobody answers by HTTP."""
    page = await _http.look(host, port, path or "/", timeout_s, "application/json")
    if page is None:
        return None
    values = [] if page.status != 200 else [tag for tag in _json.tags("", page.body, None) if tag.description != "text"]
    if values:
        return Recognized(page.scheme, 0.9, f"JSON with {len(values)} values, by HTTP", path)
    if page.status in (401, 403):
        return Recognized(page.scheme, 0.3, f"HTTP, which wants a log-in ({page.status})", path)
    said = (
        f"answers {page.status}" if page.status != 200 else f"{page.kind or 'a page without a type'}, which is no JSON"
    )
    return Recognized(page.scheme, 0.3, f"HTTP: {said}", path, todo="name the page that has values: http://host/path")


def map_tags(tags: Sequence[Tag]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the entry of a machine with these tags says, and what each of their signals does."""
    return {}, [{"path": tag.address} for tag in tags]
