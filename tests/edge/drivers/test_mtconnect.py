"""The MTConnect driver against a real agent, and against servers that are none."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from contract.model import Datatype, Quality, Sample
from edge.driver import Historian, Lost, NoHistory, Unreachable
from edge.drivers._http import MOST_BYTES
from edge.drivers._mtconnect.documents import nanoseconds
from edge.drivers.mtconnect import Driver, Entry
from edge.drivers.mtconnect.multipart import parts
from edge.entry import Context, Place
from edge.filter import Filter
from shopfloor.chaos.proxy import Link
from simulators.emitted import Emitted
from simulators.faces._mtconnect.observer import Condition
from tests.edge.reading import read_until

SPEED = {"speed": {"data_item": "spindle_speed"}}


@pytest.fixture
async def connect(context: Context) -> AsyncIterator[Callable[..., Any]]:
    """Connect a driver to an agent: `await connect(url, signals, heartbeat_s=…)`; closed at the end of the test."""
    drivers: list[Driver] = []

    async def start(url: str, signals: dict[str, Any] | None = None, **options: Any) -> Driver:
        settings = {"interval_s": 0.01, "heartbeat_s": 1, "poll_s": 0.02} | options
        machine = Entry.model_validate({"address": url, "signals": signals or SPEED} | settings)
        driver = Driver("cnc-01", machine, context)
        drivers.append(driver)
        await driver.connect()
        return driver

    yield start
    for driver in drivers:
        await driver.close()


async def recorded(driver: Historian, start_ns: int, end_ns: int) -> tuple[list[Sample], str]:
    """Read history; return what there is, and why not all of it."""
    samples: list[Sample] = []
    try:
        async for some in driver.history(start_ns, end_ns):
            samples += some
    except NoHistory as error:
        return samples, str(error)
    return samples, ""


class Scripted:
    """A server that answers each request by what stands in `answers` for its path: bytes, sent as they are."""

    def __init__(self, answers: dict[str, bytes], *, hold: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.answers = answers
        self.tls = tls
        self.hold = hold  # keep streams open
        self.asked: list[str] = []
        self.url = ""
        self._held: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=self.tls)
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._held:
            if not writer.transport.is_closing():
                writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(target)
        known = [path for path in self.answers if target.startswith(path)]
        answer = self.answers[max(known, key=len)] if known else http(b"", status="404 Not Found")
        writer.write(answer)
        self._held.append(writer)
        if not self.hold or b"multipart" not in answer:
            writer.close()


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[..., Any]]:
    """Start scripted servers that end with the test: `await scripted({"/probe": …})`."""
    servers: list[Scripted] = []

    async def start(answers: dict[str, bytes], **options: Any) -> Scripted:
        server = Scripted(answers, **options)
        servers.append(server)
        await server.start()
        return server

    yield start
    for server in servers:
        await server.stop()


def http(body: bytes, *, status: str = "200 OK", kind: str = "text/xml", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def model(*items: str, devices: tuple[str, ...] = ("vmc",)) -> bytes:
    """A model as an agent of 1.3 has it: no Content-length, other namespaces, no times of change."""
    each = "".join(
        f'<m:Device id="d" name="{name}" uuid="u-{name}"><m:DataItems>{"".join(items)}</m:DataItems></m:Device>'
        for name in devices
    )
    space = 'xmlns:m="urn:mtconnect.org:MTConnectDevices:1.3"'
    body = f'<m:Header instanceId="7"/><m:Devices>{each}</m:Devices>'
    return f"<m:MTConnectDevices {space}>{body}</m:MTConnectDevices>".encode()


def item(id_: str, category: str = "SAMPLE", kind: str = "POSITION", **more: str) -> str:
    attributes = " ".join(
        f'{key}="{value}"' for key, value in ({"id": id_, "type": kind, "category": category} | more).items()
    )
    return f"<m:DataItem {attributes}/>"


def observations(*elements: str, first: int = 1, following: int = 100, instance: int = 7) -> bytes:
    head = f'<Header instanceId="{instance}" bufferSize="64" firstSequence="{first}" nextSequence="{following}"/>'
    return f"<MTConnectStreams>{head}<Streams>{''.join(elements)}</Streams></MTConnectStreams>".encode()


def seen(
    id_: str, text: str, sequence: int = 1, element: str = "Position", stamp: str = "2026-01-01T00:00:00Z", **more: str
) -> str:
    attributes = " ".join(f'{key}="{value}"' for key, value in more.items())
    return f'<{element} dataItemId="{id_}" sequence="{sequence}" timestamp="{stamp}" {attributes}>{text}</{element}>'


def refusal(code: str, text: str = "no") -> bytes:
    error = f'<Errors><Error errorCode="{code}">{text}</Error></Errors>'
    return f'<MTConnectError><Header instanceId="7"/>{error}</MTConnectError>'.encode()


# what it reads


async def test_every_value_is_as_the_machine_emitted_it(observe: Any, connect: Any, tmp_path: Path) -> None:
    """The journal of what left the machine is the truth: each line of it arrives once, with its time, in its order."""
    agent = await observe()
    agent.face.shown[0].emitted = Emitted(tmp_path / "emitted")
    signals = {
        name: {"data_item": f"cnc-01_{name}"} for name in ("spindle_speed", "x_position", "part_count", "program")
    }
    driver = await connect(agent.url, signals)
    assert {sample.value for sample in await driver.read()} == {None}
    await agent.tick(100)
    emitted = [json.loads(line) for line in (tmp_path / "emitted").read_text().splitlines() if line]
    truth = [(n, e["time_ns"], e["values"][n]) for e in emitted for n in signals if n in e["values"]]
    samples = await read_until(driver, len(truth))
    assert sorted((s.signal, s.time_ns, s.value) for s in samples) == sorted(truth)
    assert len({sample.signal for sample in samples}) == 4
    for name in signals:
        times = [sample.time_ns for sample in samples if sample.signal == name]
        assert times == sorted(times)


async def test_the_plant_file_of_the_simulators_fits(observe: Any, context: Context) -> None:
    """Each of its signals is found, and each of its values fits the datatype that it states."""
    agent = await observe()
    machine = Entry.model_validate(agent.face.entry(agent.face.shown[0]))
    driver = Driver("cnc-01", machine, context)
    await driver.connect()
    await driver.read()
    assert driver.counters.notes == {}
    passing = Filter(machine.asset(Place("demo", "test", "hall", "line1"), "cnc-01").signals)
    await agent.tick(50)
    samples = await read_until(driver, 500)
    assert {sample.signal for sample in samples} > {"execution", "door_open", "alarm", "spindle_power"}
    passing.update(samples, agent.now_ns)
    assert (dict(passing.misfits), driver.counters.rejected) == ({}, 0)
    await driver.close()


async def test_numbers_words_and_counts(observe: Any, connect: Any) -> None:
    """The model says what is a number: samples, events with units, counts; all else is text."""
    agent = await observe()
    signals = {name: {} for name in ("spindle_speed", "feed_override", "part_count", "door_open", "program", "mode")}
    driver = await connect(agent.url, signals)
    await driver.read()
    for name, value in (
        ("spindle_speed", 1000.5),
        ("feed_override", 110),
        ("part_count", 7),
        ("door_open", "OPEN"),
        ("program", "0815"),
    ):
        await agent.say(name, value)
    samples = await read_until(driver, 5)
    assert {s.signal: s.value for s in samples} == {
        "spindle_speed": 1000.5,
        "feed_override": 110.0,
        "part_count": 7.0,
        "door_open": "OPEN",
        "program": "0815",
    }
    assert {s.quality for s in samples} == {Quality.GOOD}


async def test_unavailable_is_no_value_of_bad_quality(observe: Any, connect: Any) -> None:
    """UNAVAILABLE is never zero and never a word."""
    agent = await observe()
    driver = await connect(agent.url, {"speed": {"data_item": "spindle_speed"}, "program": {}})
    assert [(s.value, s.quality) for s in await driver.read()] == [(None, Quality.BAD)] * 2
    await agent.say("spindle_speed", 1.0, "UNAVAILABLE")
    assert [(s.value, s.quality) for s in await read_until(driver, 2)] == [(1.0, Quality.GOOD), (None, Quality.BAD)]


async def test_a_condition_is_all_that_is_active_on_it(observe: Any, connect: Any) -> None:
    """An observation tells of one warning or fault; what was active before is so until it is cleared."""
    agent = await observe()
    driver = await connect(agent.url, {"alarm": {}})
    assert [s.value for s in await driver.read()] == [None]
    said = [
        Condition("Normal"),
        Condition("Warning", "17"),
        Condition("Fault", "5012", text="servo"),
        Condition("Normal", "17"),
        Condition("Fault", "4711"),
        Condition("Normal"),
        Condition("Unavailable"),
    ]
    await agent.say("alarm", *said)
    samples = await read_until(driver, len(said))
    assert [sample.value for sample in samples] == [
        "Normal",
        "Warning 17",
        "Fault 5012, Warning 17",
        "Fault 5012",
        "Fault 5012, Fault 4711",
        "Normal",
        None,
    ]


async def test_what_an_old_agent_says_and_what_has_no_single_value(scripted: Any, connect: Any) -> None:
    """Two conditions at once, three numbers, a data set, nanoseconds, time zones; what has no value is told."""
    items = [
        item("p", units="MILLIMETER_3D"),
        item("v", "EVENT", "VARIABLE", representation="DATA_SET"),
        item("c", "CONDITION", "SYSTEM"),
        item("w", representation="TIME_SERIES", units="MILLIMETER"),
        item("t", name="temp", units="CELSIUS", type="TEMPERATURE"),
    ]
    current = observations(
        seen("p", "1.5 -2 3e1", 3, stamp="2026-01-01T01:00:00.123456789+01:00"),
        seen("v", '<Entry key="a">x</Entry><Entry key="b" removed="true"/>', 4, "VariableDataSet"),
        seen("c", "hot", 6, "Fault", nativeCode="B2", type="SYSTEM"),
        seen("c", "warm", 5, "Warning", nativeCode="A1", type="SYSTEM"),
        seen("t", "21.25", 7, "Temperature"),
    )
    part = observations(
        seen("p", "UNAVAILABLE", 100),
        seen("t", "hot", 101, "Temperature"),
        seen("t", "22", 103, "Temperature"),
        seen("t", "21", 102, "Temperature"),
        following=104,
    )
    stream = b"--x\r\n\r\n" + part + b"\r\n--x\r\nContent-Type: text/xml\r\n\r\n"
    stream += observations(first=9000, following=9999)  # other devices had much to say
    server = await scripted(
        {
            "/probe": http(model(*items)),
            "/vmc/current": http(current),
            "/vmc/sample": b'HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary="--x"\r\n\r\n'
            + stream,
        },
        hold=True,
    )
    signals = {
        "y": {"data_item": "p", "index": 1},
        "a": {"data_item": "v", "key": "a"},
        "b": {"data_item": "v", "key": "b"},
        "state": {"data_item": "c"},
        "temp": {},
        "wave": {"data_item": "w"},
        "position": {"data_item": "p"},
        "set": {"data_item": "v"},
        "fourth": {"data_item": "p", "index": 3},
    }
    driver = await connect(server.url, signals)
    first = {sample.signal: sample for sample in await driver.read()}
    assert {name: first[name].value for name in ("y", "a", "b", "state", "temp")} == {
        "y": -2.0,
        "a": "x",
        "b": None,
        "state": "Fault B2, Warning A1",
        "temp": 21.25,
    }
    assert first["y"].time_ns == nanoseconds("2026-01-01T00:00:00.123456789Z")
    assert first["y"].time_ns % 1_000_000_000 == 123456789
    notes = driver.counters.notes
    assert "is a TIME_SERIES" in notes["data item of wave"]
    assert "choose one with `index`" in notes["data item of position"]
    assert "name an entry of it under `key`" in notes["data item of set"]
    assert first["wave"].quality == first["set"].quality == Quality.BAD
    assert driver.counters.rejected == 1  # 'fourth', which only the value can tell
    assert [(s.signal, s.value) for s in await read_until(driver, 4)] == [
        ("y", None),
        ("fourth", None),
        ("temp", 21.0),
        ("temp", 22.0),
    ]
    with suppress(Lost):  # what the others said may have come with the last batch: then there is nothing more
        assert await driver.read() == []
    assert driver.counters.overflows == 0


# what a plant file says


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"address": "opc.tcp://127.0.0.1:5000"}, r"write http://host:port \(without a port: 80\)"),
        ({"address": "http://user:secret@127.0.0.1:5000"}, "an agent has no users"),
        ({"address": "http://127.0.0.1:5000/probe?x=1"}, r"leave out what follows the \?"),
        ({"address": "http://127.0.0.1:port"}, "is not an address"),
        ({"ca_file": "ca.pem"}, "ca_file needs an https:// address"),
        ({"hearbeat_s": 1}, "Extra inputs are not permitted"),
        ({"signals": {"speed": {"writable": True}}}, "MTConnect is read-only"),
    ],
)
def test_a_wrong_entry_is_refused_before_any_socket_opens(settings: dict[str, Any], message: str) -> None:
    """The plant file is checked in full, and says what to write instead."""
    with pytest.raises(ValidationError, match=message):
        Entry.model_validate({"address": "http://127.0.0.1:5000", "signals": SPEED} | settings)


async def test_an_unknown_data_item_is_named_with_the_nearest_one(observe: Any, connect: Any) -> None:
    """One wrong word leaves the other signals alone; only when all are wrong is the machine not to be reached."""
    agent = await observe()
    driver = await connect(agent.url, SPEED | {"load": {"data_item": "spindle_lod"}})
    assert [(s.signal, s.value, s.quality) for s in await driver.read()] == [
        ("load", None, Quality.BAD),
        ("speed", None, Quality.BAD),
    ]
    note = driver.counters.notes["data item of load"]
    assert "no data item 'spindle_lod'; have: avail, asset_changed, " in note
    assert "did you mean 'spindle_load'?" in note
    assert f"`shopfloor browse {agent.url}`" in note
    with pytest.raises(
        Unreachable, match=r"cnc-01 has not the data item \(`shopfloor browse .*`.*\): x: no data item 'x'"
    ) as caught:
        await connect(agent.url, {"x": {}})
    assert caught.value.code == "unknown_signals"


async def test_which_device(scripted: Any, connect: Any) -> None:
    """An agent may have many devices: the plant file names one, by name or uuid; a lone one needs no name."""
    answers = {
        "/probe": http(model(item("p", name="p"), devices=("vmc", "lathe"))),
        "/lathe/current": http(observations()),
    }
    server = await scripted(answers)
    with pytest.raises(Unreachable, match=r"it has 2 devices \(vmc, lathe\): name one under `device`"):
        await connect(server.url, {"p": {}})
    with pytest.raises(Unreachable, match=r"no device 'lath'; have: vmc, lathe; did you mean 'lathe'\?"):
        await connect(server.url, {"p": {}}, device="lath")
    await connect(server.url, {"p": {}}, device="lathe")
    await connect(server.url, {"p": {}}, device="u-lathe")
    assert server.asked[-1] == "/lathe/current"  # agents before 1.3 know no uuid here


async def test_a_name_that_two_data_items_have(scripted: Any, connect: Any) -> None:
    """Names need not be unique: nobody guesses which one was meant."""
    server = await scripted({"/probe": http(model(item("a", name="p"), item("b", name="p")))})
    with pytest.raises(Unreachable, match=r"2 data items are called 'p': take the id of one, a, b"):
        await connect(server.url, {"p": {}})


# what becomes of the line


async def test_it_comes_back_after_a_restart_of_the_agent(observe: Any, connect: Any, free_port: int) -> None:
    """The agent's numbers begin anew with each run: going on at the old one would miss all that it says."""
    agent = await observe(free_port)
    driver = await connect(agent.url)
    await agent.say("spindle_speed", 1.0)
    await read_until(driver, 1)
    await agent.face.stop()
    with pytest.raises(Lost, match=f"http://127.0.0.1:{free_port}: "):
        await read_until(driver, 1000)
    with pytest.raises(Unreachable, match="is the agent on, and is the port right"):
        await driver.connect()
    agent = await observe(free_port, run=1)
    await driver.connect()
    assert [sample.value for sample in await driver.read()] == [None]
    await agent.say("spindle_speed", 2.0)
    assert [sample.value for sample in await read_until(driver, 1)] == [2.0]
    assert (await recorded(driver, 0, 1))[1].startswith("the agent was started anew")


