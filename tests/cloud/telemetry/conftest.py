"""Stores to test: the embedded one in a folder, and InfluxDB 2 where there is a server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx2
import pytest

from cloud.telemetry.duckdb_store import DuckDbStore
from cloud.telemetry.influx_store import InfluxStore
from cloud.telemetry.rollup import flux, minutes_bucket
from cloud.telemetry.sealing import Sealer
from cloud.telemetry.store import Store
from cloud.telemetry.times import format_time

TOKEN, ORG = "token-of-this-test-only", "shopfloor"
START_TIMEOUT_S = 20.0
_buckets = count()


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an InfluxDB 2 server: that of SHOPFLOOR_TEST_INFLUXDB, or one started from the PATH."""
    if given := os.environ.get("SHOPFLOOR_TEST_INFLUXDB"):
        yield given
        return
    program = shutil.which("influxd")
    if program is None:
        pytest.skip("no InfluxDB 2: put influxd on the PATH, or its address in SHOPFLOOR_TEST_INFLUXDB")
    yield from _run(program, tmp_path_factory.mktemp("influxdb"))


def _run(program: str, folder: Path) -> Iterator[str]:
    log = folder / "influxd.log"
    files = {"bolt-path": "b.bolt", "sqlite-path": "b.sqlite", "engine-path": "engine"}
    options = [f"--{name}={folder / file}" for name, file in files.items()]
    port = _free_port()
    options += [f"--http-bind-address=127.0.0.1:{port}", "--reporting-disabled"]
    with log.open("wb") as output:
        process = subprocess.Popen([program, *options], stdout=output, stderr=output)
    try:
        address = f"http://127.0.0.1:{port}"
        _set_up(address, process, log)
        yield address
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _set_up(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    first = {"username": "t", "password": TOKEN, "org": ORG, "bucket": "first", "token": TOKEN}
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            httpx2.post(f"{address}/api/v2/setup", json=first).raise_for_status()
        except httpx2.HTTPError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"influxd did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


@pytest.fixture(params=["duckdb", "influxdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each kind of store, empty."""
    made: Store
    if request.param == "duckdb":
        made = DuckDbStore(tmp_path / "telemetry").open()
    else:
        address = request.getfixturevalue("influxdb")
        made = InfluxStore(address, lambda: TOKEN, ORG, _new_bucket(address))
    yield made
    made.close()


@pytest.fixture
def influxdb_bucket(influxdb: str) -> tuple[str, str]:
    """A token and an empty bucket of the server."""
    return TOKEN, _new_bucket(influxdb)


def _new_bucket(address: str) -> str:
    headers = {"Authorization": f"Token {TOKEN}"}
    orgs = httpx2.get(f"{address}/api/v2/orgs", headers=headers).json()["orgs"]
    name = f"bucket-{os.getpid()}-{next(_buckets)}"
    for each in (name, minutes_bucket(name)):
        body = {"orgID": orgs[0]["id"], "name": each, "retentionRules": []}
        httpx2.post(f"{address}/api/v2/buckets", headers=headers, json=body).raise_for_status()
    return name


@dataclass
class Clock:
    """A clock that tests set; in ns since 1970."""

    ns: int = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.ns


@dataclass(frozen=True)
class Kept:
    """A store that keeps samples for some days, its clock, and how it comes to do now what it does once a day."""

    store: Store
    clock: Clock
    maintain: Callable[[], None]


@pytest.fixture(params=["duckdb", "influxdb"])
def keep(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    """Open each kind of store, empty, with a clock of this test."""
    opened: list[Store] = []

    def keep(raw_days: int, at_ns: int) -> Kept:
        clock = Clock(at_ns)
        if request.param == "duckdb":
            duckdb = DuckDbStore(tmp_path / "telemetry", raw_days=raw_days, now_ns=clock).open()
            opened.append(duckdb)
            return Kept(duckdb, clock, lambda: expire(duckdb))
        address = request.getfixturevalue("influxdb")
        bucket = _new_bucket(address)
        influx = InfluxStore(address, lambda: TOKEN, ORG, bucket, raw_days=raw_days, now_ns=clock)
        opened.append(influx)
        return Kept(influx, clock, lambda: _expire_influx(address, bucket, influx.raw_since()))

    yield keep
    for store in opened:
        store.close()


def expire(store: DuckDbStore) -> None:
    """Roll up and let go in this thread what the store's own thread does once a day."""
    with store.maintaining:
        Sealer(store).expire()


def _expire_influx(address: str, bucket: str, until_ns: int) -> None:
    """Run the text of the task, and delete what retention would."""
    if not until_ns:
        return
    headers = {"Authorization": f"Token {TOKEN}"}
    text = flux(bucket, ORG, "time(v: 0)", f"time(v: {until_ns})")
    query = {**headers, "Content-Type": "application/vnd.flux"}
    httpx2.post(f"{address}/api/v2/query?org={ORG}", headers=query, content=text, timeout=60).raise_for_status()
    body = {"start": "1970-01-01T00:00:00Z", "stop": format_time(until_ns - 1)}
    delete = f"{address}/api/v2/delete?org={ORG}&bucket={bucket}"
    httpx2.post(delete, headers=headers, json=body, timeout=60).raise_for_status()


@pytest.fixture
def open_duckdb(tmp_path: Path) -> Iterator[Callable[..., DuckDbStore]]:
    """Open the embedded store in the folder of this test; what is left open is closed."""
    opened: list[DuckDbStore] = []

    def open_store(**options: object) -> DuckDbStore:
        opened.append(DuckDbStore(tmp_path / "telemetry", **options).open())  # type: ignore[arg-type]
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()
