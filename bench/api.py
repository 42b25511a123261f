"""The API under clients: what an answer costs the cloud, and what ingest feels of it. The clients are `crowd.py`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import rig

from shopfloor.demo.usage import usage

TOKEN = "store-token-of-this-measurement"
ASSETS, SIGNALS_EACH = 35, 73
MINUTE = "/api/v1/telemetry/history?asset=cnc-01&signal=signal_1&start=-60s"
LAST = "/api/v1/telemetry/last"
COLUMNS = (
    "question", "clients", "answers/s of CPU", "answers/s", "p50 ms", "p99 ms", "refused", "ingest p99 ms", "MiB",
)  # fmt: skip


def measure(seconds: float) -> Iterator[Sequence[str]]:
    """Yield a row of COLUMNS for each crowd; the last, of 500 clients, goes on for twice as long."""
    with rig.running() as bench:
        token = bench.folder / "store-token"
        token.write_text(TOKEN)
        cloud = bench.start(
            [sys.executable, "-m", "cloud"],
            SHOPFLOOR_HOME=str(bench.folder),
            SHOPFLOOR_PORT="0",
            SHOPFLOOR_MQTT_URL="mqtt://127.0.0.1:1",
            SHOPFLOOR_STORE_TOKEN_FILE=str(token),
        )
        link = bench.folder / "secrets" / "login-link"
        rig.until(lambda: link.is_file() and link.read_text().endswith("\n"))
        address, _, secret = link.read_text().strip().partition("/login#")
        rig.until(lambda: b"the cloud serves" in (bench.folder / "log").read_bytes())
        fill(address)
        answer = httpx2.post(f"{address}/api/v1/auth/link", json={"token": secret}, trust_env=False).raise_for_status()
        cookie = answer.headers["set-cookie"].partition(";")[0]
        password = {"new": "a password of this measurement"}
        set_password = f"{address}/api/v1/auth/password"
        answer = httpx2.put(set_password, json=password, headers={"Cookie": cookie}, trust_env=False).raise_for_status()
        cookie = answer.headers["set-cookie"].partition(";")[0]
        port = int(address.rpartition(":")[2])
        last = f"last values of {ASSETS * SIGNALS_EACH:,} signals"
        for name, path, clients, lasts_s in (
            ("a minute of one signal", MINUTE, 2, seconds),
            ("a minute of one signal", MINUTE, 100, seconds),
            (last, LAST, 2, seconds),
            (last, LAST, 100, seconds),
            ("a minute of one signal", MINUTE, 500, 2 * seconds),
        ):
            asked = {"kind": "ask", "path": path, "clients": clients, "headers": {"Cookie": cookie}}
            yield name, *_crowd(cloud, {**asked, "port": port, "seconds": lasts_s})


def _crowd(cloud: subprocess.Popen[bytes], asked: dict[str, Any]) -> Sequence[str]:
    before_s = rig.cpu_s(cloud)
    port, seconds = asked["port"], asked["seconds"]
    writer = _start({"kind": "write", "port": port, "token": TOKEN, "seconds": seconds})
    asking = _start(asked)
    said, written = (json.loads(process.communicate()[0]) for process in (asking, writer))
    count = said["statuses"].get("200", 0)
    return (
        f"{asked['clients']}",
        f"{count / (rig.cpu_s(cloud) - before_s):,.0f}",
        f"{count / seconds:,.0f}",
        f"{said['p50'] * 1e3:.0f}",
        f"{said['p99'] * 1e3:.0f}",
        ", ".join(f"{number} × {status}" for status, number in said["statuses"].items() if status != "200") or "0",
        f"{written['p99'] * 1e3:.0f}",
        f"{usage(cloud.pid).memory / 2**20:.0f}",
    )


def _start(wanted: dict[str, Any]) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(Path(__file__).with_name("crowd.py")), json.dumps(wanted)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def fill(address: str) -> None:
    """Write two minutes of all signals, one sample a second."""
    now = time.time_ns()
    for second in range(120):
        fields = ",".join(f"signal_{n}={(second * 7 + n) % 101 / 2}" for n in range(SIGNALS_EACH))
        at = now - (120 - second) * 10**9
        lines = "".join(f"cnc,site=s,area=a,line=l,asset=cnc-{n:02d} {fields} {at}\n" for n in range(ASSETS))
        headers = {"Authorization": f"Token {TOKEN}"}
        write = f"{address}/api/v2/write"
        httpx2.post(write, content=lines.encode(), headers=headers, timeout=60, trust_env=False).raise_for_status()
