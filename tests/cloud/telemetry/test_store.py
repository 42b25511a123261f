"""What every store promises."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from cloud.telemetry.store import BUCKETS, LAST, RAW, BadLines, Query, Store, TooManyRows

T = 1_700_000_000_000_000_000
S = 1_000_000_000
HEAD = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01"
TEXT = "cnc_text,site=shanghai,area=machining,line=line1,asset=cnc-01"


def query(*signals: str, start: int = T, end: int = T + 1000 * S, asset: str = "cnc-01") -> Query:
    return Query(asset, signals, start, end)


def samples(store: Store, *signals: str, **times: Any) -> list[tuple[Any, ...]]:
    """Return signal, time after T, value and quality of samples."""
    table = store.samples(query(*signals, **times), 10_000)
    assert table.schema == RAW
    times_ns = table["time"].cast(pa.int64()).to_pylist()
    columns = (table[name].to_pylist() for name in ("signal", "value", "text", "quality"))
    return [
        (signal, time - T, value if text is None else text, quality)
        for time, signal, value, text, quality in zip(times_ns, *columns, strict=True)
    ]


def last(store: Store, *assets: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    table = store.last(assets)
    assert table.schema == LAST
    times_ns = table["time"].cast(pa.int64()).to_pylist()
    columns = (table[name].to_pylist() for name in ("asset", "signal", "value", "text", "quality"))
    return {
        (asset, signal): (time - T, value if text is None else text, quality)
        for time, asset, signal, value, text, quality in zip(times_ns, *columns, strict=True)
    }


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert samples(store, "speed") == []
    assert len(store.buckets(query("speed"), S)) == 0
    assert list(store.export(query("speed"))) == []
    assert last(store) == {}
    assert store.health() is None


def test_samples_come_back_with_every_nanosecond_and_digit(store: Store) -> None:
    value = 0.1 + 0.2
    store.write(f"{HEAD} speed={value!r},feed=5 {T + 1}\n{HEAD} speed=-1e300 {T + 2}\n".encode())
    assert samples(store, "speed") == [("speed", 1, value, 192), ("speed", 2, -1e300, 192)]
    assert samples(store, "speed", "feed", end=T + 2) == [("feed", 1, 5.0, 192), ("speed", 1, value, 192)]
    assert last(store) == {("cnc-01", "feed"): (1, 5.0, 192), ("cnc-01", "speed"): (2, -1e300, 192)}


def test_texts_are_samples_too(store: Store) -> None:
    text = 'O1,2 "x" = \\ 加工'
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    store.write(f'{TEXT} program="{escaped}" {T}\n{TEXT} program="" {T + S}\n'.encode())
    assert samples(store, "program") == [("program", 0, text, 192), ("program", S, "", 192)]
    assert last(store) == {("cnc-01", "program"): (S, "", 192)}
    assert len(store.buckets(query("program"), S)) == 0


def test_quality_joins_its_signal_and_may_stand_without_a_value(store: Store) -> None:
    store.write(
        f"{HEAD} speed=1,speed.quality=500,feed=2 {T}\n{HEAD} speed.quality=0 {T + S}\n"
        f'{TEXT} program="a",program.quality=500 {T}\n'.encode()
    )
    assert samples(store, "speed") == [("speed", 0, 1.0, 500), ("speed", S, None, 0)]
    assert samples(store, "feed", "program") == [("feed", 0, 2.0, 192), ("program", 0, "a", 500)]
    assert last(store)["cnc-01", "speed"] == (S, None, 0)


def test_a_repeat_changes_nothing_and_a_correction_replaces(store: Store) -> None:
    lines = "".join(f"{HEAD} speed={n},feed={n} {T + n * S}\n" for n in range(10)).encode()
    for _ in range(3):
        store.write(lines)
    store.write(f"{HEAD} speed=70 {T + 7 * S}\n{HEAD} speed=90 {T + 9 * S}\n".encode())
    speeds = [70.0 if n == 7 else 90.0 if n == 9 else float(n) for n in range(10)]
    assert [value for _, _, value, _ in samples(store, "speed")] == speeds
    assert len(samples(store, "feed")) == 10
    assert last(store, "cnc-01")["cnc-01", "speed"] == (9 * S, 90.0, 192)


def test_the_order_of_arrival_does_not_matter(store: Store) -> None:
    numbers = list(range(200))
    random.Random(1).shuffle(numbers)
    for n in range(0, 200, 20):
        store.write("".join(f"{HEAD} speed={m} {T + m * S}\n" for m in numbers[n : n + 20]).encode())
    assert samples(store, "speed") == [("speed", n * S, float(n), 192) for n in range(200)]
    assert last(store) == {("cnc-01", "speed"): (199 * S, 199.0, 192)}


def test_start_is_in_and_end_is_out(store: Store) -> None:
    store.write("".join(f"{HEAD} speed={n} {T + n}\n" for n in range(5)).encode())
    assert [value for *_, value, _ in samples(store, "speed", start=T + 1, end=T + 3)] == [1.0, 2.0]


def test_assets_and_signals_are_told_apart_whatever_their_names(store: Store) -> None:
    odd = 'a" or true${x}'
    store.write(f"{HEAD} speed=1 {T}\n{HEAD}2 speed=2 {T}\n{HEAD} Head/Spindle.1-a=3 {T}\n".encode())
    assert samples(store, "speed", asset="cnc-012") == [("speed", 0, 2.0, 192)]
    assert samples(store, "Head/Spindle.1-a") == [("Head/Spindle.1-a", 0, 3.0, 192)]
    assert samples(store, odd) == samples(store, "speed", asset=odd) == []
    assert set(last(store, "cnc-012", odd)) == {("cnc-012", "speed")}


def test_buckets_have_minimum_mean_maximum_last_and_count(store: Store) -> None:
    start = T + 3  # buckets begin where the query begins
    # written from new to old: what is last is a matter of times
    for n in reversed(range(10)):
        store.write(f"{HEAD} speed={(n - 4) ** 2},feed={n} {start + n * S}\n".encode())
    store.write(f"{HEAD} feed.quality=0 {start + S // 2}\n".encode())
    table = store.buckets(query("speed", "feed", start=start, end=start + 20 * S), 4 * S)
    assert table.schema == BUCKETS
    rows = [tuple(row.values()) for row in table.drop(["time"]).to_pylist()]
    assert rows == [
        ("feed", 0.0, 1.5, 3.0, 3.0, 4),
        ("feed", 4.0, 5.5, 7.0, 7.0, 4),
        ("feed", 8.0, 8.5, 9.0, 9.0, 2),
        ("speed", 1.0, 7.5, 16.0, 1.0, 4),
        ("speed", 0.0, 3.5, 9.0, 9.0, 4),
        ("speed", 16.0, 20.5, 25.0, 25.0, 2),
    ]
    assert [t - start for t in table["time"].cast(pa.int64()).to_pylist()] == [0, 4 * S, 8 * S] * 2


MOVED = "cnc,site=shanghai,area=machining,line=line2,asset=cnc-01"
"""The same asset, after it was moved to another line: to a store of tags, another series."""


def in_buckets(numbers: dict[int, float], start: int, end: int, width: int) -> list[tuple[Any, ...]]:
    """Return what the buckets of numbers by time have to be."""
    found: dict[int, list[float]] = {}
    for time, number in sorted(numbers.items()):
        if start <= time < end:
            found.setdefault(time - (time - start) % width, []).append(number)
    return [(at, min(n), sum(n) / len(n), max(n), n[-1], len(n)) for at, n in sorted(found.items())]


@pytest.mark.parametrize("seed", range(4))
def test_buckets_are_those_of_the_numbers_whatever_lies_between(store: Store, seed: int) -> None:
    random_ = random.Random(seed)
    numbers: dict[str, dict[int, float]] = {"speed": {}, "feed": {}, "door_open": {}, "once": {T + 77 * S + 7: -1.5}}
    lines = [f"{HEAD} once=-1.5 {T + 77 * S + 7}"]
    for n in range(400):
        at = T + n * S + random_.randrange(S)
        head = random_.choice((HEAD, MOVED)) if n < 200 else MOVED
        if 50 < n < 120 or random_.random() < 0.3:  # gaps, of single samples and of many
            lines.append(f"{head} speed.quality=0 {at}")
            continue
        for name, number in (("speed", random_.randrange(-999, 999) / 4), ("door_open", float(random_.random() < 0.5))):
            numbers[name][at] = number
            lines.append(f"{head} {name}={number},{name}.quality={random_.choice((192, 500))} {at}")
        lines.append(f'{head.replace("cnc", "cnc_text", 1)} program="O{n}",speed="{n}" {at + 1}')
        if n % 7 == 0:
            numbers["feed"][at] = n
            lines.append(f"{head} feed={n} {at}")
    random_.shuffle(lines)
    store.write("\n".join(lines).encode())
    for start, end, width in (
        (T, T + 400 * S, 10 * S),
        (T - 5 * S + 3, T + 391 * S + 1, 7 * S + 13),  # no window begins or ends with a second
        (T + 100 * S, T + 101 * S, 3600 * S),  # one window, longer than what is asked for
        (T + 60 * S, T + 110 * S, S),  # nothing but a gap
        (T, T + 400 * S, 200_000_000),  # fewer samples than windows
    ):
        table = store.buckets(query(*numbers, "program", "absent", start=start, end=end), width)
        table = table.set_column(1, "time", table["time"].cast(pa.int64()))
        rows = [tuple(row.values()) for row in table.to_pylist()]
        assert rows == [
            (name, *row) for name in sorted(numbers) for row in in_buckets(numbers[name], start, end, width)
        ]


def test_more_rows_than_allowed_are_refused(store: Store) -> None:
    store.write("".join(f"{HEAD} speed={n} {T + n}\n" for n in range(11)).encode())
    assert len(store.samples(query("speed"), 11)) == 11
    with pytest.raises(TooManyRows):
        store.samples(query("speed"), 10)


def test_an_export_has_the_same_samples(store: Store) -> None:
    store.write("".join(f"{HEAD} speed={n},feed={n} {T + n}\n" for n in range(100)).encode())
    batches = list(store.export(query("speed", "feed")))
    assert pa.Table.from_batches(batches) == store.samples(query("speed", "feed"), 1000)


@pytest.mark.parametrize("bad", ["cnc,asset=a speed=", "cnc,asset=a speed=x 1", "no sense", f"{HEAD} speed=nan {T}"])
def test_a_bad_line_is_told_and_stores_nothing(store: Store, bad: str) -> None:
    with pytest.raises(BadLines) as raised:
        store.write(f"{bad}\n".encode())
    assert raised.value.line == 1
    assert last(store) == {}


def test_an_asset_is_forgotten_and_no_other(store: Store) -> None:
    odd = 'cnc-"0\\1'
    other = HEAD.replace("cnc-01", "cnc-02")
    for head in (HEAD, other, HEAD.replace("cnc-01", odd)):
        store.write(f"{head} speed=1,feed=2 {T}\n{head} speed=2,speed.quality=500 {T + S}\n".encode())
    store.write(f'{TEXT} program="O1" {T}\n'.encode())
    for asset in ("cnc-01", odd, "never was"):
        store.forget(asset)
    assert samples(store, "speed", "feed", "program") == []
    assert {series.asset for series in store.series()} == {"cnc-02"}
    assert set(last(store)) == {("cnc-02", "feed"), ("cnc-02", "speed")}
    assert [value for *_, value, _ in samples(store, "speed", asset="cnc-02")] == [1.0, 2.0]

    store.write(f"{HEAD} speed=3 {T + 2 * S}\n".encode())  # it lives after all
    assert samples(store, "speed", "feed") == [("speed", 2 * S, 3.0, 192)]
