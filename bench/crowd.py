"""Clients of the cloud in a process of their own: `python bench/crowd.py '{"kind": "ask", "port": 8080, …}'`.

Each kind is a function below; it prints one JSON object when it ends. They speak plain sockets, since a library would
take more of the two cores than the server that is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

HOST = "127.0.0.1"
PATIENCE_S = 60.0
"""How long a client waits for an answer."""


class Answers:
    """What a crowd was answered: how often each status ("lost": the connection ended), and in which times (s)."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.times_s: list[float] = []
        self.busy_s: list[float] = []

    def add(self, status: str, time_s: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        (self.busy_s if status == "503" else self.times_s).append(time_s)

    def told(self) -> dict[str, Any]:
        """Return what to print."""
        return {"statuses": self.statuses, **_quantiles(self.times_s), "busy": _quantiles(self.busy_s)}


def _quantiles(times_s: list[float]) -> dict[str, float]:
    ordered = sorted(times_s)
    if not ordered:
        return {"p50": 0.0, "p99": 0.0, "max": 0.0}
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100], "max": ordered[-1]}


class Connection:
    """A connection that is opened when it is needed, and again when the server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> str:
        """Send a request and read the whole answer; return its status, or "lost"."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._ask(request)
        except TimeoutError:
            self.close()
            return "timeout"
        except (OSError, EOFError, ValueError):
            self.close()
            return "lost"

    async def _ask(self, request: bytes) -> str:
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(HOST, self._port, limit=1 << 20)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if (at := head.find(b"content-length:")) >= 0:
            await reader.readexactly(int(head[at + 15 : head.index(b"\r", at)]))
        elif b"transfer-encoding: chunked" in head:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        if b"connection: close" in head:
            self.close()
        return head[9:12].decode()

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def request(path: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{k}: {v}" for k, v in (headers or {}).items())]
    if body or method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(
    *,
    port: int,
    path: str,
    clients: int,
    seconds: float,
    pause_s: float = 0.0,
    headers: dict[str, str],
    method: str = "GET",
    body: str = "",
) -> dict[str, Any]:
    """Ask again and again, each client when it has its answer and has paused; `{n}` in a body is a number."""
    answers = Answers()
    asked = itertools.count()
    end = time.monotonic() + seconds

    async def one() -> None:
        connection = Connection(port)
        while time.monotonic() < end:
            began = time.monotonic()
            said = body.replace("{n}", str(next(asked))).encode()
            status = await connection.ask(request(path, method=method, headers=headers, body=said))
            answers.add(status, time.monotonic() - began)
            await asyncio.sleep(pause_s or (0.05 if status in ("503", "lost") else 0.0))
        connection.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return answers.told()


async def write(*, port: int, token: str, seconds: float, rate: float = 10.0, signals: int = 50) -> dict[str, Any]:
    """Write as a gateway does: `rate` lines a second are due, those due go together; tell when each was stored."""
    answers = Answers()
    connection = Connection(port)
    began = time.monotonic()
    fields = ",".join(f"signal_{n}=1.5" for n in range(signals))
    head = {"Authorization": f"Token {token}"}
    stored, lines = 0, int(seconds * rate)
    while stored < lines:
        await asyncio.sleep(began + stored / rate - time.monotonic())
        due = min(int((time.monotonic() - began) * rate) + 1, lines)
        now = time.time_ns()
        body = "".join(f"cnc,site=s,area=a,line=l,asset=writer {fields} {now + n}\n" for n in range(stored, due))
        status = await connection.ask(request("/api/v2/write", method="POST", headers=head, body=body.encode()))
        if status == "204":
            for number in range(stored, due):
                answers.add(status, time.monotonic() - began - number / rate)
            stored = due
        else:
            answers.statuses[status] += 1
            await asyncio.sleep(0.1)
    return answers.told()


async def hold(
    *,
    port: int,
    clients: int,
    seconds: float,
    first: str = "",
    drip: str = "",
    drip_s: float = 1.0,
    again: bool = False,
) -> dict[str, Any]:
    """Open connections, send `first`, then `drip` every `drip_s`, and never read; tell when the server ended them.

    `again`: open a new connection for each that was ended.
    """
    ended_s: list[float] = []
    most = 0
    links: dict[socket.socket, float] = {}
    begin = time.monotonic()
    dripped = begin

    def connect() -> None:
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.settimeout(2.0)
        try:
            link.connect((HOST, port))
            link.send(first.encode())
        except OSError:
            link.close()
            ended_s.append(0.0)
        else:
            link.setblocking(False)
            links[link] = time.monotonic()

    for _ in range(clients):
        connect()
    while (now := time.monotonic()) < begin + seconds:
        most = max(most, len(links))
        for link in [link for link in links if not _is_open(link)]:
            ended_s.append(now - links.pop(link))
            link.close()
            if again:
                connect()
        if drip and now >= dripped + drip_s:
            dripped = now
            for link in links:
                with contextlib.suppress(OSError):
                    link.send(drip.encode())
        await asyncio.sleep(0.1)
    return {"open": len(links), "ended": len(ended_s), "most": most, **_quantiles(ended_s)}


def _is_open(link: socket.socket) -> bool:
    """Tell whether neither side has ended a connection, without reading from it."""
    return link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1  # TCP_ESTABLISHED


async def grow(*, port: int, token: str, clients: int, seconds: float, mib: int, members: int = 1) -> dict[str, Any]:
    """Write gzip bodies that grow to `mib` MiB of lines, each client when it has its answer."""
    answers = Answers()
    end = time.monotonic() + seconds
    bodies = []
    for client in range(clients):
        line = f"cnc,site=s,area=a,line=l,asset=big-{client} signal=1.5 %d\n"
        each = mib * 1024 * 1024 // members // len(line % time.time_ns())
        now = time.time_ns()
        lines = [line % (now + number) for number in range(each * members)]
        parts = (lines[at : at + each] for at in range(0, len(lines), each))
        bodies.append(b"".join(gzip.compress("".join(part).encode(), 1) for part in parts))

    async def one(body: bytes) -> None:
        connection = Connection(port)
        headers = {"Authorization": f"Token {token}", "Content-Encoding": "gzip"}
        while time.monotonic() < end:
            began = time.monotonic()
            answers.add(
                await connection.ask(request("/api/v2/write", method="POST", headers=headers, body=body)),
                time.monotonic() - began,
            )

    await asyncio.gather(*map(one, bodies))
    return {**answers.told(), "bytes": sum(map(len, bodies)) // clients}


KINDS: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {"ask": ask, "write": write, "hold": hold, "grow": grow}


def main() -> None:
    """Do what the argument says, and print what happened."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    wanted = json.loads(sys.argv[1])
    print(json.dumps(asyncio.run(KINDS[wanted.pop("kind")](**wanted))))


if __name__ == "__main__":
    main()
