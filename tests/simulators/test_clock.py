from __future__ import annotations

import asyncio
import time

from simulators.clock import NS, Clock, run


def test_stamps_run_with_simulated_time_divided_by_speed() -> None:
    clock = Clock(1_000 * NS, speed=60)
    clock.advance(120)
    assert clock.now_ns == 1_002 * NS
    assert clock.time_s == 120


def test_a_late_tick_is_made_up_for_and_a_standstill_is_left_out() -> None:
    clock = Clock(1_000 * NS)
    clock.advance(1)
    assert clock.wait_ns(1_001 * NS + NS // 10, period_ns=NS) == NS * 9 // 10
    assert clock.wait_ns(1_002 * NS + NS // 10, period_ns=NS) == -NS // 10
    assert (clock.now_ns, clock.late) == (1_001 * NS, 0)
    assert clock.wait_ns(1_010 * NS, period_ns=NS) == 0
    clock.advance(1)
    assert (clock.now_ns, clock.late) == (1_010 * NS, 1)
    assert clock.time_s == 2


def test_stamps_follow_a_wall_clock_that_is_set_back() -> None:
    clock = Clock(1_000 * NS)
    clock.advance(1)
    assert clock.wait_ns(900 * NS, period_ns=NS) == 0
    clock.advance(1)
    assert clock.now_ns == 900 * NS


async def test_nothing_is_stamped_before_its_time() -> None:
    clock, stop, early = Clock(0), asyncio.Event(), []
    delays = iter([0.0, 0.03, 0.0, 0.09, 0.0, 0.0])

    async def tick() -> None:
        clock.advance(0.02)
        early.append(clock.now_ns - time.time_ns())
        await asyncio.sleep(delay := next(delays, -1.0))
        if delay < 0.0:
            stop.set()

    await asyncio.wait_for(run(tick, clock, 0.02, stop), 10)
    assert len(early) == 7
    assert max(early) <= NS // 1000  # a timer may ring a moment early
    assert clock.late >= 1
