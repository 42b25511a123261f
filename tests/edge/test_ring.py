"""The ring of blocks: bounded in time and in bytes."""

from __future__ import annotations

from edge.ring import Ring
from tests.edge.telling import block

MINUTE_NS = 60_000_000_000
START_NS = 1_700_000_000_000_000_000


def fill(ring: Ring, *minutes: int, sensor: str = "vibration", count: int = 100) -> None:
    for minute in minutes:
        at_ns = START_NS + minute * MINUTE_NS
        ring.add(block(sensor, count, start_ns=at_ns), 30 * MINUTE_NS, at_ns)


def held(ring: Ring, sensor: str = "vibration") -> list[int]:
    return [(each.header.start_ns - START_NS) // MINUTE_NS for each in ring.of("cnc-01", sensor, 0)]


def test_a_block_is_held_for_so_many_minutes() -> None:
    ring = Ring()
    fill(ring, 0, 10, 20, 30, 31, 45)
    assert held(ring) == [20, 30, 31, 45]
    assert ring.bytes == 4 * 400


def test_over_its_bytes_the_oldest_of_all_sensors_goes_and_is_counted() -> None:
    ring = Ring(most_bytes=1000)
    fill(ring, 0)
    fill(ring, 1, sensor="sound")
    fill(ring, 2, 3)
    assert (held(ring), held(ring, "sound"), ring.displaced) == ([2, 3], [], 2)
    fill(ring, 4, count=1000)
    assert (held(ring), ring.bytes) == ([], 0)


def test_a_time_finds_the_blocks_with_numbers_of_it() -> None:
    ring = Ring()
    fill(ring, 0, 1, 2)
    ends_ns = ring.of("cnc-01", "vibration", 0)[0].header.end_ns
    assert len(ring.of("cnc-01", "vibration", START_NS, START_NS + 1)) == 1
    assert len(ring.of("cnc-01", "vibration", ends_ns - 1, START_NS + MINUTE_NS)) == 1
    assert len(ring.of("cnc-01", "vibration", ends_ns, START_NS + MINUTE_NS)) == 0
    assert len(ring.of("cnc-01", "vibration", ends_ns)) == 2
    assert [each.header.start_ns for each in ring.of("cnc-01", "vibration")] == [START_NS + 2 * MINUTE_NS]
    assert ring.of("cnc-02", "vibration") == []
