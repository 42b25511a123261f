"""What the embedded store promises beyond the contract: durable, exactly once, sealed while it serves."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cloud.telemetry.duckdb_store import AHEAD_NS, DuckDbStore
from cloud.telemetry.sealing import Sealer
from cloud.telemetry.store import Query, StoreUnavailable

T = 1_700_000_000_000_000_000
S = 1_000_000_000
Open = Callable[..., DuckDbStore]
ALL = Query("m", ("a", "b"), 0, 2**62)


def line(signal: str, value: float, time_ns: int) -> str:
    return f"cnc,asset=m {signal}={value} {time_ns}\n"


def values(store: DuckDbStore, query: Query = ALL) -> list[float]:
    return store.samples(query, 1_000_000)["value"].to_pylist()


def seal(store: DuckDbStore) -> None:
    """Seal now, in this thread; the store's own thread sleeps, since nothing is long enough for it."""
    with store.maintaining:
        store.swap()
        Sealer(store).seal()


WRITER = """
import sys
from pathlib import Path
from cloud.telemetry.duckdb_store import DuckDbStore
store = DuckDbStore(Path(sys.argv[1]), seal_rows=500).open()
for n in range(10**6):
    at = 1_700_000_000_000_000_000 + n * 100
    store.write("".join(f"cnc,asset=m a={n * 100 + i} {at + i}\\n" for i in range(100)).encode())
    print(n, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9_once(tmp_path: Path, open_duckdb: Open) -> None:
    acknowledged = 0
    for writes in (7, 31):  # the second run seals, and is killed in the midst of it
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "telemetry")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = 0
        for _ in range(writes):
            acknowledged = int(process.stdout.readline()) + 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    found = values(open_duckdb())
    assert len(found) >= acknowledged * 100
    assert found == [float(n) for n in range(len(found))]


def test_a_second_process_is_told_who_has_the_file(tmp_path: Path, open_duckdb: Open) -> None:
    open_duckdb().write(line("a", 1, T).encode())
    other = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path / "telemetry")], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert "is open in another process" in other.stderr


FULL_DISK = """
import resource, sys
from pathlib import Path
from cloud.telemetry.duckdb_store import DuckDbStore
from cloud.telemetry.store import Query, StoreUnavailable
folder = Path(sys.argv[1])
query = Query("m", ("a",), 0, 2**62)
store = DuckDbStore(folder).open()
def lines(n):
    return "".join(f"cnc,asset=m a={n * 20000 + i} {10**18 + n * 20000 + i}\\n" for i in range(20000)).encode()
store.write(lines(0))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
written = 1
try:
    while True:
        store.write(lines(written))
        written += 1
except StoreUnavailable as error:
    print("refused:", error, error.todo)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
