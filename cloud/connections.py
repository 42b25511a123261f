"""Connections: how many there are, and how long each may take for a head, for a body, and to read what it is sent.

The server has none of these limits. Every second all connections are looked at; who came first and asks nothing gives
way to who comes when there are too many, so that a flood of silent connections keeps nobody out.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import Any, Final

import httptools
import structlog
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from cloud.patience import EXTENSION, SEND_TIMEOUT_S, Patience

SWEEP_S: Final = 1.0
MAX_HEAD: Final = 32 * 1024
MAX_HEADERS: Final = 100
MAX_PIPELINED: Final = 16
MAX_UNSENT: Final = 64 * 1024 * 1024
"""Of all connections: bytes of answers that wait in memory for clients to read."""
MIN_BODY_RATE: Final = 1024
"""Bytes a second that a body has to come with; who was faster may be slower for `body_timeout_s`."""
_SAY_S: Final = 60.0
_ENDED: Final = "connections were ended by a limit"
_ODD: Final = "clients went before their answer, or sent what is not spoken here"
_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
# struct tcp_info of Linux: packets on their way, bytes that the other side has acknowledged, bytes not sent yet
_INFO: Final = struct.Struct("=24x I 92x Q 16x I")
_log = structlog.get_logger(__name__)


class Yields(IntEnum):
    """Which connections give way to a new one, first those that never asked anything."""

    SILENT = 0
    IDLE = 1
    SENDING = 2
    NEVER = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes; times in s."""

    connections: int = 2000
    per_address: int = 1000
    head_timeout_s: float = 10.0
    body_timeout_s: float = 10.0


