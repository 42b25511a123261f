"""Who may come in: what is too much is refused before any work was done for it."""

from __future__ import annotations

from collections import deque
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud import patience, problems
from cloud.auth.limiter import network_of
from cloud.places import AllPlaces, Part, Places

MAX_BODY: Final = 1024 * 1024
MAX_LOGIN_BODY: Final = 8 * 1024
"""Of what anybody may send: two passwords of which each character is escaped, and some."""
_AUTH: Final = "/api/v1/auth/"
_LOGINS: Final = frozenset({"/api/v1/auth/login", "/api/v1/auth/link", "/api/v1/auth/password"})
_QUERIES: Final = ("/api/v1/telemetry/", "/api/v1/ledger")
_STREAM: Final = "/api/v1/telemetry/stream"
_WRITE: Final = "/api/v2/write"
_SECRETS: Final = frozenset({b"cookie", b"authorization"})


class Admission:
    """Gives each request a place until its answer begins; a place is not held for a body that is still to come.

    Writes of gateways have places of their own, taken by their route when it knows the gateway.
    """

    def __init__(self, app: ASGIApp, places: AllPlaces) -> None:
        self.app = app
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 503."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        patience.current.set(patience.of(scope))
        if scope["path"] == _WRITE:
            await self.app(scope, receive, send)
            return
        try:
            if scope["method"] in ("GET", "HEAD"):
                await self._answer(scope, receive, send)
            else:
                with self._places.bodies.part(_network(scope)) as part:
                    messages = await self._read(scope, receive, part)

                    async def receive_again() -> Message:
                        return messages.popleft() if messages else await receive()

                    await self._answer(scope, receive_again, send)
        except problems.Problem as problem:  # that of a route was answered by the application
            await problems.answer(Request(scope), problem)(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive, part: Part) -> deque[Message]:
        """Return the whole body; raise Problem 413, before a byte is read where its length is told."""
        most = MAX_LOGIN_BODY if scope["path"].startswith(_AUTH) else MAX_BODY
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and int(told[:20]) > most:
            raise problems.too_long()
        messages: deque[Message] = deque()
        async with self._places.bodies.coming(part):
            while not messages or messages[-1].get("more_body", False):
                messages.append(await receive())
                size = len(messages[-1].get("body", b""))
                if part.size + size > most:
                    raise problems.too_long()
                part.grow(size)
        return messages

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        places = self._places_of(scope["path"])
        await places.take(_whose(scope), patience.of(scope))
        is_held = True

        async def send_and_leave(message: Message) -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                places.give_back()
            await send(message)

        try:
            await self.app(scope, receive, send_and_leave)
        finally:
            if is_held:
                places.give_back()

    def _places_of(self, path: str) -> Places:
        if path in _LOGINS:
            return self._places.logins
        is_query = path.startswith(_QUERIES) and path != _STREAM
        return self._places.queries if is_query else self._places.others


def _whose(scope: Scope) -> object:
    """Return what tells clients apart before anybody has looked who they are."""
    found = tuple(value for name, value in scope["headers"] if name in _SECRETS)
    return found or _network(scope)


def _network(scope: Scope) -> str:
    return network_of((scope["client"] or ("",))[0])
