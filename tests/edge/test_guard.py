"""Commands at the edge: its program, a real broker, a real OPC UA server. Each is carried out once or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from asyncua.common.callback import CallbackType

from contract.command import (
    REPLY,
    Apply,
    Browse,
    Command,
    Detect,
    Propose,
    Reply,
    SendBlock,
    Verb,
    Write,
    command_metric,
    read_reply,
)
from contract.model import Asset, Datatype, Signal, Value
from contract.sparkplug import Code, Metric
from contract.topics import Node
from edge.desk import Desk
from edge.driver import Written
from edge.entry import Context, Place
from edge.guard import KEEP_NS, MOST_NOTED, Guard, Journal, RefusedError, fitted
from spool import Spool


class Notes(dict[str, bytes]):
    """The notes of a spool, in memory."""

    def notes(self, prefix: str) -> dict[str, bytes]:
        return {key: note for key, note in self.items() if key.startswith(prefix)}

    def set_notes(self, notes: Any) -> None:
        self.update(notes)
        for key in [key for key, note in self.items() if not note]:
            del self[key]


async def begin(notes: Notes, journal: Journal, n: int, asset: str, author: str, now_ns: int = 0) -> None:
    do = Write(signal="speed", value=n)
    id_ = f"{asset}-{author}-{n:08}"
    expires_ns = now_ns + SECOND_NS
    command = Command(id=id_, asset=asset, author=author, created_ns=now_ns, expires_ns=expires_ns, do=do)
    await journal.begin(command, now_ns)
    notes.set_notes(journal.answered(id_, expires_ns))


async def test_many_commands_to_one_machine_leave_room_for_others() -> None:
    notes = Notes()
    journal = Journal(notes)
    for n in range(MOST_NOTED // 2):
        await begin(notes, journal, n, "cnc-01", "zhang")
    with pytest.raises(RefusedError, match="zhang gave 500 commands"):
        await begin(notes, journal, MOST_NOTED, "cnc-01", "zhang")
    await begin(notes, journal, 0, "cnc-02", "zhang")
    for n in range(MOST_NOTED // 2):
        await begin(notes, journal, n, "cnc-01", "li")
    again = Journal(notes)  # after a restart
    with pytest.raises(RefusedError, match="there were 1000 commands"):
        await begin(notes, again, 1, "cnc-01", "wang")
    await begin(notes, again, 2, "cnc-02", "wang")
    await begin(notes, again, 2, "cnc-01", "zhang", now_ns=KEEP_NS + 2 * SECOND_NS)


def test_the_notes_of_an_earlier_version_are_read() -> None:
    journal = Journal(Notes({"command:12345678": b"[7000000000,false]", "command:87654321": b"[7000000000,true]"}))
    assert journal.unanswered == {"12345678": 7 * SECOND_NS}
    assert "87654321" in journal


PLANT = """\
enterprise: demo
site: here
areas:
  machining:
    lines:
      line1:
        machines:
          cnc-01:   # the mill
            driver: opcua
            address: {url}
            security: none
            signals:
              speed: {{node: "nsu=urn:test:machine;s=Machine/Speed", writable: true, low: 0, high: 12000, unit: rpm}}
              count: {{node: "nsu=urn:test:machine;s=Machine/Count", datatype: int32, writable: true}}
              state: {{node: "nsu=urn:test:machine;s=Machine/State"}}
