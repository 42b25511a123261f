"""What every driver does, whatever it speaks: one suite, with a peer for each driver.

A peer is a real machine on loopback. `peers/<name>.py` has `peer(request)`, an asynchronous context manager that starts
one; the test cuts the cable to it, says values there, and reads them by the driver.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar, Literal, cast

import pytest

from contract.event import Event
from contract.model import Quality, Sample
from edge import drivers
from edge.driver import Driver, Historian, Lost, Tag, Unreachable
from edge.entry import Context
from tests.edge.conftest import until, unused_port
from tests.edge.drivers.cable import Cable, Way

NAME = "machine-1"
CONNECT_S = 8.0  # so soon a driver says that it cannot connect
LOST_S = 8.0  # so soon it notices that its line has become silent, by the options that its peer states
_MOST = 20_000  # samples in one batch


class Peer(ABC):
    """A machine with the signal `speed`, a double."""

    port: int
    """Where it listens on loopback."""

    is_sampled: ClassVar[bool] = False
    """What it says is seen when the driver asks: of several values the newest."""

    has_session: ClassVar[bool] = True
    """One connection is kept; else each request may have its own."""

    has_times: ClassVar[bool] = True
    """It says when a value was so; of one that does not, the time is that of its answer."""

    is_writable: ClassVar[bool] = False

    lists: ClassVar[bool] = True
    """It can say what it has; of one that cannot, a look around shows what the plant file names."""

    tells_events: ClassVar[bool] = False
    """Its entry asks for the events of an alarm."""

    @abstractmethod
    def entry(self, port: int) -> dict[str, Any]:
        """Return the entry in a plant file, with the signal `speed`, of the machine behind a port."""

    @abstractmethod
    def unknown(self) -> dict[str, Any]:
        """Return the entry of a signal that the machine does not have."""

    @abstractmethod
    async def say(self, value: float, time_ns: int) -> None:
        """Let the speed be so; `time_ns` is whole milliseconds."""

    async def alarm(self, *, is_on: bool) -> None:
        """Let an alarm begin or end."""
        raise NotImplementedError

    async def shown(self) -> Any:
        """Return the speed of the machine."""
        raise NotImplementedError


def now_ns() -> int:
    return time.time_ns() // 1_000_000 * 1_000_000


async def read_until(driver: Driver, value: float) -> list[Sample]:
    """Read until the speed is so; return all samples that came."""
    samples: list[Sample] = []
    async with asyncio.timeout(10):
        while not any(s.signal == "speed" and s.value == value for s in samples):
            batch = await driver.read()
            assert len(batch) <= _MOST
            samples += [item for item in batch if isinstance(item, Sample)]
    return samples


async def read_until_lost(driver: Driver) -> Lost:
    with pytest.raises(Lost) as lost:
        while True:
            await driver.read()
    return lost.value


async def canceled(call: Coroutine[Any, Any, Any], turns: int) -> bool:
    """Cancel a call after so many turns of the event loop; tell whether it was still under way."""
    task = asyncio.create_task(call)
    for _ in range(turns):
        if task.done():
            break
        await asyncio.sleep(0)
    is_under_way = task.cancel()
    async with asyncio.timeout(CONNECT_S):
        await asyncio.wait((task,))
    if not task.cancelled() and task.exception() is not None:
        raise task.exception()  # type: ignore[misc]
    return is_under_way


def turns() -> list[int]:
    """1, 2, 3, 5, 8, … turns: at each await at the beginning, and often enough later."""
    found = [0, 1]
    while found[-1] < 20_000:
        found.append(found[-1] + found[-2])
    return found


@asynccontextmanager
async def nothing_left_of(driver: Driver) -> AsyncIterator[None]:
    """Check that no task, thread or connection of a driver outlives it; those of its peer end with its connections."""
    await driver.connect()  # what is made once is made
    await driver.close()
    tasks, threads = len(asyncio.all_tasks()), _threads()
    yield
    await until(lambda: len(asyncio.all_tasks()) <= tasks and _threads() <= threads)


def _threads() -> int:
    """Return how many threads there are, but for those that asyncio lends."""
    return sum(not thread.name.startswith("asyncio") for thread in threading.enumerate())


class Conformance:
    """The suite; `peer` and `name` come from who runs it."""

    @pytest.fixture
    async def cable(self, peer: Peer) -> AsyncIterator[Cable]:
        cable = Cable(unused_port(), peer.port)
        await cable.start()
        yield cable
        await cable.stop()

    @pytest.fixture
    async def make(self, name: str, peer: Peer, cable: Cable, context: Context) -> AsyncIterator[Callable[..., Driver]]:
        """`make(signals={…})`: a driver at the cable, not connected, with further options; closed with the test."""
        made: list[Driver] = []

        def make(**options: Any) -> Driver:
            module = drivers.load(name)
            driver = module.Driver(NAME, module.Entry.model_validate(peer.entry(cable.port) | options), context)
            made.append(driver)
            return driver

        yield make
        for driver in made:
            await driver.close()

    @pytest.fixture
    async def driver(self, make: Callable[..., Driver]) -> Driver:
        """A driver that is connected."""
        driver = make()
        await driver.connect()
        return driver

    # what it says

    async def test_a_value_comes_with_its_asset_its_quality_and_the_time_of_its_source(
        self, driver: Driver, peer: Peer
    ) -> None:
        time_ns = now_ns() - 2_000_000_000
        await peer.say(1234.5, time_ns)
        [sample] = [sample for sample in await read_until(driver, 1234.5) if sample.value == 1234.5]
        if not peer.has_times:
            assert time_ns < sample.time_ns <= time.time_ns()
            time_ns = sample.time_ns
        assert sample == Sample(NAME, "speed", time_ns, 1234.5, Quality.GOOD)

    async def test_values_come_in_order_in_batches_that_are_bounded(self, driver: Driver, peer: Peer) -> None:
        """Nobody reads while the machine talks; what does not come is counted."""
        start_ns = now_ns()
        for number in range(1, 501):
            await peer.say(float(number), start_ns + number * 1_000_000)
        samples = [s for s in await read_until(driver, 500.0) if s.time_ns > start_ns or not peer.has_times]
        values = [sample.value for sample in samples]
        assert values == sorted(values)
        if not peer.is_sampled:
            assert len(values) == 500 or driver.counters.overflows or driver.counters.dropped

    async def test_a_signal_that_the_machine_does_not_have_leaves_the_others_alone(
        self, make: Callable[..., Driver], peer: Peer, cable: Cable
    ) -> None:
        signals = {**peer.entry(cable.port)["signals"], "gone": peer.unknown()}
        driver = make(signals=signals)
        await driver.connect()
        await peer.say(7.0, now_ns())
        said = [(sample.value, sample.quality) for sample in await read_until(driver, 7.0) if sample.signal == "gone"]
        assert set(said) <= {(None, Quality.BAD)}

    async def test_an_alarm_begins_and_ends_as_one_condition(self, driver: Driver, peer: Peer) -> None:
        if not peer.tells_events:
            pytest.skip("it tells no events")
        events: list[Event] = []
        async with asyncio.timeout(10):
            for is_on in (True, False, True):
                await peer.alarm(is_on=is_on)
                while not events or (events[-1].state == "active") != is_on:
                    events += [item for item in await driver.read() if isinstance(item, Event)]
        assert [event.state for event in events] == ["active", "cleared", "active"]
        assert {(event.asset, event.condition) for event in events} == {(NAME, events[0].condition)}
        assert len({event.id for event in events[:2]}) == 2

    async def test_a_slow_machine_is_waited_for(self, make: Callable[..., Driver], peer: Peer, cable: Cable) -> None:
        cable.delay_s = 0.1
        driver = make()
        await driver.connect()
        await peer.say(8.0, now_ns())
        await read_until(driver, 8.0)

    async def test_a_look_around_finds_the_address_for_the_plant_file(
        self, make: Callable[..., Driver], peer: Peer, cable: Cable
    ) -> None:
        driver = make(**({"signals": {}} if peer.lists else {}))
        await driver.connect()
        saying = asyncio.create_task(_keep_saying(peer))
        try:
            entry = peer.entry(cable.port)["signals"]["speed"]
            [*_, tag] = await _seen(driver, "", entry)
            assert tag.address in entry.values()
            assert (await _seen(driver, tag.path, entry))[-1].address == tag.address
            await driver.connect()
            assert await _seen(driver, "there/is/none", entry) == []
        finally:
            saying.cancel()

    async def test_a_look_around_needs_no_connection_before(
        self, make: Callable[..., Driver], peer: Peer, cable: Cable
    ) -> None:
        driver = make()
        saying = asyncio.create_task(_keep_saying(peer))
        try:
            entry = peer.entry(cable.port)["signals"]["speed"]
            [*_, tag] = await _seen(driver, "", entry)
            assert tag.address in entry.values()
        finally:
            saying.cancel()

    # the line

    async def test_nobody_there_is_told_and_tried_again(
        self, make: Callable[..., Driver], peer: Peer, cable: Cable
    ) -> None:
        await cable.pull("unplugged")
        driver = make()
        async with asyncio.timeout(CONNECT_S):
            with pytest.raises(Unreachable) as told:
                await driver.connect()
        assert str(cable.port) in told.value.what, "the text names the address"
        assert told.value.do, "and says what to do"
        await cable.mend()
        await driver.connect()
        await peer.say(1.0, now_ns())
        await read_until(driver, 1.0)

    @pytest.mark.parametrize("way", ["black hole", "hang up", "noise"])
    async def test_what_answers_nothing_or_nonsense_is_not_waited_for(
        self, make: Callable[..., Driver], cable: Cable, way: Way | Literal["noise"]
    ) -> None:
        if way == "noise":
            cable.noise = True
        else:
            await cable.pull(way)
        driver = make()
        async with asyncio.timeout(CONNECT_S):
            with pytest.raises(Unreachable):
                await driver.connect()

    async def test_reading_unconnected_is_lost(self, make: Callable[..., Driver]) -> None:
        driver = make()
        with pytest.raises(Lost):
            await driver.read()
        if isinstance(driver, Historian):
            with pytest.raises(Lost):
                await anext(aiter(driver.history(0, 1)))

    @pytest.mark.parametrize("way", ["reset", "half open", "black hole", "unplugged"])
    async def test_a_cable_that_is_pulled_is_noticed_and_it_comes_back(
        self, driver: Driver, peer: Peer, cable: Cable, way: Way
    ) -> None:
        await peer.say(1.0, now_ns())
        await read_until(driver, 1.0)
        await cable.pull(way)
        if way == "reset" and not peer.has_session:  # a driver may connect anew by itself
            await peer.say(2.0, now_ns())
            await read_until(driver, 2.0)
            return
        async with asyncio.timeout(LOST_S):
            await read_until_lost(driver)
        if way in ("black hole", "unplugged"):
            async with asyncio.timeout(CONNECT_S):
                with pytest.raises(Unreachable):
                    await driver.connect()
            await cable.mend()
        await driver.connect()
        await peer.say(2.0, now_ns())
        await read_until(driver, 2.0)

    async def test_nonsense_in_the_middle_is_lost_or_left_out(self, driver: Driver, peer: Peer, cable: Cable) -> None:
        """No other error comes out of a driver, whatever bytes come in."""
        await peer.say(1.0, now_ns())
        await read_until(driver, 1.0)
        cable.noise = True
        saying = asyncio.create_task(_keep_saying(peer))
        try:
            async with asyncio.timeout(LOST_S):
                await read_until_lost(driver)
        finally:
            saying.cancel()
        await cable.mend()
        await driver.connect()
        await peer.say(2.0, now_ns())
        await read_until(driver, 2.0)

    # its end

    async def test_it_can_be_closed_at_any_time(self, make: Callable[..., Driver], cable: Cable) -> None:
        driver = make()
        await driver.close()
        await driver.connect()
        await driver.close()
        await driver.close()
        with pytest.raises(Lost):
            await driver.read()
        await driver.connect()
        await cable.pull("black hole")
        async with asyncio.timeout(CONNECT_S):
            await driver.close()

    async def test_connect_can_be_canceled_at_any_await(
        self, make: Callable[..., Driver], peer: Peer, cable: Cable
    ) -> None:
        driver = make()
        async with nothing_left_of(driver):
            for count in turns():
                is_under_way = await canceled(driver.connect(), count)
                await driver.close()
                if not is_under_way:
                    break
        await driver.connect()
        await peer.say(3.0, now_ns())
        await read_until(driver, 3.0)

    async def test_reading_can_be_canceled_at_any_await(self, driver: Driver, peer: Peer) -> None:
        """The runner reads again only after a new connection, as it does after any loss."""
        async with nothing_left_of(driver):
            for count in turns()[:14]:
                await driver.connect()
                await canceled(driver.read(), count)
                await driver.close()
        await driver.connect()
        await peer.say(4.0, now_ns())
        await read_until(driver, 4.0)

    async def test_closing_can_be_canceled_at_any_await(
        self, make: Callable[..., Driver], peer: Peer, cable: Cable
    ) -> None:
        driver = make()
        async with nothing_left_of(driver):
            for count in turns()[:14]:
                await driver.connect()
                await canceled(driver.close(), count)
                await driver.close()
        await driver.connect()
        await peer.say(5.0, now_ns())
        await read_until(driver, 5.0)

    # writing

    async def test_what_cannot_be_written_is_refused(self, make: Callable[..., Driver], peer: Peer) -> None:
        driver = make()
        before = await peer.shown() if peer.is_writable else None
        for signal in ("speed", "nothing"):  # not writable by its entry; not there at all
            written = await driver.write(NAME, signal, 1.0)
            assert (written.outcome, bool(written.reason)) == ("refused", True)
            await driver.connect()
        assert before is None or await peer.shown() == before

    async def test_a_write_is_read_back(self, make: Callable[..., Driver], peer: Peer, cable: Cable) -> None:
        if not peer.is_writable:
            pytest.skip("it reads only")
        speed = peer.entry(cable.port)["signals"]["speed"] | {"writable": True}
        driver = make(signals={"speed": speed})
        assert (await driver.write(NAME, "speed", 1.0)).outcome == "failed"  # unconnected
        await driver.connect()
        reading = asyncio.create_task(read_until(driver, 1500.0))
        written = await driver.write(NAME, "speed", 1500.0)
        assert (written.outcome, written.value) == ("done", 1500.0)
        assert await peer.shown() == 1500.0
        await reading
        written = await driver.write(NAME, "speed", "much")
        assert written.outcome in ("refused", "failed")
        assert written.reason
        assert await peer.shown() == 1500.0
        await cable.pull("black hole")
        async with asyncio.timeout(CONNECT_S):
            written = await driver.write(NAME, "speed", 2.0)
        assert written.outcome in ("failed", "unknown")

    async def test_a_write_whose_answer_is_lost_may_have_been_done(
        self, make: Callable[..., Driver], peer: Peer, cable: Cable
    ) -> None:
        if not peer.is_writable:
            pytest.skip("it reads only")
        driver = make(signals={"speed": peer.entry(cable.port)["signals"]["speed"] | {"writable": True}})
        await driver.connect()
        cable.delay_s = 0.3  # so long is the answer on its way
        writing = asyncio.create_task(driver.write(NAME, "speed", 2.0))
        async with asyncio.timeout(10):
            while await peer.shown() != 2.0:  # noqa: ASYNC110 no event
                await asyncio.sleep(0.005)
        await cable.pull("black hole")
        async with asyncio.timeout(CONNECT_S):
            written = await writing
        assert (written.outcome, bool(written.reason)) == ("unknown", True)

    # its entry

    def test_an_address_without_a_port_has_that_of_its_scheme(self, name: str) -> None:
        module = drivers.load(name)
        for scheme, port in module.SCHEMES.items():
            assert name in drivers.schemes()[scheme]
            for host in ("plc", "[::1]"):
                entry = module.Entry.model_validate({"driver": name, "address": f"{scheme}://{host}"})
                assert entry.address == f"{scheme}://{host}:{port}"

    def test_an_address_that_is_none_is_told_with_the_port(self, name: str) -> None:
        module = drivers.load(name)
        for scheme, port in module.SCHEMES.items():
            for wrong in ("plc", "gopher://plc", f"{scheme}://plc:0", f"{scheme}://plc:70000", f"{scheme}://plc:a"):
                with pytest.raises(ValueError, match=rf"is not an address|without a port: {port}"):
                    module.Entry.model_validate({"driver": name, "address": wrong})


async def _keep_saying(peer: Peer) -> None:
    for number in itertools.count(100):
        await peer.say(float(number), now_ns())
        await asyncio.sleep(0.02)


async def _seen(driver: Driver, path: str, entry: dict[str, Any]) -> list[Tag]:
    """Look around until something is at the address of an entry; what follows is not asked for."""
    found: list[Tag] = []
    async with asyncio.timeout(10), aclosing(cast("AsyncGenerator[Tag, None]", driver.browse(path))) as tags:
        async for tag in tags:
            found.append(tag)
            if tag.address in entry.values():
                break
    return found
