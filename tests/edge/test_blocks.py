"""Blocks on their way from a machine into the ring, and into a real spool."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from contract.block import MAX_BLOCK_BYTES, Block, Header, pack
from contract.event import Evidence
from contract.model import Sample
from edge.blocks import split
from edge.budget import BlockBudget
from tests.edge.telling import Telling, block, event

WAVEFORM = 16_384  # samples, at 25.6 kHz
MINUTE_NS = 60_000_000_000


@pytest.fixture
async def telling(tmp_path: Path) -> AsyncIterator[Callable[..., Telling]]:
    started: list[Telling] = []

    def start(most_bytes: int = 64 << 20, **sensor: Any) -> Telling:
        started.append(Telling(tmp_path, {"blocks": {"vibration": sensor}}, most_bytes=most_bytes))
        return started[-1]

    yield start
    for each in started:
        await each.kill()


async def test_a_block_is_held_and_sent_when_it_is_asked_for(telling: Any) -> None:
    edge = telling()
    first, second = (block(count=WAVEFORM, start_ns=time.time_ns() - n * 10**10) for n in (2, 1))
    await edge.say(first, second)
    assert (edge.blocks, edge.runner.health.blocks) == ([], 2)
    assert await edge.runner.send_blocks("cnc-01", "vibration") == 1
    [sent] = edge.blocks
    assert sent.header == second.header.model_copy(update={"reason": "request"})
    assert sent.data == second.data
    assert await edge.runner.send_blocks("cnc-01", "vibration", first.header.start_ns, first.header.end_ns) == 1
    assert await edge.runner.send_blocks("cnc-01", "vibration", first.header.start_ns) == 2
    assert await edge.runner.send_blocks("cnc-01", "vibration", 1, 2) == 0
    assert await edge.runner.send_blocks("cnc-01", "sound") == 0


async def test_one_block_a_period_is_sent_by_itself(telling: Any) -> None:
    edge = telling(send_every_s=60)
    start_ns = time.time_ns() - 200 * 10**9
    said = [block(start_ns=start_ns + n * 10**10) for n in range(13)]
    for each in said:
        await edge.say(each)
    assert [each.header.id for each in edge.blocks] == [said[n].header.id for n in (0, 6, 12)]
    assert {each.header.reason for each in edge.blocks} == {"period"}
    assert edge.runner.health.blocks_sent == 3


async def test_a_block_that_an_event_names_is_sent_before_it_and_once(telling: Any) -> None:
    edge = telling()
    said = block()
    evidence = Evidence(block=said.header.id, start_ns=said.header.start_ns, end_ns=said.header.end_ns)
    await edge.say(said, event("bearing", "active", evidence=(evidence,)))
    await edge.say(event("bearing", "cleared", evidence=(evidence,)))
    assert [(each.header.id, each.header.reason) for each in edge.blocks] == [(said.header.id, "detector")]
    topics = [b"Spool/Block" in record.body for record in edge.spool.read()]
    assert topics[:2] == [True, False]


async def test_what_is_told_again_is_held_once(telling: Any) -> None:
    edge = telling()
    said = block()
    await edge.say(said)
    await edge.say(said)
    assert (edge.runner.health.blocks, edge.runner.health.blocks_repeated) == (1, 1)


async def test_blocks_of_a_sensor_that_the_plant_file_does_not_name_are_counted(telling: Any) -> None:
    edge = telling()
    await edge.say(block("sound"))
    assert edge.runner.health.refused == 1


async def test_a_block_that_is_not_what_its_header_says_is_a_failure_of_the_driver(telling: Any, until: Any) -> None:
    edge = telling(send_every_s=1)
    edge.machine.say(block().model_copy(update={"data": b"123"}))
    await until(lambda: edge.runner.health.failures == 1)
    assert edge.blocks == []
    await edge.say(Sample("cnc-01", "speed", time.time_ns(), 1.0))
    assert edge.runner.health.connected


async def test_a_start_that_cannot_be_one_is_that_of_its_arrival_and_flagged(telling: Any) -> None:
    edge = telling(send_every_s=1)
    said = block(start_ns=1, count=256, rate_hz=256.0)
    await edge.say(said)
    [sent] = edge.blocks
    assert sent.header.time_replaced
    assert 0 <= time.time_ns() - sent.header.end_ns < 10 * 10**9
    assert sent.data == said.data


def test_a_long_block_is_split_without_a_gap() -> None:
    number = MAX_BLOCK_BYTES // 2
    header = Header(id="b1", asset="a", sensor="s", start_ns=1000, rate_hz=1e6, count=number, number="float64")
    whole = Block(header=header, data=pack([float(n) for n in range(number)], "float64"))
    parts = list(split(whole))
    assert all(len(part.data) <= MAX_BLOCK_BYTES for part in parts)
    assert [n for part in parts for n in part.numbers()] == list(whole.numbers())
    assert [part.header.start_ns for part in parts[1:]] == [part.header.end_ns for part in parts[:-1]]
    assert len({part.header.id for part in parts}) == len(parts)
    assert parts[0].header.id == "b1"


async def test_a_block_longer_than_a_message_arrives_in_parts(telling: Any) -> None:
    edge = telling(send_every_s=1)
    said = block(count=200_000)
    await edge.say(said)
    assert b"".join(each.data for each in edge.blocks) == said.data
    assert len(edge.blocks) == 2


# the budget in the spool


async def test_blocks_that_wait_displace_no_samples_and_what_is_refused_stands_in_the_ledger(
    telling: Any, until: Any
) -> None:
    edge = telling(most_bytes=200_000, send_every_s=1)
    start_ns = time.time_ns() - 60 * 10**9
    for n in range(4):
        await edge.say(block(count=WAVEFORM, start_ns=start_ns + n * 10**10))
        await edge.say(Sample("cnc-01", "speed", start_ns + n, float(n)))
    assert len(edge.blocks) == 3
    assert (edge.runner.health.blocks_sent, edge.runner.health.blocks_refused) == (3, 1)
    await until(lambda: [each.reason for each in edge.entries()] == ["block_budget"])
    assert edge.node._devices["cnc-01"].last["speed"].value == 3.0


async def test_there_is_room_again_when_blocks_are_acknowledged(telling: Any) -> None:
    edge = telling(most_bytes=100_000, send_every_s=1)
    start_ns = time.time_ns() - 60 * 10**9
    await edge.say(block(count=WAVEFORM, start_ns=start_ns))
    await edge.say(block(count=WAVEFORM, start_ns=start_ns + 10**10))
    assert edge.runner.health.blocks_refused == 1
    edge.node._remove([(1, edge.spool.stats.last_n)])
    assert edge.node._blocks.bytes == 0
    await edge.say(block(count=WAVEFORM, start_ns=start_ns + 2 * 10**10))
    assert len(edge.blocks) == 1


async def test_what_waits_counts_also_after_a_restart(telling: Any) -> None:
    edge = telling(most_bytes=100_000, send_every_s=1)
    start_ns = time.time_ns() - 60 * 10**9
    await edge.say(block(count=WAVEFORM, start_ns=start_ns))
    before = edge.node._blocks.bytes
    again = await edge.again()
    try:
        assert BlockBudget(again.spool).bytes == before > 4 * WAVEFORM
        await again.say(block(count=WAVEFORM, start_ns=start_ns + 10**10))
        assert again.runner.health.blocks_refused == 1
    finally:
        await again.kill()
