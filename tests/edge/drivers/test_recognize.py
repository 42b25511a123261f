"""Every driver that can look recognizes the peer of its suite, and takes nothing else for its own."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator

import pytest

from edge import drivers
from edge.drivers import driver_names
from tests.edge.drivers.conformance import Peer

LOOKING = [name for name in driver_names() if hasattr(drivers.load(name), "recognize")]


@pytest.fixture(params=driver_names())
async def known(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Peer]]:
    name = request.param
    async with importlib.import_module(f"tests.edge.drivers.peers.{name}").peer(request) as peer:
        yield name, peer


async def test_each_protocol_is_recognized_by_its_own_driver_alone(known: tuple[str, Peer]) -> None:
    name, peer = known
    seen = {}
    for looking in LOOKING:
        found = await drivers.load(looking).recognize("127.0.0.1", peer.port, "/status", 0.5)  # type: ignore[attr-defined]
        if found is not None and found.confidence >= 0.9:
            seen[looking] = found
            assert found.scheme in drivers.load(looking).SCHEMES
            assert found.text
    assert list(seen) == [name]