async def test_a_new_run_behind_the_same_address_is_noticed(observe: Any, connect: Any) -> None:
    """A proxy may hide the restart: then the instanceId, or numbers that go back, tell of it."""
    agent = await observe()
    driver = await connect(agent.url)
    await read_until(driver, 1)
    agent.agent.writer.instance += 1
    with pytest.raises(Lost, match="the agent was started anew"):
        await read_until(driver, 1000)
    await driver.connect()
    agent.agent.writer.started_ns += 1_000_000_000
    with pytest.raises(Lost, match="the model of the agent's devices has changed"):
        await read_until(driver, 1000)


async def test_a_silent_stream_is_lost(observe: Any, connect: Any, free_port: int) -> None:
    """A line that stays open and carries nothing is dead: after twice the heartbeat nobody waits any longer."""
    agent = await observe()
    line = Link(free_port, agent.face.port)
    await line.start()
    driver = await connect(f"http://127.0.0.1:{free_port}", heartbeat_s=0.2)
    await read_until(driver, 1)
    assert await driver.read() == []  # a heartbeat
    line.stall()
    started = asyncio.get_running_loop().time()
    with pytest.raises(Lost, match=r"silent: neither a change nor a heartbeat for 0.4 s"):
        await read_until(driver, 1000)
    assert asyncio.get_running_loop().time() - started < 1.5
    await line.stop()