class Connections:
    """All connections of one server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._all: dict[Connection, None] = {}
        self._of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._is_watched = False
        self._said_s = float("-inf")
        self.paused: set[Connection] = set()
        """Those whose clients have not read what was sent."""

    def protocol(self, **of_server: Any) -> Connection:
        """Return what speaks on a new connection; the server calls it as it would a class."""
        return Connection(self, **of_server)

    def add(self, new: Connection) -> None:
        """Take a connection; an older one that asks nothing ends when there are too many, else the new one."""
        self._all[new] = None
        of_address = self._of[new.address]
        of_address[new] = None
        if len(of_address) > self.limits.per_address:
            self._make_room(new, of_address)
        elif len(self._all) > self.limits.connections:
            self._make_room(new, self._all)
        if not self._is_watched:
            self._is_watched = True
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _make_room(self, new: Connection, among: Iterable[Connection]) -> None:
        gone = new
        for each in among:  # the oldest of the first kind
            if each is not new and each.yields < (Yields.NEVER if gone is new else gone.yields):
                gone = each
                if gone.yields is Yields.SILENT:
                    break
        if gone is new:
            new.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            self.count("refused")
        else:
            gone.transport.abort()
            self.remove(gone)
            self.count("gave way")

    def remove(self, old: Connection) -> None:
        """Forget a connection; safe twice."""
        if old in self._all:
            del self._all[old]
            del self._of[old.address][old]
            if not self._of[old.address]:
                del self._of[old.address]
        self.paused.discard(old)

    def count(self, why: str, event: str = _ENDED) -> None:
        """Count what is told once a minute."""
        self._counted[event][why] += 1

    def bound_unsent(self) -> None:
        """End those that have read nothing for longest while more than MAX_UNSENT bytes wait."""
        unsent = {each: each.transport.get_write_buffer_size() for each in self.paused}
        total = sum(unsent.values())
        for each in sorted(unsent, key=lambda each: each.read_s):
            if total <= MAX_UNSENT:
                return
            total -= unsent[each]
            self.count("unread answers")
            each.transport.abort()
            self.paused.discard(each)

    def _sweep(self) -> None:
        if not self._all and not self._counted:
            self._is_watched = False
            return
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for each in list(self._all):
            if (why := each.overdue(now_s)) is not None:
                self.count(why)
        if self._counted and now_s >= self._said_s + _SAY_S:
            for event, counts in self._counted.items():
                reason = ", ".join(f"{why}: {number}" for why, number in counts.items())
                _log.info(event, reason=reason) if event is _ODD else _log.warning(event, reason=reason)
            self._said_s = now_s
            self._counted.clear()
        loop.call_later(SWEEP_S, self._sweep)


class Connection(HttpToolsProtocol):
    """One connection, with limits."""

    def __init__(self, connections: Connections, **of_server: Any) -> None:
        super().__init__(**of_server)
        self._connections_of_server = connections
        self._refusal = HTTPStatus.BAD_REQUEST
        self._head_s: float | None = None  # since when a head is awaited
        self._head_size = 0
        self._body_s: float | None = None  # until when more of a body is awaited
        self._patience: list[Patience] = []  # of requests that are not answered
        self._acked = 0
        self._timeout_s = SEND_TIMEOUT_S
        self.address = ""
        self._has_asked = False
        self.read_s = 0.0
        """When the client last read something of what was sent, or there was nothing to read."""

    @property
    def is_asking(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def yields(self) -> Yields:
        """When it gives way."""
        if not self._has_asked:
            return Yields.SILENT
        if not self.is_asking:
            return Yields.IDLE
        return Yields.NEVER if self._body_s is None else Yields.SENDING

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._head_s = self.read_s = self.loop.time()
        self._connections_of_server.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is being done for the client."""
        self._connections_of_server.remove(self)
        super().connection_lost(exc)
        for patience in self._patience:
            patience.end()
        self._patience.clear()

    def data_received(self, data: bytes) -> None:
        """Take bytes; refuse a head that is too long."""
        if self.parser is None or self.transport.is_closing():
            return
        in_head = self._head_s is not None
        self._parse(data)
        if self._head_s is None and self._body_s is None and not self.is_asking:
            self._head_s = self.loop.time()  # something came that is no request yet
        if in_head and self._head_s is not None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _parse(self, data: bytes) -> None:
        """Do as the server does, which would log a line for each."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._connections_of_server.count("another protocol", _ODD)
        except httptools.HttpParserError:
            is_http = self._refusal is not HTTPStatus.BAD_REQUEST
            self._connections_of_server.count(self._refusal.phrase if is_http else "no HTTP", _ODD)
            self.send_400_response("Invalid HTTP request received.")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let a request be answered; that its client goes is no error."""

        def has_gone() -> None:
            cycle.disconnected = True  # the server then neither sends nor complains
            self._connections_of_server.count("gone", _ODD)

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            async def send_while_there(message: Any) -> None:
                if cycle.flow.write_paused:
                    await cycle.flow.drain()
                if self.transport.is_closing() and not cycle.disconnected:
                    has_gone()
                await send(message)

            try:
                await app(scope, receive, send_while_there)
            except ClientDisconnect:
                has_gone()

        super()._start_asgi_task(cycle, answer)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._head_s = self._head_s or self.loop.time()
        self._head_size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        self._head_size += len(name) + len(value)
        if len(self.headers) > MAX_HEADERS or self._head_size > MAX_HEAD:
            self._give_up(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        super().on_url(url)
        if len(self.url) > MAX_HEAD:
            self._give_up(HTTPStatus.REQUEST_URI_TOO_LONG)

    def _give_up(self, status: HTTPStatus) -> None:
        self._refusal = status
        raise ValueError(status.phrase)  # the parser ends, and the server calls send_400_response

    def on_headers_complete(self) -> None:
        """Let a request be answered; its patience ends with the connection."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self._give_up(HTTPStatus.TOO_MANY_REQUESTS)
        self._head_s = None
        self._body_s = self.loop.time() + self._connections_of_server.limits.body_timeout_s
        self._has_asked = True
        patience = Patience()
        self._patience.append(patience)
        self.scope["extensions"] = {EXTENSION: patience}  # type: ignore[dict-item]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._body_s is not None:
            most_s = self.loop.time() + self._connections_of_server.limits.body_timeout_s
            self._body_s = min(self._body_s + len(body) / MIN_BODY_RATE, most_s)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._body_s = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with what was pipelined."""
        if self._patience:
            self._timeout_s = self._patience.pop(0).send_timeout_s
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._connections_of_server.paused.add(self)
        self._connections_of_server.bound_unsent()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        super().resume_writing()
        self._connections_of_server.paused.discard(self)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or too much of one."""
        if self._refusal is HTTPStatus.BAD_REQUEST:
            super().send_400_response(msg)
        else:
            self.refuse(self._refusal)

    def refuse(self, status: HTTPStatus) -> None:
        """Say so, unless an answer has begun, and close."""
        if not self.is_asking or not self.cycle.response_started:
            after = "Retry-After: 2\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{after}Content-Length: 0\r\nConnection: close\r\n\r\n"
            self.transport.write(head.encode())
        self.transport.close()

    def overdue(self, now_s: float) -> str | None:
        """End the connection when its client has taken too long; return for what."""
        limits = self._connections_of_server.limits
        if self.flow.read_paused and self._body_s is not None:
            self._body_s += SWEEP_S  # we do not read, so that it cannot send
        if self._head_s is not None and now_s > self._head_s + limits.head_timeout_s:
            self._time_out()
            return "slow heads"
        if self._body_s is not None and now_s > self._body_s:
            self._time_out()
            return "slow bodies"
        if self._has_read():
            self.read_s = now_s
        elif now_s > self.read_s + (self._patience[0].send_timeout_s if self._patience else self._timeout_s):
            self.transport.abort()
            return "unread answers"
        return None

    def _time_out(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _has_read(self) -> bool:
        """Tell whether the client has read something since the last time, or has nothing to read."""
        unsent = self.transport.get_write_buffer_size()
        if _TCP_INFO is None:
            has_read, self._acked = unsent == 0 or unsent != self._acked, unsent
            return has_read
        if unsent == 0 and not self.is_asking:
            return True
        link = self.transport.get_extra_info("socket")
        try:
            under_way, acked, waiting = _INFO.unpack(link.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO.size))
        except (OSError, struct.error):  # it is closed, or an old kernel tells less
            return True
        has_read, self._acked = not (unsent or under_way or waiting) or acked != self._acked, acked
        return has_read
