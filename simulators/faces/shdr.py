"""SHDR: an adapter for each machine, over TCP, as MTConnect agents read them: `time|key|value` in native units.

The first machine has the port of the setting, each further one the next. A new client is told everything that is so,
then what changes; `* PING` is answered by `* PONG 10000`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from typing import Any, Final

from simulators.face import Face, Setting, Shown, described
from simulators.faces._mtconnect.document import stamp
from simulators.faces._mtconnect.observer import Condition, Observed, Observer

HEARTBEAT_MS: Final = 10_000
MOST_CLIENTS: Final = 8
MOST_BACKLOG: Final = 1 << 18
"""Bytes that may wait for a client; one that reads more slowly is sent away and may come back."""
_SEND_BUFFER: Final = 1 << 16
_MOST_LINE: Final = 1024
_ESCAPES: Final = str.maketrans({"|": "\\|", "\r": " ", "\n": " "})


def line(time_ns: int, key: str, value: Observed) -> str:
    """Return a line of the protocol; conditions have level, code, severity, qualifier and text."""
    if isinstance(value, Condition):
        fields = [value.level, value.native_code, "", value.qualifier, value.text]
    else:
        fields = [format(value, ".12g") if isinstance(value, float) else str(value)]
    return "|".join([stamp(time_ns), key, *(text.translate(_ESCAPES) for text in fields)]) + "\n"


class Adapter:
    """The adapter of one machine and its clients."""

    def __init__(self, shown: Shown) -> None:
        self.observer = Observer(shown)
        self.port = 0
        self.dropped = 0
        """Clients that were sent away: too many, or too slow."""
        self.clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._seen_ns: dict[str, int] = {}
        self._started_ns = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one. Raises OSError when the port is taken."""
        self._started_ns = time.time_ns()
        self._server = await asyncio.start_server(self._serve, host, port, limit=_MOST_LINE)
        self.port = self._server.sockets[0].getsockname()[1]

    def emit(self, time_ns: int) -> None:
        """Tell every client what changed."""
        for stamp_ns, changes in self.observer.observe(time_ns):
            told = {name: value for name, value in changes.items() if _is_told(name)}
            self._seen_ns.update(dict.fromkeys(told, stamp_ns))
            text = "".join(line(stamp_ns, name, value) for name, value in told.items()).encode()
            for writer in self.clients.values():
                self._tell(writer, text)

    async def stop(self) -> None:
        """Close the port and every connection; safe twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        clients = list(self.clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await server.wait_closed()

    def _tell(self, writer: asyncio.StreamWriter, text: bytes) -> None:
        if writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > MOST_BACKLOG:
            self.dropped += 1
            writer.transport.abort()
            return
        writer.write(text)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self.clients) >= MOST_CLIENTS:
            self.dropped += 1
            writer.close()
            return
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.clients[task] = writer
        try:
            state = self.observer.last
            self._tell(
                writer, "".join(line(self._time(key), key, state[key]) for key in state if _is_told(key)).encode()
            )
            await self._listen(reader, writer)
        except (ConnectionError, TimeoutError, ValueError):
            writer.transport.abort()  # gone, silent, or sends lines without end: an agent comes back by itself
        except asyncio.CancelledError:  # by stop(); raised on, asyncio's streams would log it as an error
            writer.transport.abort()
        finally:
            del self.clients[task]
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer pings until the client goes; one that has pinged must go on with it."""
        patience_s: float | None = None
        while True:
            async with asyncio.timeout(patience_s):
                said = await reader.readline()
            if not said:
                return
            if said.strip().upper().startswith(b"* PING"):
                patience_s = 2.0 * HEARTBEAT_MS / 1000.0
                self._tell(writer, f"* PONG {HEARTBEAT_MS}\n".encode())

    def _time(self, key: str) -> int:
        return self._seen_ns.get(key, self._started_ns)


def _is_told(name: str) -> bool:
    return name not in ("asset_changed", "asset_removed")


class Shdr(Face):
    """An adapter for each machine."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.adapters: dict[str, Adapter] = {}

    async def start(self) -> None:
        """Listen, one port for each machine; raise OSError when one is taken."""
        first = self.setting.shdr_port
        for number, shown in enumerate(self.shown):
            adapter = self.adapters[shown.machine.id] = Adapter(shown)
            await adapter.start(self.setting.listen, first + number if first else 0)

    async def emit(self, time_ns: int) -> None:
        """Let each adapter tell what changed."""
        for adapter in self.adapters.values():
            adapter.emit(time_ns)

    async def stop(self) -> None:
        """Stop the adapters; safe twice."""
        for adapter in self.adapters.values():
            await adapter.stop()

    def entry(self, shown: Shown) -> dict[str, Any]:
        """Return the entry for the driver `shdr`, once it listens."""
        machine = shown.machine
        signals = {}
        for signal in machine.signals:
            signals[signal.name] = described(replace(signal, writable=False), {"data_item": signal.name})
        return {
            "kind": machine.kind,
            "names": dict(machine.names),
            "driver": "shdr",
            "address": f"shdr://{self.setting.host}:{self.adapters[machine.id].port}",
            "signals": signals,
        }


FACE = Shdr
