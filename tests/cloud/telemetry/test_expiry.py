"""How the embedded store lets samples go: whole files, nothing twice, nothing lost, wherever it is killed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloud.telemetry.duckdb_store import DuckDbStore
from cloud.telemetry.sealing import Sealer
from cloud.telemetry.segments import ENDING
from cloud.telemetry.store import MINUTES, BadLines, Query, StoreUnavailable

S = 1_000_000_000
MINUTE = 60 * S
DAY = 1440 * MINUTE
T = 19_600 * DAY
ALL = Query("m", ("a", "b"), 0, 2**62)
Open = Callable[..., DuckDbStore]


class Clock:
    """A clock that tests set; in ns since 1970."""

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __call__(self) -> int:
        """Return the time."""
        return self.ns


def expire(store: DuckDbStore) -> None:
    """Roll up and let go in this thread what the store's own thread does once a day."""
    with store.maintaining:
        Sealer(store).expire()


def day_of(number: int, step: int = 10 * MINUTE) -> bytes:
    """Return a day's samples."""
    times = range(T + number * DAY, T + (number + 1) * DAY, step)
    return "".join(f"cnc,asset=m a={at // step % 101},b=1 {at}\n" for at in times).encode()


def count(store: DuckDbStore) -> int:
    return sum(store.buckets(ALL, 2**62)["count"].to_pylist())


def seal(store: DuckDbStore) -> None:
    with store.maintaining:
        store.swap()
        Sealer(store).seal()


def files(store: DuckDbStore, folder: Path) -> int:
    """Return how many files there are, which are those that count."""
    found = {path.name for path in (folder / "telemetry" / "segments").iterdir()}
    assert found == {s.name for s in [*store.catalog.segments, *store.catalog.minutes]}
    return len(found)


CRASH = """
import os, sys, time
from pathlib import Path
from test_expiry import ALL, DAY, T, Clock, DuckDbStore, count, day_of, expire, seal

def child(work):
    number = os.fork()
    if number == 0:
        work()
        os._exit(0)
    return number

def opened(folder, days):
    return DuckDbStore(folder, raw_days=days, now_ns=Clock(T + 9 * DAY)).open()

def fill(folder):
    store = opened(folder, 0)
    for day in (1, 3, 2, 0):
        store.write(day_of(day))
        if day != 0:
            seal(store)
    store.close()

def die_at(folder, event_number):
    seen = 0
    def hook(event, _):
        nonlocal seen
        if event in ("os.rename", "os.remove"):
            seen += 1
            if seen == event_number:
                os._exit(9)
    sys.addaudithook(hook)
    expire(opened(folder, 7))
    os._exit(0)

def check(folder):
    store = opened(folder, 7)
    assert count(store) == 4 * 288, count(store)
    expire(store)
    assert count(store) == 4 * 288, count(store)
    assert store.raw_since() == T + 2 * DAY
    assert [len(store.catalog.minutes), len(store.catalog.segments)] == [2, 2], store.catalog
    found = {path.name for path in (folder / "segments").iterdir()}
    assert found == {s.name for s in [*store.catalog.segments, *store.catalog.minutes]}

def all_of(number):
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])

root = Path(sys.argv[1])
for run in range(1, 100):
    folder = root / str(run)
    assert all_of(child(lambda: fill(folder))) == 0
    ended = all_of(child(lambda: die_at(folder, run)))
    assert all_of(child(lambda: check(folder))) == 0
    if ended == 0:
        break
print("crashes", run - 1)
for run in range(6):
    folder = root / f"killed-{run}"
    assert all_of(child(lambda: fill(folder))) == 0
    victim = child(lambda: expire(opened(folder, 7)))
    time.sleep(0.02 + run * 0.03)
    os.kill(victim, 9)
    all_of(victim)
    assert all_of(child(lambda: check(folder))) == 0
"""


def test_a_crash_anywhere_in_a_roll_up_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 5


