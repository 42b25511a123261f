"""A store that an earlier version wrote opens, stays readable, and takes what that one did not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from cloud.telemetry.duckdb_store import DuckDbStore
from cloud.telemetry.exact import values
from cloud.telemetry.sealing import MERGE, Sealer
from cloud.telemetry.segments import FORMAT
from cloud.telemetry.store import Query

T = 1_700_000_000_000_000_000
ROW = "(series UINTEGER, time BIGINT, value DOUBLE, text VARCHAR, quality SMALLINT)"
ALL = Query("m", ("door", "program", "speed"), T, T + 10**9)
Open = Callable[..., DuckDbStore]


@pytest.fixture
def old_store(tmp_path: Path) -> Path:
    """A store of format 2: a segment, its newest rows, a table being sealed and one that grows."""
    folder = tmp_path / "telemetry"
    (folder / "segments").mkdir(parents=True)
    with duckdb.connect(str(folder / "samples.duckdb")) as file:
        file.execute(f"""
            CREATE TABLE meta (format INTEGER, active INTEGER); INSERT INTO meta VALUES (2, 1);
            CREATE TABLE series (id UINTEGER, asset VARCHAR, signal VARCHAR, kind VARCHAR, site VARCHAR, area VARCHAR,
                line VARCHAR);
            CREATE TABLE segments (name VARCHAR, rows BIGINT, min_time BIGINT, max_time BIGINT);
            CREATE TABLE minutes (name VARCHAR, rows BIGINT, min_time BIGINT, max_time BIGINT);
            CREATE TABLE kept (raw_since BIGINT);
            CREATE TABLE newest {ROW}; CREATE TABLE hot_0 {ROW}; CREATE TABLE hot_1 {ROW};
            INSERT INTO series VALUES (1, 'm', 'speed', 'cnc', 's', 'a', 'l'),
                (2, 'm', 'program', 'cnc', 's', 'a', 'l'), (3, 'm', 'door', 'cnc', 's', 'a', 'l');
            INSERT INTO hot_0 VALUES (1, {T}, 1.5, NULL, 192), (2, {T}, NULL, '5i', 192), (3, {T}, 1.0, NULL, 0);
            COPY (FROM hot_0 ORDER BY series, time) TO '{folder}/segments/00000001.parquet' ({FORMAT});
            INSERT INTO newest FROM hot_0;
            INSERT INTO segments VALUES ('00000001.parquet', 3, {T}, {T});
            DELETE FROM hot_0;
            INSERT INTO hot_0 VALUES (1, {T + 1}, 2.5, NULL, 500);
            INSERT INTO hot_1 VALUES (1, {T + 2}, 3.5, NULL, 192), (3, {T + 2}, NULL, NULL, 0);
        """)
    return folder


def rows(store: DuckDbStore) -> list[tuple[str, int, object, int, int | None]]:
    table = store.samples(ALL, 1000)
    times = table["time"].cast(pa.int64()).to_pylist()
    columns = (table[name].to_pylist() for name in ("quality", "status"))
    signals = table["signal"].to_pylist()
    return [(s, at - T, v, q, c) for s, at, v, q, c in zip(signals, times, values(table), *columns, strict=True)]


OLD = [
    ("door", 0, 1.0, 0, None),
    ("door", 2, None, 0, None),
    ("program", 0, "5i", 192, None),
    ("speed", 0, 1.5, 192, None),
    ("speed", 1, 2.5, 500, None),
    ("speed", 2, 3.5, 192, None),
]
HEAD = "site=s,area=a,line=l,asset=m"
NEW = f"""cnc,{HEAD} speed=4.5,speed.quality=64,speed.status=1083310080 {T + 3}
cnc_bool,{HEAD} door=t {T + 3}
cnc,{HEAD} speed=9.5 {T + 1}
"""
BOTH = sorted(
    [
        *(row for row in OLD if row[:2] != ("speed", 1)),
        ("speed", 1, 9.5, 192, None),
        ("speed", 3, 4.5, 64, 0x40920000),
        ("door", 3, True, 192, None),
    ],
    key=lambda row: row[:2],
)


def test_d2_d3_a_store_of_today_opens_and_goes_on(old_store: Path, open_duckdb: Open) -> None:
    store = open_duckdb()
    assert rows(store) == OLD
    last = store.last(["m"])
    assert list(zip(last["signal"].to_pylist(), values(last), strict=True)) == [
        ("door", None), ("program", "5i"), ("speed", 3.5),
    ]  # fmt: skip
    store.write(NEW.encode())
    assert rows(store) == BOTH
    store.close()
    again = open_duckdb()
    assert rows(again) == BOTH


def test_d2_d3_what_is_sealed_and_merged_later_has_both(old_store: Path, open_duckdb: Open) -> None:
    store = open_duckdb()
    store.write(NEW.encode())
    for n in range(MERGE + 1):
        with store.maintaining:
            store.swap()
            Sealer(store).seal()
        assert rows(store) == BOTH
        store.write(f"cnc,{HEAD} other={n} {T + n}\n".encode())
    with store.maintaining:
        while Sealer(store).merge():
            pass
    assert rows(store) == BOTH
    assert [row["mean"] for row in store.buckets(ALL, 10**9).to_pylist()] == [1.0, (1.5 + 9.5 + 3.5 + 4.5) / 4]


def test_an_older_version_says_that_the_file_is_newer(old_store: Path, open_duckdb: Open) -> None:
    open_duckdb().close()
    with duckdb.connect(str(old_store / "samples.duckdb"), read_only=True) as file:
        assert file.execute("SELECT format, active FROM meta").fetchall() == [(3, 1)]
