"""The cable between a driver and its machine, at which one can pull."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Literal

from shopfloor.chaos.proxy import HOST, Line

_CHUNK = 16384

Way = Literal["reset", "half open", "black hole", "unplugged", "hang up"]


class Cable(Line):
    """Carries TCP to a machine; `delay_s` holds each piece back, `noise` makes nonsense of what the machine says."""

    def __init__(self, port: int, upstream: int) -> None:
        super().__init__(port, upstream)
        self.delay_s = 0.0
        self.noise = False
        self._hangs_up = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ends: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []  # of driver and machine
        self._dead: set[asyncio.StreamWriter] = set()

    async def pull(self, way: Way) -> None:
        """Break what is connected; the last three ways also wait for what connects from now on."""
        self._hangs_up = way == "hang up"
        if way == "black hole":
            self._flowing.clear()
        elif way == "unplugged":
            await self.stop()
        for driver, machine in self._ends:
            if way in ("reset", "hang up"):
                _reset(driver)
            elif way == "half open":  # the machine has gone, and nobody tells the driver
                self._dead.add(driver)
                machine.transport.abort()

    async def mend(self) -> None:
        """Carry all again, for what is still connected and for what connects from now on."""
        self._flowing.set()
        self.noise = self._hangs_up = False
        if self._server is None or not self._server.is_serving():
            await self.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._hangs_up:
            _reset(writer)
            return
        await self._flowing.wait()
        up_reader, up_writer = await asyncio.open_connection(HOST, self.upstream)
        ends = writer, up_writer
        self._ends.append(ends)
        there = asyncio.create_task(self._pump(reader, up_writer, writer))
        back = asyncio.create_task(self._pump(up_reader, writer, writer))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            if writer in self._dead:
                await there  # until the driver hangs up
        finally:
            self._ends.remove(ends)
            up_writer.transport.abort()
            for pump in (there, back):
                pump.cancel()
            await asyncio.gather(there, back, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, driver: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            await asyncio.sleep(self.delay_s)
            await self._flowing.wait()
            if driver in self._dead:
                continue
            writer.write(b"\xff" * len(chunk) if self.noise and writer is driver else chunk)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