def test_a_year_ends_with_few_files_and_only_the_days_that_are_kept(tmp_path: Path, open_duckdb: Open) -> None:
    clock = Clock(T)
    store = open_duckdb(raw_days=3, minute_days=20, seal_rows=200, now_ns=clock)
    seen = []
    for day in range(60):
        clock.ns = T + day * DAY
        with store.maintaining:
            store.write(day_of(day, 60 * MINUTE))
        seal(store)
        with store.maintaining:
            while Sealer(store).merge():
                pass
        expire(store)
        seen.append(files(store, tmp_path))
    assert max(seen) <= 15
    oldest = store.buckets(ALL, DAY)["time"].cast("int64")[0].as_py()
    assert T + 20 * DAY <= oldest <= T + 40 * DAY
    assert sum(s.rows for s in store.catalog.segments) <= 2 * 4 * 48


def test_what_waits_for_being_sealed_is_rolled_up(open_duckdb: Open) -> None:
    clock = Clock(T)
    store = open_duckdb(raw_days=2, now_ns=clock)
    store.write(day_of(0))
    with store.maintaining:
        store.swap()
    store.write(day_of(1))
    clock.ns = T + 9 * DAY
    expire(store)
    assert [s.rows for s in store.catalog.minutes] == [288, 288]
    assert count(store) == 2 * 288


def test_nothing_goes_while_a_file_is_missing(open_duckdb: Open) -> None:
    clock = Clock(T)
    store = open_duckdb(raw_days=2, now_ns=clock)
    store.write(day_of(0))
    seal(store)
    path = store.folder.path(store.catalog.segments[0].name)
    store.close()
    path.rename(path.parent.parent / path.name)
    clock.ns = T + 9 * DAY
    store = open_duckdb(raw_days=2, now_ns=clock)
    expire(store)
    assert "are missing" in str(store.health())
    store.close()
    (path.parent.parent / path.name).rename(path)
    store = open_duckdb(raw_days=2, now_ns=clock)
    expire(store)
    assert count(store) == 288
    assert store.raw_since() == T + 7 * DAY


def test_a_stray_sample_of_a_wrong_clock_does_not_hold_a_file(tmp_path: Path, open_duckdb: Open) -> None:
    clock = Clock(T)
    store = open_duckdb(raw_days=2, now_ns=clock)
    store.write(day_of(0) + f"cnc,asset=m a=5 {T + 30_000 * DAY}\n".encode())
    seal(store)
    clock.ns = T + 9 * DAY
    expire(store)
    assert [s.rows for s in store.catalog.segments] == [1]
    assert count(store) == 289
    assert files(store, tmp_path) == 2


def test_what_is_older_than_samples_are_kept_is_refused(open_duckdb: Open) -> None:
    clock = Clock(T + 2 * DAY)
    store = open_duckdb(raw_days=2, now_ns=clock)
    store.write(day_of(0))
    clock.ns = T + 3 * DAY
    expire(store)
    with pytest.raises(BadLines, match="before what is kept: 2023") as raised:
        store.write(f"cnc,asset=m a=1 {T + DAY}\ncnc,asset=m a=1 {T + DAY - 1}\n".encode())
    assert raised.value.line == 2
    store.close()
    store = open_duckdb(raw_days=0)
    assert store.raw_since() == T + DAY
    with pytest.raises(BadLines):
        store.write(f"cnc,asset=m a=1 {T}\n".encode())
    assert count(store) == 288


def test_c1_recordings_of_any_year_are_kept_when_samples_are_kept_for_ever(open_duckdb: Open) -> None:
    store = open_duckdb(raw_days=0, now_ns=Clock(T))
    years = [1971, 1999, 2015]
    lines = [f"cnc,asset=m a={year} {(year - 1970) * 365 * DAY}" for year in years]
    store.write("\n".join(reversed(lines)).encode())
    expire(store)
    seal(store)
    expire(store)
    assert count(store) == len(years)
    store.close()
    assert count(open_duckdb(raw_days=0, now_ns=Clock(T))) == len(years)


