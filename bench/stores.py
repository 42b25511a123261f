"""The questions of a console to DuckDB and to InfluxDB 2, side by side: `python bench/stores.py [points]`."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from queries import ask_all, fill, measure

from cloud.telemetry.influx_store import InfluxStore

TOKEN, ORG, BUCKET = "token-of-this-measurement", "shopfloor", "bench"
START_S = 30.0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
            store = InfluxStore(f"http://{address}", TOKEN, ORG, BUCKET)
            yield store
            store.close()
        finally:
            process.kill()


def _set_up(url: str) -> None:
    first = {"username": "bench", "password": TOKEN, "org": ORG, "bucket": BUCKET, "token": TOKEN}
    deadline = time.monotonic() + START_S
    while True:
        try:
            httpx2.post(f"{url}/api/v2/setup", json=first).raise_for_status()
        except httpx2.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def measure_influxdb(points: int) -> Iterator[tuple[str, float, int]]:
    """As `queries.measure`; nothing where there is no influxd."""
    program = shutil.which("influxd")
    if program is None:
        say("no InfluxDB 2 on the PATH: DuckDB alone")
        return
    with tempfile.TemporaryDirectory() as folder, influxdb(program, Path(folder)) as store:
        began = time.perf_counter()
        start, end = fill(store, points, say)
        yield "write, points per second", points / (time.perf_counter() - began), points
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        yield "size on disk, bytes per point", size / points, points
        yield from ask_all(store, start, end)


def main() -> None:
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    duckdb = list(measure(points, say))
    other = {name: (number, rows) for name, number, rows in measure_influxdb(points)}
    print(f"{points:,} points of 500 series; times in ms, medians of 7")
    print(f"{'':40}{'DuckDB':>12}{'InfluxDB':>12}{'rows':>12}")
    for name, number, rows in duckdb:
        beside, rows_beside = other.get(name, (float("nan"), rows))
        same = "" if rows == rows_beside else f" ({rows_beside:,} in InfluxDB)"
        print(f"{name:40}{number:12,.1f}{beside:12,.1f}{rows:12,}{same}")


if __name__ == "__main__":
    main()
