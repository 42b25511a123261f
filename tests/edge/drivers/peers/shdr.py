"""An adapter as the makers of controls ship them: it tells what is so at each connection, then changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.edge.drivers.conformance import Peer

MODEL = """<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:1.3"><Header/><Devices>
<Device name="mill" uuid="u1" id="d1"><DataItems>
  <DataItem category="SAMPLE" type="ROTARY_VELOCITY" units="REVOLUTION/MINUTE" id="d1_speed" name="Srpm"/>
  <DataItem category="CONDITION" type="SYSTEM" id="d1_system" name="system"/>
</DataItems></Device></Devices></MTConnectDevices>"""


class ShdrPeer(Peer):
    tells_events = True

    def __init__(self, folder: Path) -> None:
        self.model = folder / "Devices.xml"
        self.model.write_text(MODEL)
        self.state = {"Srpm": line(0, "Srpm|0"), "system": line(0, "system|NORMAL||||")}
        self.writers: set[asyncio.StreamWriter] = set()

    def entry(self, port: int) -> dict[str, Any]:
        return {
            "address": f"shdr://127.0.0.1:{port}",
            "devices_file": str(self.model),
            "timeout_s": 2,
            "signals": {"speed": {"data_item": "d1_speed"}},
            "events": True,
        }

    def unknown(self) -> dict[str, Any]:
        return {"data_item": "gone"}

    async def say(self, value: float, time_ns: int) -> None:
        self.tell("Srpm", line(time_ns, f"Srpm|{value}"))

    async def alarm(self, *, is_on: bool) -> None:
        state = "FAULT|47|900|HIGH|spindle too hot" if is_on else "NORMAL|47|||"
        self.tell("system", line(datetime.now(UTC).timestamp() * 1e9, f"system|{state}"))

    def tell(self, key: str, text: bytes) -> None:
        self.state[key] = text
        for writer in self.writers:
            writer.write(text)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(self.state.values()))
        self.writers.add(writer)
        with suppress(OSError):
            while await reader.readline():
                writer.write(b"* PONG 1000\n")
        self.writers.discard(writer)
        writer.close()


def line(time_ns: float, rest: str) -> bytes:
    stamp = datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{stamp}|{rest}\n".encode()


@asynccontextmanager
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[ShdrPeer]:
    machine = ShdrPeer(request.getfixturevalue("tmp_path"))
    server = await asyncio.start_server(machine.answer, "127.0.0.1", 0)
    machine.port = server.sockets[0].getsockname()[1]
    yield machine
    server.close()