async def test_an_agent_that_does_not_stream_is_polled(scripted: Any, connect: Any) -> None:
    """It answers a request to stream by one document, and from then on is asked again and again."""
    server = await scripted(
        {
            "/probe": http(model(item("p"))),
            "/vmc/current": http(observations(seen("p", "1", 99))),
            "/vmc/sample?from=100": http(observations(seen("p", "2", 100), following=101)),
            "/vmc/sample?from=101": http(observations(following=101)),
        }
    )
    driver = await connect(server.url, {"p": {}})
    assert [sample.value for sample in await driver.read()] == [1.0]
    assert [sample.value for sample in await driver.read()] == [2.0]
    assert await driver.read() == []
    assert "does not stream: asked every 0.02 s" in driver.counters.notes["stream"]
    assert sum("interval" in target for target in server.asked) == 1
    server.answers["/vmc/sample?from=101"] = http(
        observations(seen("p", "3", 102), first=102, following=103, instance=8)
    )
    with pytest.raises(Lost, match="started anew"):
        await driver.read()


async def test_what_the_agent_has_thrown_away_is_counted_and_told(observe: Any, connect: Any) -> None:
    """Nobody read while the ring turned over: reading goes on with the oldest that is left, and all behind it."""
    agent = await observe(buffer_size=128)
    driver = await connect(agent.url, SPEED | {"program": {}})
    await driver.read()
    following = agent.agent.buffer.next
    await agent.say("program", "O1")
    await agent.say("spindle_speed", *map(float, range(500)))
    samples = await read_until(driver, 129)
    first = agent.agent.buffer.first
    assert [s.value for s in samples if s.signal == "program"] == ["O1"]  # what was lost, but still holds
    speeds = [s.value for s in samples if s.signal == "speed"]
    assert speeds == [float(value) for value in range(500 - 128, 500)]
    assert driver.counters.overflows == 1
    assert f"observations {following} to {first - 1} are lost" in driver.counters.notes["overflow"]
    await agent.say("spindle_speed", 1000.0)
    assert [s.value for s in await read_until(driver)] == [1000.0]


