"""Answers that are sent piece by piece, to clients that may be slow or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Send


class PatientStream(StreamingResponse):
    """A stream whose client is let go when it does not take a piece in `send_timeout_s`."""

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

    async def stream_response(self, send: Send) -> None:
        """Send the pieces; end early, without the final piece, when the client is too slow."""

        async def send_in_time(message: dict[str, object]) -> None:
            async with asyncio.timeout(self._send_timeout_s):
                await send(message)

        try:
            await super().stream_response(send_in_time)  # type: ignore[arg-type]
        except TimeoutError:
            return


async def in_thread(pieces: Generator[bytes]) -> AsyncIterator[bytes]:
    """Give what a blocking generator gives, made in a thread; close the generator at the end, whatever the end is."""
    try:
        while (piece := await run_in_threadpool(next, pieces, None)) is not None:
            yield piece
    finally:
        # not awaited: a cancelled task could not wait for it
        asyncio.get_running_loop().run_in_executor(None, pieces.close)
