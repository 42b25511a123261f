"""What an agent's buffer has of a time in which nobody listened, by sequence number."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from contract.model import Sample
from edge.driver import NoHistory
from edge.drivers._http import AnswerError
from edge.drivers._mtconnect.documents import Header, Refusal, Streams, time_of
from edge.drivers._mtconnect.items import Conditions, Reader
from edge.drivers.mtconnect.agent import Agent, fell_behind


@dataclass(frozen=True, slots=True)
class Position:
    """A place in what one run of an agent observes."""

    instance: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Gap:
    """What a device observed from `begin` (None: nobody knows where) to before `end`."""

    device: str
    begin: Position | None
    end: Position


async def record(agent: Agent, reader: Reader, gap: Gap, start_ns: int) -> AsyncIterator[Sequence[Sample]]:
    """Yield what the agent still has of a gap, of each signal in order of time.

    Raises NoHistory at the end when its buffer does not reach back to the beginning of the gap, or to `start_ns` when
    that is not known, and for answers that are of no use; and what the line raises.
    """
    try:
        async for samples in _pages(agent, reader, gap, start_ns):
            yield samples
    except AnswerError as error:
        raise NoHistory(str(error)) from error


async def _pages(agent: Agent, reader: Reader, gap: Gap, start_ns: int) -> AsyncIterator[Sequence[Sample]]:
    oldest = await agent.oldest()
    sequence, missing = await _begin(agent, gap, oldest, start_ns)
    conditions = Conditions()
    if reader.has_conditions and sequence < gap.end.sequence:
        await _restore(agent, reader, gap.device, conditions, max(oldest.header.first, sequence - 1))
    held: list[Sample] = []
    skipped = 0
    while sequence < gap.end.sequence:
        try:
            found = await agent.sample(gap.device, sequence)
        except Refusal as refusal:
            if not fell_behind(refusal):
                raise
            skipped += 1
            header = _same_run((await agent.oldest()).header, gap.end)
            sequence = max(sequence + 1, newer(header, skipped, 64))
            missing = "the agent's buffer turned over while it was read"
            continue
        if _same_run(found.header, gap.end).next <= sequence:
            raise AnswerError(f"it answers nothing from observation {sequence} on, though it has more")
        sequence = found.header.next
        ready, held = _parted(held + reader.samples(found.observations, conditions, gap.end.sequence))
        yield ready
    yield held
    if missing:
        raise NoHistory(missing)


def newer(header: Header, count: int, parts: int) -> int:
    """Return the oldest observation that an agent has, or one that is newer by so many parts of its buffer."""
    return header.first + (header.next - header.first) * count // parts


async def _begin(agent: Agent, gap: Gap, oldest: Streams, start_ns: int) -> tuple[int, str]:
    """Return the sequence number to begin with, and what is missing before it."""
    first = _same_run(oldest.header, gap.end).first
    if gap.begin is None:
        return await _since(agent, gap.device, oldest, start_ns)
    if gap.begin.instance != gap.end.instance or gap.begin.sequence > gap.end.sequence:
        return first, "the agent was started anew, and what it had observed before is gone"
    if gap.begin.sequence < first:
        return first, f"the agent's buffer has lost {first - gap.begin.sequence} observations"
    return gap.begin.sequence, ""


async def _since(agent: Agent, device: str, oldest: Streams, start_ns: int) -> tuple[int, str]:
    """Return from where on the buffer has all that is newer than a time, to an eighth, and what is missing before."""
    for eighths in range(7, 0, -1):
        sequence = newer(oldest.header, eighths, 8)
        times_ns = _times_ns(await agent.sample(device, sequence))
        # a whole page is as old: some of it may have been dated by another clock than the rest
        if times_ns and max(times_ns) <= start_ns:
            return sequence, ""
    late_s = (min(_times_ns(oldest), default=start_ns) - start_ns) / 1e9
    return oldest.header.first, f"the agent's buffer begins {late_s:.1f} s too late" if late_s > 0 else ""


def _times_ns(found: Streams) -> list[int]:
    return [time_ns for seen in found.observations if (time_ns := time_of(seen))]


async def _restore(agent: Agent, reader: Reader, device: str, conditions: Conditions, at: int) -> None:
    """Take over which warnings and faults were active at an observation, unless it is gone already."""
    try:
        reader.state((await agent.current(device, at=at)).observations, conditions)
    except Refusal as refusal:
        if not fell_behind(refusal):
            raise


def _same_run(header: Header, end: Position) -> Header:
    if header.instance != end.instance:
        raise AnswerError("the agent was started anew")
    return header


def _parted(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Return the samples in order of time, and apart the newest of each signal: what follows may be of its time."""
    newest: dict[str, int] = {}
    for sample in samples:
        newest[sample.signal] = max(sample.time_ns, newest.get(sample.signal, 0))
    ready = [sample for sample in samples if sample.time_ns < newest[sample.signal]]
    held = [sample for sample in samples if sample.time_ns == newest[sample.signal]]
    return sorted(ready, key=lambda sample: sample.time_ns), held
