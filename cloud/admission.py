"""Who may come in: what is too much is refused before any work was done for it."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud import patience, problems
from cloud.auth.limiter import network_of
from cloud.deps import known_principal, proof_key, proofs_of
from cloud.parts import Parts
from cloud.places import Part, Places

MAX_BODY: Final = 1024 * 1024
MAX_LOGIN_BODY: Final = 8 * 1024
"""Of what anybody may send: two passwords of which each character is escaped, and some."""
_AUTH: Final = "/api/v1/auth/"
_LOGIN: Final = "/api/v1/auth/login"
_QUERIES: Final = ("/api/v1/telemetry/", "/api/v1/ledger")
_DIAGNOSES: Final = re.compile(
    r"/api/v1/diagnosis/(findings/[^/]+(/verify)?|assets/[^/]+(/baseline)?|blocks/[^/]+/envelope)"
)
"""What computes a diagnosis, so that it takes no place of what is answered at once."""
_STREAM: Final = "/api/v1/telemetry/stream"
_WRITE: Final = "/api/v2/write"
_MOST_SEEN: Final = 2000
_LEAVE: Final = "shopfloor.leave"


class Admission:
    """Gives each request a place until its answer begins; a place is not held for a body that is still to come.

    Writes of gateways and log-ins have places of their own, taken by their routes when those know whose they are.
    """

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self.app = app
        self._parts = parts
        self._places = parts.places
        self._seen: OrderedDict[tuple[str, str], object] = OrderedDict()  # users by what proved who they are

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
        """Return the whole body; raise Problem 413, if its length is told before a byte is read; ClientDisconnect."""
        most = MAX_LOGIN_BODY if scope["path"].startswith(_AUTH) else MAX_BODY
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and int(told[:20]) > most:
            raise problems.too_long()
        messages: deque[Message] = deque()
        async with self._places.bodies.coming(part):
            while not messages or messages[-1].get("more_body", False):
                messages.append(await receive())
                if messages[-1]["type"] == "http.disconnect":
                    raise ClientDisconnect
                size = len(messages[-1].get("body", b""))
                if part.size + size > most:
                    raise problems.too_long()
                part.grow(size)
        return messages

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == _LOGIN and scope["method"] == "POST":
            await self.app(scope, receive, send)
            return
        places = self._places_of(scope["path"])
        whose = self._whose(scope)
        await places.take(whose, patience.of(scope))
        is_held = True

        def leave() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                places.give_back()
                if isinstance(whose, str):
                    self._whose(scope)  # who was not known before is now

        async def send_and_leave(message: Message) -> None:
            leave()
            await send(message)

        scope[_LEAVE] = leave
        try:
            await self.app(scope, receive, send_and_leave)
        finally:
            if is_held:
                places.give_back()

    def _places_of(self, path: str) -> Places:
        if _DIAGNOSES.fullmatch(path):
            return self._places.diagnoses
        is_query = path.startswith(_QUERIES) and path != _STREAM
        return self._places.queries if is_query else self._places.others

    def _whose(self, scope: Scope) -> object:
        """Return whose a request is: the user's whose login or token was checked lately, else the address's.

        What was not checked proves nothing: else a flood with another cookie in each request had a turn for each.
        """
        cookie, bearer = proofs_of(Request(scope), self._parts.settings)
        if cookie is None and bearer is None:
            return _network(scope)
        key = proof_key(cookie, bearer)
        principal = known_principal(self._parts, cookie, bearer)
        if principal is not None:
            self._seen[key] = ("user", principal.user_id)
            self._seen.move_to_end(key)
            if len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)
        return self._seen.get(key) or _network(scope)


def give_place_back(scope: Scope) -> None:
    """Let others have the place of a request, which waits from now on and works no more."""
    leave: Callable[[], None] = scope.get(_LEAVE, lambda: None)
    leave()


def _network(scope: Scope) -> str:
    return network_of((scope["client"] or ("",))[0])
