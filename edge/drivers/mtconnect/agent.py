"""The requests to an agent, and what goes wrong with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing
from typing import Final
from urllib.parse import quote

import httpx2

from edge.driver import Lost, Unreachable
from edge.drivers import _http
from edge.drivers._http import AnswerError
from edge.drivers._mtconnect import documents
from edge.drivers._mtconnect.documents import Device, Refusal, Streams
from edge.drivers.mtconnect.entry import Entry
from edge.drivers.mtconnect.multipart import boundary_of, parts
from edge.entry import Context

_COUNT: Final = 1000  # observations in one document


class NotStreaming(AnswerError):
    """An agent that answers a request to stream by a document."""


class Agent:
    """Asks one agent; `close` it."""

    def __init__(self, entry: Entry, context: Context) -> None:
        self._entry = entry
        self._count = _COUNT
        self._client = _http.client(
            entry.address,
            None if entry.ca_file is None else context.folder / entry.ca_file,
            accept="application/xml, text/xml, multipart/x-mixed-replace",
            timeout_s=entry.timeout_s,
        )

    async def devices(self) -> list[Device]:
        """Return the model of all devices."""
        return documents.devices(await self._ask("probe"))

    async def current(self, device: str, *, at: int | None = None) -> Streams:
        """Return the newest observation of each data item of a device ("": of all), or as of a sequence number."""
        found = documents.streams(await self._ask(_path(device, "current"), **({} if at is None else {"at": at})))
        self._count = min(_COUNT, found.header.buffer_size or _COUNT)  # agents refuse more than their buffer
        return found

    async def sample(self, device: str, start: int) -> Streams:
        """Return observations from a sequence number on."""
        body = await self._ask(_path(device, "sample"), **{"from": start, "count": self._count})
        return documents.streams(body)

    async def oldest(self) -> Streams:
        """Return the oldest observation that the agent has, of any device."""
        return documents.streams(await self._ask("sample", count=1))

    async def stream(self, device: str, start: int) -> AsyncGenerator[Streams, None]:
        """Yield observations from a sequence number on, or none as a heartbeat; raise NotStreaming, Refusal."""
        query = {
            "from": start,
            "count": self._count,
            "interval": round(self._entry.interval_s * 1000),
            "heartbeat": round(self._entry.heartbeat_s * 1000),
        }
        async with self._client.stream("GET", self._url(_path(device, "sample")), params=query) as response:
            boundary = boundary_of(response.headers.get("content-type", ""))
            if boundary is None or response.status_code != 200:
                documents.streams(await _body(response))
                raise NotStreaming("it does not stream")
            async with aclosing(parts(response.aiter_raw(), boundary, _http.MOST_BYTES)) as bodies:
                async for body in bodies:
                    yield documents.streams(body)

    async def close(self) -> None:
        """Give up all connections."""
        await self._client.aclose()

    async def _ask(self, path: str, **query: int) -> bytes:
        async with (
            asyncio.timeout(self._entry.timeout_s),
            self._client.stream("GET", self._url(path), params=query) as response,
        ):
            return await _body(response)

    def _url(self, path: str) -> str:
        return f"{self._entry.address}/{path}"


async def _body(response: httpx2.Response) -> bytes:
    """Return the body of an answer, which may tell of an error in XML, whatever its status; raise AnswerError."""
    body = await _http.body(response)
    if response.status_code != 200 and b"MTConnectError" not in body:
        raise AnswerError(f"it answers {_http.status(response)}: is that the address of an agent?")
    return body


def _path(device: str, request: str) -> str:
    return f"{quote(device, safe='')}/{request}" if device else request


def translated(address: str, wanted: type[Unreachable] | type[Lost]) -> AbstractContextManager[None]:
    """Turn every error of an agent or of the line into `wanted`, with what to do."""
    return _http.translated(address, wanted, "agent")


def fell_behind(refusal: Refusal) -> bool:
    """Whether the agent says that it has not (or no more) what was asked for."""
    return refusal.code == "OUT_OF_RANGE"
