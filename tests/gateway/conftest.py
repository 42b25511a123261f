"""Fixtures of the gateway's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.broker import Broker
from gateway.config import Settings
from gateway.ledger import Ledger
from tests.gateway.wire import TOKEN, EdgeNode, FakeStore, Peer


@pytest.fixture
def fake_store() -> Iterator[FakeStore]:
    store = FakeStore()
    store.start()
    yield store
    store.stop()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "store-token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.open()
    yield ledger
    ledger.close()


@pytest.fixture
def edge_node() -> EdgeNode:
    return EdgeNode()


@pytest.fixture
def settings(tmp_path: Path, fake_store: FakeStore, token_file: Path) -> Settings:
    return Settings(
        home=tmp_path / "home",
        gateway_port=0,
        store_url=fake_store.url,
        store_token_file=token_file,
        store_timeout_s=1.0,
        reorder_s=0.2,
    )


@pytest.fixture
def login(broker: Any) -> Broker:
    return Broker(url=broker.url, user=broker.user, password_file=broker.password_file)


@pytest.fixture
def peer(login: Broker) -> Iterator[Peer]:
    peer = Peer(login)
    peer.start()
    yield peer
    peer.session.stop()
