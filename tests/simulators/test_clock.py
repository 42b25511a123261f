from __future__ import annotations

from simulators.clock import NS, Clock


def test_stamps_run_with_simulated_time_divided_by_speed() -> None:
    clock = Clock(1_000 * NS, speed=60)
    clock.advance(120)
    assert clock.now_ns == 1_002 * NS
    assert clock.time_s == 120


def test_stamps_do_not_stay_behind_after_a_standstill() -> None:
    clock = Clock(1_000 * NS)
    clock.advance(1)
    clock.keep_up(1_001 * NS + NS // 10, slack_ns=NS // 5)
    assert clock.now_ns == 1_001 * NS
    clock.keep_up(1_010 * NS, slack_ns=NS // 5)
    assert clock.now_ns == 1_010 * NS
    assert clock.time_s == 1
    clock.keep_up(1_009 * NS, slack_ns=NS // 5)
    assert clock.now_ns == 1_010 * NS
