"""What every store promises of samples that it does not keep any more: their minutes answer, exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from cloud.telemetry import minute_lines
from cloud.telemetry.store import BUCKETS, MINUTES, BadLines, Query, Store
from contract.lineprotocol import encode

if TYPE_CHECKING:
    from conftest import Kept

S = 1_000_000_000
MINUTE = 60 * S
DAY = 1440 * MINUTE
T = 19_600 * DAY
TAGS = {"site": "shanghai", "area": "machining", "line": "line1", "asset": "cnc-01"}
HEAD = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01"
TEXT = "cnc_text,site=shanghai,area=machining,line=line1,asset=cnc-01"
Keep = Callable[..., "Kept"]


def query(*signals: str, start: int = T, end: int = T + 4 * DAY) -> Query:
    return Query("cnc-01", signals, start, end)


def written(store: Store) -> None:
    """Write three days, a sample each 50 s and a text each 7 min; numbers that sum up exactly."""
    step = 50 * S
    rows = range(3 * DAY // step)
    store.write("".join(f"{HEAD} speed={n % 97},feed={-n % 13 / 4} {T + n * step}\n" for n in rows).encode())
    store.write(
        "".join(f'{TEXT} state="s{n % 5}" {T + n * 420 * S + 7}\n' for n in range(3 * DAY // 420 // S)).encode()
    )
    store.write(f"{HEAD} speed.quality=0 {T + 3}\n".encode())


def minutes(store: Store, *signals: str, **times: int) -> list[tuple[Any, ...]]:
    """Return minutes, time after T."""
    table = pa.Table.from_batches(list(store.minutes(query(*signals, **times))), MINUTES)
    table = table.set_column(1, "time", table["time"].cast(pa.int64()))
    return [(row["signal"], row["time"] - T, *list(row.values())[2:]) for row in table.to_pylist()]


@pytest.mark.parametrize("days_later", [3, 4])
def test_buckets_are_the_same_when_samples_have_gone(keep: Keep, days_later: int) -> None:
    kept = keep(2, T + DAY)
    written(kept.store)
    seam = T + 2 * DAY
    ask = [
        (query("feed", "speed", "state"), 86 * MINUTE),
        (query("feed", "speed"), 4 * DAY),
        (query("feed", "speed", start=seam - 61 * MINUTE, end=seam + 60 * MINUTE), MINUTE),
        (query("feed", "speed", start=seam - 9 * MINUTE, end=seam + 600 * MINUTE), 7 * MINUTE),
    ]
    before = [kept.store.buckets(*each) for each in ask]
    kept.clock.ns += days_later * DAY
    kept.maintain()
    assert kept.store.raw_since() == T + (days_later - 1) * DAY
    after = [kept.store.buckets(*each) for each in ask]
    assert after == before
    assert after[0].schema == BUCKETS
    kept.maintain()
    assert [kept.store.buckets(*each) for each in ask] == before


def test_samples_begin_where_minutes_end(keep: Keep) -> None:
    kept = keep(1, T)
    written(kept.store)
    kept.clock.ns = T + 3 * DAY
    kept.maintain()
    since = kept.store.raw_since()
    assert since == T + 2 * DAY
    table = kept.store.samples(query("speed"), 10_000)
    assert table["time"].cast(pa.int64())[0].as_py() == since
    assert len(table) == DAY // (50 * S)
    assert pa.Table.from_batches(list(kept.store.export(query("speed")))) == table
    assert len(kept.store.samples(query("speed", end=since), 10)) == 0
    found = minutes(kept.store, "speed")
    assert len(found) == 2 * 1440
    assert found[-1][1] == 2 * DAY - MINUTE
    assert sum(row[-2] for row in found) + len(table) == 3 * DAY // (50 * S)


def test_a_minute_has_numbers_and_texts(keep: Keep) -> None:
    kept = keep(1, T)
    for n, value in enumerate((3.0, 1.0, 8.0)):
        kept.store.write(f"{HEAD} x={value} {T + n * 20 * S}\n".encode())
        kept.store.write(f'{TEXT} x="t{n}" {T + n * 19 * S + 1}\n{TEXT} y="y{n}" {T + n * MINUTE + 9}\n'.encode())
    kept.store.write(f"{HEAD} z.quality=0,x.quality=500 {T + 50 * S}\n".encode())
    kept.clock.ns = T + 5 * DAY
    kept.maintain()
    assert minutes(kept.store, "x", "y", "z") == [
        ("x", 0, 1.0, 4.0, 8.0, 8.0, 3, None),
        ("x", 0, None, None, None, None, 3, "t2"),
        *[("y", n * MINUTE, None, None, None, None, 1, f"y{n}") for n in range(3)],
    ]
    assert kept.store.buckets(query("x", "y", "z"), MINUTE)["count"].to_pylist() == [3]


def test_what_comes_late_counts_as_long_as_samples_are_kept(keep: Keep) -> None:
    kept = keep(2, T + DAY)
    kept.store.write(f"{HEAD} x=1 {T}\n{HEAD} x=7 {T + 9 * S}\n".encode())
    kept.clock.ns = T + 2 * DAY
    kept.maintain()
    kept.store.write(f"{HEAD} x=4 {T + 5 * S}\n{HEAD} x=1 {T}\n{HEAD} x=2 {T + 9 * S}\n".encode())
    kept.clock.ns = T + 3 * DAY
    kept.maintain()
    assert minutes(kept.store, "x") == [("x", 0, 1.0, 7 / 3, 4.0, 2.0, 3, None)]


def test_without_retention_nothing_goes(keep: Keep) -> None:
    kept = keep(0, T + 40_000 * DAY)
    written(kept.store)
    kept.maintain()
    assert kept.store.raw_since() == 0
    assert minutes(kept.store, "speed", "state") == []
    assert len(kept.store.samples(query("speed"), 10_000)) == 3 * DAY // (50 * S) + 1


def test_minutes_go_from_store_to_store(keep: Keep) -> None:
    kept = keep(0, T)
    row = {"signal": "x", "min": 1.0, "mean": 2.0, "max": 3.0, "last": 2.5, "count": 4, "text": None}
    text = {"signal": "x", "text": 'a "b"', "count": 2}
    points = [minute_lines.since(T + DAY), *minute_lines.points("cnc", TAGS, row, T)]
    kept.store.write_minutes(encode([*points, *minute_lines.points("cnc", TAGS, text, T)]))
    assert kept.store.raw_since() == T + DAY
    assert minutes(kept.store, "x") == [
        ("x", 0, 1.0, 2.0, 3.0, 2.5, 4, None),
        ("x", 0, None, None, None, None, 2, 'a "b"'),
    ]
    kept.store.write_minutes(encode(minute_lines.points("cnc", TAGS, row | {"count": 5}, T)))
    kept.store.write(f"{HEAD} x=10 {T + DAY}\n".encode())
    assert [row[-2] for row in minutes(kept.store, "x")] == [5, 2]
    assert kept.store.buckets(query("x"), 4 * DAY)["count"].to_pylist() == [6]


@pytest.mark.parametrize("bad", ["cnc,asset=a,aggregate=min x=", "no sense"])
def test_bad_minutes_are_refused(keep: Keep, bad: str) -> None:
    kept = keep(0, T)
    with pytest.raises(BadLines):
        kept.store.write_minutes(f"{bad}\n".encode())
