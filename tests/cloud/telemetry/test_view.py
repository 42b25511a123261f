"""A query that nobody waits for any more."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from cloud import patience
from cloud.telemetry.duckdb_store import DuckDbStore
from cloud.telemetry.store import StoreUnavailable

ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000000) b"


def test_a_query_ends_when_its_client_goes(tmp_path: Path) -> None:
    waiting = patience.Patience()
    store = DuckDbStore(tmp_path).open()
    leaving = threading.Timer(0.3, waiting.end)
    leaving.start()
    token = patience.current.set(waiting)
    began = time.monotonic()
    try:
        with store.view() as view, pytest.raises(StoreUnavailable):
            view.table(ENDLESS)
        with store.view() as view, pytest.raises(StoreUnavailable):
            view.table("SELECT 1")
    finally:
        patience.current.reset(token)
        leaving.join()
        store.close()
    assert time.monotonic() - began < 10.0
