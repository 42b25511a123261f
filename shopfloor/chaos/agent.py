"""An MTConnect agent that writes what it is told, as agents of 1.3 do: it does not stream, and repairs no time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape, quoteattr

MOST_HEAD: Final = 8192
MOST_COUNT: Final = 1000
HEAD_S: Final = 5.0
_INSTANCE: Final = 7
_SIZE: Final = 1 << 17


class _Seen(NamedTuple):
    sequence: int
    device: str
    item: str
    stamp: str | None
    value: str


class OddAgent:
    """Devices with two data items each, `v` and `ok`. `start` it, and `stop` it in the end."""

    def __init__(self, port: int, devices: Sequence[str]) -> None:
        self._port = port
        self._devices = devices
        self._seen: list[_Seen] = []

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self._port, limit=MOST_HEAD)

    async def stop(self) -> None:
        """Answer nobody any more."""
        self._server.close()
        await self._server.wait_closed()

    def observe(self, device: str, item: str, stamp: str | None, value: str) -> None:
        """Observe a value, with the stamp as it is given."""
        self._seen.append(_Seen(len(self._seen) + 1, device, item, stamp, value))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            body = self._document(head.split()[1].decode("ascii"))
            length = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n"
            writer.write(length.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        writer.close()

    def _document(self, target: str) -> bytes:
        url = urlsplit(target)
        *device, request = url.path.strip("/").split("/")
        if request == "probe":
            return self._model()
        query = parse_qs(url.query)
        mine = [seen for seen in self._seen if not device or seen.device == device[0]]
        if request == "current":
            return self._streams({(seen.device, seen.item): seen for seen in mine}.values(), len(self._seen) + 1)
        start, count = int(query.get("from", ["1"])[0]), int(query.get("count", ["100"])[0])
        found = [seen for seen in mine if seen.sequence >= start][: min(count, MOST_COUNT)]
        is_all = not found or found[-1] is mine[-1]
        return self._streams(found, len(self._seen) + 1 if is_all else found[-1].sequence + 1)

    def _model(self) -> bytes:
        items = '<DataItem id="{0}-{1}" name="{1}" category="SAMPLE" type="POSITION"/>'
        each = (
            f'<Device id={quoteattr(name)} name={quoteattr(name)} uuid="world-{name}"><DataItems>'
            f"{items.format(name, 'v')}{items.format(name, 'ok')}</DataItems></Device>"
            for name in self._devices
        )
        header = f'<Header instanceId="{_INSTANCE}" bufferSize="{_SIZE}"/>'
        return _document("Devices", f"{header}<Devices>{''.join(each)}</Devices>")

    def _streams(self, found: Iterable[_Seen], following: int) -> bytes:
        last = max(1, len(self._seen))
        header = (
            f'<Header instanceId="{_INSTANCE}" bufferSize="{_SIZE}" firstSequence="1" lastSequence="{last}" '
            f'nextSequence="{following}"/>'
        )
        return _document("Streams", f"{header}<Streams>{''.join(map(_observation, found))}</Streams>")


def _observation(seen: _Seen) -> str:
    stamp = "" if seen.stamp is None else f" timestamp={quoteattr(seen.stamp)}"
    return (
        f'<DeviceStream name={quoteattr(seen.device)}><ComponentStream><Samples><Position dataItemId="{seen.device}-'
        f'{seen.item}" sequence="{seen.sequence}"{stamp}>{escape(seen.value)}</Position></Samples></ComponentStream>'
        "</DeviceStream>"
    )


def _document(kind: str, content: str) -> bytes:
    space = f"urn:mtconnect.org:MTConnect{kind}:1.3"
    return f'<MTConnect{kind} xmlns="{space}">{content}</MTConnect{kind}>'.encode()
