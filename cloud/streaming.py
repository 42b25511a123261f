"""Answers that are sent piece by piece, to clients that may be slow or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from cloud import patience


class PatientStream(StreamingResponse):
    """A stream whose connection ends when its client takes nothing of what waits for it in `send_timeout_s`."""

    def __init__(
        self,
        content: AsyncIterator[bytes],
        *,
        send_timeout_s: float,
        headers: Mapping[str, str],
        media_type: str,
        status_code: int = 200,
    ) -> None:
        super().__init__(content, status_code, headers=headers, media_type=media_type)
        self._send_timeout_s = send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces."""
        patience.of(scope).send_timeout_s = self._send_timeout_s
        await super().__call__(scope, receive, send)


async def in_thread(pieces: Generator[bytes]) -> AsyncIterator[bytes]:
    """Give what a blocking generator gives, made in a thread; close the generator at the end, whatever the end is."""
    try:
        while (piece := await run_in_threadpool(next, pieces, None)) is not None:
            yield piece
    finally:
        # not awaited: a cancelled task could not wait for it
        asyncio.get_running_loop().run_in_executor(None, pieces.close)