"""
NODE = Node("demo:here:machining", "line1")
SECOND_NS = 1_000_000_000


class Edge:
    """The edge as a program, and what a host says to it and hears of it."""

    def __init__(self, folder: Path, broker: Any, host: Any, until: Any) -> None:
        self.file = folder / "plant.yaml"
        self._folder, self._broker, self.host, self._until = folder, broker, host, until
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        born = len(self.host.of("NBIRTH"))
        self._spawn()
        await self.host.wait_for("NBIRTH", count=born + 1)

    def _spawn(self) -> None:
        environment = os.environ | {
            "SHOPFLOOR_HOME": str(self._folder / "home"),
            "SHOPFLOOR_MQTT_URL": self._broker.url,
            "SHOPFLOOR_MQTT_USER": self._broker.user,
            "SHOPFLOOR_MQTT_PASSWORD_FILE": str(self._broker.password_file),
        }
        with (self._folder / "edge.log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "edge", str(self.file)], env=environment, stderr=log)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await asyncio.to_thread(self.process.wait, 5)

    def send(self, do: Verb, id_: str = "", *, asset: str = "cnc-01", expires_s: float = 20, times: int = 1) -> str:
        now_ns = time.time_ns()
        command = Command(
            id=id_ or f"command-{now_ns}",
            asset=asset,
            author="zhang",
            created_ns=now_ns,
            expires_ns=now_ns + round(expires_s * SECOND_NS),
            do=do,
        )
        for _ in range(times):
            self.host.command(NODE, command_metric(command))
        return command.id

    def replies(self, id_: str) -> list[Reply]:
        """Return the replies to a command, in order; the host acknowledges, so that none comes twice."""
        metrics = [metric for heard in self.host.of("NDATA") for metric in heard.payload.metrics]
        told = [read_reply(metric.value) for metric in metrics if metric.name == REPLY]
        return [reply for reply in told if reply.command_id == id_]

    async def reply(self, id_: str) -> Reply:
        await self._until(lambda: self.replies(id_), 15)
        return self.replies(id_)[0]

    async def ask(self, do: Verb, **fields: Any) -> Reply:
        return await self.reply(self.send(do, **fields))


class Machine:
    """A machine's server that says what it was told to set, and may take its time with it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.written: list[Any] = []
        self.goes_on, self.answers = asyncio.Event(), asyncio.Event()
        self.goes_on.set()
        self.answers.set()
        server.server.subscribe_server_callback(CallbackType.PreWrite, self._told)
        server.server.subscribe_server_callback(CallbackType.PreRead, self._asked)

    async def _told(self, event: Any, _dispatcher: Any = None) -> None:
        if event.is_external:
            self.written += [item.Value.Value.Value for item in event.request_params.NodesToWrite]
            await self.goes_on.wait()

    async def _asked(self, event: Any, _dispatcher: Any = None) -> None:
        if event.is_external:
            await self.answers.wait()

    async def shows(self, name: str) -> Any:
        return await self.server.nodes[name].read_value()


class Untouched:
    """What a guard knows of a machine that it shall leave alone."""

    def __init__(self) -> None:
        self.written: list[Value] = []

    def asset(self, id_: str) -> Asset | None:
        return Asset("demo", "here", "machining", "line1", id_, "cnc", {}, (Signal("speed", writable=True),))

    async def write(self, asset: str, signal: str, value: Value, limit_s: float) -> Written:
        self.written.append(value)
        return Written("done", value=value)

    async def browse(self, path: str) -> Any:
        raise NotImplementedError

    async def send_blocks(self, asset: str, sensor: str, start_ns: int | None = None, end_ns: int | None = None) -> int:
        raise NotImplementedError


@pytest.fixture
async def machine(serve: Any) -> Machine:
    return Machine(await serve())


@pytest.fixture
def make_edge(tmp_path: Path, until: Any) -> Iterator[Callable[..., Edge]]:
    made: list[Edge] = []

    def make(machine: Machine, broker: Any, host: Any) -> Edge:
        made.append(Edge(tmp_path, broker, host, until))
        made[-1].file.write_text(PLANT.format(url=machine.server.url))
        return made[-1]

    yield make
    for edge in made:
        if edge.process is not None:
            edge.process.kill()
            edge.process.wait()


@pytest.fixture
async def edge(machine: Machine, nats_broker: Any, hosts: Any, make_edge: Any, until: Any) -> Edge:
    host = await hosts(nats_broker)
    made: Edge = make_edge(machine, nats_broker, host)
    await made.start()
    told = ("DBIRTH", "DDATA")
    await until(lambda: "idle" in [m.value for h in host.of(*told, device="cnc-01") for m in h.payload.metrics], 20)
    return made