rows = len(store.samples(query, 10**7))
print("rows", rows, "of", written)
store.write(lines(written))
store.write(lines(written + 1))
assert store.samples(query, 10**7)["value"].to_pylist() == [float(n) for n in range((written + 2) * 20000)]
store.close()
"""


def test_a_full_disk_refuses_the_write_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "telemetry")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "refused: the store cannot write" in done.stdout
    assert "full" in done.stdout


def test_sealed_samples_are_the_same_and_files_go(tmp_path: Path, open_duckdb: Open) -> None:
    store = open_duckdb()
    for n in range(10):
        store.write("".join(line(s, n * 10 + i, T + n * 10 + i) for i in range(10) for s in "ab").encode())
        seal(store)
    before = values(store)
    assert len(store.catalog.segments) == 10
    while Sealer(store).merge():  # with seal_rows at its default, all ten are small
        pass
    assert len(store.catalog.segments) < 8
    assert values(store) == before == [float(n) for n in range(100)] * 2
    files = {path.name for path in (tmp_path / "telemetry" / "segments").iterdir()}
    assert files == {segment.name for segment in store.catalog.segments}


def test_sealed_samples_leave_the_growing_file_and_its_log(tmp_path: Path, open_duckdb: Open) -> None:
    store = open_duckdb()
    file, log = (tmp_path / "telemetry" / f"samples.duckdb{end}" for end in ("", ".wal"))
    sizes = []
    for n in range(6):
        store.write("".join(line("a", i * i % 9973, T + n * 50_000 + i) for i in range(50_000)).encode())
        seal(store)
        assert not log.exists() or log.stat().st_size < 100_000
        sizes.append(file.stat().st_size)
    assert max(sizes) <= sizes[1], sizes


def test_a_repeat_of_sealed_samples_stays_one_before_and_after_its_own_sealing(open_duckdb: Open) -> None:
    store = open_duckdb()
    lines = "".join(line("a", n, T + n) for n in range(100)).encode()
    store.write(lines)
    seal(store)
    store.write(lines)
    store.write(line("a", 1000, T + 50).encode())
    expected = [1000.0 if n == 50 else float(n) for n in range(100)]
    assert values(store) == expected
    assert store.buckets(ALL, 2**62)["count"].to_pylist() == [100]
    seal(store)
    assert values(store) == expected
    assert sum(segment.rows for segment in store.catalog.segments) == 100


def test_a_query_keeps_its_view_while_segments_are_replaced(tmp_path: Path, open_duckdb: Open) -> None:
    store = open_duckdb()
    lines = "".join(line("a", n, T + n) for n in range(1000)).encode()
    store.write(lines)
    seal(store)
    export = store.export(ALL)
    first = next(export)
    store.write(lines.replace(b" a=", b" a=-"))
    seal(store)
    rest = pa.Table.from_batches([first, *export])
    assert rest["value"].to_pylist() == [float(n) for n in range(1000)]
    assert len(list((tmp_path / "telemetry" / "segments").iterdir())) == len(store.catalog.segments) == 1


def test_writes_queries_and_sealing_go_on_side_by_side(open_duckdb: Open) -> None:
    store = open_duckdb(seal_rows=300)
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            found = values(store)
            assert found == [float(n) for n in range(len(found))]

    failures: list[BaseException] = []

    def watch() -> None:
        try:
            look()
        except BaseException as error:  # noqa: BLE001  (told by the test)
            failures.append(error)

    readers = [threading.Thread(target=watch) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(40):
        store.write("".join(line("a", n * 50 + i, T + n * 50 + i) for i in range(50)).encode())
        store.write("".join(line("a", n * 50 + i, T + n * 50 + i) for i in range(0, 50, 7)).encode())
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert values(store) == [float(n) for n in range(2000)]


def test_a_clock_that_was_ahead_does_not_hold_the_last_value(open_duckdb: Open) -> None:
    store = open_duckdb(now_ns=lambda: T)
    store.write(line("a", 99, T + AHEAD_NS * 1000).encode())
    assert store.last(["m"])["value"].to_pylist() == [99.0]
    store.write(line("a", 1, T).encode())
    assert store.last(["m"])["value"].to_pylist() == [1.0]
    seal(store)
    store.write(line("a", 2, T + S).encode())
    assert store.last(["m"])["value"].to_pylist() == [2.0]
    store.close()
    store = open_duckdb(now_ns=lambda: T)
    assert store.last(["m"])["value"].to_pylist() == [2.0]
    assert values(store) == [1.0, 2.0, 99.0]


def test_what_a_crash_left_in_the_folder_is_deleted_and_a_lost_file_is_told(tmp_path: Path, open_duckdb: Open) -> None:
    store = open_duckdb()
    store.write(line("a", 1, T).encode())
    seal(store)
    store.write(line("a", 2, T + S).encode())
    store.close()
    folder = tmp_path / "telemetry" / "segments"
    (folder / "00000099.parquet").write_bytes(b"not committed")
    (folder / "00000098.parquet.draft").write_bytes(b"half")
    store = open_duckdb()
    assert len(list(folder.iterdir())) == 1
    store.close()
    next(folder.iterdir()).unlink()
    store = open_duckdb()
    assert "00000001.3.parquet" in str(store.health())
    assert values(store) == [2.0]


def test_a_closed_store_says_so(open_duckdb: Open) -> None:
    store = open_duckdb()
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.write(line("a", 1, T).encode())
    assert store.health() is not None


class AgainstADictionary(RuleBasedStateMachine):
    """Any order of writes, repeats, sealing, merging and restarts shows what a dictionary would."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        AgainstADictionary.runs = getattr(AgainstADictionary, "runs", 0) + 1
        self.path = self.folder / str(AgainstADictionary.runs)
        self.store = DuckDbStore(self.path, now_ns=lambda: T).open()
        self.model: dict[tuple[str, int], float] = {}

    @rule(
        samples=st.lists(
            st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(-5, 5).map(float)), min_size=1, max_size=12
        ),
        wide=st.booleans(),
    )
    def write(self, samples: list[tuple[str, int, float]], wide: bool) -> None:
        lines = [line(signal, value, T + at) for signal, at, value in samples]
        self.model |= {(signal, T + at): value for signal, at, value in samples}
        if wide:
            at, value = samples[0][1:]
            lines.append(f"cnc,asset=m a={value},b={-value} {T + at}\n")
            self.model |= {("a", T + at): value, ("b", T + at): -value}
        self.store.write("".join(lines).encode())

    @rule()
    def seal(self) -> None:
        seal(self.store)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = DuckDbStore(self.path, now_ns=lambda: T).open()

    @invariant()
    def shows_the_model(self) -> None:
        table = self.store.samples(ALL, 1000)
        found = zip(table["signal"].to_pylist(), table["time"].cast(pa.int64()).to_pylist(), strict=True)
        assert dict(zip(found, table["value"].to_pylist(), strict=True)) == self.model
        assert len(table) == len(self.model)
        newest = {signal: self.model[signal, at] for signal, at in sorted(self.model)}
        last = self.store.last(["m"])
        assert dict(zip(last["signal"].to_pylist(), last["value"].to_pylist(), strict=True)) == newest

    def teardown(self) -> None:
        self.store.close()


