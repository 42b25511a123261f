"""What a driver says when it recognizes its protocol, and the first word on a line that it does so by."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

_MOST_BYTES: Final = 64 * 1024
_TLS_ALERT: Final = b"\x15\x03"


@dataclass(frozen=True, slots=True)
class Recognized:
    """A protocol that answers somewhere. `confidence` is 0 to 1: 1 where nothing else answers so, below 0.5 a guess.

    `scheme` and `path` are of its address in a plant file, `options` what an entry must state besides to get on with
    it. `text` says what answers, `todo` what a person has to see to first.
    """

    scheme: str
    confidence: float
    text: str
    path: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    todo: str = ""


def unverified() -> ssl.SSLContext:
    """Return how TLS is spoken to see who answers: nobody is trusted by it, and nothing secret is said over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def answer(host: str, port: int, message: bytes, timeout_s: float, *, tls: bool = False) -> bytes | None:
    """Send a message over a line of its own and return what comes back first; b"": it was hung up. Never raises.

    None: nothing came within `timeout_s`, or there is no connection.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, ssl=unverified() if tls else None)
            writer.write(message)
            await writer.drain()
            return await reader.read(_MOST_BYTES)
    except ConnectionError:
        return b"" if writer is not None else None
    except (OSError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.transport.abort()


def wants_tls(said: bytes | None) -> bool:
    """Whether somebody who was spoken to plainly may speak TLS: so they hang up, or send an alert of TLS."""
    return said is not None and (not said or said.startswith(_TLS_ALERT))


async def certificate(host: str, port: int, timeout_s: float) -> bytes | None:
    """Return the certificate (DER) that is shown to whoever speaks TLS; None where nobody speaks it."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port, ssl=unverified())
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return bytes(shown or b"")
    return None