async def test_a_signal_is_written_and_read_back(edge: Edge, machine: Machine) -> None:
    reply = await edge.ask(Write(signal="speed", value=4321))
    assert (reply.outcome, reply.value) == ("done", 4321.0)
    assert await machine.shows("Speed") == 4321.0
    assert (await edge.ask(Write(signal="count", value=9.0))).value == 9


async def test_what_must_not_be_written_is_refused_and_never_reaches_the_machine(edge: Edge, machine: Machine) -> None:
    refused = {
        "not writable": await edge.ask(Write(signal="state", value="run")),
        "out of its range": await edge.ask(Write(signal="speed", value=12000.5)),
        "is no double": await edge.ask(Write(signal="speed", value="fast")),
        "is no int32": await edge.ask(Write(signal="count", value=2**31)),
        "no signal 'spede'": await edge.ask(Write(signal="spede", value=1)),
        "no machine 'cnc-99'": await edge.ask(Write(signal="speed", value=1), asset="cnc-99"),
    }
    assert {reply.outcome for reply in refused.values()} == {"refused"}
    assert [why for why, reply in refused.items() if why not in reply.reason] == []
    assert machine.written == []


async def test_what_comes_behind_its_expiry_is_not_done(edge: Edge, machine: Machine) -> None:
    assert (await edge.ask(Write(signal="speed", value=1), expires_s=-0.001)).outcome == "expired"
    machine.goes_on.clear()
    first = edge.send(Write(signal="speed", value=2))
    second = edge.send(Write(signal="speed", value=3), expires_s=0.3)  # it waits behind the first
    await asyncio.sleep(0.4)
    machine.goes_on.set()
    assert (await edge.reply(first)).outcome == "done"
    assert (await edge.reply(second)).outcome == "expired"
    assert machine.written == [2.0]


async def test_a_machine_that_is_slow_is_not_written_behind_the_expiry(edge: Edge, machine: Machine) -> None:
    machine.answers.clear()  # it is asked how it keeps the value before it is told one
    id_ = edge.send(Write(signal="speed", value=2), expires_s=1)
    reply = await edge.reply(id_)
    assert reply.outcome == "unknown"
    machine.answers.set()
    assert (await edge.ask(Write(signal="speed", value=3))).outcome == "done"
    assert machine.written == [3.0]


async def test_a_disk_that_is_slow_lets_nothing_be_written_behind_the_expiry(tmp_path: Path, until: Any) -> None:
    times = iter((0, 0))  # when it comes and at its turn it is time; when it is noted no longer
    replies: list[Reply] = []

    def answer(reply: Reply, _notes: Any) -> Future[int | None]:
        replies.append(reply)
        given: Future[int | None] = Future()
        given.set_result(1)
        return given

    with Spool.open(tmp_path / "s.spool") as spool:
        machine = Untouched()
        guard = Guard(
            spool,
            answer,
            {"cnc-01": machine},
            Desk(Place("demo", "here", "machining", "line1"), Context(tmp_path, tmp_path), None),
            lambda: next(times, 10),
        )
        serving = asyncio.create_task(guard.run())
        do = Write(signal="speed", value=1.0)
        guard.take(
            Command(id="command-1", asset="cnc-01", author="zhang", created_ns=0, expires_ns=5, do=do).model_dump_json()
        )
        await until(lambda: replies)
        serving.cancel()
    assert [(reply.outcome, reply.command_id) for reply in replies] == [("expired", "command-1")]
    assert machine.written == []


async def test_a_command_that_the_broker_delivers_twice_is_done_once(edge: Edge, machine: Machine) -> None:
    machine.goes_on.clear()
    id_ = edge.send(Write(signal="count", value=5), times=3)
    machine.goes_on.set()
    assert (await edge.reply(id_)).outcome == "done"
    edge.send(Write(signal="count", value=5), id_)
    assert (await edge.ask(Write(signal="count", value=6))).outcome == "done"
    assert machine.written == [5, 6]
    assert len(edge.replies(id_)) == 1


