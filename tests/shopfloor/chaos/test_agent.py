"""The world's MTConnect agent: the edge's driver reads what it writes, and it repairs no time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.drivers.mtconnect import Driver, Entry
from edge.entry import Context
from shopfloor.chaos.agent import OddAgent


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
async def agent() -> AsyncIterator[tuple[OddAgent, str]]:
    port = free_port()
    agent = OddAgent(port, ["a", "b"])
    await agent.start()
    yield agent, f"http://127.0.0.1:{port}"
    await agent.stop()


async def test_times_come_as_they_were_said_in_order_and_of_one_device(
    agent: tuple[OddAgent, str], tmp_path: Path
) -> None:
    told, url = agent
    told.observe("a", "v", "2026-11-30T12:00:00Z", "1")
    signals = {"v": {"data_item": "a-v"}, "ok": {"data_item": "a-ok"}}
    settings = {"address": url, "device": "a", "signals": signals, "poll_s": 0.02}
    driver = Driver("a", Entry.model_validate(settings), Context(home=tmp_path, folder=tmp_path))
    await driver.connect()
    try:
        found = [(sample.signal, sample.value, sample.time_ns) for sample in await driver.read()]
        assert found == [("v", 1.0, 1_796_040_000_000_000_000)]
        told.observe("b", "v", None, "9")
        for stamp in ("1601-01-01T00:00:00Z", None, "yesterday", "2026-11-30T12:00:00"):
            told.observe("a", "v", stamp, "2")
        samples = []
        async with asyncio.timeout(10):
            while len(samples) < 4:
                samples += await driver.read()
        assert [sample.time_ns for sample in samples] == [-11_644_473_600_000_000_000, 0, 0, found[0][2]]
        assert {sample.value for sample in samples} == {2.0}
    finally:
        await driver.close()
