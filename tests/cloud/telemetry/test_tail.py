"""Samples that are answered from memory are those of the files, whatever is written while, before or after."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.telemetry import tail
from cloud.telemetry.batch import Batch
from cloud.telemetry.duckdb_store import DuckDbStore
from cloud.telemetry.sealing import Sealer
from cloud.telemetry.store import Query

S = 10**9
NOW = 1_795_420_800 * S
SIGNALS = ("a", "b", "c")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    store = DuckDbStore(tmp_path, now_ns=lambda: NOW).open()
    yield store
    store.close()


def last(signal: str, seconds: float, until_s: float = 0.0) -> Query:
    return Query("m", (signal,), NOW - int(seconds * S), NOW - int(until_s * S))


def found(store: DuckDbStore, query: Query) -> list[tuple[int, float]]:
    table = store.samples(query, 1_000_000)
    return list(zip(table["time"].cast("int64").to_pylist(), table["value"].to_pylist(), strict=True))


def from_files(store: DuckDbStore, query: Query) -> list[tuple[int, float]]:
    """The same of a query that is never answered from memory."""
    return [
        sample for sample in found(store, Query("m", query.signals, 0, query.end_ns)) if sample[0] >= query.start_ns
    ]


@pytest.mark.parametrize("seed", range(4))
def test_memory_and_files_say_the_same(store: DuckDbStore, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        what = chance.random()
        if what < 0.6:  # new samples, late ones, repeats, lines of one and of several signals
            text = ""
            for _ in range(chance.randrange(1, 6)):
                fields = chance.sample(SIGNALS, chance.randrange(1, 4))
                at = NOW - chance.choice((0, 1, 5, 60, 119, 121, 300)) * S - chance.randrange(3)
                text += f"cnc,asset=m {','.join(f'{name}={chance.randrange(9)}' for name in fields)} {at}\n"
            store.write(text.encode())
        elif what < 0.65:
            with store.maintaining:
                store.swap()
                Sealer(store).seal()
        for signal in SIGNALS:
            query = last(signal, chance.choice((1, 60, 119)), chance.choice((0.0, 0.5)))
            assert found(store, query) == from_files(store, query)


def test_what_is_written_while_a_tail_is_loaded_is_in_it(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(f"cnc,asset=m a=1 {NOW - 3 * S}\n".encode())
    rows = store._rows

    def slow_rows(*args: object) -> object:
        before = rows(*args)  # type: ignore[arg-type]
        store.write(f"cnc,asset=m a=2 {NOW - 2 * S}\n".encode())
        return before

    monkeypatch.setattr(store, "_rows", slow_rows)
    found(store, last("a", 60))
    monkeypatch.undo()
    store.write(f"cnc,asset=m a=3 {NOW - 1 * S}\n".encode())
    assert [value for _, value in found(store, last("a", 60))] == [1, 2, 3]


def test_memory_is_bounded(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_ROWS", 20)
    for second in range(15):
        fields = ",".join(f"s{n}={second}" for n in range(4))
        store.write(f"cnc,asset=m {fields} {NOW - (100 - second) * S}\n".encode())
        for n in range(4):
            assert len(found(store, last(f"s{n}", 119))) == second + 1
        held = store._tails
        assert sum(len(each.times) for each in held._tails.values()) == held._rows <= 20


def test_readers_see_all_that_was_acknowledged_before_they_asked(store: DuckDbStore) -> None:
    ended = threading.Event()
    acknowledged: list[int] = []
    wrong: list[object] = []

    def read() -> None:
        while not ended.is_set():
            least = len(acknowledged)
            values = [value for _, value in found(store, last("a", 60))]
            if values != list(range(len(values))) or len(values) < least:
                wrong.append((least, values))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        store.write(f"cnc,asset=m a={number} {NOW - 50 * S + number}\n".encode())
        acknowledged.append(number)
    ended.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_who_asks_between_commit_and_memory_sees_each_sample_once(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(f"cnc,asset=m a=1 {NOW - 2 * S}\n".encode())
    add, query = store._tails.add, last("a", 60)

    def ask_and_add(batch: Batch) -> None:
        found(store, query)
        add(batch)

    monkeypatch.setattr(store._tails, "add", ask_and_add)
    store.write(f"cnc,asset=m a=2 {NOW - S}\n".encode())
    assert found(store, query) == from_files(store, query) == [(NOW - 2 * S, 1.0), (NOW - S, 2.0)]


def test_a_deleted_asset_is_forgotten_in_memory_too(store: DuckDbStore) -> None:
    store.write(f"cnc,asset=m a=1 {NOW - S}\n".encode())
    assert found(store, last("a", 60)) == [(NOW - S, 1.0)]
    assert len(store.last(())) == 1
    store.forget("m")
    assert len(store.last(())) == 0
    assert found(store, last("a", 60)) == []
    store.write(f"cnc,asset=m a=2 {NOW - S}\n".encode())
    assert found(store, last("a", 60)) == [(NOW - S, 2.0)]


def test_what_is_at_hand_is_what_the_files_say(store: DuckDbStore) -> None:
    store.write("".join(f"cnc,asset=m a={n},b={n} {NOW - n * S // 10}\n" for n in range(1100, -1, -1)).encode())
    assert store.at_hand(last("a", 60)) is None, "nobody has asked for it before"
    expected = store.samples(last("a", 60), 1_000_000)
    assert store.at_hand(last("a", 60)) == expected
    store.write(f"cnc,asset=m a=7 {NOW + S}\n".encode())
    newest = store.at_hand(last("a", 1, -2))
    assert newest is not None
    assert newest["value"].to_pylist()[-1] == 7
    assert store.at_hand(last("a", 119)) is None, "they are more than the event loop may wait for"
    assert store.at_hand(last("a", 600)) is None, "no tail reaches back so far"
    assert store.at_hand(last("unknown", 60)) is None
    assert store.at_hand(Query("m", ("a", "b"), NOW - S, NOW)) is None