@pytest.mark.parametrize("told", ["an error in the stream", "a document that begins later"])
async def test_a_buffer_that_turns_over_while_it_is_asked(scripted: Any, connect: Any, told: str) -> None:
    """The oldest observation is gone before the question for it arrives: the next one is for a newer one."""
    error = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n--x\r\n\r\n"
    server = await scripted(
        {
            "/probe": http(model(item("p"))),
            "/vmc/current": http(observations(seen("p", "1", 99))),
            "/vmc/sample?from=100": error + refusal("OUT_OF_RANGE") + b"\r\n--x--",
            "/vmc/current?at=200": http(refusal("OUT_OF_RANGE"), status="404 Not Found"),
            "/vmc/current?at=208": http(observations(seen("p", "2", 150))),
        }
    )
    driver = await connect(server.url, {"p": {}})
    await driver.read()
    server.answers["/vmc/current"] = http(observations(first=200, following=264))
    if told != "an error in the stream":
        server.answers["/vmc/sample?from=100"] = http(observations(seen("p", "9", 263), first=200, following=264))
    assert [(s.value) for s in await driver.read()] == [2.0]
    assert "observations 100 to 207 are lost" in driver.counters.notes["overflow"]
    # the same again, before anything came: then even newer
    server.answers["/vmc/sample?from=209"] = http(refusal("OUT_OF_RANGE"), status="404 Not Found")
    server.answers["/vmc/current"] = http(observations(first=232, following=296))
    server.answers["/vmc/current?at=248"] = http(observations(seen("p", "3", 240)))
    server.answers["/vmc/sample?from=249"] = http(observations(seen("p", "4", 250), first=240, following=304))
    assert [(s.value) for s in await driver.read()] == [3.0]
    assert [(s.value) for s in await driver.read()] == [4.0]
    assert driver.counters.overflows == 2


