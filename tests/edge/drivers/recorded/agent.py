"""An agent whose buffer fills with what was recorded, as fast as it is streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from tests.edge.drivers.recorded.recording import Said

_PER_DOCUMENT = 2000
_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\n{}\r\n"
_BOUNDARY = "recorded"


def ids_of(model: Path, device: str) -> dict[str, tuple[str, bool]]:
    """Return the id of each data item of a device by its name, and whether it is a condition."""
    found = {}
    for element in ElementTree.parse(model).iter():
        if element.tag.endswith("}Device") and device in (element.get("name"), element.get("uuid")):
            for item in element.iter():
                if item.tag.endswith("}DataItem"):
                    entry = (item.get("id", ""), item.get("category") == "CONDITION")
                    found[item.get("id", "")] = found[item.get("name", "")] = entry
    return found


class RecordedAgent:
    """Streams all of it once, then heartbeats; what the model does not have, no agent tells."""

    def __init__(self, model: Path, device: str, content: Iterable[Said]) -> None:
        self._probe = model.read_bytes()
        self._ids: Mapping[str, tuple[str, bool]] = ids_of(model, device)
        self._content = (said for said in content if said.key in self._ids)
        self._next = 1
        self.port = 0
        self.is_told = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                address = urlsplit(request.split()[1].decode())
                if address.path.endswith("/sample") and "interval" in parse_qs(address.query):
                    await self._stream(writer)
                    break
                body = self._probe if address.path.endswith("/probe") else self._document([])
                writer.write(_HEAD.format("text/xml", f"Content-Length: {len(body)}\r\n").encode() + body)
                await writer.drain()
        writer.close()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(_HEAD.format(f"multipart/x-mixed-replace;boundary={_BOUNDARY}", "").encode())
        while True:
            if not (said := list(islice(self._content, _PER_DOCUMENT))):
                self.is_told.set()
                await asyncio.sleep(0.5)  # the pace of heartbeats
            body = self._document(said)
            writer.write(f"--{_BOUNDARY}\r\nContent-type: text/xml\r\nContent-length: {len(body)}\r\n\r\n".encode())
            writer.write(body + b"\r\n")
            await writer.drain()

    def _document(self, said: list[Said]) -> bytes:
        seen = [self._observation(each, number) for number, each in enumerate(said, self._next)]
        self._next += len(said)
        return (
            '<MTConnectStreams xmlns="urn:mtconnect.org:MTConnectStreams:1.3">'
            f'<Header instanceId="1" bufferSize="131072" firstSequence="1" nextSequence="{self._next}"'
            f' lastSequence="{self._next - 1}"/><Streams><DeviceStream><ComponentStream>{"".join(seen)}'
            "</ComponentStream></DeviceStream></Streams></MTConnectStreams>"
        ).encode()

    def _observation(self, said: Said, number: int) -> str:
        id_, is_condition = self._ids[said.key]
        shared = f"dataItemId={quoteattr(id_)} timestamp={quoteattr(said.stamp)} sequence='{number}'"
        if not is_condition:
            return f"<Value {shared}>{escape(said.fields[0])}</Value>"
        level, code, severity, qualifier, text = (*said.fields, "", "", "", "")[:5]
        named = {"nativeCode": code, "nativeSeverity": severity, "qualifier": qualifier}
        told = " ".join(f"{name}={quoteattr(value)}" for name, value in named.items() if value)
        return f"<{level.capitalize()} {shared} {told}>{escape(text)}</{level.capitalize()}>"


@asynccontextmanager
async def agent(model: Path, device: str, content: Iterable[Said]) -> AsyncIterator[RecordedAgent]:
    machine = RecordedAgent(model, device, content)
    server = await asyncio.start_server(machine.answer, "127.0.0.1", 0)
    machine.port = server.sockets[0].getsockname()[1]
    yield machine
    server.close()
