"""Every driver in the folder passes the suite, with the peer that it names."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.drivers import driver_names
from tests.edge.drivers.conformance import Conformance, Peer

PEERS = Path(__file__).with_name("peers")


def test_every_driver_has_a_peer() -> None:
    assert driver_names() == sorted(file.stem for file in PEERS.glob("*.py"))


@pytest.mark.parametrize("name", driver_names())
class TestDriver(Conformance):
    @pytest.fixture
    async def peer(self, name: str, request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
        async with importlib.import_module(f"tests.edge.drivers.peers.{name}").peer(request) as peer:
            yield peer