async def test_an_edge_that_is_killed_while_it_writes_does_not_know_and_never_repeats(
    edge: Edge, machine: Machine, until: Any
) -> None:
    machine.goes_on.clear()
    id_ = edge.send(Write(signal="speed", value=7), expires_s=60)
    await until(lambda: machine.written == [7.0])
    await edge.kill()
    machine.goes_on.set()
    await edge.start()
    reply = await edge.reply(id_)
    assert reply.outcome == "unknown"
    edge.send(Write(signal="speed", value=7), id_, expires_s=60)  # delivered again, in time
    await asyncio.sleep(0)
    assert (await edge.ask(Write(signal="count", value=1))).outcome in ("done", "failed")
    assert machine.written.count(7.0) == 1
    assert len(edge.replies(id_)) == 1
    await edge.kill()
    await edge.start()
    await edge.ask(Write(signal="spede", value=1))
    assert len(edge.replies(id_)) == 1


async def test_a_machine_that_does_not_answer_leaves_it_unknown(edge: Edge, machine: Machine, until: Any) -> None:
    machine.goes_on.clear()
    id_ = edge.send(Write(signal="speed", value=8), expires_s=60)
    await until(lambda: edge.replies(id_), 30)
    assert edge.replies(id_)[0].outcome == "unknown"
    machine.goes_on.set()


async def test_a_machine_and_one_that_is_in_no_file_are_browsed(edge: Edge, machine: Machine) -> None:
    reply = await edge.ask(Browse(path="Machine/*"))
    assert reply.outcome == "done", reply.reason
    of_file = {tag["path"]: tag for tag in reply.result["tags"]}
    assert of_file["Machine/Count"]["value"] == 7
    assert not reply.result["more"]
    address, plain = machine.server.url, {"security": "none"}
    probe = Browse(driver="opcua", address=address, path="Machine/Count", options=plain)
    stranger = await edge.ask(probe, asset="")
    assert [tag["path"] for tag in stranger.result["tags"]] == ["Machine/Count"]
    refused = {
        "did you mean 'opcua'": Browse(driver="opcau", address="x"),
        "in no network that this edge may ask": Browse(driver="opcua", address="opc.tcp://8.8.8.8", options=plain),
        "named at the edge, not from afar": Browse(
            driver="opcua", address=address, options={"user": "me", "password_file": "/etc/hostname"}
        ),
        "unknown key 'sekurity'": Browse(driver="opcua", address=address, options={"sekurity": "none"}),
    }
    replies = {why: await edge.ask(do, asset="") for why, do in refused.items()}
    assert {reply.outcome for reply in replies.values()} == {"refused"}
    assert [reply.reason for why, reply in replies.items() if why not in reply.reason] == []
    assert (await edge.ask(Write(signal="speed", value=4))).outcome == "done"  # what is read went on


async def test_a_machine_is_connected_from_afar(edge: Edge, machine: Machine) -> None:
    asked = machine.server.url.removeprefix("opc.tcp://")
    detected = await edge.ask(Detect(address=asked), asset="")
    assert detected.outcome == "done", detected.reason
    [found] = detected.result["found"]
    assert (found["driver"], found["address"]) == ("opcua", machine.server.url)
    probe = Browse(driver=found["driver"], address=found["address"], options=found["options"])
    seen = (await edge.ask(probe, asset="")).result["tags"]
    tags = [tag for tag in seen if tag["path"] in ("Machine/Speed", "Machine/State")]
    named = {"machine": "cnc-09", "kind": "cnc", "tags": tags}
    proposed = await edge.ask(
        Propose.model_validate({key: found[key] for key in ("driver", "address", "options")} | named), asset=""
    )
    assert list(proposed.result["entry"]["signals"]) == ["speed", "state"]
    assert proposed.result["yaml"].startswith("cnc-09:\n  driver: opcua\n")
    now = (await edge.ask(Browse(), asset="")).result["sha256"]
    change = Apply(based_on=now, machine="cnc-09", entry=proposed.result["entry"])
    assert (await edge.ask(change, asset="")).outcome == "done"
    assert "cnc-09:" in edge.file.read_text()