def test_any_history_shows_what_a_dictionary_would(tmp_path: Path) -> None:
    machine = type("Machine", (AgainstADictionary,), {"folder": tmp_path})
    test = machine.TestCase()
    test.settings = settings(
        max_examples=8, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
    )
    test.runTest()


def test_what_is_forgotten_is_in_no_file_and_stays_away_after_a_restart(tmp_path: Path, open_duckdb: Open) -> None:
    store = open_duckdb()
    other = Query("n", ("a",), 0, 2**62)
    for number in range(4):  # sealed, being sealed, and new
        at = T + number * S
        store.write(f"{line('a', number, at)}{line('a', number, at).replace('asset=m', 'asset=n')}".encode())
        if number < 2:
            seal(store)
    store.swap()
    store.write(f"{line('a', 9, T + 9 * S)}".encode())
    store.forget("m")
    assert (values(store), values(store, other)) == ([], [0.0, 1.0, 2.0, 3.0])
    seal(store)
    store.close()

    again = open_duckdb()
    assert [series.asset for series in again.series()] == ["n"]
    again.write(line("b", 5, T).encode())  # its id may be one that was free again
    assert (values(again), values(again, other)) == ([5.0], [0.0, 1.0, 2.0, 3.0])


def test_nothing_is_forgotten_while_files_are_missing(tmp_path: Path, open_duckdb: Open) -> None:
    store = open_duckdb()
    store.write(line("a", 1, T).encode())
    seal(store)
    store.close()
    (file,) = (tmp_path / "telemetry" / "segments").iterdir()
    file.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match="missing"):
        open_duckdb().forget("m")