# what was said while nobody listened


async def test_a_gap_is_read_again_by_number_without_a_hole_or_a_repeat(observe: Any, connect: Any) -> None:
    """Thousands of values over several documents, three at a time with one time: each comes once, in order."""
    agent = await observe()
    driver = await connect(agent.url)
    await driver.read()
    await agent.say("spindle_speed", -2.0, -1.0)
    await read_until(driver, 2)
    await driver.close()
    start_ns = time.time_ns() // 1000 * 1000
    for third in range(1000):
        for value in range(3 * third, 3 * third + 3):
            await agent.say("spindle_speed", float(value), time_ns=start_ns + 1000 * third)
    await driver.connect()
    await agent.say("spindle_speed", -3.0, time_ns=start_ns + 999_500)  # that comes over the new connection
    end_ns = start_ns + 1_000_000
    batches = [batch async for batch in driver.history(start_ns, end_ns) if batch]
    samples = [sample for batch in batches for sample in batch]
    assert [sample.value for sample in samples] == [float(value) for value in range(3000)]
    assert [sample.time_ns for sample in samples] == [start_ns + 1000 * (value // 3) for value in range(3000)]
    assert len(batches) > 3
    # the runner tells by its time whether a value is new
    assert all(one[-1].time_ns < two[0].time_ns for one, two in itertools.pairwise(batches))


async def test_a_gap_that_was_not_filled_stays_open(observe: Any, connect: Any, free_port: int) -> None:
    """The line drops again while history is read: the next connection begins where the first one ended."""
    agent = await observe()
    line = Link(free_port, agent.face.port)
    await line.start()
    driver = await connect(f"http://127.0.0.1:{free_port}")
    await driver.read()
    start_ns = time.time_ns() // 1000 * 1000
    assert (await recorded(driver, start_ns - 10**12, start_ns))[1].startswith("the agent's buffer begins ")
    await agent.say("spindle_speed", 1.0)
    line.cut()
    with pytest.raises(Lost, match="the line was lost"):
        await recorded(driver, start_ns, start_ns + 10**12)
    line.heal()
    await driver.connect()
    await driver.read()
    await agent.say("spindle_speed", 2.0)
    await read_until(driver)
    await driver.connect()
    samples, missing = await recorded(driver, start_ns, start_ns + 10**12)
    assert ([sample.value for sample in samples], missing) == ([1.0, 2.0], "")
    await driver.close()
    await line.stop()


async def test_what_the_buffer_has_lost_is_told_after_what_it_has(observe: Any, connect: Any, free_port: int) -> None:
    """A buffer that is too small, an agent that was started anew: history ends with what is missing, and why."""
    agent = await observe(free_port, buffer_size=128)
    driver = await connect(agent.url)
    await driver.read()
    await recorded(driver, 0, 1)
    await driver.close()
    following = agent.agent.buffer.next
    [start_ns, *_] = await agent.say("spindle_speed", *map(float, range(300)))
    await driver.connect()
    samples, missing = await recorded(driver, start_ns, start_ns + 10**12)
    assert missing == f"the agent's buffer has lost {agent.agent.buffer.first - following} observations"
    assert [sample.value for sample in samples] == [float(n) for n in range(300)][-len(samples) :]
    assert len(samples) > 100

    await agent.face.stop()
    agent = await observe(free_port, run=1)
    await agent.say("spindle_speed", 7.0)
    await driver.connect()
    samples, missing = await recorded(driver, start_ns, start_ns + 10**12)
    assert missing == "the agent was started anew, and what it had observed before is gone"
    assert [sample.value for sample in samples] == [None, 7.0]


async def test_a_buffer_that_turns_over_while_history_is_read(observe: Any, connect: Any) -> None:
    """What is lost under way is told, and reading ends."""
    agent = await observe(buffer_size=3000)
    driver = await connect(agent.url)
    await driver.read()
    await recorded(driver, 0, 1)
    [start_ns, *_] = await agent.say("spindle_speed", *map(float, range(2500)))
    await driver.connect()
    found: list[Sample] = []
    with pytest.raises(NoHistory, match="turned over while it was read"):
        async for samples in driver.history(start_ns, start_ns + 10**12):
            if not found:
                await agent.say("spindle_speed", *map(float, range(2000)), time_ns=start_ns + 10**10)
            found += samples
    values = [sample.value for sample in found]
    assert values[:999] == [float(n) for n in range(999)]
    assert values[1000:] == [float(n) for n in range(2500)][-len(values[1000:]) :]
    assert 1000 < len(values) < 2500


@pytest.mark.parametrize("reaches_back", [True, False])
async def test_an_edge_that_was_restarted_looks_for_the_time(observe: Any, connect: Any, reaches_back: bool) -> None:
    """It does not know any number: what is as old as the gap in the buffer tells that all of it is there."""
    agent = await observe(buffer_size=3000)
    now_ns = time.time_ns() // 1000 * 1000
    await agent.say("spindle_speed", *map(float, range(3000)), time_ns=now_ns - 3600 * 10**9)
    await agent.say("spindle_speed", *map(float, range(1000, 1300)), time_ns=now_ns)
    driver = await connect(agent.url)
    start_ns = now_ns if reaches_back else now_ns - 3605 * 10**9
    samples, missing = await recorded(driver, start_ns, now_ns + 10**9)
    said = [sample.value for sample in samples]
    if reaches_back:
        assert (said, missing) == ([float(n) for n in range(1000, 1300)], "")
    else:
        assert said == [float(n) for n in (*range(3000), *range(1000, 1300))][-len(said) :]
        assert len(said) > 2900
        assert missing == "the agent's buffer begins 5.0 s too late"


async def test_history_knows_what_was_active_before_it_begins(observe: Any, connect: Any) -> None:
    """A warning that came in the gap joins the fault that was there before."""
    agent = await observe()
    driver = await connect(agent.url, {"alarm": {}})
    await driver.read()
    await recorded(driver, 0, 1)
    await agent.say("alarm", Condition("Fault", "1"))
    await read_until(driver)
    await driver.close()
    [start_ns] = await agent.say("alarm", Condition("Warning", "2"))
    await driver.connect()
    samples, missing = await recorded(driver, start_ns, start_ns + 1)
    assert ([sample.value for sample in samples], missing) == (["Fault 1, Warning 2"], "")


async def test_history_that_cannot_be_read_though_the_stream_goes_on(scripted: Any, connect: Any) -> None:
    """A lost line is tried again from the beginning, and so is reading; an answer that is none will not change."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n--x\r\n\r\n"
    server = await scripted(
        {
            "/probe": http(model(item("p"))),
            "/vmc/current": http(observations(seen("p", "1", 99))),
            "/vmc/sample": head + observations(),
            "/sample": http(b"<html/>", status="500 Oops"),
        },
        hold=True,
    )
    driver = await connect(server.url, {"p": {}})
    assert (await recorded(driver, 0, 1))[1].startswith("it answers 500 Oops to /sample")
    await driver.read()
    assert await driver.read() == []
    server.answers["/sample"] = b""
    with pytest.raises(Lost, match="the line was lost"):
        await recorded(driver, 0, 1)
    with pytest.raises(Lost, match="the line was lost"):
        await driver.read()
    await driver.connect()
    assert [sample.value for sample in await driver.read()] == [1.0]


# answers that are none

BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (http(b"<html><body>It works!"), r"its answer is no XML .* it begins b'<html>"),
        (http(b"<html/>"), r"a document 'html', not MTConnectDevices: is that the address of an agent\?"),
        (http(b"\xff\xfe\x00"), "its answer is no XML"),
        (http(b'<?xml version="1.0" encoding="nonsense"?><a/>'), "its answer is no XML"),
        (http(b""), "its answer is no XML"),
        (http(BOMB), r"declares a document type \(a\), which no MTConnect document does"),
        (http('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><a/>'.encode("utf-16")), "declares a document type"),
        (
            http(b"gone", status="404 Not Found"),
            r"it answers 404 Not Found to /probe: is that the address of an agent\?",
        ),
        (http(b"", status="301 Moved"), "it answers 301"),
        (http(refusal("UNSUPPORTED", "TLS only")), r"the agent refuses: TLS only \(UNSUPPORTED\)"),
        (http(b" " * (MOST_BYTES + 1)), f"its answer has more than {MOST_BYTES} bytes"),
        (http(b"<a>", length=10), "the line was lost: "),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the line was lost: "),
        (b"", "the line was lost: "),
    ],
)
async def test_what_is_no_agent_is_said_so(scripted: Any, connect: Any, answer: bytes, message: str) -> None:
    """Whatever answers at that address, the text says what it is, and nothing is waited for or unpacked."""
    server = await scripted({"/probe": answer})
    with pytest.raises(Unreachable, match=message):
        await connect(server.url)


async def test_an_agent_behind_tls(scripted: Any, connect: Any, context: Context) -> None:
    """Its certificate is checked against the authority that the plant file names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(context.folder / "ca.pem")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    answers = {"/probe": http(model(item("p"))), "/vmc/current": http(observations(seen("p", "1")))}
    server = await scripted(answers, tls=tls)
    driver = await connect(server.url, {"p": {}}, ca_file="ca.pem")
    assert [sample.value for sample in await driver.read()] == [1.0]
    for url in (server.url, server.url.replace("https", "HTTPS")):
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await connect(url, {"p": {}})
    with pytest.raises(Unreachable, match=r"the ca_file .*gone\.pem cannot be read: .*No such file"):
        await connect(server.url, {"p": {}}, ca_file="gone.pem")


HUGE = b"--x\r\nContent-Length: 99999999999\r\n\r\n"


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (HUGE, f"sends a part of 99999999999 bytes; {MOST_BYTES} are the most"),
        (b"--x\r\n\r\n" + b" " * (MOST_BYTES + 1000), f"sends more than {MOST_BYTES} bytes in one piece"),
        (b" " * (MOST_BYTES + 1000), f"sends more than {MOST_BYTES} bytes in one piece"),
        (b"--x\r\n" + b"a: b\r\n" * 10_000, "sends more than 16384 bytes in one piece"),
        (b"--x\r\nContent-Length: 13\r\n\r\n<!DOCTYPE a>\n", "declares a document type"),
        (b"--x\r\nContent-Length: 7\r\n\r\n<html/>\r\n--x--", "a document 'html', not MTConnectStreams"),
        (b"--x\r\n\r\n<MTConnectStreams><Header/></MTConnectStreams>", "the header of its answer lacks a number"),
        (b"--x\r\n\r\n" + observations(instance=8), r"the agent was started anew \(instanceId 7, now 8\)"),
        (b"--x\r\n\r\n" + observations(following=5), r"the agent counts anew \(5 after 100\)"),
        (b"--x\r\n\r\n" + refusal("INTERNAL_ERROR", "oops"), r"the agent refuses: oops \(INTERNAL_ERROR\)"),
        (b"--x\r\nContent-Length: 50\r\n\r\n<MTConn", "the agent has ended the stream"),
        (b"--x--\r\n", "the agent has ended the stream"),
        (b"", "the agent has ended the stream"),
    ],
)
async def test_a_stream_that_is_none(scripted: Any, connect: Any, stream: bytes, message: str) -> None:
    """What comes in a stream is as little trusted: the line counts as lost, and the text says why."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n"
    server = await scripted(
        {
            "/probe": http(model(item("p"))),
            "/vmc/current": http(observations(seen("p", "1", 99))),
            "/vmc/sample": head + stream,
        }
    )
    driver = await connect(server.url, {"p": {}}, heartbeat_s=20)  # 16 MiB take a busy machine seconds
    await driver.read()
    with pytest.raises(Lost, match=message):
        await read_until(driver, 1)


async def test_all_that_has_come_of_a_stream_is_one_batch(scripted: Any, connect: Any) -> None:
    """Each batch waits until it is durable: document by document, a slow disk would hold up a fast machine for ever."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n"
    documents = [observations(seen("p", str(n), n), following=n + 1) for n in range(100, 150)]
    parts_ = b"".join(b"--x\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(each), each) for each in documents)
    restarted = observations(following=3, instance=8)
    parts_ += b"--x\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(restarted), restarted)
    server = await scripted(
        {
            "/probe": http(model(item("p"))),
            "/vmc/current": http(observations(seen("p", "1", 99))),
            "/vmc/sample": head + parts_,
        },
        hold=True,
    )
    driver = await connect(server.url, {"p": {}})
    await driver.read()
    values: list[Any] = []
    reads = 0
    while len(values) < len(documents):
        values += [sample.value for sample in await driver.read()]
        reads += 1
    assert values == [float(n) for n in range(100, 150)]
    assert reads < 5
    with pytest.raises(Lost, match="started anew"):  # and what is wrong behind them costs none of them
        await driver.read()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
async def test_parts_may_be_cut_anywhere(size: int) -> None:
    """With a length, without one, of a document with a prefix: the network cuts a stream into pieces of any size."""
    bodies = [b"<a>\r\n--x\r\n</a>", b"<MTConnectStreams></MTConnectStreams>", b"<m:MTConnectStreams/>", b"<b/>"]
    length, none = b"--x\r\nContent-Type: text/xml\r\ncontent-LENGTH: %d\r\n\r\n", b"\r\n--x\r\n\r\n"
    stream = b"preamble\r\n" + length % len(bodies[0]) + bodies[0] + none + bodies[1] + none + bodies[2]
    stream += b"\n" + length.replace(b"\r\n", b"\n") % len(bodies[3]) + bodies[3] + b"\r\n--x--\r\n"

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(stream), size):
            yield stream[start : start + size]

    assert [body async for body in parts(chunks(), b"x", 1000)] == bodies


