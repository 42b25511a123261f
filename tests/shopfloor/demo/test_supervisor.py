"""The supervisor with real processes: small Python programs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from shopfloor.demo.service import Program, Service, exists, http, tcp
from shopfloor.demo.supervisor import Supervisor
from shopfloor.errors import CommandError, ConfigurationError


def program(name: str, text: str, **more: object) -> Program:
    return Program(name, (sys.executable, "-S", "-c", textwrap.dedent(text)), **more)  # type: ignore[arg-type]


FOREVER = "import signal; signal.pause()"


class Watch:
    """Hears of changes, and waits for one."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def __call__(self, _: Service) -> None:
        self.heard.set()

    async def until(self, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.heard.clear()
                await self.heard.wait()


@asynccontextmanager
async def supervised(tmp_path: Path, *programs: Program) -> AsyncIterator[tuple[Supervisor, Watch]]:
    watch = Watch()
    supervisor = Supervisor(programs, tmp_path, watch)
    supervisor.start()
    try:
        yield supervisor, watch
    finally:
        await supervisor.stop()


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def ended(pidfd: int) -> None:
    """Wait for the end of a process that is not our child."""
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, gone.set)
    try:
        async with asyncio.timeout(5):
            await gone.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


async def test_a_killed_process_is_back_at_once(tmp_path: Path) -> None:
    async with supervised(tmp_path, program("a", FOREVER)) as (supervisor, watch):
        await supervisor.ready(20)
        (service,) = supervisor.services
        first = service.pid
        assert first is not None
        killed = time.monotonic()
        os.kill(first, signal.SIGKILL)
        await watch.until(lambda: service.restarts == 1 and service.state == "running")
        assert time.monotonic() - killed < 5
        assert service.pid != first
        assert service.exit_code == -signal.SIGKILL


async def test_a_program_that_keeps_dying_is_started_less_and_less_often(tmp_path: Path) -> None:
    begins: list[float] = []

    def changed(service: Service) -> None:
        if service.state == "starting":
            begins.append(time.monotonic())
        if len(begins) == 4:
            done.set()

    done = asyncio.Event()
    supervisor = Supervisor([program("a", "import sys; sys.exit(1)")], tmp_path, changed)
    supervisor.start()
    async with asyncio.timeout(20):
        await done.wait()
    await supervisor.stop()
    pauses = [later - earlier for earlier, later in pairwise(begins)]
    assert pauses[0] >= 0.25
    assert pauses[1] >= 0.5
    assert pauses[2] >= 1.0


async def test_stop_ends_all_and_the_last_one_last(tmp_path: Path) -> None:
    ends: list[str] = []

    def changed(service: Service) -> None:
        if service.state == "stopped":
            ends.append(service.name)

    supervisor = Supervisor(
        [program("broker", FOREVER, last=True), program("a", FOREVER), program("b", FOREVER)], tmp_path, changed
    )
    supervisor.start()
    await supervisor.ready(20)
    pids = [service.pid for service in supervisor.services]
    await supervisor.stop()
    assert ends[-1] == "broker"
    assert sorted(ends) == ["a", "b", "broker"]
    assert not any(alive(pid) for pid in pids if pid)


async def test_a_program_that_ignores_sigterm_is_killed_within_5_s(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    deaf = f"""
        import pathlib, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path({str(ready)!r}).touch()
        while True: signal.pause()
    """
    async with supervised(tmp_path, program("deaf", deaf, ready=exists(ready))) as (supervisor, _):
        await supervisor.ready(20)
        (service,) = supervisor.services
        pid = service.pid
        assert pid is not None
        started = time.monotonic()
        await supervisor.stop()
        assert time.monotonic() - started < 5
        assert not alive(pid)


async def test_what_a_process_left_behind_is_ended_with_it(tmp_path: Path) -> None:
    child = tmp_path / "child"
    parent = f"""
        import os, pathlib, signal
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True: signal.pause()
        pathlib.Path({str(child)!r}).write_text(str(pid))
        signal.pause()
    """
    async with supervised(tmp_path, program("parent", parent, ready=exists(child))) as (supervisor, _):
        await supervisor.ready(20)
        gone = os.pidfd_open(int(child.read_text()))
        await supervisor.stop()
        await ended(gone)


async def test_needs_are_ready_first(tmp_path: Path, free_ports: int) -> None:
    server = f"""
        import socket, signal
        listener = socket.create_server(("127.0.0.1", {free_ports}))
        signal.pause()
    """
    client = f"""
        import socket, signal
        socket.create_connection(("127.0.0.1", {free_ports}))
        signal.pause()
    """
    programs = program("client", client, needs=("server",)), program("server", server, ready=tcp(free_ports))
    async with supervised(tmp_path, *programs) as (supervisor, _):
        await supervisor.ready(20)
        assert [service.restarts for service in supervisor.services] == [0, 0]


async def test_a_program_that_cannot_start_with_its_configuration_is_not_repeated(tmp_path: Path) -> None:
    wrong = "import sys; print('plant.yaml:3: unknown key'); sys.exit(2)"
    async with supervised(
        tmp_path, program("edge", wrong), program("other", FOREVER, ready=exists(tmp_path / "never"))
    ) as (
        supervisor,
        _,
    ):
        with pytest.raises(ConfigurationError, match=r"edge cannot start:\n  plant.yaml:3: unknown key"):
            await supervisor.ready(20)
        assert supervisor.services[0].state == "failed"
        assert supervisor.services[0].restarts == 0


async def test_who_is_not_ready_in_time_is_named_with_its_last_words(tmp_path: Path) -> None:
    never = program("cloud", "print('no database', flush=True)\n" + FOREVER, ready=exists(tmp_path / "never"))
    async with supervised(tmp_path, never) as (supervisor, _):
        with pytest.raises(CommandError, match=r"(?s)not ready after 1 s: cloud\n.*no database"):
            await supervisor.ready(1)


async def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    child = tmp_path / "child"
    guarded = f"import os, pathlib, signal; pathlib.Path({str(child)!r}).write_text(str(os.getpid())); signal.pause()"
    text = f"""
        import asyncio, pathlib, sys
        from shopfloor.demo.service import Program, exists
        from shopfloor.demo.supervisor import Supervisor

        async def run():
            command = sys.executable, "-S", "-c", {guarded!r}
            program = Program("child", command, ready=exists(pathlib.Path({str(child)!r})))
            supervisor = Supervisor([program], pathlib.Path({str(tmp_path)!r}), lambda service: None)
            supervisor.start()
            await supervisor.ready(20)
            print("ready", flush=True)
            await asyncio.Event().wait()

        asyncio.run(run())
    """
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(text), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with asyncio.timeout(30):
        assert await parent.stdout.readline() == b"ready\n"
    gone = os.pidfd_open(int(child.read_text()))
    parent.kill()
    await parent.wait()
    await ended(gone)


@pytest.mark.parametrize(("status", "expected"), [("200 OK", True), ("503 Service Unavailable", False)])
async def test_http_probe(status: str, expected: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.0 {status}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await http(port, "/health")() is expected


async def test_probes_of_a_port_where_nothing_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        assert not await tcp(port)()
        assert not await http(port, "/")()
