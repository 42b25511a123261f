"""Turns to ask a device: at a pace, and never beside another request."""

from __future__ import annotations

import asyncio
import time

from edge.drivers._poll import Poll

CLOCK_S = 0.01  # so much earlier may a loop wake up


async def test_turns_keep_their_pace() -> None:
    poll = Poll(0.05)
    begun_s = time.monotonic()
    for _ in range(5):
        async with poll.turn():
            pass
    assert time.monotonic() - begun_s >= 4 * 0.05 - CLOCK_S


async def test_missed_turns_are_not_made_up_for() -> None:
    poll = Poll(0.05)
    async with poll.turn():
        await asyncio.sleep(0.3)  # a device that is slower than its pace
    begun_s = time.monotonic()
    for _ in range(3):
        async with poll.turn():
            pass
    assert time.monotonic() - begun_s >= 2 * 0.05 - CLOCK_S


async def test_a_turn_waits_for_another_request_and_is_let_go_by_one_that_is_canceled() -> None:
    poll, asked = Poll(0.001), []

    async def ask() -> None:
        async with poll.turn():
            asked.append("poll")

    await poll.line.acquire()
    turns = [asyncio.create_task(ask()) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert not asked
    turns[0].cancel()
    poll.line.release()
    await turns[1]
    assert asked == ["poll"]
    assert not poll.line.locked()
