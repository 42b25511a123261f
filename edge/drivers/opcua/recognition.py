"""Whether an OPC UA server answers somewhere, and what one needs to get on with it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import Client, ua

from edge.drivers.opcua.session import UA_ERRORS
from edge.recognize import Recognized, answer

PORTS: Final = (48010, 49320, 53530)  # of demo servers, gateways and simulators besides 4840
_SCHEME: Final = "opc.tcp"
_BUFFER: Final = 65_535
_KNOWN: Final = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
_MODES: Final[Mapping[Any, str]] = {
    ua.MessageSecurityMode.SignAndEncrypt: "sign_and_encrypt",
    ua.MessageSecurityMode.Sign: "sign",
}


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Greet, and ask for the endpoints; None when nobody answers as OPC UA does (OPC 10000-6, 7.1.2)."""
    shown = f"[{host}]" if ":" in host else host
    url = f"{_SCHEME}://{shown}:{port}{path}"
    said = await answer(host, port, _hello(url), timeout_s)
    if not said or said[:4] not in (b"ACKF", b"ERRF"):
        return None
    client = Client(url, timeout=timeout_s)
    try:
        async with asyncio.timeout(2 * timeout_s):
            endpoints: Sequence[Any] = await client.connect_and_get_server_endpoints()
    except UA_ERRORS as error:
        text = f"an OPC UA server, which does not say how it is to be spoken to ({error or type(error).__name__})"
        return Recognized(_SCHEME, 0.9, text, todo="is it busy with as many clients as it takes?")
    finally:
        client.disconnect_socket()
    return _seen(endpoints, path)


def _hello(url: str) -> bytes:
    name = url.encode()
    body = struct.pack("<5I", 0, _BUFFER, _BUFFER, 0, 0) + struct.pack("<I", len(name)) + name
    return b"HELF" + struct.pack("<I", 8 + len(body)) + body


def _seen(endpoints: Sequence[Any], path: str) -> Recognized:
    name = next((each.Server.ApplicationName.Text for each in endpoints if each.Server.ApplicationName.Text), "")
    offered = [(each.SecurityPolicyUri.rpartition("#")[2], each.SecurityMode) for each in endpoints]
    ways = ", ".join(dict.fromkeys(policy if policy == "None" else f"{policy}/{mode.name}" for policy, mode in offered))
    text = f"an OPC UA server{f' {name!r}' if name else ''}, security: {ways or 'none stated'}"
    options, todo = _security(offered)
    kinds = {token.TokenType for each in endpoints for token in each.UserIdentityTokens or ()}
    if kinds and ua.UserTokenType.Anonymous not in kinds:
        todo.insert(0, "it wants a log-in: state user and password_file")
    own = urlsplit(next((each.EndpointUrl or "" for each in endpoints), "")).path
    return Recognized(_SCHEME, 1.0, text, path or own.rstrip("/"), options, "; ".join(todo))


def _security(offered: Sequence[tuple[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Return the option of the safest way that is offered, none when it is our own default, and what to know of it."""
    safe = [(policy, mode) for mode in _MODES for policy in _KNOWN if (policy, mode) in offered]
    if not safe:
        return {"security": "none"}, ["it offers no security: anyone on the network can read and change what passes"]
    policy, mode = safe[0]
    trust = ["its certificate is to be trusted, and ours there: the first connection says how"]
    if mode is not ua.MessageSecurityMode.SignAndEncrypt:
        return {"security": {"policy": policy, "mode": _MODES[mode]}}, trust
    return ({} if policy == _KNOWN[0] else {"security": policy}), trust
