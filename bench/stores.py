"""The questions of a console to an InfluxDB 2 of this measurement, on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from queries import fill_and_ask

from cloud.telemetry.influx_store import InfluxStore
from cloud.telemetry.rollup import minutes_bucket

TOKEN, ORG, BUCKET = "token-of-this-measurement", "shopfloor", "bench"
START_S = 30.0


@contextmanager
def influxdb(program: str, folder: Path) -> Iterator[InfluxStore]:
    """Run a new InfluxDB 2 on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    files = [f"--bolt-path={folder}/bolt", f"--sqlite-path={folder}/sqlite", f"--engine-path={folder}/engine"]
    command = [program, *files, f"--http-bind-address={address}", "--reporting-disabled", "--log-level=error"]
    with subprocess.Popen(command) as process:
        try:
            _set_up(f"http://{address}")
            store = InfluxStore(f"http://{address}", lambda: TOKEN, ORG, BUCKET)
            yield store
            store.close()
        finally:
            process.kill()


def _set_up(url: str) -> None:
    first = {"username": "bench", "password": TOKEN, "org": ORG, "bucket": BUCKET, "token": TOKEN}
    deadline = time.monotonic() + START_S
    while True:
        try:
            answer = httpx2.post(f"{url}/api/v2/setup", json=first).raise_for_status().json()
        except httpx2.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            minutes = {"orgID": answer["org"]["id"], "name": minutes_bucket(BUCKET), "retentionRules": []}
            header = {"Authorization": f"Token {TOKEN}"}
            httpx2.post(f"{url}/api/v2/buckets", json=minutes, headers=header).raise_for_status()
            return


def measure_influxdb(points: int, say: Callable[[str], None]) -> Iterator[tuple[str, float, int]]:
    """Yield what `fill_and_ask` does; nothing where there is no influxd."""
    program = shutil.which("influxd")
    if program is None:
        say("no InfluxDB 2 on the PATH: DuckDB alone")
        return
    with tempfile.TemporaryDirectory() as folder, influxdb(program, Path(folder)) as store:
        yield from fill_and_ask(store, Path(folder), points, say)
