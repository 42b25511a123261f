"""What the store holds, as anyone can ask it: by the API's export; and what the spools say of their numbers."""

from __future__ import annotations

import io
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from shopfloor.api import Api
from shopfloor.chaos.checker import Key, Value

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
_MOST_SIGNALS = 50  # of one export


def iso(time_ns: int) -> str:
    """Return a time in ns since 1970 as ISO 8601 with ns."""
    second, rest = divmod(time_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse_iso(text: str) -> int:
    """Return ns since 1970 of ISO 8601 in UTC with up to nine decimals."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * SECOND_NS + int(rest.ljust(9, "0")[:9])


def read_stored(api: Api, assets: Iterable[str], start_ns: int, end_ns: int) -> dict[Key, list[tuple[int, Value]]]:
    """Return all samples of the assets with a time from `start_ns` to before `end_ns`; raise CommandError."""
    stored: dict[Key, list[tuple[int, Value]]] = {}
    for asset in assets:
        signals = [signal["name"] for signal in api.get(f"assets/{quote(asset)}")["signals"]]
        for at in range(0, len(signals), _MOST_SIGNALS):
            query: list[tuple[str, str | int]] = [("asset", asset), ("start", iso(start_ns)), ("end", iso(end_ns))]
            query += [("format", "parquet"), *(("signal", signal) for signal in signals[at : at + _MOST_SIGNALS])]
            file = io.BytesIO()
            api.save("telemetry/export", query, file.write)
            table = pq.read_table(file)
            times = table["time"].cast(pa.int64()).to_pylist()
            columns = (table[name].to_pylist() for name in ("signal", "value", "text"))
            for time_ns, signal, number, text in zip(times, *columns, strict=True):
                stored.setdefault((asset, signal), []).append((time_ns, number if text is None else text))
    return stored


def last_times(api: Api, assets: Iterable[str], now_ns: int) -> dict[str, int]:
    """Return the time (ns) of the newest sample of each asset that is not of the future; raise CommandError."""
    columns = api.get("telemetry/last", [("asset", asset) for asset in assets])
    newest: dict[str, int] = {}
    for asset, time in zip(columns["asset"], columns["time"], strict=True):
        newest[asset] = max(newest.get(asset, 0), parse_iso(time))
    misled = [asset for asset, time_ns in newest.items() if time_ns > now_ns + MINUTE_NS]
    recent = read_stored(api, misled, now_ns - MINUTE_NS, now_ns + MINUTE_NS)
    for asset in misled:
        newest[asset] = max((rows[-1][0] for key, rows in recent.items() if key[0] == asset), default=0)
    return newest


def missing_numbers(home: Path) -> dict[str, list[tuple[int, int]]]:
    """Return, by edge spool, the numbers that it gave out and that nobody has: neither it nor the gateway.

    To be called when nobody has the spools open. Numbers that a spool itself has written off as damaged are its own
    account of loss and not missing; a gateway's spool that was damaged has lost its account, so nothing can be said.
    """
    if any((home / "gateway").glob("gateway.spool.damaged-*")):
        return {}
    with _opened(home / "gateway" / "gateway.spool") as gateway:
        received = gateway.execute("SELECT node, epoch, first, last FROM received").fetchall()
        if gateway.execute("SELECT 1 FROM dropped").fetchone():
            return {}
    missing: dict[str, list[tuple[int, int]]] = {}
    for path in sorted((home / "edge").glob("*.spool")):
        area, line = path.name.split(".")[:2]
        with _opened(path) as spool:
            last_n = int(spool.execute("SELECT value FROM state WHERE key = 'last_n'").fetchone()[0])
            known = [(n, n) for (n,) in spool.execute("SELECT n FROM records")]
            known += spool.execute("SELECT first, last FROM dropped").fetchall()
        known += [row[2:] for row in received if row[0].endswith(f":{area}/{line}")]
        if gaps := gaps_of(known, last_n):
            missing[path.name] = gaps
    return missing


def gaps_of(known: Iterable[tuple[int, int]], last_n: int) -> list[tuple[int, int]]:
    """Return which of the numbers 1 to `last_n` lie in none of the closed intervals.

    >>> gaps_of([(1, 3), (2, 4), (7, 7)], 9)
    [(5, 6), (8, 9)]
    >>> gaps_of([(1, 3), (7, 7)], 3)  # somebody else has used a number that was never given out
    []
    """
    gaps, expected = [], 1
    for first, last in sorted((first, last) for first, last in known if first <= last_n):
        if first > expected:
            gaps.append((expected, first - 1))
        expected = max(expected, last + 1)
    if expected <= last_n:
        gaps.append((expected, last_n))
    return gaps


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy: reading SQLite's log needs room beside it, and the disk may be full."""
    with tempfile.TemporaryDirectory() as folder:
        for part in path.parent.glob(f"{path.name}*"):
            if part.name.removeprefix(path.name) in ("", "-wal"):
                shutil.copy(part, folder)
        with closing(sqlite3.connect(Path(folder) / path.name)) as connection:
            yield connection