def test_a_query_keeps_its_view_while_samples_go(open_duckdb: Open) -> None:
    clock = Clock(T)
    store = open_duckdb(raw_days=2, now_ns=clock)
    store.write(day_of(0))
    seal(store)
    export = store.export(ALL)
    first = next(export)
    clock.ns = T + 9 * DAY
    expire(store)
    assert sum(map(len, [first, *export])) == 288
    assert list(store.export(ALL)) == []


def test_a_full_disk_stops_the_roll_up_and_keeps_the_samples(open_duckdb: Open, tmp_path: Path) -> None:
    clock = Clock(T)
    store = open_duckdb(raw_days=2, now_ns=clock)
    store.write(day_of(0))
    seal(store)
    folder = tmp_path / "telemetry" / "segments"
    (folder / f"{store.catalog.next_segment:08d}{ENDING}.draft").mkdir()  # nothing can be written there
    clock.ns = T + 9 * DAY
    with pytest.raises((StoreUnavailable, OSError)):
        expire(store)
    assert store.raw_since() == T - 2 * DAY
    assert count(store) == 288
    expire(store)
    assert count(store) == 288
    assert store.raw_since() == T + 7 * DAY


SAMPLES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(-150, 150).map(lambda n: n * 7 * S) | st.integers(-2000, 2000).map(lambda n: n * MINUTE),
        st.integers(-40, 40).map(lambda n: n / 4) | st.sampled_from(["on", "off"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    parts=st.lists(SAMPLES, min_size=1, max_size=3),
    days=st.integers(0, 3),
    width=st.sampled_from([1, 2, 13, 1440]),
    start=st.integers(-1500, 10),
)
def test_minutes_answer_as_the_samples_did(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[tuple[str, int, float | str]]],
    days: int,
    width: int,
    start: int,
) -> None:
    clock = Clock(T)
    store = DuckDbStore(tmp_path_factory.mktemp("any"), raw_days=3, now_ns=clock).open()
    ask = Query("m", ("a", "b"), T + start * MINUTE, T + 2 * DAY)
    for samples in parts:
        lines = [
            f'cnc_text,asset=m {s}="{v}" {T + at}\n' if isinstance(v, str) else f"cnc,asset=m {s}={v} {T + at}\n"
            for s, at, v in samples
        ]
        store.write("".join(lines).encode())
        if len(samples) % 2:
            seal(store)
    before = store.buckets(ask, width * MINUTE)
    texts = [(n, t // MINUTE, x) for n, t, x in _texts(store)]
    clock.ns = T + (days + 2) * DAY
    expire(store)
    assert store.raw_since() == T + (days - 1) * DAY
    assert store.buckets(ask, width * MINUTE) == before
    old = [text for text in texts if text[1] * MINUTE < store.raw_since()]
    newest = {(signal, minute): text for signal, minute, text in old}
    table = pa.Table.from_batches(list(store.minutes(ALL)), MINUTES)
    minutes = [minute // MINUTE for minute in table["time"].cast("int64").to_pylist()]
    rows = zip(table["signal"].to_pylist(), minutes, table["text"].to_pylist(), table["count"].to_pylist(), strict=True)
    kept = {(signal, minute): (text, n) for signal, minute, text, n in rows if text is not None}
    counts = Counter((signal, minute) for signal, minute, _ in old)
    assert kept == {key: (text, counts[key]) for key, text in newest.items()}
    store.close()


def _texts(store: DuckDbStore) -> list[tuple[str, int, str]]:
    table = store.samples(ALL, 10_000)
    times = table["time"].cast("int64").to_pylist()
    rows = zip(table["signal"].to_pylist(), times, table["text"].to_pylist(), strict=True)
    return [row for row in rows if row[2] is not None]
