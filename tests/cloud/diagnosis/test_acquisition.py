"""Windows: what each signal held at each time, the same whichever way they are read, from either store."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cloud.diagnosis.acquisition import SECOND_NS, Bounds, Grid, Source, digest, read_source, read_window, source_of
from cloud.diagnosis.window import Bearing, Measured, Subject, Window
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from cloud.registry.tables import AssetRow
from cloud.telemetry.store import Store
from tests.cloud.chain.bring import NOON_NS, block, bring, event

SIGNALS = {name: Measured() for name in ("feed", "door_open", "program")}
SOURCE = Source(Subject("cnc-01", "cnc", SIGNALS), frozenset({"program"}))
TAGS = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01"
TEXT = TAGS.replace("cnc,", "cnc_text,", 1)


def at(second: float) -> int:
    return NOON_NS + round(second * SECOND_NS)


def read(store: Store, first: float, last: float, step: float = 10.0, source: Source = SOURCE) -> Grid:
    grid = Grid(source, round(step * SECOND_NS), round((last - first) / step) + 1, at(last))
    grid.read(store)
    return grid


def feed(grid: Grid) -> list[float]:
    bounds = Bounds(grid.start_ns, grid.end_ns, grid.step_ns)
    return [float(value) for value in grid.window(bounds)[1]["feed"]]


def write(store: Store, *samples: tuple[float, str]) -> None:
    """Write fields of cnc-01 at seconds after noon."""
    store.write("\n".join(f"{TAGS} {fields} {at(second)}" for second, fields in samples).encode())


def test_an_entry_is_the_newest_value_that_is_not_later(store: Store) -> None:
    write(store, (0, "feed=1"), (10, "feed=2"), (14, "feed=3"), (19.9, "feed=4"), (30.001, "feed=5"))
    assert feed(read(store, 0, 40)) == [1, 2, 4, 4, 5]


def test_what_was_bad_or_without_a_value_is_not_a_number(store: Store) -> None:
    write(store, (0, "feed=1"), (10, "feed=7,feed.quality=0i"), (20, "feed.quality=0i"), (30, "feed=2"))
    np.testing.assert_array_equal(feed(read(store, 0, 30)), [1, np.nan, np.nan, 2])


def test_a_text_that_was_said_hours_before_still_holds(store: Store) -> None:
    store.write(f'{TEXT} program="O7" {at(-7200)}'.encode())
    write(store, (-90_000, "feed=1"), (5, "feed=2"))
    grid = read(store, 0, 10)
    assert grid.window(Bounds(at(0), at(10)))[2]["program"].tolist() == ["O7", "O7"]
    np.testing.assert_array_equal(feed(grid), [np.nan, 2])  # a day later it is not believed


def test_a_grid_that_is_brought_forward_holds_what_one_holds_that_is_read_whole(store: Store) -> None:
    rng = np.random.default_rng(7)
    grid = read(store, 0, 60, step=2.0)
    for now in range(60, 360, 20):
        write(store, *((now + second, f"feed={rng.normal()}") for second in rng.uniform(0, 18, 9)))
        if now % 3:
            store.write(f'{TEXT} program="O{now}" {at(now + 3)}'.encode())
        grid.advance(store, at(now + 20))
        whole = read(store, now - 40, now + 20, step=2.0)
        for mine, other in zip(grid.window(bounds_of(grid))[1:], whole.window(bounds_of(whole))[1:], strict=True):
            for name in mine:
                np.testing.assert_array_equal(mine[name], other[name])


def bounds_of(grid: Grid) -> Bounds:
    return Bounds(grid.start_ns, grid.end_ns, grid.step_ns)


def test_a_sample_that_comes_a_little_late_is_seen(store: Store) -> None:
    write(store, (0, "feed=1"))
    grid = read(store, 0, 60)
    write(store, (45, "feed=2"))
    grid.advance(store, at(70))
    assert feed(grid)[-3:] == [2, 2, 2]


def test_more_samples_than_are_read_at_once_are_read_in_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, *((n / 10, f"feed={n}") for n in range(600)))
    whole = feed(read(store, 0, 50))
    monkeypatch.setattr("cloud.diagnosis.acquisition._MOST_ROWS", 50)
    assert feed(read(store, 0, 50)) == whole == [0, 100, 200, 300, 400, 500]


def test_a_source_comes_back_from_its_text() -> None:
    bearing = Bearing(3.6, 5.4, 2.4, 0.4, speed_signal="spindle_speed")
    source = Source(Subject("cnc-01", "cnc", {"feed": Measured("mm/min", 0.0, None, 0.5)}, {"v": (bearing,)}))
    assert read_source(source.json()) == source


@pytest.fixture
def window(parts: Parts, announce: Callable[..., Announcement]) -> Callable[[], Window]:
    """Return the window of two minutes from noon on."""
    with parts.sessions.begin() as db:
        learn(db, announce())

    def window() -> Window:
        with parts.sessions() as db:
            row = db.get(AssetRow, "cnc-01")
            assert row is not None
            return read_window(db, parts.store, parts.blocks, source_of(row), Bounds(at(0), at(120)))

    return window


def test_blocks_and_events_that_began_in_it_are_in_a_window(client, window) -> None:  # type: ignore[no-untyped-def]
    bring(client, *(event(f"e{n}", n * 60) for n in range(-1, 4)), *(block(f"b{n}", [n], n * 60) for n in range(-1, 4)))
    assert [each.id for each in window().events] == ["e0", "e1", "e2"]
    assert [each.header.id for each in window().blocks] == ["b0", "b1", "b2"]


def test_of_many_blocks_the_newest_and_one_of_each_slot_are_looked_at(client, window) -> None:  # type: ignore[no-untyped-def]
    bring(client, *(block(f"b{n:02}", [n], n * 5) for n in range(20)))
    assert [each.header.id for each in window().blocks] == ["b00", "b16", "b17", "b18", "b19"]


def test_equal_data_have_one_hash_and_what_comes_late_another(client, window, write) -> None:  # type: ignore[no-untyped-def]
    sample = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01 feed={} {}"
    write(sample.format(1, at(30)))
    hashes = [digest(window()), digest(window())]
    write(sample.format(2, at(60)))
    hashes.append(digest(window()))
    bring(client, event("e1", 40))
    hashes.append(digest(window()))
    bring(client, block("b1", [1.0], 40))
    hashes.append(digest(window()))
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4