async def test_an_observation_that_makes_no_sense_is_counted_and_left_out(scripted: Any, connect: Any) -> None:
    """One bad value does not cost the others: it stands among what was not understood."""
    bad = [
        seen("p", "fast", 2),
        '<Position dataItemId="p" timestamp="2026-01-01T00:00:00Z">1</Position>',
    ]
    server = await scripted(
        {"/probe": http(model(item("p"))), "/vmc/current": http(observations(*bad, seen("p", "2", 4)))}
    )
    driver = await connect(server.url, {"p": {}})
    assert [sample.value for sample in await driver.read()] == [2.0]
    assert driver.counters.rejected == 2
    assert "an observation of p is left out" in driver.counters.notes["observation of p"]


@pytest.mark.parametrize(
    ("stamp", "sort"),
    [
        ("1601-01-01T00:00:00Z", "before 1970"),
        ("0001-01-01T00:00:00Z", "before 1970"),
        ("9999-12-31T23:59:59Z", "ahead"),
        ("yesterday", "none"),
        ("2026-13-01T00:00:00Z", "none"),
        ("", "none"),
        ("2026-01-01T00:00:00", None),
        (" 2026-01-01T01:00:00+01:00 ", None),
        ("2025-12-31T23:59:60Z", None),
    ],
)
async def test_a2_whatever_time_an_agent_states_its_value_arrives(
    scripted: Any, connect: Any, stamp: str, sort: str | None
) -> None:
    """Its own time where it can be one, without a zone UTC; else that of arrival, and a flag."""
    odd = observations(seen("p", "1.5", 1, stamp=stamp), seen("q", "2", 2))
    server = await scripted({"/probe": http(model(item("p"), item("q"))), "/vmc/current": http(odd)})
    driver = await connect(server.url, {"p": {}, "q": {}})
    passing = Filter(driver.entry.asset(Place("demo", "test", "hall", "line1"), "cnc-01").signals)
    now_ns = nanoseconds("2026-01-01T00:01:00Z")
    found, other = passing.update(await driver.read(), now_ns).live
    true_ns = nanoseconds("2026-01-01T00:00:00Z")
    assert (other.value, other.time_ns, other.quality) == (2.0, true_ns, Quality.GOOD)
    assert (found.value, dict(passing.odd_times)) == (1.5, {sort: 1} if sort else {})
    assert (found.time_ns, found.quality) == ((now_ns, 704) if sort else (true_ns, 192))
    assert driver.counters.rejected == 0


