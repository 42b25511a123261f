"""Whether machines answer, and each of their signals has a value: one visit, nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from contract.model import Quality, Sample, Value, base_quality
from edge.coercion import coerce
from edge.commissioning.detect import Answers, Found, detect
from edge.contain import Contained, Failed, outcome
from edge.conversion import Conversions
from edge.driver import DriverError
from edge.drivers import load
from edge.entry import Context, Entry, SignalEntry
from edge.notes import Notes

WAIT_S: Final = 10.0
"""So long a machine may take to connect, and then all of its signals to have a value."""
_AT_ONCE: Final = 50
_CLOSE_S: Final = 5.0
_DETECT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a signal. `why` says in words what is wrong; empty: nothing."""

    signal: str
    value: Value | None = None
    unit: str = ""
    time_ns: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """What became of a machine; `trouble` and `todo` are empty when it answers."""

    machine: str
    driver: str
    address: str
    readings: Sequence[Reading] = field(default_factory=tuple)
    trouble: str = ""
    todo: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it answers, and each signal has a good value."""
        return not self.trouble and not any(reading.why for reading in self.readings)


async def visit_all(machines: Mapping[str, Entry], context: Context, *, wait_s: float = WAIT_S) -> list[Visit]:
    """Visit machines side by side, so that none waits for another; ends always."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str, entry: Entry) -> Visit:
        async with room:
            return await visit(name, entry, context, wait_s=wait_s)

    return list(await asyncio.gather(*(one(name, entry) for name, entry in machines.items())))


async def visit(name: str, entry: Entry, context: Context, *, wait_s: float = WAIT_S) -> Visit:
    """Connect to one machine and read each signal once."""
    module, visiting = load(entry.driver), replace(context, is_visit=True)
    driver = Contained(lambda: module.Driver(name, entry, visiting), connect_s=wait_s, close_s=_CLOSE_S)
    seen: dict[str, Sample] = {}
    signals = entry.signals
    try:
        await driver.connect()
        signals = driver.found or signals
        await _read(driver, signals, seen, wait_s)
    except DriverError as error:
        if not seen:
            trouble, todo = await _trouble(entry, error)
            return Visit(name, entry.driver, entry.address, _unread(entry), trouble, todo)
    finally:
        with suppress(Failed):
            await driver.close()
    readings = list(_readings(signals, seen, driver.counters.notes, wait_s))
    todo = await _otherwise(entry) if readings and all(reading.why for reading in readings) else ""
    return Visit(name, entry.driver, entry.address, readings, todo=todo)


async def _read(driver: Contained, signals: Mapping[str, SignalEntry], seen: dict[str, Sample], wait_s: float) -> None:
    """Read until each signal has been seen, at most so long; raise DriverError."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + wait_s
    while set(signals) - set(seen) and (left_s := end_s - loop.time()) > 0:
        task = asyncio.ensure_future(driver.read())
        try:
            await asyncio.wait((task,), timeout=left_s)
        finally:
            if not task.done():
                await driver.end(task)
        if task.cancelled() or not task.done():
            return
        for item in outcome(task, "read"):
            if isinstance(item, Sample):
                seen.setdefault(item.signal, item)


def _readings(
    signals: Mapping[str, SignalEntry], seen: Mapping[str, Sample], told: Mapping[str, str], wait_s: float
) -> Iterable[Reading]:
    conversions = Conversions.made(signals, Notes())
    for name, signal in signals.items():
        sample = seen.get(name)
        notes = [text.removeprefix(f"{name}: ") for kind, text in told.items() if kind.endswith(f" of {name}")]
        if sample is None:
            why = notes[0] if notes else f"no value within {wait_s:g} s: does the machine say it only now and then?"
            yield Reading(name, unit=signal.unit, why=why)
            continue
        why, value = "", conversions.value(name, sample.value)
        if value is None:
            why = notes[0] if notes else "the machine says that it has no value now"
        elif signal.stated is not None and coerce(value, signal.stated) is None:
            why, value = f"{sample.value!r:.80} is no {signal.stated}: state another `datatype`", sample.value
        elif base_quality(sample.quality) < Quality.UNCERTAIN:
            why = "the machine says that the value is bad"
        yield Reading(name, value, signal.unit, sample.time_ns, why)


def _unread(entry: Entry) -> list[Reading]:
    return [Reading(name, unit=signal.unit, why="not read") for name, signal in entry.signals.items()]


async def _trouble(entry: Entry, error: DriverError) -> tuple[str, str]:
    """Return what is wrong with a machine that cannot be read, and what to do; what answers there tells most of it."""
    what, do = error.what, error.do
    answers = await _answers(entry) if error.code == "unreachable" else None
    if answers is None:
        return what, do
    if not answers.found:
        return answers.trouble, answers.todo
    best = answers.found[0]
    if (best.driver, urlsplit(best.address).scheme) != (entry.driver, urlsplit(entry.address).scheme):
        what = f"{entry.address}: what answers there is {best.text}"
        return what, f"write `driver: {best.driver}` and `address: {best.address}`, or the right port"
    return what, _differing(entry, best) or do


async def _otherwise(entry: Entry) -> str:
    """Return what to write otherwise when a machine answers, and none of its signals has a value; "": nothing known."""
    answers = await _answers(entry)
    return _differing(entry, answers.found[0]) if answers is not None and answers.found else ""


async def _answers(entry: Entry) -> Answers | None:
    with suppress(DriverError, TimeoutError):
        async with asyncio.timeout(_DETECT_S):
            return await detect(entry.address.partition("://")[2].partition("/")[0])
    return None


def _differing(entry: Entry, found: Found) -> str:
    """Return which options of an entry are others than those by which its machine answers."""
    if found.driver != entry.driver:
        return ""
    other = type(entry).model_validate({"driver": entry.driver, "address": found.address, **found.options})
    options = [f"`{key}: {found.options[key]}`" for key in found.options if getattr(entry, key) != getattr(other, key)]
    return f"it answers with {' and '.join(options)}: write that" if options else ""