async def test_what_is_out_of_the_networks_is_neither_asked_nor_named_from_afar(edge: Edge) -> None:
    detected = await edge.ask(Detect(address="8.8.8.8:4840"), asset="")
    assert detected.outcome == "refused"
    assert "8.8.8.8 is in no network that this edge may ask from afar" in detected.reason
    told = (await edge.ask(Browse(), asset="")).result
    entry = told["machines"]["cnc-01"] | {"address": "opc.tcp://8.8.8.8:4840"}
    applied = await edge.ask(Apply(based_on=told["sha256"], machine="cnc-01", entry=entry), asset="")
    assert applied.outcome == "refused"
    assert "8.8.8.8 is in no network" in applied.reason


async def test_a_plant_entry_is_applied_on_what_it_was_based(edge: Edge) -> None:
    told = (await edge.ask(Browse(), asset="")).result
    assert told["sha256"] == hashlib.sha256(edge.file.read_bytes()).hexdigest()
    entry = told["machines"]["cnc-01"] | {"kind": "cnc"}
    change = Apply(based_on=told["sha256"], machine="cnc-01", entry=entry)
    done = await edge.ask(change, asset="")
    assert (done.outcome, done.result["changed"]) == ("done", ["cnc-01"])
    assert "# the mill" in edge.file.read_text()
    assert "kind: cnc" in edge.file.read_text()
    again = await edge.ask(change, asset="")
    assert again.outcome == "refused"
    assert done.result["sha256"] in again.reason


async def test_a_block_that_is_not_held_is_said(edge: Edge) -> None:
    reply = await edge.ask(SendBlock(sensor="vibration"))
    assert (reply.outcome, "'vibration'" in reply.reason) == ("failed", True)


async def test_a_command_that_cannot_be_read_harms_nobody(edge: Edge, machine: Machine) -> None:
    for text in ("", "{}", "[" * 10000):
        edge.host.command(NODE, Metric("Spool/Command", None, Code.STRING, text))
    assert (await edge.ask(Write(signal="speed", value=3))).outcome == "done"
    assert edge.process is not None
    edge.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(edge.process.wait, 10) == 0


@pytest.mark.parametrize(
    ("datatype", "value", "expected"),
    [
        (Datatype.DOUBLE, 5, 5.0),
        (Datatype.FLOAT, 1e39, None),
        (Datatype.DOUBLE, True, None),
        (Datatype.DOUBLE, "5", None),
        (Datatype.INT16, 5.0, 5),
        (Datatype.INT16, 5.5, None),
        (Datatype.INT16, 40000, None),
        (Datatype.UINT8, -1, None),
        (Datatype.BOOLEAN, True, True),
        (Datatype.BOOLEAN, 1, None),
        (Datatype.STRING, "O1234", "O1234"),
        (Datatype.STRING, 1234, None),
        (Datatype.STRING, "x" * 300_000, None),
    ],
)
def test_a_value_fits_its_datatype_or_is_refused(datatype: Datatype, value: Any, expected: Any) -> None:
    signal = Signal("s", datatype, writable=True)
    if expected is None:
        with pytest.raises(RefusedError, match=datatype.value):
            fitted(signal, value)
    else:
        found = fitted(signal, value)
        assert (found, type(found)) == (expected, type(expected))


def test_a_range_with_one_end_is_said_with_its_unit() -> None:
    with pytest.raises(RefusedError, match=r"its range, to 150 %$"):
        fitted(Signal("feed", high=150.0, unit="%", writable=True), 151)