# the rest


async def test_browse(observe: Any, connect: Any, scripted: Any, context: Context) -> None:
    """Each data item with its address for the plant file, and what the model says of it."""
    agent = await observe()
    await agent.say("spindle_speed", 12.5)
    driver = await connect(agent.url)
    tags = [tag async for tag in driver.browse("cnc-*/axes/S/spindle_[sl]*")]
    assert [(t.path, t.address, t.datatype, t.value, t.description) for t in tags] == [
        ("cnc-01/axes/S/spindle_speed", "cnc-01_spindle_speed", Datatype.DOUBLE, "12.5",
         "SAMPLE ROTARY_VELOCITY ACTUAL, REVOLUTION/MINUTE"),
        ("cnc-01/axes/S/spindle_load", "cnc-01_spindle_load", Datatype.DOUBLE, "UNAVAILABLE", "SAMPLE LOAD, PERCENT"),
    ]  # fmt: skip
    assert len([tag async for tag in driver.browse()]) == len(agent.agent.devices[0].observer.items)
    bound = "<m:Constraints><m:Minimum>0</m:Minimum><m:Maximum>9</m:Maximum></m:Constraints>"
    probe = model(item("p", units="MILLIMETER").replace("/>", f">{bound}</m:DataItem>"), devices=("vmc", "lathe"))
    there = http(observations())
    server = await scripted({"/probe": http(probe), "/current": there, "/lathe/current": there})
    settings = {"address": server.url, "browse_limit": 1, "device": "lathe"}
    browser = Driver("browse", Entry.model_validate(settings), context)
    await browser.connect()
    assert [(t.path, t.description) async for t in browser.browse()] == [
        ("lathe/p", "SAMPLE POSITION, MILLIMETER, 0 to 9")
    ]
    await browser.close()


@pytest.mark.parametrize(
    ("stamp", "time_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-01T08:00:00.1Z", 1767254400100000000),
        ("2026-01-01T08:00:00.123456789Z", 1767254400123456789),
        ("2026-01-01T08:00:00.1234567899", 1767254400123456789),
        ("2026-01-01T10:30:00+02:30", 1767254400000000000),
    ],
)
def test_times(stamp: str, time_ns: int) -> None:
    """To the nanosecond; UTC unless a zone is stated."""
    assert nanoseconds(stamp) == time_ns
